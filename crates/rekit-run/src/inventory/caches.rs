//! Every place where cache lies (R1.3.1), measured where rekit may read it.

use std::path::{Path, PathBuf};

use rekit_core::{
    fact::Fact,
    inventory::{CachePlace, PlaceKind, Standalone, Store},
    name::HostPath,
};

use super::{engine::Asked, together};
use crate::world::{
    clock::Deadline,
    host::{self, ReadError, TreeError},
};

/// Lists the places of engines, standalone daemons and exports.
pub(super) async fn caches(
    asked: &Asked,
    stores: &[Store],
    standalone: &[Standalone],
    exports: &[PathBuf],
    deadline: Deadline,
) -> Vec<CachePlace> {
    let mut places = asked.places(stores);
    let roots = standalone.iter().filter_map(|daemon| {
        let root = daemon.root.clone()?;
        Some((PlaceKind::StandaloneRoot, root, daemon.known_by.clone()))
    });
    let exports = exports
        .iter()
        .map(|path| (PlaceKind::LocalExport, host::host_path(path), Vec::new()));
    let measures: Vec<_> = roots
        .chain(exports)
        .filter(|(_, path, _)| host::status(&host::path_of(path)).is_ok())
        .map(|(kind, path, used_by)| own_place(kind, path, used_by, deadline))
        .collect();
    places.extend(together::all(measures).await);
    places.sort_by(|a, b| (a.kind, &a.host, &a.name).cmp(&(b.kind, &b.host, &b.name)));
    places
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
    let mut place = folder;
    loop {
        match (host::free_bytes(place), place.parent()) {
            (Err(ReadError::System(error)), Some(parent))
                if error.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                place = parent;
            }
            (free, _) => return Fact::from_result(free),
        }
    }
}
