//! Frames.

use std::io::{self, Read, Write};

use thiserror::Error;

use crate::digest::{Digest, Hasher};
use crate::unpack::UnpackError;

/// No frame is longer, except for the record of a tree.
const MOST_BYTES: u32 = 1 << 30;

/// The other end of the pipe did not do its part.
#[derive(Debug, Error)]
pub enum WireError {
    /// Reading failed or the stream ended too early.
    #[error("could not read from the other end")]
    Read(#[source] io::Error),
    /// Writing failed.
    #[error("could not write to the other end")]
    Write(#[source] io::Error),
    /// The other end says that it failed.
    #[error("the other end failed: {0}")]
    Remote(String),
    /// A frame is unknown or comes at a wrong place.
    #[error("frame {kind} of {length} bytes is not expected here")]
    Unexpected {
        /// Its kind.
        kind: u8,
        /// Its length.
        length: usize,
    },
    /// The digest of the frames is wrong.
    #[error("the stream is damaged")]
    Damaged,
    /// A record cannot be understood.
    #[error("a record cannot be understood")]
    Record(#[source] serde_json::Error),
    /// The sink refused.
    #[error("could not keep what was received")]
    Sink(#[source] io::Error),
    /// The archive could not be read.
    #[error("could not read `{file}`")]
    Archive {
        /// The file.
        file: String,
        /// The cause.
        source: io::Error,
    },
    /// The tree could not be unpacked.
    #[error("could not unpack")]
    Unpack(#[source] UnpackError),
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Tag {
    /// A stream begins: its number.
    Begin = 1,
    /// Bytes of a stream: its number, the bytes.
    Data = 2,
    /// A stream ends: its number.
    End = 3,
    /// How far the work is, as JSON.
    Progress = 4,
    /// The record of the tree to unpack, as JSON.
    Tree = 5,
    /// The lines of a segment in the list of files: its number, the frame of the list.
    Files = 6,
    /// What was unpacked, as JSON.
    Unpacked = 7,
    /// A failure, as text.
    Error = 8,
    /// The end: the digest of all before.
    Done = 9,
    /// A stream is dropped: its number.
    Drop = 10,
    /// A segment is kept: the length of its record, the record as JSON, its frame of the list.
    Keep = 11,
    /// A segment is placed: which one, as JSON.
    Place = 12,
    /// What the other end knows: digests of 32 bytes.
    Known = 13,
    /// What the packed tree came to, as JSON.
    Ending = 14,
    /// All is taken out of its place again.
    Restart = 15,
}

impl Tag {
    const ALL: [Self; 15] = [
        Self::Begin,
        Self::Data,
        Self::End,
        Self::Progress,
        Self::Tree,
        Self::Files,
        Self::Unpacked,
        Self::Error,
        Self::Done,
        Self::Drop,
        Self::Keep,
        Self::Place,
        Self::Known,
        Self::Ending,
        Self::Restart,
    ];
}

/// Writes frames and hashes them, but for the bytes of streams: those have digests of their own, which the other end compares.
pub(super) struct FrameWriter<W> {
    out: W,
    hasher: Hasher,
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            hasher: Hasher::default(),
        }
    }

    /// Writes a frame of two parts.
    pub(super) fn write(&mut self, tag: Tag, head: &[u8], bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(head.len() + bytes.len()).map_err(io::Error::other)?;
        let [a, b, c, d] = length.to_be_bytes();
        for part in [&[tag as u8, a, b, c, d], head, bytes] {
            self.out.write_all(part)?;
        }
        self.hasher.update(&[tag as u8, a, b, c, d]);
        self.hasher.update(head);
        if tag != Tag::Data {
            self.hasher.update(bytes);
        }
        Ok(())
    }

    /// Writes the end.
    pub(super) fn done(&mut self) -> io::Result<()> {
        let (digest, _) = std::mem::take(&mut self.hasher).finish();
        self.write(Tag::Done, digest.to_string().as_bytes(), &[])?;
        self.out.flush()
    }
}

/// Reads frames and checks the digest at their end.
pub(super) struct FrameReader<R> {
    input: R,
    hasher: Hasher,
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            hasher: Hasher::default(),
        }
    }

    /// Reads a frame into `bytes`. At the end the digest has been checked; an error frame is returned as the error.
    pub(super) fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Tag, WireError> {
        let mut head = [0; 5];
        self.input.read_exact(&mut head).map_err(WireError::Read)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length);
        let tag = Tag::ALL
            .into_iter()
            .find(|tag| *tag as u8 == kind)
            .filter(|_| length <= MOST_BYTES);
        let Some(tag) = tag else {
            return Err(WireError::Unexpected {
                kind,
                length: length as usize,
            });
        };
        bytes.clear();
        let count = (&mut self.input)
            .take(length.into())
            .read_to_end(bytes)
            .map_err(WireError::Read)?;
        if count != length as usize {
            return Err(WireError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        match tag {
            Tag::Error => {
                return Err(WireError::Remote(
                    String::from_utf8_lossy(bytes).into_owned(),
                ));
            }
            Tag::Done => {
                let (digest, _) = std::mem::take(&mut self.hasher).finish();
                let said = str::from_utf8(bytes)
                    .ok()
                    .and_then(|text| Digest::parse(text).ok());
                if said != Some(digest) {
                    return Err(WireError::Damaged);
                }
            }
            _ => {
                self.hasher.update(&head);
                let hashed = if tag == Tag::Data {
                    number(tag, bytes)?;
                    &bytes[..4]
                } else {
                    &bytes[..]
                };
                self.hasher.update(hashed);
            }
        }
        Ok(tag)
    }
}

/// Splits the number of the stream off.
pub(super) fn number(tag: Tag, bytes: &[u8]) -> Result<(u32, &[u8]), WireError> {
    let (head, rest) = bytes
        .split_first_chunk()
        .ok_or_else(|| unexpected(tag, bytes))?;
    Ok((u32::from_be_bytes(*head), rest))
}

pub(super) fn unexpected(tag: Tag, bytes: &[u8]) -> WireError {
    WireError::Unexpected {
        kind: tag as u8,
        length: bytes.len(),
    }
}
