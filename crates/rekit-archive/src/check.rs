//! Reads one segment and checks all of it: form, order, counts, and each file's digest. `verify` only reads; `unpack`
//! also places what is read.

use std::io::{self, BufRead, BufReader, Read};

use thiserror::Error;

use crate::digest::{Digest, Hasher, Hashing};
use crate::entry::{Entry, Extent, Kind};
use crate::list::Lines;
use crate::manifest::{Counts, SegmentKind, SegmentRecord};
use crate::order::{Last, OrderError};
use crate::path::TreePath;
use crate::place::PlaceError;
use crate::tar::{ReadError, TarReader, encode_map};

/// The largest window that is decompressed: 8 MiB, so that a hostile frame cannot take the memory.
pub(crate) const WINDOW_LOG: u32 = 23;
/// The largest blob with holes whose name is checked.
const LARGEST_SPARSE_BLOB: u64 = 64 << 30;

/// A segment is not as the manifest and the list say.
#[derive(Debug, Error)]
pub enum CheckError {
    /// The file's bytes are not the ones of the manifest.
    #[error("the segment's digest or length is wrong")]
    SegmentDigest,
    /// The stream cannot be read.
    #[error("the segment cannot be read")]
    Read(#[source] ReadError),
    /// Something follows the frame, or it cannot be read.
    #[error("the segment is not one compressed frame")]
    Frame(#[source] io::Error),
    /// An entry stands at a wrong place.
    #[error("the entries are out of order")]
    Order(#[source] OrderError),
    /// The list of files cannot be read.
    #[error("the list of files cannot be read")]
    List(#[source] io::Error),
    /// A file is not the one of the list.
    #[error("`{0}` is not as the list of files says")]
    File(TreePath),
    /// A blob is not the one that its name says.
    #[error("blob `{0}` does not have the digest of its name")]
    Blob(TreePath),
    /// Numbers of entries, files or bytes are not those of the manifest.
    #[error("the segment's numbers are not those of the manifest")]
    Numbers,
    /// An entry could not be placed.
    #[error("could not unpack the segment")]
    Place(#[source] PlaceError),
}

/// Takes what is read.
pub(crate) trait Visitor {
    fn entry(&mut self, entry: &Entry) -> Result<(), PlaceError>;
    fn content(&mut self, entry: &Entry, offset: u64, bytes: &[u8]) -> Result<(), PlaceError>;
    fn end(&mut self, entry: &Entry) -> Result<(), PlaceError>;
}

/// Takes nothing.
pub(crate) struct OnlyLook;

impl Visitor for OnlyLook {
    fn entry(&mut self, _: &Entry) -> Result<(), PlaceError> {
        Ok(())
    }
    fn content(&mut self, _: &Entry, _: u64, _: &[u8]) -> Result<(), PlaceError> {
        Ok(())
    }
    fn end(&mut self, _: &Entry) -> Result<(), PlaceError> {
        Ok(())
    }
}

/// What is known of the entries before the segment.
pub(crate) enum Before {
    /// The last one.
    Known(Option<Last>),
    /// Nothing; the caller checks the first entry itself.
    Unknown,
}

/// What a segment held.
#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) first: Option<Entry>,
    pub(crate) last: Option<Last>,
    pub(crate) counts: Counts,
}

/// Reads and checks a segment. All of `data` is read, also after a fault; damaged bytes are reported as such.
pub(crate) fn check(
    data: impl Read,
    record: &SegmentRecord,
    files: Lines,
    before: Before,
    visitor: &mut dyn Visitor,
) -> Result<Summary, CheckError> {
    let mut data = Hashing::new(data.take(record.packed_bytes.saturating_add(1)));
    let result = read(&mut data, record, files, before, visitor);
    let mut buffer = [0; 1 << 14];
    while data.read(&mut buffer).map_err(CheckError::Frame)? > 0 {}
    if data.hasher.finish() != (record.sha256, record.packed_bytes) {
        return Err(CheckError::SegmentDigest);
    }
    result
}

fn read(
    data: impl Read,
    record: &SegmentRecord,
    files: Lines,
    before: Before,
    visitor: &mut dyn Visitor,
) -> Result<Summary, CheckError> {
    let buffered = BufReader::with_capacity(128 << 10, data);
    let mut decoder = zstd::Decoder::with_buffer(buffered)
        .map_err(CheckError::Frame)?
        .single_frame();
    decoder
        .window_log_max(WINDOW_LOG)
        .map_err(CheckError::Frame)?;
    let mut tar = TarReader::new(decoder.take(record.tar_bytes.saturating_add(1)));
    let mut walk = Walk {
        record,
        files,
        visitor,
        buffer: vec![0; 256 << 10],
    };
    let summary = walk.entries(&mut tar, before)?;
    let is_listed = walk.files.next().map_err(CheckError::List)?.is_none();
    let is_all = tar.position() == record.tar_bytes && is_listed;
    let mut rest = tar.into_inner().into_inner().finish();
    if !rest.fill_buf().map_err(CheckError::Frame)?.is_empty() {
        return Err(CheckError::Frame(io::Error::other("bytes after the frame")));
    }
    if is_all {
        Ok(summary)
    } else {
        Err(CheckError::Numbers)
    }
}

struct Walk<'a> {
    record: &'a SegmentRecord,
    files: Lines,
    visitor: &'a mut dyn Visitor,
    buffer: Vec<u8>,
}

impl Walk<'_> {
    fn entries(
        &mut self,
        tar: &mut TarReader<impl Read>,
        before: Before,
    ) -> Result<Summary, CheckError> {
        let mut summary = Summary::default();
        let mut entries = 0;
        let (mut last, mut is_known) = match before {
            Before::Known(last) => (last, true),
            Before::Unknown => (None, false),
        };
        while let Some(entry) = tar.next_entry().map_err(CheckError::Read)? {
            entries += 1;
            if entries > self.record.entries {
                return Err(CheckError::Numbers);
            }
            if is_known {
                Last::may_precede(last.as_ref(), &entry).map_err(CheckError::Order)?;
            }
            summary.counts.count(&entry);
            self.visitor.entry(&entry).map_err(CheckError::Place)?;
            if let Kind::File { size, extents } = &entry.kind {
                self.file(tar, &entry, *size, extents.as_deref())?;
            }
            self.visitor.end(&entry).map_err(CheckError::Place)?;
            (last, is_known) = (Some(Last::of(&entry)), true);
            summary.first.get_or_insert(entry);
        }
        summary.last = last;
        if entries == self.record.entries {
            Ok(summary)
        } else {
            Err(CheckError::Numbers)
        }
    }

    fn file(
        &mut self,
        tar: &mut TarReader<impl Read>,
        entry: &Entry,
        size: u64,
        extents: Option<&[Extent]>,
    ) -> Result<(), CheckError> {
        let mut hasher = Hasher::default();
        let mut blob = BlobName::of(self.record.kind, entry, size, extents.is_some())?;
        if let Some(extents) = extents {
            hasher.update(&encode_map(extents));
        }
        let whole = [Extent {
            offset: 0,
            length: size,
        }];
        for extent in extents.unwrap_or(&whole) {
            let mut done = 0;
            while done < extent.length {
                let left = usize::try_from(extent.length - done).unwrap_or(usize::MAX);
                let most = left.min(self.buffer.len());
                let count = tar
                    .read_content(&mut self.buffer[..most])
                    .map_err(CheckError::Read)?;
                if count == 0 {
                    return Err(CheckError::Numbers);
                }
                let bytes = &self.buffer[..count];
                hasher.update(bytes);
                if let Some(blob) = &mut blob {
                    blob.update(extent.offset + done, bytes);
                }
                self.visitor
                    .content(entry, extent.offset + done, bytes)
                    .map_err(CheckError::Place)?;
                done += count as u64;
            }
        }
        let (sha256, _) = hasher.finish();
        let expected = self.files.next().map_err(CheckError::List)?;
        if expected.is_none_or(|expected| {
            (expected.path, expected.size, expected.sha256) != (entry.path.clone(), size, sha256)
        }) {
            return Err(CheckError::File(entry.path.clone()));
        }
        if blob.is_some_and(|blob| !blob.has_digest_of_name(size, sha256)) {
            return Err(CheckError::Blob(entry.path.clone()));
        }
        Ok(())
    }
}

/// Checks a blob against its own name.
struct BlobName {
    name: Digest,
    /// Only for a blob with holes: the digest of the list does not cover the zeros.
    logical: Option<Hasher>,
    position: u64,
}

impl BlobName {
    fn of(
        kind: SegmentKind,
        entry: &Entry,
        size: u64,
        is_sparse: bool,
    ) -> Result<Option<Self>, CheckError> {
        let name = entry
            .path
            .split()
            .and_then(|(_, name)| str::from_utf8(name).ok());
        let Some(name) = name
            .and_then(|name| Digest::parse(name).ok())
            .filter(|_| kind == SegmentKind::Group)
        else {
            return Ok(None);
        };
        if is_sparse && size > LARGEST_SPARSE_BLOB {
            return Err(CheckError::Blob(entry.path.clone()));
        }
        Ok(Some(Self {
            name,
            logical: is_sparse.then(Hasher::default),
            position: 0,
        }))
    }

    fn update(&mut self, offset: u64, bytes: &[u8]) {
        self.fill(offset);
        if let Some(logical) = &mut self.logical {
            logical.update(bytes);
            self.position = offset + bytes.len() as u64;
        }
    }

    fn fill(&mut self, until: u64) {
        let Some(logical) = &mut self.logical else {
            return;
        };
        let zeros = [0; 4096];
        while self.position < until {
            let count = usize::try_from(until - self.position)
                .unwrap_or(usize::MAX)
                .min(zeros.len());
            logical.update(&zeros[..count]);
            self.position += count as u64;
        }
    }

    fn has_digest_of_name(mut self, size: u64, stored: Digest) -> bool {
        self.fill(size);
        let digest = self.logical.map_or(stored, |logical| logical.finish().0);
        digest == self.name
    }
}
