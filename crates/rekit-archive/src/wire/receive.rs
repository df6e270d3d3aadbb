//! The host's receiving ends.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use super::frame::{FrameReader, Tag, WireError, number, unexpected};
use crate::manifest::{Counts, TreeRecord};
use crate::pack::Progress;
use crate::sink::{Sealed, Sink, Stream, StreamWriter};

/// At most so many streams may be open at once.
const MOST_OPEN: usize = 64;

/// What the helper that unpacked says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackAnswer {
    /// What the tree holds.
    pub counts: Counts,
}

/// Takes the tree that the helper packs into `sink`.
pub fn receive(
    reader: &mut dyn Read,
    sink: &dyn Sink,
    progress: &mut dyn FnMut(Progress),
) -> Result<TreeRecord, WireError> {
    let mut frames = FrameReader::new(reader);
    let mut bytes = Vec::new();
    let mut open: BTreeMap<u32, Box<dyn StreamWriter + '_>> = BTreeMap::new();
    let mut sealed: BTreeMap<u32, Sealed> = BTreeMap::new();
    let mut tree: Option<TreeRecord> = None;
    loop {
        let tag = frames.read(&mut bytes)?;
        match tag {
            Tag::Begin => {
                let (number, _) = number(tag, &bytes)?;
                let is_new = !open.contains_key(&number) && !sealed.contains_key(&number);
                if !is_new || open.len() >= MOST_OPEN {
                    return Err(unexpected(tag, &bytes));
                }
                let stream = if number == 0 {
                    Stream::List
                } else {
                    Stream::Segment(number)
                };
                open.insert(number, sink.begin(stream).map_err(WireError::Sink)?);
            }
            Tag::Data => {
                let (number, data) = number(tag, &bytes)?;
                let stream = open
                    .get_mut(&number)
                    .ok_or_else(|| unexpected(tag, &bytes))?;
                stream.write_all(data).map_err(WireError::Sink)?;
            }
            Tag::End => {
                let (number, _) = number(tag, &bytes)?;
                let stream = open
                    .remove(&number)
                    .ok_or_else(|| unexpected(tag, &bytes))?;
                sealed.insert(number, stream.seal().map_err(WireError::Sink)?);
            }
            Tag::Progress => progress(numbers(tag, &bytes)?),
            Tag::Tree => tree = Some(serde_json::from_slice(&bytes).map_err(WireError::Record)?),
            Tag::Done if open.is_empty() => {
                let tree = tree.ok_or_else(|| unexpected(tag, &bytes))?;
                return if agrees(&tree, &sealed) {
                    Ok(tree)
                } else {
                    Err(WireError::Damaged)
                };
            }
            _ => return Err(unexpected(tag, &bytes)),
        }
    }
}

/// Compares the helper's record with what arrived.
fn agrees(tree: &TreeRecord, sealed: &BTreeMap<u32, Sealed>) -> bool {
    let list = sealed
        .get(&0)
        .is_some_and(|list| list.sha256 == tree.list_sha256);
    let segments = (1_u32..).zip(&tree.segments).all(|(number, segment)| {
        let expected = Sealed {
            sha256: segment.sha256,
            bytes: segment.packed_bytes,
        };
        sealed.get(&number) == Some(&expected)
    });
    list && segments && sealed.len() == tree.segments.len() + 1
}

/// Reads what the helper that unpacks answers.
pub fn answer(
    reader: &mut dyn Read,
    progress: &mut dyn FnMut(Progress),
) -> Result<UnpackAnswer, WireError> {
    let mut frames = FrameReader::new(reader);
    let mut bytes = Vec::new();
    let mut counts = None;
    loop {
        let tag = frames.read(&mut bytes)?;
        match (tag, counts) {
            (Tag::Progress, None) => progress(numbers(tag, &bytes)?),
            (Tag::Unpacked, None) => {
                counts = Some(serde_json::from_slice(&bytes).map_err(WireError::Record)?);
            }
            (Tag::Done, Some(counts)) => return Ok(UnpackAnswer { counts }),
            _ => return Err(unexpected(tag, &bytes)),
        }
    }
}

fn numbers(tag: Tag, bytes: &[u8]) -> Result<Progress, WireError> {
    let mut parts = bytes.chunks_exact(8).map(|part| {
        part.iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    });
    let mut next = || parts.next().ok_or_else(|| unexpected(tag, bytes));
    Ok(Progress {
        entries: next()?,
        tar_bytes: next()?,
        packed_bytes: next()?,
    })
}
