//! Where packed bytes go: files of an archive, or frames of the wire.

use std::io::{self, Write};

use crate::digest::Digest;
use crate::manifest::SegmentRecord;

/// Which stream of a tree the bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// A segment, by its number from 1.
    Segment(u32),
    /// The list of files.
    List,
}

/// What a finished stream came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Their number.
    pub bytes: u64,
}

/// Takes one stream.
pub trait StreamWriter: Write + Send {
    /// Ends the stream.
    fn seal(self: Box<Self>) -> io::Result<Sealed>;
}

/// Takes the streams of one tree. Several segments may be open at once, in several threads.
pub trait Sink: Sync {
    /// Begins a stream.
    fn begin(&self, stream: Stream) -> io::Result<Box<dyn StreamWriter + '_>>;
}

/// Returns the file name of a segment.
pub(crate) fn segment_file_name(number: u32, sha256: &Digest) -> String {
    let digest = sha256.to_string();
    format!("{number:06}-{}.tar.zst", &digest[..12])
}

/// Returns true if the record's name is the one that its number and digest give.
pub(crate) fn is_named_right(index: usize, segment: &SegmentRecord) -> bool {
    u32::try_from(index + 1)
        .is_ok_and(|number| segment.file == segment_file_name(number, &segment.sha256))
}
