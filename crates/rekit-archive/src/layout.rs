//! The one order of an archive's files in an exported file. What is written and what is expected are the same list.
//!
//! The manifest comes first, since it says what follows; `SHA256SUMS` last, so that nothing cut off looks whole.

use crate::archive::{MOST_BYTES, files_of};
use crate::digest::Digest;
use crate::entry::{Entry, Kind, Time};
use crate::manifest::{FileInManifest, Manifest, TreeRecord};
use crate::path::{PathError, TreePath};
use crate::restore::RESTORE;
use crate::sums::SUMS;
use crate::writer::MANIFEST;

/// A longer `RESTORE.md` is none of ours.
const LONGEST_TEXT: u64 = 16 << 20;

/// How long a file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// The manifest says it.
    Exactly(u64),
    /// Nobody says it.
    AtMost(u64),
}

impl Length {
    fn fits(self, length: u64) -> bool {
        match self {
            Self::Exactly(expected) => length == expected,
            Self::AtMost(most) => length <= most,
        }
    }
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Directory,
    /// The digest is `None` for what the manifest does not name.
    File {
        length: Length,
        sha256: Option<Digest>,
    },
    /// A file that the pool may share.
    Segment {
        bytes: u64,
        sha256: Digest,
    },
}

impl What {
    /// Returns whether a file may be so long; a directory is no file.
    pub(crate) fn fits(&self, length: u64) -> bool {
        match self {
            Self::Directory => false,
            Self::File { length: most, .. } => most.fits(length),
            Self::Segment { bytes, .. } => length == *bytes,
        }
    }

    /// Returns the digest that the manifest names.
    pub(crate) fn sha256(&self) -> Option<Digest> {
        match self {
            Self::Directory => None,
            Self::File { sha256, .. } => *sha256,
            Self::Segment { sha256, .. } => Some(*sha256),
        }
    }
}

/// A file or directory of an archive, by its name in the archive; the archive's own directory has the empty name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) what: What,
}

/// Returns what comes before the manifest is known.
pub(crate) fn head() -> [Member; 2] {
    [directory(String::new()), unnamed(MANIFEST, MOST_BYTES)]
}

/// Returns what follows the manifest, in its order.
pub(crate) fn rest(manifest: &Manifest) -> Vec<Member> {
    let text = unnamed(RESTORE, LONGEST_TEXT);
    let files = manifest.files.iter().map(file);
    let trees = manifest.trees.iter().flat_map(tree);
    let sums = unnamed(SUMS, MOST_BYTES);
    [text]
        .into_iter()
        .chain(files)
        .chain([directory("trees".to_owned())])
        .chain(trees)
        .chain([sums])
        .collect()
}

impl Member {
    /// Returns the path of the member in the file that holds archive `id`.
    pub(crate) fn path(&self, id: &str) -> Result<TreePath, PathError> {
        let separator = if self.name.is_empty() { "" } else { "/" };
        TreePath::parse([id, separator, &self.name].concat().as_bytes())
    }

    /// Returns the tar entry of the member; `bytes` is the length of a file.
    pub(crate) fn entry(&self, id: &str, bytes: u64, seconds: i64) -> Result<Entry, PathError> {
        let (kind, mode) = match self.what {
            What::Directory => (Kind::Directory, 0o700),
            What::File { .. } | What::Segment { .. } => {
                let kind = Kind::File {
                    size: bytes,
                    extents: None,
                };
                (kind, 0o600)
            }
        };
        Ok(Entry {
            path: self.path(id)?,
            kind,
            mode,
            uid: 0,
            gid: 0,
            modified: Time {
                seconds,
                nanoseconds: 0,
            },
            xattrs: Vec::new(),
        })
    }
}

fn directory(name: String) -> Member {
    Member {
        name,
        what: What::Directory,
    }
}

fn unnamed(name: &str, most: u64) -> Member {
    Member {
        name: name.to_owned(),
        what: What::File {
            length: Length::AtMost(most),
            sha256: None,
        },
    }
}

fn file(file: &FileInManifest) -> Member {
    Member {
        name: file.name.clone(),
        what: What::File {
            length: Length::Exactly(file.bytes),
            sha256: Some(file.sha256),
        },
    }
}

fn tree(tree: &TreeRecord) -> Vec<Member> {
    let list = tree
        .segments
        .iter()
        .fold(0_u64, |sum, segment| sum.saturating_add(segment.list_bytes));
    let segments = tree.segments.iter().map(|segment| What::Segment {
        bytes: segment.packed_bytes,
        sha256: segment.sha256,
    });
    let list = What::File {
        length: Length::Exactly(list),
        sha256: Some(tree.list_sha256),
    };
    let named = files_of(tree).zip(segments.chain([list]));
    [directory(format!("trees/{}", tree.name))]
        .into_iter()
        .chain(named.map(|((name, _), what)| Member { name, what }))
        .collect()
}
