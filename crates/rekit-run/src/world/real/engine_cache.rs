//! An engine on this machine: stopped and started by commands, and its cache archived and replaced meanwhile.

use std::{
    fs::File,
    io::{self, Read, Seek},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rekit_archive::{
    Consistency, MetadataOfArchive, Rules, UnpackOptions, engine_layers_rules, engine_parts_rules,
};
use rekit_buildkit::{ControlTimeouts, Engine, Filters};
use rekit_core::{
    engine_cache::{EnginePlace, Layers, RunningContainer},
    inventory::ActiveBuild,
    mask,
    name::ArchiveId,
};
use serde_json::json;

use super::{Answer, Archived, RealWorld, WorldError, archive, builds, docker, proof};
use crate::{
    inventory,
    world::{host, path_of},
};

/// The engine's own id, part of every key of a graph driver's cache.
pub(crate) const ENGINE_ID: &str = "engine-id";
/// The kind of such an archive.
pub(crate) const KIND: &str = "engine-cache";
/// How long an engine may take to end: its containers have 10 s each, side by side.
const STOP_LIMIT: Duration = Duration::from_mins(2);
/// How long it may take to answer.
const START_LIMIT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(100);

/// Returns whether the engine answers.
pub(super) async fn runs(world: &RealWorld<'_>, place: &EnginePlace) -> Answer<bool> {
    if !listens(place)? {
        return Ok(false);
    }
    let engine = world.engine(&place.host).await?;
    let what = || format!("engine `{}` does not tell who it is", place.host);
    let (info, _) = engine
        .info()
        .await
        .map_err(|error| WorldError::failed(what(), error))?;
    let root = path_of(&place.data_root);
    if is_at(&info.docker_root_dir, &info.id, &root) {
        return Ok(true);
    }
    let why = format!(
        "another engine than planned for answers at `{}`",
        place.host
    );
    Err(WorldError::Refused { why })
}

/// Returns whether an engine that says this of itself is the one whose data lies here.
pub(crate) fn is_at(data_root: &str, id: &str, root: &Path) -> bool {
    let written = std::fs::read_to_string(root.join(ENGINE_ID));
    Path::new(data_root) == root && written.is_ok_and(|written| written.trim() == id)
}

fn listens(place: &EnginePlace) -> Answer<bool> {
    let Some(socket) = place.host.as_str().strip_prefix("unix://") else {
        let why = format!("engine `{}` is not on a socket of this machine", place.host);
        return Err(WorldError::Refused { why });
    };
    match UnixStream::connect(socket) {
        Ok(_) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(WorldError::failed(
            format!("engine `{}` cannot be reached", place.host),
            error,
        )),
    }
}

/// Returns the containers that run.
pub(crate) async fn running(engine: &Engine) -> Answer<Vec<RunningContainer>> {
    let listed = engine.containers_list(false, &Filters::none()).await;
    let listed =
        listed.map_err(|error| WorldError::failed("containers cannot be listed", error))?;
    let container = |it: &rekit_buildkit::ContainerSummary| {
        let name = it.names.first()?.trim_start_matches('/');
        Some(RunningContainer {
            id: it.id.parse().ok()?,
            name: name.parse().ok()?,
        })
    };
    Ok(listed.iter().filter_map(container).collect())
}

/// Returns the builds that run inside the engine and in the nodes on it.
pub(super) async fn builds(world: &RealWorld<'_>, place: &EnginePlace) -> Answer<Vec<ActiveBuild>> {
    let engine = world.engine(&place.host).await?;
    let mut nodes = vec![None];
    let containers = running(&engine).await?.into_iter().map(|it| it.name);
    nodes.extend(
        containers
            .filter(|name| {
                name.as_str()
                    .starts_with(rekit_core::name::CONTAINER_PREFIX)
            })
            .map(Some),
    );
    let mut found = Vec::new();
    for node in nodes {
        let control = proof::connect(engine.clone(), node.as_ref()).await?;
        let active = control.active_builds(ControlTimeouts::LOOK).await;
        let what = || format!("the builds on engine `{}` cannot be listed", place.host);
        let active = active.map_err(|error| WorldError::failed(what(), error))?;
        found.extend(active);
    }
    Ok(builds::named(world, found))
}

pub(super) async fn stop(world: &RealWorld<'_>, place: &EnginePlace) -> Answer<()> {
    command(world, &place.stop, STOP_LIMIT).await?;
    let began = Instant::now();
    while is_there(world, place)? {
        if began.elapsed() > STOP_LIMIT {
            let why = format!(
                "engine `{}` still runs {} s after `{}`",
                place.host,
                STOP_LIMIT.as_secs(),
                place.stop
            );
            return Err(WorldError::Refused { why });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Returns whether the engine listens, or its process is still about to end.
fn is_there(world: &RealWorld<'_>, place: &EnginePlace) -> Answer<bool> {
    let root = path_of(&place.data_root);
    Ok(listens(place)? || inventory::engine_on(&world.surroundings, &root).is_some())
}

pub(super) async fn start(world: &RealWorld<'_>, place: &EnginePlace) -> Answer<()> {
    if !is_there(world, place)? {
        command(world, &place.start, START_LIMIT).await?;
    }
    let began = Instant::now();
    while !runs(world, place).await.unwrap_or(false) {
        if began.elapsed() > START_LIMIT {
            let why = format!(
                "engine `{}` does not answer {} s after `{}`",
                place.host,
                START_LIMIT.as_secs(),
                place.start
            );
            return Err(WorldError::Refused { why });
        }
        tokio::time::sleep(POLL).await;
    }
    let engine = world.engine(&place.host).await?;
    for container in &place.running {
        let started = engine.container_start(container.id.as_str()).await;
        let what = || format!("container `{}` cannot be started again", container.name);
        started.map_err(|error| WorldError::failed(what(), error))?;
    }
    Ok(())
}

/// Runs a shell command. Its output goes to a file: what it starts may keep a pipe open for ever.
async fn command(world: &RealWorld<'_>, text: &str, limit: Duration) -> Answer<()> {
    let what = || format!("`{text}` failed");
    let failed = |error: io::Error| WorldError::failed(what(), error);
    let mut output = tempfile::tempfile().map_err(failed)?;
    let end = |output: &File| output.try_clone().map(Stdio::from);
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", text])
        .env_clear()
        .envs(world.surroundings.variables())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(end(&output).map_err(failed)?)
        .stderr(end(&output).map_err(failed)?)
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let Ok(status) = tokio::time::timeout(limit, child.wait()).await else {
        let why = format!("`{text}` has not ended within {} s", limit.as_secs());
        return Err(WorldError::Refused { why });
    };
    if status.map_err(failed)?.success() {
        return Ok(());
    }
    let mut said = String::new();
    output.rewind().map_err(failed)?;
    // Words that are no text say nothing; the command's name is in the message.
    output.take(64 << 10).read_to_string(&mut said).ok();
    let words = docker::last_words(&said, |_| false);
    Err(WorldError::failed(what(), mask::text(&words)))
}

/// Refuses to touch the files of an engine that runs.
fn refuse_running(world: &RealWorld<'_>, place: &EnginePlace) -> Answer<()> {
    if !is_there(world, place)? {
        return Ok(());
    }
    let why = format!("engine `{}` runs: its files are left alone", place.host);
    Err(WorldError::Refused { why })
}

pub(super) async fn archive(
    world: &RealWorld<'_>,
    archive: &ArchiveId,
    place: &EnginePlace,
) -> Answer<Archived> {
    refuse_running(world, place)?;
    let made = world.archives.join(archive.as_str());
    let Some(mut writer) = archive::begin(&world.archives, archive)? else {
        return archive::counts(&made);
    };
    let root = path_of(&place.data_root);
    for part in parts(&place.layers) {
        let folder = root.join(part);
        if folder.is_dir() {
            let tree = (part, rules(part));
            writer = archive::pack_still(writer, archive, folder, tree, world.listener).await?;
        }
    }
    if let Ok(id) = std::fs::read(root.join(ENGINE_ID)) {
        writer
            .add_file(ENGINE_ID, &id)
            .map_err(archive::unwritten(archive))?;
    }
    let metadata = MetadataOfArchive {
        consistency: Consistency::CleanStop,
        metadata: json!({ "kind": KIND, "version": place.version, "layers": place.layers, "data-root": place.data_root }),
    };
    writer
        .finish(metadata)
        .map_err(archive::unwritten(archive))?;
    archive::counts(&made)
}

/// The names of the folders that belong together, as an archive's trees bear them.
fn parts(layers: &Layers) -> Vec<&'static str> {
    let known = [
        BUILDKIT,
        "image",
        "containerd",
        "overlay2",
        "fuse-overlayfs",
        "vfs",
    ];
    let parts = layers.parts();
    known
        .into_iter()
        .filter(|name| parts.contains(name))
        .collect()
}

const BUILDKIT: &str = "buildkit";

/// Returns whether rekit knows how an engine's layers lie on disk; those of btrfs and zfs are no plain folders.
pub(crate) fn is_known(layers: &Layers) -> bool {
    parts(layers).len() == layers.parts().len()
}

fn rules(part: &str) -> Rules {
    match part {
        BUILDKIT | "image" | "containerd" => engine_parts_rules(),
        _ => engine_layers_rules(),
    }
}

pub(super) async fn restore(
    world: &RealWorld<'_>,
    path: PathBuf,
    place: &EnginePlace,
) -> Answer<()> {
    refuse_running(world, place)?;
    let root = path_of(&place.data_root);
    for part in parts(&place.layers) {
        let folder = root.join(part);
        remove(&folder)?;
        let archive = archive::open(&path)?;
        if archive
            .manifest()
            .trees
            .iter()
            .any(|tree| tree.name == part)
        {
            let made = std::fs::create_dir(&folder);
            let what = || format!("`{}` cannot be made", folder.display());
            made.map_err(|error| WorldError::failed(what(), error))?;
            let tree = (part, UnpackOptions::default());
            archive::unpack(archive, folder, tree, world.listener).await?;
        }
    }
    let archive = archive::open(&path)?;
    let Some(id) = archive
        .file(ENGINE_ID)
        .filter(|_| matches!(place.layers, Layers::Graphdriver { .. }))
    else {
        return Ok(());
    };
    let copied = std::fs::copy(id, root.join(ENGINE_ID));
    copied
        .map(drop)
        .map_err(|error| WorldError::failed("the engine's id cannot be put back", error))
}

fn remove(folder: &Path) -> Answer<()> {
    let failed = |error: io::Error| {
        WorldError::failed(format!("`{}` cannot be removed", folder.display()), error)
    };
    if let Some(point) = host::mount_within(folder).map_err(failed)? {
        let why = format!("`{}` is mounted", point.display());
        return Err(WorldError::Refused { why });
    }
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}
