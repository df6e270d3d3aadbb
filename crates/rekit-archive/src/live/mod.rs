//! Copies a state while its daemon builds, and holds the daemon still only for a moment.
//!
//! 1. Everything is packed ahead while the daemon runs, in rounds, until a round finds little that is new. What changes meanwhile is dropped.
//! 2. The daemon stands still: the databases, and the snapshots that changed since the last round, are set aside (a plain copy).
//! 3. The daemon goes on. What was set aside is packed; all segments are put in their order.
//!
//! What need not be looked at in step 2: a committed snapshot is never written to again. An uncommitted one is written to only through an
//! overlay mount; one that has a parent, was mounted neither before the last round nor now, and whose directories have the times of
//! then, is as it was. Those without a parent may be mounted without a trace, and are always looked at.
//!
//! Committed snapshots and blobs may vanish in step 3, never change. If one does, the copy begins anew at step 1, where almost everything is known.

mod freeze;
mod held;
mod hold;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::entry::Time;
use crate::pack::{Changes, Ending, PackError, PackOptions, Packer, Progress, Round, is_settled};
use crate::path::TreePath;
use crate::segment::SegmentError;
use crate::sink::Sink;
use crate::snapshots::{self, Snapshot};
use crate::staging::Staging;
use crate::walk::{Now, Scene};
use hold::{Before, Rest};

pub use freeze::{Freezer, Mounts, Watchdog, watch};

/// A copy is begun anew at most so often.
const MOST_ATTEMPTS: u32 = 5;
/// At most so many rounds are packed ahead.
const MOST_ROUNDS: u32 = 6;
/// A round that packs less than this is the last one.
const LITTLE_BYTES: u64 = 24 << 20;
/// The database of a snapshotter, beside its snapshots.
const DATABASE: &[u8] = b"metadata.db";

/// How the daemon stood still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// For how long, in microseconds: from the first signal that stops it to the last that lets it go on.
    pub microseconds: u64,
    /// Snapshots that were not committed.
    pub uncommitted: u64,
    /// Those of them that had to be looked at.
    pub looked_at: u64,
    /// Entries in them.
    pub entries: u64,
    /// Bytes that were set aside, databases included.
    pub staged_bytes: u64,
    /// How often the copy was begun.
    pub attempts: u32,
}

/// A running state could not be copied.
#[derive(Debug, Error)]
pub enum LiveError {
    /// The daemon could not be held still.
    #[error("the daemon cannot be held still")]
    Freeze(#[source] io::Error),
    /// There is no room to set contents aside.
    #[error("could not set contents aside in `{folder}`")]
    Staging {
        /// Where.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The tree could not be read or packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// It changed each time before it could be packed.
    #[error("snapshots vanished each time before they could be packed; the last one was `{0}`")]
    Restless(TreePath),
}

/// When the directories of uncommitted snapshots that lie upon another one, and were not mounted, last changed.
type Look = HashMap<TreePath, [Time; 2]>;

/// The state of a daemon that runs.
pub struct Running<'a> {
    /// Where it lies.
    pub root: &'a Path,
    /// Holds the daemon still.
    pub freezer: &'a mut dyn Freezer,
}

/// Packs a state while its daemon runs. Contents may be set aside in a file of no name in `folder`.
pub(crate) fn pack_live(
    Running { root, freezer }: Running<'_>,
    options: &PackOptions,
    (sink, folder): (&dyn Sink, &Path),
    progress: &mut dyn FnMut(Progress),
) -> Result<Ending, LiveError> {
    let staging = Staging::within(folder).map_err(|source| LiveError::Staging {
        folder: folder.to_owned(),
        source,
    })?;
    let mut copy = LiveCopy {
        packer: Packer::new(root, options, sink)?,
        now: Now {
            root: root.to_owned(),
        },
        staging,
        freezer,
    };
    let mut last = TreePath::default();
    for attempts in 1..=MOST_ATTEMPTS {
        let result = copy.attempt(attempts, progress);
        let race = match &result {
            Err(LiveError::Pack(error)) => error.race(),
            _ => None,
        };
        let Some(path) = race else {
            return result;
        };
        last = path.clone();
        sink.restart().map_err(|source| PackError::Segment {
            number: 0,
            source: SegmentError::Write(source),
        })?;
    }
    Err(LiveError::Restless(last))
}

struct LiveCopy<'a> {
    packer: Packer<'a>,
    now: Now,
    staging: Staging,
    freezer: &'a mut dyn Freezer,
}

