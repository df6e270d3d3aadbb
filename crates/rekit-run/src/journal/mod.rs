//! The journal: what was started, finished, undone; on disk before the world changes. SQLite opens its own files here.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the journal is one of the three doors"
)]

mod blobs;
mod home;
mod memory;
mod owner;
mod page;
mod sheet;
mod sqlite;

pub use home::{Home, HomeError, StoredRun};
pub use memory::MemoryJournal;
use rekit_core::{name::BlobId, next::Entry};
pub use sqlite::RunJournal;

use crate::world::ForeignBytes;

/// Where a run writes down what it does, and keeps foreign bytes for its undos.
pub trait Journal {
    /// Adds an entry; it is on disk when this returns.
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError>;
    /// Keeps bytes; they are on disk when this returns.
    fn keep(&mut self, bytes: &ForeignBytes) -> Result<BlobId, JournalError>;
    /// Returns bytes kept before, matched against their name.
    fn kept(&self, blob: &BlobId) -> Result<ForeignBytes, JournalError>;
}

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database refused.
    #[error("the journal's database `{path}` refused")]
    Database {
        /// The file.
        path: String,
        /// Why.
        source: rusqlite::Error,
    },
    /// A blob cannot be read or written.
    #[error("blob `{blob}` cannot be {doing}")]
    Blob {
        /// The blob.
        blob: String,
        /// `read` or `written`.
        doing: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A blob's bytes are not what its name says.
    #[error("blob `{blob}` was changed on disk")]
    Damaged {
        /// The blob.
        blob: String,
    },
    /// An entry does not parse.
    #[error("entry {sequence} of run `{run}` was written by another rekit and cannot be read")]
    Entry {
        /// The run.
        run: String,
        /// Its number.
        sequence: i64,
        /// Why.
        source: serde_json::Error,
    },
    /// The process is to end here, as if by a crash. Only the fake world says so.
    #[error("crashed, as the test asked")]
    Crashed,
}
