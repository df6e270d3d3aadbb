//! Archives: made, proven and brought back. Archive work is plain code on a thread; its progress comes out as events.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rekit_archive::{
    Archive, ArchiveWriter, Consistency, MetadataOfArchive, PackOptions, Progress, Rules, Running,
    TreeRecord, UnpackOptions, WriteError, buildkit_state_rules,
};
use rekit_buildkit::Engine;
use rekit_core::{
    event::Event,
    name::{ArchiveId, Digest, VolumeName},
    rehearsal::Canary,
    step::NodePlace,
};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Answer, ArchiveState, Archived, WorldError, canary, engine::KILLED, helper};

/// The tree of an archive that holds a daemon's state.
pub(crate) const STATE_TREE: &str = "state";
/// The file that buildkitd removes when it has closed its databases (facts.md, fact 6).
pub(super) const DAEMON_LOCK: &str = "buildkitd.lock";

pub(super) fn state(archives: &Path, archive: &ArchiveId) -> ArchiveState {
    if archives.join(archive.as_str()).join("SHA256SUMS").exists() {
        return ArchiveState::Whole;
    }
    let begun = [archive.to_string(), format!("{archive}.partial")]
        .iter()
        .any(|name| archives.join(name).exists());
    if begun {
        ArchiveState::Partial
    } else {
        ArchiveState::Absent
    }
}

pub(super) fn discard(archives: &Path, archive: &ArchiveId) -> Answer<()> {
    let removed = rekit_archive::discard(archives, archive.as_str());
    removed.map_err(|error| {
        WorldError::failed(
            format!("what there is of archive `{archive}` cannot be removed"),
            error,
        )
    })
}

/// Begins an archive in the place of what an earlier try left of it; `None`: it is whole already.
pub(super) fn begin(archives: &Path, archive: &ArchiveId) -> Answer<Option<ArchiveWriter>> {
    if state(archives, archive) == ArchiveState::Whole {
        return Ok(None);
    }
    discard(archives, archive)?;
    let writer = ArchiveWriter::create(archives, archive.as_str());
    writer.map(Some).map_err(unwritten(archive))
}

/// Says that an archive cannot be written.
pub(super) fn unwritten(archive: &ArchiveId) -> impl Fn(WriteError) -> WorldError {
    move |error| WorldError::failed(format!("archive `{archive}` cannot be written"), error)
}

/// Returns the digest of names, sizes, inodes and times of all files of an archive. Any later write shows in it.
pub(super) fn fingerprint(archive: &Path) -> Answer<Digest> {
    let failed = |error: io::Error| {
        WorldError::failed(
            format!("archive `{}` cannot be looked at", archive.display()),
            error,
        )
    };
    let mut lines = Vec::new();
    let mut folders = vec![archive.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(&failed)? {
            let path = entry.map_err(&failed)?.path();
            let metadata = path.symlink_metadata().map_err(&failed)?;
            if metadata.is_dir() {
                folders.push(path);
            } else {
                let time = (metadata.mtime(), metadata.mtime_nsec());
                lines.push(format!(
                    "{} {} {} {time:?}",
                    path.display(),
                    metadata.len(),
                    metadata.ino()
                ));
            }
        }
    }
    lines.sort();
    Ok(Digest::of(lines.join("\n").as_bytes()))
}

/// Archives the state of a running node: read directly where rekit may, else through a helper container.
pub(super) async fn copy_state(
    archives: &Path,
    archive: &ArchiveId,
    engine: &Engine,
    node: &NodePlace,
    listener: &dyn Fn(Event),
) -> Answer<Archived> {
    let Some(writer) = begin(archives, archive)? else {
        return counts(&archives.join(archive.as_str()));
    };
    let what = format!("container `{}` cannot be looked at", node.container);
    let failed = |error| WorldError::failed(what.clone(), error);
    let (container, _) = engine
        .container_inspect(node.container.as_str())
        .await
        .map_err(&failed)?;
    let pid = u32::try_from(container.state.pid).unwrap_or(0);
    if !container.state.running || pid == 0 {
        let why = format!("container `{}` does not run", node.container);
        return Err(WorldError::Refused { why });
    }
    let mut described = Described {
        daemon: helper::describe(engine, &node.volume).await?,
        // A daemon that cannot build is archived all the same; then a rehearsal cannot try the cache, and says so.
        canary: canary::leave_in(engine, &node.container).await.ok(),
    };
    let root = helper::direct_path(engine, &node.volume).await?;
    let root = root.filter(|_| helper::has_mounted(pid, &node.volume));
    let writer = match root {
        Some(root) => pack_running(writer, archive, root, pid, listener).await?,
        None => helper::pack(engine, &node.volume, Some(pid), writer, listener).await?,
    };
    // Whoever pruned meanwhile took it along, perhaps before the copy: a sound archive must not be told to be cold for that.
    if let Some(canary) = &described.canary
        && !canary::is_whole_in(engine, &node.container, canary)
            .await
            .unwrap_or(false)
    {
        described.canary = None;
    }
    finish(
        writer,
        archive,
        &node.volume,
        &described,
        Consistency::Frozen,
    )?;
    counts(&archives.join(archive.as_str()))
}

