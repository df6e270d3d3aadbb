//! A journal in memory, for runs against the fake world.

use std::collections::BTreeMap;

use rekit_core::{name::BlobId, next::Entry};

use super::{Journal, JournalError};
use crate::world::ForeignBytes;

/// Entries and blobs of one run.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct MemoryJournal {
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// The blobs.
    pub blobs: BTreeMap<BlobId, ForeignBytes>,
    /// How many more entries can be written before the next write crashes; `None`: all.
    pub fuel: Option<u32>,
}

impl Journal for MemoryJournal {
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        if let Some(fuel) = &mut self.fuel {
            *fuel = fuel.checked_sub(1).ok_or(JournalError::Crashed)?;
        }
        self.entries.push(entry.clone());
        Ok(())
    }

    fn keep(&mut self, bytes: &ForeignBytes) -> Result<BlobId, JournalError> {
        let id = BlobId::of(bytes.expose());
        self.blobs.insert(id.clone(), bytes.clone());
        Ok(id)
    }

    fn kept(&self, blob: &BlobId) -> Result<ForeignBytes, JournalError> {
        let missing = || JournalError::Damaged {
            blob: blob.to_string(),
        };
        self.blobs.get(blob).cloned().ok_or_else(missing)
    }
}
