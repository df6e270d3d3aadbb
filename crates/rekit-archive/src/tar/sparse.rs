//! The map of a sparse file, GNU format 1.0: decimal numbers on lines, padded to whole blocks.

use super::BLOCK;
use crate::entry::Extent;

/// A file in more pieces than this is stored whole.
pub(crate) const MOST_EXTENTS: usize = 200_000;

/// Writes the map, padded.
pub(crate) fn encode_map(extents: &[Extent]) -> Vec<u8> {
    let mut map = format!("{}\n", extents.len()).into_bytes();
    for extent in extents {
        map.extend_from_slice(format!("{}\n{}\n", extent.offset, extent.length).as_bytes());
    }
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}

/// Reads numbers out of blocks as they come.
#[derive(Default)]
pub(super) struct MapReader {
    numbers: Vec<u64>,
    digits: String,
}

impl MapReader {
    /// Takes a block; returns true when the map is complete, nothing if it is malformed.
    pub(super) fn take(&mut self, block: &[u8; BLOCK]) -> Option<bool> {
        for byte in block {
            match byte {
                b'0'..=b'9' if self.digits.len() < 20 => self.digits.push(char::from(*byte)),
                b'\n' => {
                    self.numbers.push(self.digits.parse().ok()?);
                    self.digits.clear();
                    if self.is_complete() {
                        return Some(true);
                    }
                    if self.numbers[0] > MOST_EXTENTS as u64 {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        Some(false)
    }

    fn is_complete(&self) -> bool {
        self.numbers.first().is_some_and(|count| {
            (self.numbers.len() as u64 - 1) / 2 == *count && self.numbers.len() % 2 == 1
        })
    }

    /// Returns the extents if they ascend and end within `size`.
    pub(super) fn extents(&self, size: u64) -> Option<Vec<Extent>> {
        let mut end = 0;
        let mut extents = Vec::new();
        for pair in self.numbers.get(1..)?.chunks_exact(2) {
            let extent = Extent {
                offset: pair[0],
                length: pair[1],
            };
            if extent.offset < end {
                return None;
            }
            end = extent.offset.checked_add(extent.length)?;
            extents.push(extent);
        }
        (end <= size).then_some(extents)
    }
}
