//! The archives of a home, as they lie on disk. Looks only.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
pub use rekit_archive::Consistency;
use rekit_archive::{Archive, Manifest, TreeRecord};
use rekit_core::{
    fact::chain,
    folders::{CacheFolder, FolderContent},
    mounts::ArchivedMount,
    name::{ArchiveId, HostPath, NodeName},
    rehearsal::Canary,
};
use serde::Serialize;
use serde_json::Value;

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
    /// When it was completed.
    pub made: Option<Timestamp>,
    /// What it holds, or why that cannot be told.
    pub content: Result<Content, String>,
}

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// `configuration`, `state`, `cache-export`, `cache-mounts`, `engine-cache` or `image`.
    pub kind: String,
    /// The volume that the state was in; `None`: it was in a folder, or the archive holds no state.
    pub volume: Option<String>,
    /// The folder that the state or the exported cache was in; `None`: in a volume, or other kinds.
    pub folder: Option<String>,
    /// The builder that the cache mounts were in; `None` for other kinds.
    pub builder: Option<String>,
    /// Files in it.
    pub files: u64,
    /// Bytes before packing.
    pub bytes: u64,
    /// The image, by name and id; `None` for other kinds.
    pub image: Option<(String, String)>,
    /// Bytes on disk, those included that it shares with other archives.
    pub packed_bytes: u64,
}

impl Content {
    /// Returns whether it holds the files of a cache.
    pub fn holds_cache(&self) -> bool {
        ["state", "cache-export", "engine-cache"].contains(&self.kind.as_str())
    }

    /// Returns what it is an archive of; later archives of the same follow it.
    pub fn subject(&self) -> String {
        let place = [
            ("volume", &self.volume),
            ("folder", &self.folder),
            ("builder", &self.builder),
        ];
        let mut places = place
            .iter()
            .filter_map(|(word, name)| Some((word, name.as_ref()?)));
        if let Some((name, _)) = &self.image {
            return format!("image {name}");
        }
        let kind = self.kind.replace('-', " ");
        match places.next() {
            Some((word, name)) => format!("{kind} of {word} {name}"),
            None => kind,
        }
    }
}

/// Returns the archives below a home, by id. What is not whole is among them, with the reason.
pub fn archives(home: &Path) -> Result<Vec<StoredArchive>, host::ReadError> {
    archives_in(&home.join("archives"))
}

/// The same of a folder of archives.
pub fn archives_in(folder: &Path) -> Result<Vec<StoredArchive>, host::ReadError> {
    let entries = match host::list(folder, LIMIT) {
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
            made: made(&entry.path),
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
    let archive = rekit_archive::open(path).map_err(|error| chain(&error))?;
    let manifest = archive.manifest();
    let text = |key: &str| manifest.metadata.get(key)?.as_str().map(str::to_owned);
    let trees = &manifest.trees;
    Ok(Content {
        kind: text("kind").unwrap_or_default(),
        volume: text("volume"),
        folder: text("folder"),
        image: text("image").zip(text("image-id")),
        builder: text("builder"),
        files: trees.iter().map(|tree| tree.counts.files).sum(),
        bytes: trees.iter().map(|tree| tree.counts.bytes).sum(),
        packed_bytes: trees.iter().map(TreeRecord::packed_bytes).sum(),
    })
}

/// Returns the builder whose cache mounts an archive holds, and which they are; `None` for archives of other kinds.
pub fn mounts(path: &Path) -> Result<Option<(String, Vec<ArchivedMount>)>, String> {
    let archive = rekit_archive::open(path).map_err(|error| chain(&error))?;
    let metadata = &archive.manifest().metadata;
    if metadata["kind"] != "cache-mounts" {
        return Ok(None);
    }
    let read = (
        serde_json::from_value(metadata["builder"].clone()),
        serde_json::from_value(metadata["mounts"].clone()),
    );
    match read {
        (Ok(builder), Ok(mounts)) => Ok(Some((builder, mounts))),
        (Err(error), _) | (_, Err(error)) => Err(chain(&error)),
    }
}

/// Returns the folder of cache that an archive holds; `None` for archives of other kinds.
pub fn folder(content: &Content) -> Option<CacheFolder> {
    let holds = match content.kind.as_str() {
        "state" => FolderContent::State,
        "cache-export" => FolderContent::Export,
        _ => return None,
    };
    let path = HostPath::from_encoded(content.folder.clone()?);
    Some(CacheFolder { path, holds })
}

/// Everything that can be said of an archive without reading its segments.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// Its id.
    pub id: String,
    /// `configuration`, `state`, `cache-export`, `cache-mounts`, `engine-cache` or `image`.
    pub kind: String,
    /// When it was completed, by the clock of the disk that it lies on.
    pub made: Option<Timestamp>,
    /// The moment in which it was read: `clean-stop`, `frozen` or `crash-consistent`.
    pub consistency: Consistency,
    /// For how many microseconds the daemon stood still while it was read; `None`: it did not run.
    pub freeze_microseconds: Option<u64>,
    /// The volume that the state was in.
    pub volume: Option<String>,
    /// The folder that the state or the exported cache was in.
    pub folder: Option<String>,
    /// The node that the volume belongs to by its name.
    pub node: Option<String>,
    /// The image of the daemon.
    pub image: Option<String>,
    /// The daemon's version, where the archive says it.
    pub buildkit: Option<String>,
    /// The snapshotter that holds the layers.
    pub snapshotter: Option<String>,
    /// The cache mounts in it.
    pub mounts: Vec<String>,
    /// What could not be archived, and why.
    pub left_out: Vec<String>,
    /// Whether steps were left in the cache that a rehearsal can ask for.
    pub canary: bool,
    /// Records of the cache by type, where they were counted.
    pub records: Option<BTreeMap<String, u64>>,
    /// The trees.
    pub trees: Vec<Tree>,
    /// The further files with their bytes.
    pub files: Vec<(String, u64)>,
}

