//! Where packed bytes go: files of an archive, or frames of the wire.
//!
//! A segment is first written and kept, in any order, by any thread; then it is placed, in the order of the tar stream.
//! What is kept but never placed was packed ahead and has changed since.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::manifest::{Counts, SegmentKind, SegmentRecord};

/// What a finished stream of bytes came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Their number.
    pub bytes: u64,
}

/// Takes the bytes of one segment. One that is dropped before it is sealed leaves nothing.
pub trait StreamWriter: Write + Send {
    /// Ends the bytes.
    fn seal(self: Box<Self>) -> io::Result<Sealed>;
}

/// A segment whose bytes are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSegment {
    /// The number of its stream.
    pub stream: u32,
    /// Why it is a segment of its own.
    pub kind: SegmentKind,
    /// The directory or the group; `.` for the rest.
    pub scope: String,
    /// What the stream came to.
    pub sealed: Sealed,
    /// The length of its stretch of the tar stream.
    pub tar_bytes: u64,
    /// The number of entries.
    pub entries: u64,
    /// What it holds.
    pub counts: Counts,
    /// The digest of what the walk saw.
    pub seen: Option<Digest>,
}

/// Which segment comes next in the tar stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Next {
    /// One that was written to this stream.
    Stream(u32),
    /// One that is known from an earlier archive, or was packed ahead: by what the walk saw.
    Seen(Digest),
}

/// Takes the segments of one tree. Several may be open at once, in several threads.
pub trait Sink: Sync {
    /// Begins a segment; `stream` is a number that was not used before.
    fn begin(&self, stream: u32) -> io::Result<Box<dyn StreamWriter + '_>>;
    /// Returns true if a segment is known of which the walk saw the same.
    fn has(&self, seen: &Digest) -> bool;
    /// Keeps a segment, with its frame of the list of files.
    fn keep(&self, segment: &NewSegment, list: &[u8]) -> io::Result<()>;
    /// Puts the next segment of the tar stream in its place.
    fn place(&self, next: Next) -> io::Result<()>;
    /// Takes all out of their places again; what is kept stays.
    fn restart(&self) -> io::Result<()>;
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
