//! The journal of one run, in the home's database.

use jiff::Timestamp;
use rekit_core::{
    name::{BlobId, RunId},
    next::Entry,
};
use rusqlite::{Connection, ErrorCode};

use super::{Journal, JournalError, blobs::Blobs, home::Ballast, sheet::SheetFile};
use crate::world::ForeignBytes;

/// The journal of one run.
pub struct RunJournal<'a> {
    pub(super) database: &'a Connection,
    pub(super) path: String,
    pub(super) blobs: Blobs,
    pub(super) ballast: &'a Ballast,
    pub(super) run: RunId,
    pub(super) sheet: SheetFile<'a>,
    pub(super) now: fn() -> Timestamp,
}

impl RunJournal<'_> {
    fn insert(&self, body: &str) -> rusqlite::Result<usize> {
        let time = (self.now)().to_string();
        self.database.execute(
            "INSERT INTO entry (run, time, body) VALUES (?1, ?2, ?3)",
            (self.run.as_str(), time, body),
        )
    }
}

impl Journal for RunJournal<'_> {
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let body = match serde_json::to_string(entry) {
            Ok(body) => body,
            Err(error) => unreachable!("BUG: an entry holds something JSON cannot: {error}"),
        };
        let full = |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        match self.insert(&body) {
            Err(error) if full(&error) => {
                self.ballast.drop_once();
                self.insert(&body)
            }
            result => result,
        }
        .map(|_| self.sheet.note(entry))
        .map_err(|source| JournalError::Database {
            path: self.path.clone(),
            source,
        })
    }

    fn keep(&mut self, bytes: &ForeignBytes) -> Result<BlobId, JournalError> {
        self.blobs.keep(bytes)
    }

    fn kept(&self, blob: &BlobId) -> Result<ForeignBytes, JournalError> {
        self.blobs.kept(blob)
    }
}
