//! Cache mounts of daemons whose files nobody reaches: brought out and in by builds that run rekit's static helper beside the mount.
//!
//! Invariants: a build mounts `locked`, with the options that the Dockerfile has and no other; what a build leaves in the cache is known by
//! its nonce and removed again, the second, empty mount too that wrong options make.

mod build;
mod cache;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use rekit_archive::{Archive, ArchiveWriter, Consistency, MetadataOfArchive, plain_rules, wire};
use rekit_buildkit::CacheRecord;
use rekit_core::{
    event::Event,
    mounts::{ArchivedMount, CacheMount},
    name::{ArchiveId, Digest},
    plan::LeftOut,
    step::BuildPlace,
};
use serde_json::json;

use self::{
    build::{Build, Made, sweep},
    cache::{connect, forget_sources, mount_records, remove, sources},
};
use super::{Answer, Archived, RealWorld, WorldError, archive, proof::failed};
use crate::inventory;

/// The name of the helper, which the descriptions of cache mounts that rekit made hold.
const PROGRAM: &str = "rekit-archive-helper";
/// Where a build has the mount.
const MOUNT: &str = "/rekit/mount";

pub(super) async fn records(world: &RealWorld<'_>, place: &BuildPlace) -> Answer<Vec<String>> {
    let Some(control) = connect(world, place).await? else {
        return Ok(Vec::new());
    };
    let records = mount_records(&control, place).await?;
    Ok(records.into_iter().map(|record| record.id).collect())
}

/// Archives cache mounts, one build for each.
pub(super) async fn export(
    world: &RealWorld<'_>,
    archive: &ArchiveId,
    place: &BuildPlace,
    mounts: &[CacheMount],
) -> Answer<Archived> {
    let archives = &world.archives;
    let path = archives.join(archive.as_str());
    let Some(mut writer) = archive::begin(archives, archive)? else {
        return with_left_out(&path);
    };
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    sweep(&world.home);
    let sources = sources(world, place).await?;
    for (number, mount) in mounts.iter().enumerate() {
        let told = format!("{} of {}: cache mount {mount}", number + 1, mounts.len());
        say(world, told);
        let tree = format!("mount-{:03}", number + 1);
        match export_one(world, place, mount).await? {
            Ok((output, digest)) => {
                writer = receive(world, writer, &tree, &output).await?;
                let mount = mount.clone();
                kept.push(ArchivedMount {
                    tree,
                    digest,
                    mount,
                });
            }
            Err(why) => left_out.push(LeftOut {
                what: format!("cache mount {mount} of builder {}", place.builder),
                why,
            }),
        }
    }
    forget_sources(world, place, &sources).await;
    let metadata = json!({ "kind": "cache-mounts", "builder": place.builder, "mounts": kept, "left-out": left_out });
    let metadata = MetadataOfArchive {
        // No build held a mount while it was read; each was read for itself.
        consistency: Consistency::CleanStop,
        metadata,
    };
    let written = archive::unwritten(archive);
    writer.finish(metadata).map_err(written)?;
    with_left_out(&path)
}

fn with_left_out(path: &Path) -> Answer<Archived> {
    let archive = archive::open(path)?;
    let left_out = archive.manifest().metadata["left-out"].clone();
    let left_out = serde_json::from_value(left_out).map_err(failed("the manifest".to_owned()))?;
    Ok(Archived {
        left_out,
        ..archive::counts(path)?
    })
}

/// What a build brought out, in a folder that goes with it.
struct Output {
    folder: tempfile::TempDir,
}

impl Output {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    fn digest(&self) -> Answer<Digest> {
        let what = || "the digest that the helper writes".to_owned();
        let text = std::fs::read_to_string(self.file("digest")).map_err(failed(what()))?;
        text.trim().parse().map_err(failed(what()))
    }
}

/// Brings a cache mount out; the error says why it cannot be kept.
async fn export_one(
    world: &RealWorld<'_>,
    place: &BuildPlace,
    mount: &CacheMount,
) -> Answer<Result<(Output, Digest), String>> {
    let build = Build::new(world, place, mount)?;
    let mut known = Vec::new();
    wire::tell_known(&[], &mut known).map_err(failed("the words to the helper".to_owned()))?;
    build.write("known", &known)?;
    let input = build.tool("known");
    let pack = ["pack", MOUNT, "--in", &input, "--out", "/frames"];
    let ran = build
        .run(&[&pack[..], &["--digest", "/digest"]].concat())
        .await;
    let made = build.forget(Made::Remove).await?;
    if let Err(why) = ran? {
        return Ok(Err(format!("a build cannot mount it: {why}")));
    }
    if made {
        let why = "the daemon holds none that begins like this: who declares it is no Dockerfile of this project, or a build argument changed it";
        return Ok(Err(why.to_owned()));
    }
    let output = Output {
        folder: build.folder,
    };
    let digest = output.digest()?;
    Ok(Ok((output, digest)))
}

