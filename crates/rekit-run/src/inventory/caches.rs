//! Every place where cache lies (R1.3.1), measured where rekit may read it.

use std::path::{Path, PathBuf};

use rekit_core::{
    fact::Fact,
    folders::{CacheFolder, FolderContent},
    inventory::{CachePlace, Disk, PlaceKind, Standalone},
    name::HostPath,
};

use super::{project::is_export, standalone::holds_state, together};
use crate::world::{
    clock::Deadline,
    host::{self, ReadError, TreeError},
};

/// Returns what a folder holds, if it is a cache.
pub(crate) fn cache_folder(folder: &Path) -> Option<CacheFolder> {
    let holds = if holds_state(folder).unwrap_or(false) {
        FolderContent::State
    } else if is_export(folder) {
        FolderContent::Export
    } else {
        return None;
    };
    Some(CacheFolder {
        path: host::host_path(folder),
        holds,
    })
}

/// Measures the state folders of standalone daemons.
pub(super) async fn roots(standalone: &[Standalone], deadline: Deadline) -> Vec<CachePlace> {
    let roots = standalone.iter().filter_map(|daemon| {
        let root = daemon.root.clone()?;
        Some((PlaceKind::StandaloneRoot, root, daemon.known_by.clone()))
    });
    own_places(roots.collect(), deadline).await
}

/// Measures local cache exports.
pub(super) async fn exports(exports: &[PathBuf], deadline: Deadline) -> Vec<CachePlace> {
    let exports = exports
        .iter()
        .map(|path| (PlaceKind::LocalExport, host::host_path(path), Vec::new()));
    own_places(exports.collect(), deadline).await
}

/// Measures the places that are there, side by side.
async fn own_places(
    places: Vec<(PlaceKind, HostPath, Vec<String>)>,
    deadline: Deadline,
) -> Vec<CachePlace> {
    let measures: Vec<_> = places
        .into_iter()
        .filter(|(_, path, _)| host::status(&host::path_of(path)).is_ok())
        .map(|(kind, path, used_by)| own_place(kind, path, used_by, deadline))
        .collect();
    together::all(measures).await
}

/// Describes a place on this machine's own file system.
async fn own_place(
    kind: PlaceKind,
    path: HostPath,
    used_by: Vec<String>,
    deadline: Deadline,
) -> CachePlace {
    let folder = host::path_of(&path);
    let (size_bytes, free_bytes) = (measure(&folder, deadline).await, free(&folder));
    CachePlace {
        kind,
        host: None,
        name: path.as_str().to_owned(),
        path,
        used_by,
        size_bytes,
        free_bytes,
        disk: disk(&folder),
    }
}

/// Measures a folder on a thread of its own.
pub(super) async fn measure(folder: &Path, deadline: Deadline) -> Fact<u64> {
    let moved = folder.to_owned();
    match together::on_thread(deadline, move || host::size_on_disk(&moved, deadline)).await {
        Some(Err(TreeError::System { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Fact::Unreadable {
                reason: "it is not there".to_owned(),
            }
        }
        Some(measured) => Fact::from_result(measured),
        None => Fact::Unreadable {
            reason: "not measured within the time of an inventory".to_owned(),
        },
    }
}

/// Returns what the disk under a folder has left; asks the folder above where this one may not be entered.
pub(super) fn free(folder: &Path) -> Fact<u64> {
    Fact::from_result(nearest(folder, host::free_bytes))
}

/// Returns the disk under a folder.
pub(super) fn disk(folder: &Path) -> Option<Disk> {
    nearest(folder, host::disk).ok()
}

/// Asks about a folder, or about the nearest one above it that may be entered.
fn nearest<T>(folder: &Path, ask: impl Fn(&Path) -> Result<T, ReadError>) -> Result<T, ReadError> {
    let mut place = folder;
    loop {
        match (ask(place), place.parent()) {
            (Err(ReadError::System(error)), Some(parent))
                if error.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                place = parent;
            }
            (answer, _) => return answer,
        }
    }
}
