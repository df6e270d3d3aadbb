//! Writes one segment: entries with their contents, compressed, hashed file by file.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use thiserror::Error;

use crate::digest::Hasher;
use crate::entry::{Entry, Extent, Kind};
use crate::list::{self, FileRecord};
use crate::manifest::Counts;
use crate::path::TreePath;
use crate::sink::{Sealed, StreamWriter};
use crate::tar;

/// A segment could not be written.
#[derive(Debug, Error)]
pub enum SegmentError {
    /// The archive could not be written.
    #[error("could not write the segment")]
    Write(#[source] io::Error),
    /// The source could not be read.
    #[error("could not read `{path}`")]
    Read {
        /// The place.
        path: TreePath,
        /// The cause.
        source: io::Error,
    },
    /// The source changed under our hands.
    #[error("`{0}` changed while it was read")]
    Changed(TreePath),
    /// A type of file that no tar stream can hold.
    #[error("`{0}` is of an unknown type")]
    UnknownType(TreePath),
}

/// Content that can be read at any place.
pub(crate) trait Content {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl Content for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

impl Content for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.len());
        let count = buffer.len().min(self.len() - from);
        buffer[..count].copy_from_slice(&self[from..from + count]);
        Ok(count)
    }
}

impl Content for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(buffer, offset)
    }
}

/// What a finished segment came to.
pub(crate) struct Packed {
    pub(crate) sealed: Sealed,
    pub(crate) tar_bytes: u64,
    pub(crate) entries: u64,
    pub(crate) counts: Counts,
    /// Its frame of the list.
    pub(crate) list: Vec<u8>,
}

/// Counts what is written through it.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A segment being written.
pub(crate) struct SegmentBuilder<'a> {
    stream: Counted<zstd::Encoder<'static, Box<dyn StreamWriter + 'a>>>,
    buffer: Vec<u8>,
    records: Vec<FileRecord>,
    entries: u64,
    counts: Counts,
}

impl<'a> SegmentBuilder<'a> {
    pub(crate) fn new(out: Box<dyn StreamWriter + 'a>, level: i32) -> io::Result<Self> {
        let mut encoder = zstd::Encoder::new(out, level)?;
        encoder.include_checksum(true)?;
        Ok(Self {
            stream: Counted {
                inner: encoder,
                bytes: 0,
            },
            buffer: vec![0; 256 << 10],
            records: Vec::new(),
            entries: 0,
            counts: Counts::default(),
        })
    }

    /// Writes an entry; returns false if its content ended too early and was filled up with zeros.
    pub(crate) fn add(
        &mut self,
        entry: &Entry,
        content: Option<&(impl Content + ?Sized)>,
    ) -> Result<bool, SegmentError> {
        self.entries += 1;
        self.counts.count(entry);
        tar::write_header(&mut self.stream, entry).map_err(SegmentError::Write)?;
        let (Kind::File { size, extents }, Some(content)) = (&entry.kind, content) else {
            return Ok(true);
        };
        let mut hasher = Hasher::default();
        let whole = [Extent {
            offset: 0,
            length: *size,
        }];
        if let Some(extents) = extents {
            self.put(&tar::encode_map(extents), &mut hasher)?;
        }
        let mut is_complete = true;
        for extent in extents.as_deref().unwrap_or(&whole) {
            is_complete &= self.copy(entry, content, *extent, &mut hasher)?;
        }
        let (sha256, stored) = hasher.finish();
        let fill = usize::try_from(tar::padding(stored)).unwrap_or(0);
        self.stream
            .write_all(&[0; tar::BLOCK][..fill])
            .map_err(SegmentError::Write)?;
        self.records.push(FileRecord {
            path: entry.path.clone(),
            size: *size,
            sha256,
        });
        Ok(is_complete)
    }

    /// Ends the segment.
    pub(crate) fn finish(self) -> io::Result<Packed> {
        let sealed = self.stream.inner.finish()?.seal()?;
        Ok(Packed {
            sealed,
            tar_bytes: self.stream.bytes,
            entries: self.entries,
            counts: self.counts,
            list: list::pack(&self.records)?,
        })
    }

    /// Writes the mark that ends the tar stream.
    pub(crate) fn end_stream(&mut self) -> io::Result<()> {
        tar::write_end(&mut self.stream)
    }

    fn put(&mut self, bytes: &[u8], hasher: &mut Hasher) -> Result<(), SegmentError> {
        hasher.update(bytes);
        self.stream.write_all(bytes).map_err(SegmentError::Write)
    }

    fn copy(
        &mut self,
        entry: &Entry,
        content: &(impl Content + ?Sized),
        extent: Extent,
        hasher: &mut Hasher,
    ) -> Result<bool, SegmentError> {
        let mut done = 0;
        let mut is_complete = true;
        while done < extent.length {
            let left = usize::try_from(extent.length - done).unwrap_or(usize::MAX);
            let most = left.min(self.buffer.len());
            let failed = |source| SegmentError::Read {
                path: entry.path.clone(),
                source,
            };
            let mut count = content
                .read_at(&mut self.buffer[..most], extent.offset + done)
                .map_err(failed)?;
            if count == 0 {
                is_complete = false;
                self.buffer[..most].fill(0);
                count = most;
            }
            hasher.update(&self.buffer[..count]);
            self.stream
                .write_all(&self.buffer[..count])
                .map_err(SegmentError::Write)?;
            done += count as u64;
        }
        Ok(is_complete)
    }
}
