//! Counts what stands in a tar stream, the same way when packing and when reading back.

use crate::entry::{Device, Entry, Kind};
use crate::manifest::Counts;

impl Counts {
    /// Counts one entry.
    pub(crate) fn count(&mut self, entry: &Entry) {
        match &entry.kind {
            Kind::File { size, extents } => {
                self.files += 1;
                self.bytes += size;
                self.sparse_files += u64::from(extents.is_some());
            }
            Kind::Directory => self.directories += 1,
            Kind::Symlink { .. } => self.symlinks += 1,
            Kind::HardLink { .. } => self.hard_links += 1,
            Kind::CharacterDevice(Device::WHITEOUT) => self.whiteouts += 1,
            Kind::CharacterDevice(_) | Kind::BlockDevice(_) => self.devices += 1,
            Kind::Fifo => self.fifos += 1,
        }
        self.xattrs += entry.xattrs.len() as u64;
        for (name, value) in &entry.xattrs {
            match &name[..] {
                b"trusted.overlay.opaque" | b"user.overlay.opaque" if value == b"y" => {
                    self.opaque_directories += 1;
                }
                b"security.capability" => self.capabilities += 1,
                _ => {}
            }
        }
    }

    /// Adds the counts of a part.
    pub(crate) fn add(&mut self, part: &Self) {
        self.files += part.files;
        self.directories += part.directories;
        self.symlinks += part.symlinks;
        self.hard_links += part.hard_links;
        self.whiteouts += part.whiteouts;
        self.devices += part.devices;
        self.fifos += part.fifos;
        self.sparse_files += part.sparse_files;
        self.xattrs += part.xattrs;
        self.opaque_directories += part.opaque_directories;
        self.capabilities += part.capabilities;
        self.bytes += part.bytes;
    }
}
