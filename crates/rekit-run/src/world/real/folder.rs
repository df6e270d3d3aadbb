//! Folders of cache on this machine: archived where they lie, and brought back.

use std::{io, os::unix::fs::MetadataExt, path::Path};

use rekit_archive::{
    Archive, ArchiveWriter, Consistency, MetadataOfArchive, Owners, UnpackOptions, plain_rules,
};
use rekit_core::{
    folders::{CacheFolder, FolderContent},
    name::{ArchiveId, HostPath},
    step::StateSource,
};
use serde_json::json;

use super::{
    Answer, Archived, FolderState, RealWorld, WorldError,
    archive::{self, DAEMON_LOCK, STATE_TREE},
    file,
    namespace::{self, Inside},
};
use crate::{
    inventory,
    world::{host, path_of},
};

/// The tree of an archive that holds an exported cache.
const EXPORT_TREE: &str = "cache";

pub(super) fn state(path: &HostPath) -> Answer<FolderState> {
    match std::fs::read_dir(path_of(path)) {
        Ok(mut entries) => Ok(match entries.next() {
            None => FolderState::Empty,
            Some(_) => FolderState::Full,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(FolderState::Absent),
        Err(error) => Err(WorldError::failed(
            format!("folder `{path}` cannot be looked at"),
            error,
        )),
    }
}

/// As whom the owners of files are written down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OwnersBy {
    /// As the machine numbers its accounts.
    Machine,
    /// As the user namespace of a rootless daemon does.
    Namespace,
}

impl OwnersBy {
    const KEY: &str = "owners";

    fn of(archive: &Archive) -> Self {
        match archive.manifest().metadata[Self::KEY].as_str() {
            Some("namespace") => Self::Namespace,
            _ => Self::Machine,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Namespace => "namespace",
        }
    }
}

/// Archives a folder of cache.
pub(super) async fn archive(
    world: &RealWorld<'_>,
    archive: &ArchiveId,
    folder: &CacheFolder,
) -> Answer<Archived> {
    let made = world.archives.join(archive.as_str());
    let Some(writer) = archive::begin(&world.archives, archive)? else {
        return archive::counts(&made);
    };
    let root = path_of(&folder.path);
    let (writer, consistency, owners) = match folder.holds {
        FolderContent::State => pack_state(world, archive, writer, &root).await?,
        FolderContent::Export => {
            let tree = (EXPORT_TREE, plain_rules());
            let packed = archive::pack_still(writer, archive, root, tree, world.listener).await?;
            (packed, Consistency::CleanStop, OwnersBy::Machine)
        }
    };
    let kind = match folder.holds {
        FolderContent::State => "state",
        FolderContent::Export => "cache-export",
    };
    let metadata = MetadataOfArchive {
        consistency,
        metadata: json!({ "kind": kind, "folder": folder.path, OwnersBy::KEY: owners.name() }),
    };
    writer
        .finish(metadata)
        .map_err(archive::unwritten(archive))?;
    archive::counts(&made)
}

async fn pack_state(
    world: &RealWorld<'_>,
    archive: &ArchiveId,
    writer: ArchiveWriter,
    root: &Path,
) -> Answer<(ArchiveWriter, Consistency, OwnersBy)> {
    let daemon = daemon(world, root)?;
    let consistency = match daemon {
        Some(_) => Consistency::Frozen,
        None => archive::left(root),
    };
    if may_see_all(root)? {
        let root = root.to_owned();
        let packed = if let Some(pid) = daemon {
            archive::pack_running(writer, archive, root, pid, world.listener).await?
        } else {
            let tree = (STATE_TREE, rekit_archive::buildkit_state_rules());
            archive::pack_still(writer, archive, root, tree, world.listener).await?
        };
        return Ok((packed, consistency, OwnersBy::Machine));
    }
    let place = root.display().to_string();
    let home = world.home.display().to_string();
    let pid = daemon.map(|pid| pid.to_string());
    let mut arguments = vec!["pack", &place, "--rules", "buildkit-state"];
    let live = |pid| ["--live", pid, "--staging", &home];
    arguments.extend(pid.as_deref().map(live).into_iter().flatten());
    let helper = Inside::helper(&world.home, daemon, &arguments)?;
    let packed = helper.pack(writer, world.listener).await?;
    Ok((packed, consistency, OwnersBy::Namespace))
}

/// Returns the daemon that works on a state; one that works unseen, in a container for example, is a refusal.
fn daemon(world: &RealWorld<'_>, root: &Path) -> Answer<Option<u32>> {
    let daemon = inventory::daemon_on(&world.surroundings, root);
    if daemon.is_none() && host::is_flocked(&root.join(DAEMON_LOCK)).unwrap_or(false) {
        let why = format!(
            "a daemon works on `{}` whose process is not seen from here: stop it first",
            root.display()
        );
        return Err(WorldError::Refused { why });
    }
    Ok(daemon)
}

/// Returns whether every file of a state can be read and given back its owner from here; its owner's account needs its user namespace for it.
fn may_see_all(root: &Path) -> Answer<bool> {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return Ok(true);
    }
    let what = || format!("folder `{}` cannot be looked at", root.display());
    let metadata = root
        .metadata()
        .map_err(|error| WorldError::failed(what(), error))?;
    if metadata.uid() == user.as_raw() {
        return Ok(false);
    }
    let why = format!(
        "`{}` belongs to account {}: run rekit as that account, or as root",
        root.display(),
        metadata.uid()
    );
    Err(WorldError::Refused { why })
}

