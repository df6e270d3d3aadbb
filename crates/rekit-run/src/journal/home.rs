//! rekit's own directory: journal, blobs, archives, and the lock that keeps a second rekit out.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rekit_core::{
    name::BlobId,
    next::{Entry, RunEnd, RunState},
    plan::Plan,
};
use rusqlite::Connection;

use super::{JournalError, RunJournal, blobs::Blobs, sheet::SheetFile};
use crate::world::ForeignBytes;

/// Bytes that the journal keeps free on its disk, so that a rollback can be written when the disk is full.
const BALLAST_BYTES: usize = 4 << 20;
/// The version of the database's shape. A rekit refuses what it does not know.
const FORMAT: i64 = 1;

/// rekit's own directory, open for changes by this process alone.
pub struct Home {
    path: PathBuf,
    database: Connection,
    ballast: Ballast,
    now: fn() -> Timestamp,
    /// Held as long as the home is open; the system lets go of it when the process ends, however it ends.
    _lock: Option<File>,
}

/// A run as the journal has it.
#[derive(Clone, Debug)]
pub struct StoredRun {
    /// Its number, counted from 1 in the order of their beginning.
    pub sequence: i64,
    /// Its plan.
    pub plan: Plan,
    /// When it began.
    pub began: Timestamp,
    /// Its entries with their times.
    pub entries: Vec<(Timestamp, Entry)>,
}

impl StoredRun {
    /// Returns where the run stands.
    pub fn state(&self) -> RunState {
        RunState::replay(
            self.plan.steps.len(),
            self.entries.iter().map(|(_, entry)| entry),
        )
    }

    /// Returns whether it is still to be resumed or rolled back.
    pub fn is_open(&self) -> bool {
        matches!(self.state().ended(), None | Some(RunEnd::Stuck))
    }
}