async fn receive(
    world: &RealWorld<'_>,
    mut writer: ArchiveWriter,
    tree: &str,
    output: &Output,
) -> Answer<ArchiveWriter> {
    let frames = output.file("frames");
    let frames = File::open(&frames).map_err(failed("what the build brought out".to_owned()))?;
    let name = tree.to_owned();
    let work = move |progress: &mut dyn FnMut(rekit_archive::Progress)| {
        let (mut reader, mut nobody) = (BufReader::new(frames), io::sink());
        writer
            .receive_tree(&name, &plain_rules(), (&mut reader, &mut nobody), progress)
            .map(drop)
            .map(|()| writer)
    };
    let packed = archive::on_thread(world.listener, 0, work).await?;
    packed.map_err(failed(format!("tree `{tree}` cannot be archived")))
}

/// Brings cache mounts in: one build fills each, and another reads it back.
pub(super) async fn import(
    world: &RealWorld<'_>,
    path: &Path,
    place: &BuildPlace,
    mounts: &[ArchivedMount],
) -> Answer<()> {
    let opened = archive::open(path)?;
    sweep(&world.home);
    let sources = sources(world, place).await?;
    for (number, archived) in mounts.iter().enumerate() {
        let mount = &archived.mount;
        let told = format!("{} of {}: cache mount {mount}", number + 1, mounts.len());
        say(world, told);
        import_one(world, &opened, place, archived).await?;
    }
    forget_sources(world, place, &sources).await;
    Ok(())
}

async fn import_one(
    world: &RealWorld<'_>,
    opened: &Archive,
    place: &BuildPlace,
    archived: &ArchivedMount,
) -> Answer<()> {
    let what = format!("cache mount {} cannot be brought back", archived.mount);
    let refused = |why: String| WorldError::failed(what.clone(), why);
    // One that begins with a stage or an image is never empty: what it was made with is measured first, and may be replaced.
    let beginning = if archived.mount.options.from.is_some() {
        let (digest, made) = digest_in(world, place, archived).await?;
        made.then_some(digest.to_string())
    } else {
        None
    };
    let build = Build::new(world, place, &archived.mount)?;
    let frames = File::create(build.tools.join("frames")).map_err(failed(what.clone()))?;
    let mut frames = BufWriter::new(frames);
    wire::send(opened, &archived.tree, &mut frames).map_err(failed(what.clone()))?;
    frames.flush().map_err(failed(what.clone()))?;
    let (input, digest) = (build.tool("frames"), archived.digest.to_string());
    let mut unpack = vec!["unpack", MOUNT, "--in", &input, "--out", "/answer"];
    unpack.extend(["--unless", &digest]);
    unpack.extend(beginning.iter().flat_map(|it| ["--replacing", it]));
    let ran = build.run(&unpack).await;
    build.forget(Made::Keep).await?;
    ran?.map_err(|why| {
        if why.contains("is not an empty directory") {
            let why = "it holds something already, which is never mixed with what is archived";
            refused(why.to_owned())
        } else {
            refused(why)
        }
    })?;
    let (found, _) = digest_in(world, place, archived).await?;
    if found == archived.digest {
        Ok(())
    } else {
        Err(refused("what is in it is not what was archived".to_owned()))
    }
}

/// Returns the digest of what a cache mount holds, and whether this look made the mount.
async fn digest_in(
    world: &RealWorld<'_>,
    place: &BuildPlace,
    archived: &ArchivedMount,
) -> Answer<(Digest, bool)> {
    let build = Build::new(world, place, &archived.mount)?;
    let ran = build.run(&["digest", MOUNT, "--out", "/digest"]).await;
    let made = build.forget(Made::Keep).await?;
    let what = format!("cache mount {} cannot be read", archived.mount);
    ran?.map_err(|why| WorldError::failed(what, why))?;
    let output = Output {
        folder: build.folder,
    };
    Ok((output.digest()?, made))
}

/// Removes the cache mounts that an import made.
pub(super) async fn forget(
    world: &RealWorld<'_>,
    place: &BuildPlace,
    ids: &[String],
    known: &[String],
) -> Answer<()> {
    let Some(control) = connect(world, place).await? else {
        return Ok(());
    };
    let is_made = |record: &CacheRecord| {
        let id = inventory::cache_mount(&record.description);
        record.description.contains(PROGRAM)
            && !known.contains(&record.id)
            && id.is_some_and(|id| ids.contains(&id))
    };
    remove(&control, place, is_made).await
}

fn say(world: &RealWorld<'_>, what: String) {
    (world.listener)(Event::Waiting {
        what,
        seconds: 0,
        limit: 0,
    });
}