/// Packs the state at `root` while the daemon that `pid` leads works on it.
pub(super) async fn pack_running(
    mut writer: ArchiveWriter,
    archive: &ArchiveId,
    root: PathBuf,
    pid: u32,
    listener: &dyn Fn(Event),
) -> Answer<ArchiveWriter> {
    let watchdog = helper::watchdog(pid);
    let mut watchdog =
        watchdog.map_err(|error| WorldError::failed("the watchdog does not start", error))?;
    let work = move |progress: &mut dyn FnMut(Progress)| {
        let options = PackOptions::with(buildkit_state_rules());
        let running = Running {
            root: &root,
            freezer: &mut watchdog,
        };
        let added = writer.add_live_tree(STATE_TREE, running, &options, progress);
        added.map(drop).map(|()| writer)
    };
    let packed = on_thread(listener, 0, work).await?;
    packed.map_err(unwritten(archive))
}

/// Packs a folder that nobody changes as a tree of this name, by these rules.
pub(super) async fn pack_still(
    mut writer: ArchiveWriter,
    archive: &ArchiveId,
    root: PathBuf,
    (tree, rules): (&'static str, Rules),
    listener: &dyn Fn(Event),
) -> Answer<ArchiveWriter> {
    let work = move |progress: &mut dyn FnMut(Progress)| {
        let options = PackOptions::with(rules);
        let added = writer.add_tree(tree, &root, &options, progress);
        added.map(drop).map(|()| writer)
    };
    let packed = on_thread(listener, 0, work).await?;
    packed.map_err(unwritten(archive))
}

/// Returns how the daemon left the state at `root`.
pub(super) fn left(root: &Path) -> Consistency {
    if root.join(DAEMON_LOCK).exists() {
        Consistency::CrashConsistent
    } else {
        Consistency::CleanStop
    }
}

/// What an archived state has beside its files.
struct Described {
    /// How its container was made, and the volume's own options.
    daemon: serde_json::Value,
    canary: Option<Canary>,
}

/// Adds what is known of the daemon, and finishes the archive of a state.
fn finish(
    mut writer: ArchiveWriter,
    archive: &ArchiveId,
    volume: &VolumeName,
    described: &Described,
    consistency: Consistency,
) -> Answer<()> {
    let failed = unwritten(archive);
    let json = |error| WorldError::failed("the description of the state", error);
    let bytes = serde_json::to_vec_pretty(&described.daemon).map_err(json)?;
    writer
        .add_file("description.json", &bytes)
        .map_err(&failed)?;
    if let Some(canary) = &described.canary {
        let bytes = serde_json::to_vec_pretty(canary).map_err(json)?;
        writer.add_file(Canary::FILE, &bytes).map_err(&failed)?;
    }
    let metadata = json!({ "kind": "state", "volume": volume });
    let metadata = MetadataOfArchive {
        consistency,
        metadata,
    };
    writer.finish(metadata).map(drop).map_err(failed)
}

/// Archives the stopped state in a volume: read directly where rekit may, else through a helper container.
pub(super) async fn save_state(
    archives: &Path,
    archive: &ArchiveId,
    engine: &Engine,
    volume: &VolumeName,
    listener: &dyn Fn(Event),
) -> Answer<Archived> {
    let Some(writer) = begin(archives, archive)? else {
        return counts(&archives.join(archive.as_str()));
    };
    let described = Described {
        daemon: helper::describe(engine, volume).await?,
        canary: None,
    };
    let (writer, consistency) = match helper::direct_path(engine, volume).await? {
        Some(root) => {
            let consistency = left(&root);
            let tree = (STATE_TREE, buildkit_state_rules());
            let packed = pack_still(writer, archive, root, tree, listener).await?;
            (packed, consistency)
        }
        None => (
            helper::pack(engine, volume, None, writer, listener).await?,
            seen_from_outside(&described.daemon),
        ),
    };
    finish(writer, archive, volume, &described, consistency)?;
    counts(&archives.join(archive.as_str()))
}

/// Returns how a state was left, judged by the exit code of its daemon: the only sign without a look into the volume.
fn seen_from_outside(description: &serde_json::Value) -> Consistency {
    let containers = description["containers"].as_array();
    let killed = |container: &serde_json::Value| container["State"]["ExitCode"] == KILLED;
    if containers.is_some_and(|containers| containers.iter().any(killed)) {
        Consistency::CrashConsistent
    } else {
        Consistency::CleanStop
    }
}

pub(super) fn counts(path: &Path) -> Answer<Archived> {
    let archive = open(path)?;
    let sum = |count: fn(&TreeRecord) -> u64| archive.manifest().trees.iter().map(count).sum();
    Ok(Archived {
        files: sum(|tree| tree.counts.files),
        bytes: sum(|tree| tree.counts.bytes),
        packed_bytes: sum(TreeRecord::packed_bytes),
        left_out: Vec::new(),
    })
}

pub(super) fn open(path: &Path) -> Answer<rekit_archive::Archive> {
    let unusable = |error: rekit_archive::OpenError| {
        let why = rekit_core::fact::chain(&error);
        WorldError::Refused {
            why: format!("archive `{}` is not whole: {why}", path.display()),
        }
    };
    rekit_archive::open(path).map_err(unusable)
}

/// Reads a whole archive back. What does not match is a refusal: nothing may be built on it.
pub(super) async fn verify(path: PathBuf, id: &str, listener: &dyn Fn(Event)) -> Answer<Digest> {
    let archive = open(&path)?;
    let total = archive
        .manifest()
        .trees
        .iter()
        .map(TreeRecord::packed_bytes)
        .sum();
    let verified = on_thread(listener, total, move |progress| {
        rekit_archive::verify(&archive, progress)
    })
    .await?;
    let verified = verified.map_err(|error| {
        let faults: Vec<_> = error
            .faults
            .iter()
            .take(3)
            .map(|fault| rekit_core::fact::chain(fault))
            .collect();
        WorldError::Refused {
            why: format!(
                "archive `{id}` does not match what was archived: {}",
                faults.join("; ")
            ),
        }
    })?;
    let identity = verified.identity().to_string();
    identity
        .parse()
        .map_err(|error: rekit_core::name::NameError| {
            WorldError::failed("the identity of the archive", error)
        })
}

/// Refuses a state with a damaged database: a daemon would not start on it, or forget its cache without a word.
pub(super) fn refuse_damaged_databases(path: &Path) -> Answer<()> {
    let archive = open(path)?;
    let mut databases = archive
        .manifest()
        .trees
        .iter()
        .flat_map(|tree| &tree.databases);
    let damaged = databases.find_map(|database| Some((&database.path, database.fault.as_ref()?)));
    let Some((database, fault)) = damaged else {
        return Ok(());
    };
    let why = format!(
        "no node can begin with archive `{}`: its database `{database}` is damaged ({fault}); a reinstall without `--keep-cache` begins with an empty cache",
        path.display()
    );
    Err(WorldError::Refused { why })
}

/// Brings an archived state back into an empty volume.
pub(super) async fn restore_state(
    path: PathBuf,
    engine: &Engine,
    volume: &VolumeName,
    listener: &dyn Fn(Event),
) -> Answer<()> {
    let archive = open(&path)?;
    let Some(root) = helper::direct_path(engine, volume).await? else {
        return helper::unpack(engine, volume, archive, listener).await;
    };
    let tree = (STATE_TREE, UnpackOptions::default());
    unpack(archive, root, tree, listener)
        .await
        .map_err(|error| {
            WorldError::failed(
                format!("the state cannot be brought back into volume `{volume}`"),
                error,
            )
        })
}

/// Unpacks a tree of an archive into an empty folder.
pub(super) async fn unpack(
    archive: Archive,
    root: PathBuf,
    (tree, options): (&'static str, UnpackOptions),
    listener: &dyn Fn(Event),
) -> Answer<()> {
    let total = archive
        .manifest()
        .trees
        .iter()
        .map(TreeRecord::packed_bytes)
        .sum();
    let place = root.display().to_string();
    let unpacked = on_thread(listener, total, move |progress| {
        rekit_archive::unpack(&archive, tree, &root, &options, progress)
    });
    let unpacked = unpacked.await?;
    unpacked
        .map(drop)
        .map_err(|error| WorldError::failed(format!("`{place}` cannot be filled"), error))
}

/// Runs archive work on a thread of its own, and passes its progress on. The one place where that is done.
pub(super) async fn on_thread<T: Send + 'static>(
    listener: &dyn Fn(Event),
    total: u64,
    work: impl FnOnce(&mut dyn FnMut(Progress)) -> T + Send + 'static,
) -> Answer<T> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let thread = tokio::task::spawn_blocking(move || {
        work(&mut |progress| {
            // A listener that is gone no longer wants to know.
            sender.send(progress).ok();
        })
    });
    while let Some(progress) = receiver.recv().await {
        let bytes = if total == 0 {
            progress.tar_bytes
        } else {
            progress.packed_bytes
        };
        listener(Event::Progress {
            bytes,
            total,
            files: progress.entries,
        });
    }
    thread
        .await
        .map_err(|error| WorldError::failed("archive work broke off", error))
}
