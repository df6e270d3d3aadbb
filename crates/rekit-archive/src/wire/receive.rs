//! The host's receiving ends.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use super::frame::{FrameReader, Tag, WireError, number, unexpected};
use crate::manifest::Counts;
use crate::pack::{Ending, Progress};
use crate::sink::{NewSegment, Sealed, Sink, StreamWriter};

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
) -> Result<Ending, WireError> {
    let mut frames = FrameReader::new(reader);
    let mut bytes = Vec::new();
    let mut open: BTreeMap<u32, Box<dyn StreamWriter + '_>> = BTreeMap::new();
    let mut sealed: BTreeMap<u32, Sealed> = BTreeMap::new();
    let mut ending: Option<Ending> = None;
    loop {
        let tag = frames.read(&mut bytes)?;
        match tag {
            Tag::Begin => {
                let (number, _) = number(tag, &bytes)?;
                let is_new = !open.contains_key(&number) && !sealed.contains_key(&number);
                if !is_new || open.len() >= MOST_OPEN {
                    return Err(unexpected(tag, &bytes));
                }
                open.insert(number, sink.begin(number).map_err(WireError::Sink)?);
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
            Tag::Drop => {
                let (number, _) = number(tag, &bytes)?;
                open.remove(&number)
                    .ok_or_else(|| unexpected(tag, &bytes))?;
            }
            Tag::Keep => {
                let (segment, list) = kept(tag, &bytes)?;
                if sealed.remove(&segment.stream) != Some(segment.sealed) {
                    return Err(WireError::Damaged);
                }
                sink.keep(&segment, list).map_err(WireError::Sink)?;
            }
            Tag::Place => {
                let next = serde_json::from_slice(&bytes).map_err(WireError::Record)?;
                sink.place(next).map_err(WireError::Sink)?;
            }
            Tag::Restart => sink.restart().map_err(WireError::Sink)?,
            Tag::Progress => progress(numbers(tag, &bytes)?),
            Tag::Ending => {
                ending = Some(serde_json::from_slice(&bytes).map_err(WireError::Record)?);
            }
            Tag::Done if open.is_empty() && sealed.is_empty() => {
                return ending.ok_or_else(|| unexpected(tag, &bytes));
            }
            _ => return Err(unexpected(tag, &bytes)),
        }
    }
}

/// Splits a record and its frame of the list.
fn kept(tag: Tag, bytes: &[u8]) -> Result<(NewSegment, &[u8]), WireError> {
    let (length, rest) = number(tag, bytes)?;
    let parts = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length));
    let (json, list) = parts.ok_or_else(|| unexpected(tag, bytes))?;
    let segment = serde_json::from_slice(json).map_err(WireError::Record)?;
    Ok((segment, list))
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