impl LiveCopy<'_> {
    fn attempt(
        &mut self,
        attempts: u32,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Ending, LiveError> {
        let (look, round) = self.ahead(progress)?;
        self.warm_up();
        let begun = Instant::now();
        let mounts = self.freezer.freeze().map_err(LiveError::Freeze)?;
        let at = SystemTime::now();
        let held = self.hold(Before {
            look: &look,
            round: &round,
            mounts: &mounts,
        });
        let thawed = self.freezer.thaw();
        let frozen = begun.elapsed();
        let (held, mut freeze) = held?;
        thawed.map_err(LiveError::Freeze)?;
        freeze.microseconds = frozen.as_micros().try_into().unwrap_or(u64::MAX);
        freeze.attempts = attempts;
        let mut ending =
            self.packer
                .place_all(&held, Some((&self.staging, at)), Changes::Refuse, progress)?;
        ending.freeze = Some(freeze);
        Ok(ending)
    }

    /// Packs while the daemon runs.
    fn ahead(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(Look, Round), LiveError> {
        let mut rounds = 0;
        loop {
            // Looked at first: what changes during the round must show.
            let mounts = self.freezer.mounts().map_err(LiveError::Freeze)?;
            let look = self.look(&mounts);
            let round = self.packer.ahead(&self.now, progress)?;
            rounds += 1;
            if round.tar_bytes < LITTLE_BYTES || rounds == MOST_ROUNDS {
                return Ok((look, round));
            }
        }
    }

    /// Sets the databases aside once while the daemon runs: the second time their places in the file are there, and nothing waits for the disk.
    fn warm_up(&self) {
        self.staging.clear();
        let mut rest = Rest::default();
        // They move under our hands; only the bytes count here.
        let _moved = self.stage_rest(&TreePath::default(), &mut rest);
        let _later = self.staging.sync();
        self.staging.clear();
    }

    fn look(&self, mounts: &Mounts) -> Look {
        let mut look = Look::default();
        for folder in self.snapshotters() {
            let Some(known) = self.snapshots(&folder) else {
                continue;
            };
            for (name, snapshot) in known {
                let path = folder.child(b"snapshots").child(&name);
                if !snapshot.is_committed
                    && snapshot.has_parent
                    && let Some(times) = at_rest(&self.now, &path, mounts)
                {
                    look.insert(path, times);
                }
            }
        }
        look
    }

    /// Returns the directories that hold a snapshotter's database and its snapshots.
    fn snapshotters(&self) -> Vec<TreePath> {
        let workers = self.now.names(&TreePath::default()).unwrap_or_default();
        let folders = workers.iter().map(|worker| {
            let worker = TreePath::default().child(worker);
            worker.child(b"snapshots")
        });
        folders
            .filter(|folder| self.now.look(&folder.child(DATABASE)).is_ok())
            .collect()
    }

    /// Reads a snapshotter's database; `None` if it cannot be read, or changed while it was read.
    fn snapshots(&self, folder: &TreePath) -> Option<HashMap<Vec<u8>, Snapshot>> {
        let path = folder.child(DATABASE).below(&self.now.root);
        (0..5).find_map(|_| {
            // One read, as quick as can be: a page that changes meanwhile spoils it.
            let bytes = std::fs::read(&path).ok()?;
            snapshots::read(&bytes).ok()
        })
    }
}

/// Returns when the directories of a snapshot last changed, unless it is mounted for writing or has not the shape that tells.
fn at_rest(now: &Now, path: &TreePath, mounts: &Mounts) -> Option<[Time; 2]> {
    let (files, work) = (path.child(b"fs"), path.child(b"work"));
    if mounts.has(files.as_bytes()) {
        return None;
    }
    let places = [now.look(&files).ok()?, now.look(&work).ok()?];
    // A change right after a change may bear the same time.
    is_settled(&places, SystemTime::now()).then(|| places.map(|found| found.changed))
}
