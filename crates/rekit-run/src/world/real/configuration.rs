//! Archives of configuration: made, compared with the machine, and brought back file by file.

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rekit_archive::{Consistency, MemoryFile, MetadataOfArchive, Owners, TreePath, UnpackOptions};
use rekit_core::{
    config::files::ArchivedFile,
    inventory::Inventory,
    name::{ArchiveId, Digest, HostPath},
    step::StateSource,
};
use serde_json::json;
use tempfile::TempDir;

use super::{
    Answer, Archived, ForeignBytes, WorldError,
    archive::{begin, counts, open, unwritten},
};
use crate::{
    inventory,
    world::{environment::Surroundings, host, path_of},
};

/// The tree of an archive that holds configuration.
const TREE: &str = "configuration";
/// The further file of an archive of configuration: everything that was found, secrets masked.
const INVENTORY: &str = "inventory.json";
/// A configuration file is small; what is larger is left out and named.
const LIMIT_BYTES: u64 = 64 << 20;

/// Archives files and folders as they are. What is absent is recorded as absent.
pub(super) fn save(
    archives: &Path,
    archive: &ArchiveId,
    paths: &[HostPath],
    inventory: &Inventory,
) -> Answer<Archived> {
    let Some(mut writer) = begin(archives, archive)? else {
        return counts(&archives.join(archive.as_str()));
    };
    let failed = unwritten(archive);
    let mut gathered = Gathered::default();
    for path in paths {
        gathered.take(&path_of(path));
    }
    let files: Vec<_> = gathered.files.into_values().collect();
    writer.add_memory_tree(TREE, &files).map_err(&failed)?;
    // Sizes, use, and the rules of collection, as they were then.
    let json = |error| WorldError::failed("the inventory", error);
    let bytes = serde_json::to_vec_pretty(inventory).map_err(json)?;
    writer.add_file(INVENTORY, &bytes).map_err(&failed)?;
    let metadata = json!({ "kind": "configuration", "paths": paths, "absent": gathered.absent, "left-out": gathered.left_out });
    writer
        .finish(MetadataOfArchive {
            consistency: Consistency::CleanStop,
            metadata,
        })
        .map_err(&failed)?;
    counts(&archives.join(archive.as_str()))
}

/// Files on their way into an archive.
#[derive(Default)]
struct Gathered {
    files: BTreeMap<PathBuf, MemoryFile>,
    absent: Vec<String>,
    left_out: Vec<String>,
}

impl Gathered {
    fn take(&mut self, path: &Path) {
        let Ok(metadata) = path.metadata() else {
            self.absent.push(path.display().to_string());
            return;
        };
        if metadata.is_dir() {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            entries.for_each(|entry| self.take(&entry.path()));
            return;
        }
        let bytes = if metadata.is_file() && metadata.len() <= LIMIT_BYTES {
            std::fs::read(path).ok()
        } else {
            None
        };
        let Some(bytes) = bytes else {
            self.left_out.push(path.display().to_string());
            return;
        };
        let inside = path
            .strip_prefix("/")
            .unwrap_or(path)
            .as_os_str()
            .as_encoded_bytes();
        let Ok(inside) = TreePath::parse(inside) else {
            self.left_out.push(path.display().to_string());
            return;
        };
        let mode = metadata.permissions().mode() & 0o7777;
        let file = MemoryFile {
            path: inside,
            mode,
            owner: (metadata.uid(), metadata.gid()),
            bytes,
        };
        self.files.insert(path.to_owned(), file);
    }
}

/// Compares the inventory of an archive of configuration with the machine's; other archives pass.
pub(super) fn compare(path: &Path, home: &Path, surroundings: &Surroundings) -> Answer<()> {
    let archive = open(path)?;
    let metadata = &archive.manifest().metadata;
    if metadata["kind"] != TREE {
        return Ok(());
    }
    let what = || format!("archive `{}` cannot be compared", path.display());
    let saved: Vec<HostPath> = serde_json::from_value(metadata["paths"].clone())
        .map_err(|error| WorldError::failed(what(), error))?;
    let copy = unpacked(path, home)?;
    let differences = inventory::differences(surroundings, copy.path(), &saved);
    if differences.is_empty() {
        return Ok(());
    }
    let why = format!(
        "archive `{}` does not yield the inventory of this machine: {}",
        path.display(),
        differences.join("; ")
    );
    Err(WorldError::Refused { why })
}

/// Unpacks an archive of configuration. TLS keys and tokens lie there for a moment: in rekit's own directory, which is closed to others.
fn unpacked(path: &Path, home: &Path) -> Answer<TempDir> {
    let archive = open(path)?;
    let what = format!("archive `{}` cannot be unpacked", path.display());
    let folder =
        tempfile::tempdir_in(home).map_err(|error| WorldError::failed(what.clone(), error))?;
    let options = UnpackOptions {
        owners: Owners::Own,
        durable: false,
        ..UnpackOptions::default()
    };
    rekit_archive::unpack(&archive, TREE, folder.path(), &options, &mut |_| {})
        .map_err(|error| WorldError::failed(what, error))?;
    Ok(folder)
}

/// An archive of configuration, unpacked for as long as files of it are wanted.
pub(super) struct Unpacked {
    source: StateSource,
    folder: TempDir,
}

/// Returns a file as an archive of configuration holds it.
pub(super) fn archived_file(
    home: &Path,
    ready: &mut Option<Unpacked>,
    source: &StateSource,
    path: &HostPath,
    content: &Digest,
) -> Answer<ForeignBytes> {
    let known = match ready.take().filter(|known| &known.source == source) {
        Some(known) => known,
        None => Unpacked {
            source: source.clone(),
            folder: unpacked(&path_of(&source.archive), home)?,
        },
    };
    let inside = path_of(path);
    let folder = ready.insert(known).folder.path();
    let place = folder.join(inside.strip_prefix("/").unwrap_or(&inside));
    let what = format!("`{path}` cannot be read from the archive");
    let bytes = std::fs::read(place).map_err(|error| WorldError::failed(what, error))?;
    if &Digest::of(&bytes) != content {
        let why = format!("the archive holds another `{path}` than planned for");
        return Err(WorldError::Refused { why });
    }
    Ok(ForeignBytes::new(bytes))
}

/// Returns the files of an archive of configuration.
pub(super) fn files(path: &Path, home: &Path) -> Answer<Vec<ArchivedFile>> {
    let copy = unpacked(path, home)?;
    let what = || format!("the files of archive `{}` cannot be listed", path.display());
    let failed = |error: io::Error| WorldError::failed(what(), error);
    let mut files = Vec::new();
    let mut folders = vec![copy.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let place = entry.map_err(failed)?.path();
            let metadata = place.symlink_metadata().map_err(failed)?;
            if metadata.is_dir() {
                folders.push(place);
                continue;
            }
            let inside = place.strip_prefix(copy.path()).unwrap_or(&place);
            files.push(ArchivedFile {
                path: host::host_path(&Path::new("/").join(inside)),
                digest: Digest::of(&std::fs::read(&place).map_err(failed)?),
                mode: metadata.permissions().mode() & 0o7777,
            });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