/// Brings an archived folder back into an empty one.
pub(super) async fn restore(
    world: &RealWorld<'_>,
    source: &StateSource,
    folder: &CacheFolder,
) -> Answer<()> {
    let path = path_of(&source.archive);
    let (archive, root) = (archive::open(&path)?, path_of(&folder.path));
    let what = || format!("folder `{}` cannot be made", folder.path);
    file::make_folders(&root).map_err(|error| WorldError::failed(what(), error))?;
    let is_root = rustix::process::geteuid().is_root();
    match (folder.holds, OwnersBy::of(&archive), is_root) {
        (FolderContent::Export, ..) => {
            let owners = if is_root {
                Owners::Archived
            } else {
                Owners::Own
            };
            let options = UnpackOptions {
                owners,
                ..UnpackOptions::default()
            };
            archive::unpack(archive, root, (EXPORT_TREE, options), world.listener).await
        }
        (FolderContent::State, OwnersBy::Machine, true) => {
            archive::refuse_damaged_databases(&path)?;
            let tree = (STATE_TREE, UnpackOptions::default());
            archive::unpack(archive, root, tree, world.listener).await
        }
        (FolderContent::State, OwnersBy::Namespace, false) => {
            archive::refuse_damaged_databases(&path)?;
            let place = root.display().to_string();
            let helper = Inside::helper(&world.home, None, &["unpack", &place])?;
            helper.unpack(archive, world.listener).await
        }
        (FolderContent::State, OwnersBy::Machine, false) => refused(
            "it was archived by root, with the owners that the machine knows; bring it back as root",
        ),
        (FolderContent::State, OwnersBy::Namespace, true) => refused(
            "it was archived by the account of its rootless daemon; bring it back as that account",
        ),
    }
}

fn refused<T>(why: &str) -> Answer<T> {
    let why = why.to_owned();
    Err(WorldError::Refused { why })
}

/// Empties a folder of cache that no daemon works on, and removes it if asked.
pub(super) fn empty(path: &HostPath, remove: bool) -> Answer<()> {
    let found = state(path)?;
    if found == FolderState::Full {
        remove_content(path)?;
    }
    if remove && found != FolderState::Absent {
        let gone = std::fs::remove_dir(path_of(path));
        gone.map_err(|error| WorldError::failed(format!("`{path}` cannot be removed"), error))?;
    }
    Ok(())
}

fn remove_content(path: &HostPath) -> Answer<()> {
    let root = path_of(path);
    if host::is_flocked(&root.join(DAEMON_LOCK)).unwrap_or(false) {
        let why = format!("a daemon works on `{path}`: stop it first");
        return Err(WorldError::Refused { why });
    }
    let failed = |error| WorldError::failed(format!("`{path}` cannot be emptied"), error);
    if let Some(point) = host::mount_within(&root).map_err(failed)? {
        let why = format!("`{}` in `{path}` is mounted", point.display());
        return Err(WorldError::Refused { why });
    }
    if !rustix::process::geteuid().is_root() && inventory::holds_state(&root).unwrap_or(false) {
        return namespace::empty(&root);
    }
    for entry in std::fs::read_dir(&root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let gone = if entry.file_type().map_err(failed)?.is_dir() {
            std::fs::remove_dir_all(entry.path())
        } else {
            std::fs::remove_file(entry.path())
        };
        gone.map_err(failed)?;
    }
    Ok(())
}