/// A tree of an archive.
#[derive(Clone, Debug, Serialize)]
pub struct Tree {
    /// Its name.
    pub name: String,
    /// How many segments it has.
    pub segments: usize,
    /// Bytes on disk, those included that other archives share.
    pub packed_bytes: u64,
    /// What is in it.
    #[serde(flatten)]
    pub counts: rekit_archive::Counts,
    /// How many places were left out.
    pub left_out: u64,
    /// How many sockets were left out, which cannot be kept.
    pub sockets: u64,
    /// How many files changed while they were read.
    pub changed: usize,
}

/// Returns everything that can be said of an archive without reading its segments.
pub fn detail(path: &Path) -> Result<Detail, String> {
    let archive = rekit_archive::open(path).map_err(|error| chain(&error))?;
    let manifest = archive.manifest();
    let metadata = |key: &str| manifest.metadata.get(key)?.as_str().map(str::to_owned);
    let volume = metadata("volume");
    let node = volume.as_deref().and_then(NodeName::of_volume);
    let canary: Option<Canary> = parsed(&archive, Canary::FILE);
    let description: Option<Value> = parsed(&archive, "description.json");
    let image = description
        .as_ref()
        .and_then(|it| it["containers"][0]["Config"]["Image"].as_str());
    let of_canary = canary.as_ref();
    Ok(Detail {
        id: manifest.id.clone(),
        kind: metadata("kind").unwrap_or_default(),
        made: made(path),
        consistency: manifest.consistency,
        freeze_microseconds: manifest
            .trees
            .iter()
            .find_map(|tree| Some(tree.freeze.as_ref()?.microseconds)),
        node: node.map(|node| node.to_string()),
        volume,
        folder: metadata("folder"),
        image: image.map(str::to_owned),
        buildkit: of_canary.map(|canary| canary.buildkit.clone()),
        snapshotter: of_canary
            .and_then(|canary| canary.snapshotter.clone())
            .or_else(|| snapshots(manifest).0),
        records: of_canary.map(|canary| canary.records.by_type()),
        canary: canary.is_some(),
        mounts: mounts(path)?
            .map(|(_, mounts)| mounts.iter().map(|it| it.mount.to_string()).collect())
            .unwrap_or_default(),
        left_out: left_out(manifest),
        trees: manifest.trees.iter().map(tree).collect(),
        files: manifest
            .files
            .iter()
            .map(|file| (file.name.clone(), file.bytes))
            .collect(),
    })
}

/// Returns what an archive of cache mounts could not hold, and of configuration, which files were too large.
fn left_out(manifest: &Manifest) -> Vec<String> {
    let left_out = manifest.metadata["left-out"].as_array();
    let text = |value: &Value| match (value.as_str(), &value["what"], &value["why"]) {
        (Some(text), ..) => text.to_owned(),
        (None, what, why) => format!(
            "{}: {}",
            what.as_str().unwrap_or_default(),
            why.as_str().unwrap_or_default()
        ),
    };
    left_out.into_iter().flatten().map(text).collect()
}

fn tree(record: &TreeRecord) -> Tree {
    Tree {
        name: record.name.clone(),
        segments: record.segments.len(),
        packed_bytes: record.packed_bytes(),
        counts: record.counts,
        left_out: record.skipped_total,
        sockets: record.sockets,
        changed: record.changed.len(),
    }
}

/// Returns the snapshotter whose layers a state holds, `None` for none or several, and how many snapshots there are.
pub(crate) fn snapshots(manifest: &Manifest) -> (Option<String>, usize) {
    let segments = manifest.trees.iter().flat_map(|tree| &tree.segments);
    // buildkitd names its worker's folder after the snapshotter; a large snapshot has several segments.
    let places: BTreeSet<_> = segments
        .filter_map(|segment| {
            let (worker, inside) = segment.scope.split_once('/')?;
            let snapshot = inside.strip_prefix("snapshots/snapshots/")?;
            Some((worker.strip_prefix("runc-")?, snapshot))
        })
        .collect();
    let names: BTreeSet<_> = places.iter().map(|(name, _)| *name).collect();
    let mut names = names.into_iter();
    let only = names.next().filter(|_| names.next().is_none());
    (only.map(str::to_owned), places.len())
}

/// Returns a further file of an archive, if it is there and says what it should.
fn parsed<T: serde::de::DeserializeOwned>(archive: &Archive, name: &str) -> Option<T> {
    let bytes = host::read(&archive.file(name)?, host::READ_LIMIT).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Returns when an archive was completed: its sums are written last.
fn made(path: &Path) -> Option<Timestamp> {
    let metadata = path.join("SHA256SUMS").metadata().ok()?;
    metadata.modified().ok()?.try_into().ok()
}
