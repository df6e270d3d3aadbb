//! Cuts the walk into segments. The same tree gives the same cuts, and a change in one place moves no cut elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::{Digest, Hasher};
use crate::manifest::SegmentKind;
use crate::staging::Staged;
use crate::walk::Found;

/// A segment ends before it would hold more bytes or entries than this; the limits keep memory and the wait for the
/// last thread small.
const MOST_BYTES: u64 = 64 << 20;
const MOST_ENTRIES: usize = 8192;
/// No reader accepts a segment with more entries.
pub(crate) const ENTRY_LIMIT: u64 = 65_536;
/// A group of blobs is split by its next hex digit above this.
const GROUP_BYTES: u64 = 64 << 20;

/// To what an entry belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) kind: SegmentKind,
    pub(crate) name: String,
}

impl Scope {
    /// Returns the digest of what the walk saw of a segment: equal digests mean that nothing was written in between.
    pub(crate) fn seen(&self, found: &[Found]) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(self.name.as_bytes());
        hasher.update(&[0, self.kind as u8]);
        for found in found {
            found.hash_into(&mut hasher);
        }
        hasher.finish().0
    }
}

/// What a segment is made of.
#[derive(Clone)]
pub(crate) enum Work {
    /// Entries, still to be read.
    Read(Vec<Found>),
    /// One that is known: by the digest of what the walk saw.
    Known { seen: Digest, entries: u64 },
    /// Entries that were set aside while the daemon stood still.
    Staged(Arc<Vec<Staged>>),
}

/// One segment, still to be made.
pub(crate) struct Job {
    pub(crate) number: u32,
    pub(crate) scope: Arc<Scope>,
    pub(crate) work: Work,
}

/// Collects entries in the order of the walk and hands out full segments.
pub(crate) struct Cutter {
    number: u32,
    scope: Arc<Scope>,
    found: Vec<Found>,
    bytes: u64,
}

impl Cutter {
    pub(crate) fn new(scope: Arc<Scope>) -> Self {
        Self {
            number: 1,
            scope,
            found: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes the next entry; returns the segment before it if that ends here.
    pub(crate) fn push(&mut self, scope: &Arc<Scope>, found: Found) -> Option<Job> {
        let bytes = if found.is_file() && found.link.is_none() {
            found.size
        } else {
            0
        };
        let is_full =
            self.found.len() >= MOST_ENTRIES || self.bytes.saturating_add(bytes) > MOST_BYTES;
        let ended = if is_full || *scope != self.scope {
            self.end()
        } else {
            None
        };
        self.scope = Arc::clone(scope);
        self.bytes += bytes;
        self.found.push(found);
        ended
    }

    /// Returns what is left as the last segment.
    pub(crate) fn end(&mut self) -> Option<Job> {
        if self.found.is_empty() {
            return None;
        }
        self.bytes = 0;
        let work = Work::Read(std::mem::take(&mut self.found));
        let scope = Arc::clone(&self.scope);
        Some(self.number(&scope, work))
    }

    /// Gives the next number to a segment.
    pub(crate) fn number(&mut self, scope: &Arc<Scope>, work: Work) -> Job {
        let number = self.number;
        self.number += 1;
        Job {
            number,
            scope: Arc::clone(scope),
            work,
        }
    }

    /// Returns the number that the next segment will have.
    pub(crate) fn next_number(&self) -> u32 {
        self.number
    }
}

/// Groups files by the leading hex digits of their names, so that a new file changes its own group only.
pub(crate) struct Groups {
    /// Prefixes, in order; each name has exactly one.
    prefixes: Vec<Vec<u8>>,
}

impl Groups {
    /// Takes sorted names with their sizes.
    pub(crate) fn new(sizes: &BTreeMap<Vec<u8>, u64>) -> Self {
        let mut prefixes = Vec::new();
        let all: Vec<(&[u8], u64)> = sizes
            .iter()
            .map(|(name, size)| (&name[..], *size))
            .collect();
        split(&all, 0, &mut prefixes);
        Self { prefixes }
    }

    /// Returns the prefix that `name` belongs to.
    pub(crate) fn prefix_of(&self, name: &[u8]) -> &[u8] {
        self.prefixes
            .iter()
            .find(|prefix| name.starts_with(prefix))
            .map_or(&[], |prefix| &prefix[..])
    }
}

fn split(names: &[(&[u8], u64)], depth: usize, prefixes: &mut Vec<Vec<u8>>) {
    let Some((first, _)) = names.first() else {
        return;
    };
    let bytes: u64 = names.iter().map(|(_, size)| *size).sum();
    let is_fine = bytes <= GROUP_BYTES || names.len() == 1 || depth >= first.len();
    if is_fine || names.iter().any(|(name, _)| name.len() <= depth) {
        prefixes.push(first[..depth.min(first.len())].to_vec());
        return;
    }
    for part in names.chunk_by(|(one, _), (other, _)| one[depth] == other[depth]) {
        split(part, depth + 1, prefixes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(names: &[(&str, u64)]) -> Vec<String> {
        let sizes = names
            .iter()
            .map(|(name, size)| (name.as_bytes().to_vec(), *size))
            .collect();
        let groups = Groups::new(&sizes);
        groups
            .prefixes
            .iter()
            .map(|prefix| String::from_utf8_lossy(prefix).into_owned())
            .collect()
    }

    #[test]
    fn a_new_blob_changes_its_own_group_only() {
        let half = GROUP_BYTES / 2;
        let before = [
            ("a1", half),
            ("a2", 1),
            ("b1", half),
            ("b2", half),
            ("c1", half),
        ];
        assert_eq!(groups(&before), ["a", "b", "c"]);
        let after = [
            ("a1", half),
            ("a2", 1),
            ("b1", half),
            ("b2", half),
            ("b3", 1),
            ("c1", half),
        ];
        assert_eq!(groups(&after), ["a", "b1", "b2", "b3", "c"]);
        assert_eq!(groups(&[("a1", 1), ("f1", 1)]), [""]);
    }
}
