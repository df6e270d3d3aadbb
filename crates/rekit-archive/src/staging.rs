//! A file in which contents are set aside while the daemon stands still, to be packed when it runs again.
//!
//! Setting aside is a plain copy, several times as quick as packing; what does not lie in the file are names and attributes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::entry::{Entry, Extent, Kind};
use crate::pool::create_private;
use crate::segment::{Content, SegmentError};

/// Contents begin at multiples of this.
const ALIGNMENT: u64 = 4096;
/// Bytes in one copy.
const CHUNK: usize = 1 << 20;

/// An entry whose content, if it has any, was set aside.
#[derive(Clone, Debug)]
pub(crate) struct Staged {
    pub(crate) entry: Entry,
    /// Where the content begins in the staging file.
    pub(crate) at: Option<u64>,
}

/// The file.
pub(crate) struct Staging {
    file: File,
    end: AtomicU64,
}

/// The content of one entry in the file.
pub(crate) struct StagedContent<'a> {
    file: &'a File,
    entry: &'a Entry,
    at: u64,
}

impl Content for StagedContent<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let Kind::File { size, extents } = &self.entry.kind else {
            return Ok(0);
        };
        // Where a hole is, the file holds what lay there before.
        let (is_data, end) = match extents {
            None => (true, *size),
            Some(extents) => {
                let next = extents
                    .iter()
                    .find(|extent| extent.offset + extent.length > offset);
                match next {
                    Some(extent) if extent.offset <= offset => {
                        (true, extent.offset + extent.length)
                    }
                    Some(extent) => (false, extent.offset),
                    None => (false, *size),
                }
            }
        };
        let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        if is_data {
            return FileExt::read_at(self.file, &mut buffer[..most], self.at + offset);
        }
        buffer[..most].fill(0);
        Ok(most)
    }
}

impl Staged {
    /// Returns its content, if it has any.
    pub(crate) fn content<'a>(&'a self, staging: &'a Staging) -> Option<StagedContent<'a>> {
        let content = |at| StagedContent {
            file: &staging.file,
            entry: &self.entry,
            at,
        };
        self.at.map(content)
    }
}

impl Staging {
    /// Makes the file, without a name, in `folder`.
    pub(crate) fn within(folder: &Path) -> io::Result<Self> {
        let path = folder.join("rekit-staging");
        let file = create_private(&path)?;
        fs::remove_file(path)?;
        Ok(Self {
            file,
            end: AtomicU64::new(0),
        })
    }

    /// Brings what was written so far to the disk, so that writing does not have to wait for it later.
    pub(crate) fn sync(&self) -> io::Result<()> {
        rustix::fs::syncfs(&self.file).map_err(io::Error::from)
    }

    /// Begins anew. The places of the file stay, and are quicker to write the second time.
    pub(crate) fn clear(&self) {
        self.end.store(0, Ordering::Relaxed);
    }

    /// Returns the bytes set aside.
    pub(crate) fn bytes(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    /// Sets an entry aside, with its content where it is a file.
    pub(crate) fn take(
        &self,
        entry: Entry,
        content: Option<&(impl Content + ?Sized)>,
    ) -> Result<Staged, SegmentError> {
        let (Kind::File { size, extents }, Some(content)) = (&entry.kind, content) else {
            return Ok(Staged { entry, at: None });
        };
        let room = size.next_multiple_of(ALIGNMENT);
        let at = self.end.fetch_add(room, Ordering::Relaxed);
        let whole = [Extent {
            offset: 0,
            length: *size,
        }];
        for extent in extents.as_deref().unwrap_or(&whole) {
            self.copy(&entry, content, at, *extent)?;
        }
        Ok(Staged {
            at: Some(at),
            entry,
        })
    }

    fn copy(
        &self,
        entry: &Entry,
        content: &(impl Content + ?Sized),
        at: u64,
        extent: Extent,
    ) -> Result<(), SegmentError> {
        let most = usize::try_from(extent.length).map_or(CHUNK, |length| length.min(CHUNK));
        let mut buffer = vec![0; most];
        let mut done = 0;
        while done < extent.length {
            let left = usize::try_from(extent.length - done).map_or(most, |left| left.min(most));
            let offset = extent.offset + done;
            let read = content.read_at(&mut buffer[..left], offset);
            let count = read.map_err(|source| SegmentError::Read {
                path: entry.path.clone(),
                source,
            })?;
            if count == 0 {
                return Err(SegmentError::Changed(entry.path.clone()));
            }
            let written = self.file.write_all_at(&buffer[..count], at + offset);
            written.map_err(SegmentError::Write)?;
            done += count as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Time;
    use crate::path::TreePath;

    fn entry(size: u64, extents: Option<Vec<Extent>>) -> Entry {
        Entry {
            path: TreePath::default(),
            kind: Kind::File { size, extents },
            mode: 0o600,
            uid: 0,
            gid: 0,
            modified: Time {
                seconds: 0,
                nanoseconds: 0,
            },
            xattrs: Vec::new(),
        }
    }

    #[test]
    fn a_hole_is_empty_wherever_it_lands() {
        let folder = tempfile::tempdir().expect("made");
        let staging = Staging::within(folder.path()).expect("made");
        let full = vec![7_u8; 3 * 4096];
        staging
            .take(entry(full.len() as u64, None), Some(&full))
            .expect("taken");
        staging.clear();
        let data = Extent {
            offset: 4096,
            length: 4096,
        };
        let sparse = entry(3 * 4096, Some(vec![data]));
        let staged = staging
            .take(sparse, Some(&vec![1_u8; 3 * 4096]))
            .expect("taken");
        let content = staged.content(&staging).expect("a file");
        let mut read = vec![9; 3 * 4096];
        let mut done = 0;
        while done < read.len() {
            let count = content.read_at(&mut read[done..], done as u64);
            done += count.expect("read");
        }
        let expected = [[0_u8; 4096], [1; 4096], [0; 4096]].concat();
        assert!(read == expected);
        assert_eq!(content.read_at(&mut [0; 10], 3 * 4096).expect("read"), 0);
    }
}
