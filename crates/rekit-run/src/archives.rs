//! The archives of a home, as they lie on disk. Looks only.

use std::path::{Path, PathBuf};

use rekit_core::name::ArchiveId;

use crate::world::host::{self, Kind};

/// More archives than anybody keeps.
const LIMIT: usize = 100_000;

/// An archive on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredArchive {
    /// Its id, the name of its folder.
    pub id: ArchiveId,
    /// Its folder.
    pub path: PathBuf,
    /// What it holds, or why that cannot be told.
    pub content: Result<Content, String>,
}

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// `configuration` or `state`.
    pub kind: String,
    /// The volume that the state was in; `None` for configuration.
    pub volume: Option<String>,
    /// Files in it.
    pub files: u64,
    /// Bytes before packing.
    pub bytes: u64,
    /// Bytes on disk, those included that it shares with other archives.
    pub packed_bytes: u64,
}

/// Returns the archives below a home, by id. What is not whole is among them, with the reason.
pub fn archives(home: &Path) -> Result<Vec<StoredArchive>, host::ReadError> {
    let entries = match host::list(&home.join("archives"), LIMIT) {
        Ok(entries) => entries,
        Err(error) if error.is_absent() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let archive = |entry: host::Entry| {
        let id: ArchiveId = entry
            .name
            .strip_suffix(".partial")
            .unwrap_or(&entry.name)
            .parse()
            .ok()?;
        let content = content(&entry.path);
        Some(StoredArchive {
            id,
            path: entry.path,
            content,
        })
    };
    Ok(entries
        .into_iter()
        .filter(|entry| entry.kind == Kind::Folder && entry.name != "pool")
        .filter_map(archive)
        .collect())
}

/// Returns what an archive holds, wherever it lies.
pub fn content(path: &Path) -> Result<Content, String> {
    let archive = rekit_archive::open(path).map_err(|error| rekit_core::fact::chain(&error))?;
    let manifest = archive.manifest();
    let text = |key: &str| manifest.metadata.get(key)?.as_str().map(str::to_owned);
    let trees = &manifest.trees;
    Ok(Content {
        kind: text("kind").unwrap_or_default(),
        volume: text("volume"),
        files: trees.iter().map(|tree| tree.counts.files).sum(),
        bytes: trees.iter().map(|tree| tree.counts.bytes).sum(),
        packed_bytes: trees
            .iter()
            .map(rekit_archive::TreeRecord::packed_bytes)
            .sum(),
    })
}
