//! The records of a cache, as a collection sees them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One record of a daemon's cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheRecord {
    /// Its id, unique in the daemon.
    pub id: String,
    /// `regular`, `internal`, `frontend`, `source.local`, `source.git.checkout`, `exec.cachemount`.
    pub kind: String,
    /// For people.
    pub description: String,
    /// Ids of the records beneath it.
    pub parents: Vec<String>,
    /// Bytes of its own.
    pub bytes: i64,
    /// When it was made.
    #[schemars(with = "Option<String>")]
    pub created: Option<Timestamp>,
    /// When a build last used it.
    #[schemars(with = "Option<String>")]
    pub last_used: Option<Timestamp>,
    /// How often builds used it.
    pub uses: i64,
    /// Whether it may still be written to, as a cache mount may.
    pub mutable: bool,
    /// Whether a build holds it, or something above it.
    pub in_use: bool,
    /// Whether an image of the engine has the same bytes.
    pub shared: bool,
}

/// When the daemon that collects was started: it treats what it read from the disk at its start otherwise than what it made since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// At this moment.
    At(Timestamp),
    /// After all records were made: it is started anew.
    Anew,
    /// Not known; taken for before all of them.
    Unknown,
}

/// A cache at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Cache<'a> {
    /// Its records.
    pub records: &'a [CacheRecord],
    /// Bytes that its disk has free, those kept for root included; `None`: not known.
    pub free_bytes: Option<i64>,
    /// When its daemon was started.
    pub started: Started,
    /// The moment.
    pub now: Timestamp,
}

impl Cache<'_> {
    /// Returns whether the daemon read a record from the disk at its start.
    pub(super) fn is_from_disk(&self, record: &CacheRecord) -> bool {
        match self.started {
            Started::At(start) => record.created.is_some_and(|created| created < start),
            Started::Anew => true,
            Started::Unknown => false,
        }
    }
}

/// When and how often a record was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Use {
    pub(super) last: Option<Timestamp>,
    pub(super) count: i64,
}

impl Use {
    pub(super) fn of(record: &CacheRecord) -> Self {
        Self {
            last: record.last_used,
            count: record.uses,
        }
    }
}