/// Why the home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It cannot be made or opened.
    #[error("rekit's directory `{path}` cannot be used")]
    Directory {
        /// The directory or a file in it.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Another rekit is at work.
    #[error("another rekit is at work in `{path}`")]
    Locked {
        /// The directory.
        path: String,
    },
    /// The journal was written by a rekit that this one does not know.
    #[error("the journal in `{path}` has format {found}; this rekit reads format {FORMAT}")]
    Format {
        /// The directory.
        path: String,
        /// The format it has.
        found: i64,
    },
    /// A stored plan does not parse.
    #[error("the plan of run `{run}` was written by another rekit and cannot be read")]
    Plan {
        /// The run.
        run: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The journal.
    #[error("the journal cannot be used")]
    Journal(#[from] JournalError),
}

impl Home {
    /// Opens the home for changes; makes it where it is missing.
    pub fn open(path: &Path, now: fn() -> Timestamp) -> Result<Self, HomeError> {
        let failed = |source| HomeError::Directory {
            path: path.display().to_string(),
            source,
        };
        for folder in [path.to_owned(), path.join("blobs"), path.join("archives")] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(failed)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(failed)?;
        if lock.try_lock().is_err() {
            return Err(HomeError::Locked {
                path: path.display().to_string(),
            });
        }
        let ballast = Ballast {
            path: path.join("ballast"),
        };
        ballast.fill().map_err(failed)?;
        Self::with(path, now, ballast, Some(lock))
    }

    /// Opens the home to look only; `None` if there is none yet. Another rekit may be at work meanwhile.
    pub fn look(path: &Path, now: fn() -> Timestamp) -> Result<Option<Self>, HomeError> {
        if !path.join("journal.db").exists() {
            return Ok(None);
        }
        let ballast = Ballast {
            path: path.join("ballast"),
        };
        match Self::with(path, now, ballast, None) {
            // Another rekit is just making it.
            Err(HomeError::Format { found: 0, .. }) => Ok(None),
            home => home.map(Some),
        }
    }

    fn with(
        path: &Path,
        now: fn() -> Timestamp,
        ballast: Ballast,
        lock: Option<File>,
    ) -> Result<Self, HomeError> {
        let file = path.join("journal.db");
        let refused = |source| JournalError::Database {
            path: file.display().to_string(),
            source,
        };
        if lock.is_some() && !file.exists() {
            let failed = |source| HomeError::Directory {
                path: file.display().to_string(),
                source,
            };
            OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&file)
                .map_err(failed)?;
        }
        let database = Connection::open(&file).map_err(refused)?;
        database
            .busy_timeout(std::time::Duration::from_secs(5))
            .map_err(refused)?;
        if lock.is_some() {
            prepare(&database).map_err(refused)?;
        }
        let found: i64 = database
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(refused)?;
        if found != FORMAT {
            return Err(HomeError::Format {
                path: path.display().to_string(),
                found,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            database,
            ballast,
            now,
            _lock: lock,
        })
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where archives lie.
    pub fn archives(&self) -> PathBuf {
        self.path.join("archives")
    }

    /// Writes down that a run of this plan begins.
    pub fn begin(&self, plan: &Plan) -> Result<(), HomeError> {
        SheetFile::new(plan, &[])
            .write()
            .map_err(|source| HomeError::Directory {
                path: self.path.display().to_string(),
                source,
            })?;
        let sql = "INSERT INTO run (id, began, plan) VALUES (?1, ?2, ?3)";
        self.database
            .execute(
                sql,
                (plan.run.as_str(), (self.now)().to_string(), plan.to_json()),
            )
            .map_err(|source| self.refused(source))?;
        Ok(())
    }

    /// Returns the journal of a run, to go on writing.
    pub fn journal<'a>(&'a self, plan: &'a Plan, entries: &[Entry]) -> RunJournal<'a> {
        RunJournal {
            database: &self.database,
            path: self.database_path(),
            blobs: self.blobs(),
            ballast: &self.ballast,
            run: plan.run.clone(),
            sheet: SheetFile::new(plan, entries),
            now: self.now,
        }
    }

    /// Keeps bytes outside any run.
    pub fn keep(&self, bytes: &ForeignBytes) -> Result<BlobId, JournalError> {
        self.blobs().keep(bytes)
    }

    /// Returns kept bytes.
    pub fn kept(&self, blob: &BlobId) -> Result<ForeignBytes, JournalError> {
        self.blobs().kept(blob)
    }

    /// Returns all runs, in the order of their beginning.
    pub fn runs(&self) -> Result<Vec<StoredRun>, HomeError> {
        let mut statement = self
            .database
            .prepare("SELECT sequence, id, began, plan FROM run ORDER BY sequence")
            .map_err(|e| self.refused(e))?;
        let rows = statement
            .query_map((), |row| {
                Ok((
                    row.get(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, String>(3)?,
                ))
            })
            .map_err(|source| self.refused(source))?;
        let mut runs = Vec::new();
        for row in rows {
            let (sequence, id, began, plan) = row.map_err(|source| self.refused(source))?;
            let plan = serde_json::from_str(&plan).map_err(|source| HomeError::Plan {
                run: id.clone(),
                source,
            })?;
            runs.push(StoredRun {
                sequence,
                plan,
                began: began.parse().unwrap_or_default(),
                entries: self.entries(&id)?,
            });
        }
        Ok(runs)
    }

    /// Returns the run that is still to be resumed or rolled back, if there is one.
    pub fn open_run(&self) -> Result<Option<StoredRun>, HomeError> {
        Ok(self.runs()?.into_iter().rev().find(StoredRun::is_open))
    }

    fn entries(&self, run: &str) -> Result<Vec<(Timestamp, Entry)>, HomeError> {
        let sql = "SELECT sequence, time, body FROM entry WHERE run = ?1 ORDER BY sequence";
        let mut statement = self
            .database
            .prepare(sql)
            .map_err(|source| self.refused(source))?;
        let rows = statement
            .query_map([run], |row| {
                Ok((
                    row.get(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                ))
            })
            .map_err(|source| self.refused(source))?;
        let mut entries = Vec::new();
        for row in rows {
            let (sequence, time, body): (i64, _, _) = row.map_err(|source| self.refused(source))?;
            let entry = serde_json::from_str(&body).map_err(|source| JournalError::Entry {
                run: run.to_owned(),
                sequence,
                source,
            })?;
            entries.push((time.parse().unwrap_or_default(), entry));
        }
        Ok(entries)
    }

    fn blobs(&self) -> Blobs {
        Blobs::new(self.path.join("blobs"))
    }

    fn database_path(&self) -> String {
        self.path.join("journal.db").display().to_string()
    }

    fn refused(&self, source: rusqlite::Error) -> JournalError {
        JournalError::Database {
            path: self.database_path(),
            source,
        }
    }
}

/// Makes the tables and sets what makes a write durable before it returns.
fn prepare(database: &Connection) -> rusqlite::Result<()> {
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    let found: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found == 0 {
        database.execute_batch(
            "BEGIN;
             CREATE TABLE run (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, began TEXT NOT NULL, plan TEXT NOT NULL);
             CREATE TABLE entry (sequence INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES run(id), time TEXT NOT NULL, body TEXT NOT NULL);
             CREATE INDEX entry_of_run ON entry (run, sequence);
             PRAGMA user_version = 1;
             COMMIT;",
        )?;
    }
    Ok(())
}

/// A file that only takes room, to be given back when the disk is full.
pub(super) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    fn fill(&self) -> io::Result<()> {
        if self
            .path
            .metadata()
            .is_ok_and(|file| file.len() >= BALLAST_BYTES as u64)
        {
            return Ok(());
        }
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.path)?;
        // Not zeros: some file systems would store those as a hole.
        file.write_all(&vec![0x5A; BALLAST_BYTES])?;
        file.sync_all()
    }

    pub(super) fn drop_once(&self) {
        // Nothing to do about a failure: the write that needs the room reports it.
        drop(std::fs::remove_file(&self.path));
    }
}
