//! `manifest.json`: what an archive holds. Own types; an unknown field or version is refused.

use serde::{Deserialize, Serialize};

use crate::databases::DatabaseRecord;
use crate::digest::Digest;
use crate::live::Freeze;
use crate::path::TreePath;

/// The value of `schema`.
pub(crate) const SCHEMA: &str = "rekit-archive";
/// The version that this code writes, and the only one it reads.
pub(crate) const VERSION: u32 = 1;

/// What is known of the moment in which the trees were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// The daemon had ended and flushed everything.
    CleanStop,
    /// The daemon's processes were frozen.
    Frozen,
    /// As after a power failure.
    CrashConsistent,
}

/// The whole manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always `rekit-archive`.
    pub schema: String,
    /// Always 1.
    pub version: u32,
    /// The name of the archive.
    pub id: String,
    /// The moment in which the trees were read.
    pub consistency: Consistency,
    /// What the caller wants to say; free.
    pub metadata: serde_json::Value,
    /// The trees, in the order in which they were added.
    pub trees: Vec<TreeRecord>,
    /// The further files, in the order in which they were added.
    pub files: Vec<FileInManifest>,
}

/// A further file of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileInManifest {
    /// Its name in the archive's directory.
    pub name: String,
    /// Its bytes' digest.
    pub sha256: Digest,
    /// Its length.
    pub bytes: u64,
}

/// One tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeRecord {
    /// The name; the segments lie in `trees/<name>/`.
    pub name: String,
    /// The name of the rules by which it was packed.
    pub rules: String,
    /// The segments, in the order of the tar stream.
    pub segments: Vec<SegmentRecord>,
    /// The digest of `files.jsonl.zst`.
    pub list_sha256: Digest,
    /// What the tar stream holds.
    pub counts: Counts,
    /// What was left out, at most 10,000 places.
    pub skipped: Vec<Skipped>,
    /// How many places were left out in all.
    pub skipped_total: u64,
    /// Sockets cannot be kept; this many were left out.
    pub sockets: u64,
    /// Files that changed while they were read, if the caller allowed it.
    pub changed: Vec<TreePath>,
    /// How the daemon stood still, if it ran.
    pub freeze: Option<Freeze>,
    /// The databases in it.
    pub databases: Vec<DatabaseRecord>,
}

impl TreeRecord {
    /// Returns the bytes of all segments and the list.
    pub fn packed_bytes(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.packed_bytes.saturating_add(segment.list_bytes))
            .fold(0, u64::saturating_add)
    }
}

/// Why a segment is one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentKind {
    /// A directory that is its own segment, such as a snapshot.
    Own,
    /// A group of files named by their digests.
    Group,
    /// All else.
    Rest,
    /// The end mark of the tar stream.
    End,
}

/// One segment: a zstd frame that holds a stretch of the tar stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRecord {
    /// The file's name in `trees/<name>/`.
    pub file: String,
    /// Why it is a segment of its own.
    pub kind: SegmentKind,
    /// The directory or the group; `.` for the rest.
    pub scope: String,
    /// The digest of the segment's file.
    pub sha256: Digest,
    /// The length of the segment's file.
    pub packed_bytes: u64,
    /// The length of its stretch of the tar stream.
    pub tar_bytes: u64,
    /// The number of entries.
    pub entries: u64,
    /// The length of its frame in `files.jsonl.zst`; 0 if it holds no file.
    pub list_bytes: u64,
    /// What it holds.
    pub counts: Counts,
    /// The digest of what the walk saw of its entries: a later walk that sees the same need not read them again.
    /// `None` where a later change might not show in the times.
    pub seen: Option<Digest>,
}

/// What a tar stream holds, counted by entries. Of a file with three names, one is a file and two are hard links. Archives
/// made before all were written name only those that are not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// Regular files.
    pub files: u64,
    /// Directories, the root included.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Further names of earlier entries.
    pub hard_links: u64,
    /// Character devices 0:0.
    pub whiteouts: u64,
    /// Other devices.
    pub devices: u64,
    /// Named pipes.
    pub fifos: u64,
    /// Regular files with holes.
    pub sparse_files: u64,
    /// Extended attributes.
    pub xattrs: u64,
    /// Directories that overlay calls opaque.
    pub opaque_directories: u64,
    /// Files with capabilities.
    pub capabilities: u64,
    /// The sizes of the regular files added up.
    pub bytes: u64,
}

/// A place that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// Where.
    pub path: TreePath,
    /// Why: the reason of the rule, or what it is.
    pub reason: String,
}
