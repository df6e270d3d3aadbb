//! One thing in a tree, as it stands in the tar stream.

use crate::path::TreePath;

/// A time as the file system keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    /// Whole seconds since 1970, rounded down.
    pub(crate) seconds: i64,
    /// 0 to 999,999,999.
    pub(crate) nanoseconds: u32,
}

/// A stretch of data in a sparse file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// The number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl Device {
    /// Overlay file systems write a removed file as the character device 0:0.
    pub(crate) const WHITEOUT: Self = Self { major: 0, minor: 0 };
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `extents` is there for a file with holes.
    File {
        size: u64,
        extents: Option<Vec<Extent>>,
    },
    Directory,
    Symlink {
        target: Vec<u8>,
    },
    /// A further name of an earlier entry that is no directory.
    HardLink {
        target: TreePath,
    },
    CharacterDevice(Device),
    BlockDevice(Device),
    Fifo,
}

/// An entry with all that is restored of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: TreePath,
    pub(crate) kind: Kind,
    /// Permission bits, 0 to 0o7777.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: Time,
    /// Names and values, sorted by name. Always empty for a hard link.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// Returns about how many bytes of memory the entry takes.
    pub(crate) fn weight(&self) -> usize {
        let attributes = self.xattrs.iter();
        let attributes: usize = attributes
            .map(|(name, value)| name.len() + value.len())
            .sum();
        size_of::<Self>() + self.path.as_bytes().len() + attributes
    }
}
