//! Packs a tree: one thread walks, workers read, compress and hash segments, the caller's thread keeps them in order.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cut::{Job, Scope, Work};
use crate::databases::{self, DatabaseRecord};
use crate::digest::Digest;
use crate::live::Freeze;
use crate::manifest::{SegmentKind, Skipped};
use crate::path::TreePath;
use crate::rules::{Rules, plain_rules};
use crate::segment::{SegmentBuilder, SegmentError};
use crate::sink::{NewSegment, Next, Sink};
use crate::source::{self, Source};
use crate::staging::{Staged, Staging};
use crate::walk::{Found, Left, Now, Scene, WalkError, Way, has_vanished, walk};

/// File systems round times down to the tick of a clock; no common one is coarser.
const COARSEST_CLOCK: Duration = Duration::from_millis(20);

/// How far the work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries done.
    pub entries: u64,
    /// Bytes of the tar stream done.
    pub tar_bytes: u64,
    /// Bytes of the archive done.
    pub packed_bytes: u64,
}

/// What to do when a file changes while it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Changes {
    /// Stop with an error.
    #[default]
    Refuse,
    /// Go on and name it in the manifest.
    Record,
    /// Drop the segment: it will be packed again.
    Drop,
}

/// What to pack and how.
#[derive(Clone, Debug)]
pub struct PackOptions {
    /// What is left out and what is a segment of its own.
    pub rules: Rules,
    /// What to do when a file changes while it is read.
    pub changes: Changes,
    /// The level of zstd.
    pub level: i32,
    /// How many threads read and compress.
    pub workers: usize,
}

impl Default for PackOptions {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        Self {
            rules: plain_rules(),
            changes: Changes::default(),
            level: 1,
            workers: cores.min(4),
        }
    }
}

impl PackOptions {
    /// Returns the usual options with these rules.
    pub fn with(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }
}

/// A tree could not be packed.
#[derive(Debug, Error)]
pub enum PackError {
    /// The source could not be opened.
    #[error("could not open `{root}`")]
    Open {
        /// The root of the tree.
        root: std::path::PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The source could not be walked.
    #[error("could not walk the tree")]
    Walk(#[source] WalkError),
    /// A segment could not be written.
    #[error("could not pack segment {number}")]
    Segment {
        /// Its number.
        number: u32,
        /// The cause.
        source: SegmentError,
    },
    /// A path of a tree from memory.
    #[error("a path cannot be kept")]
    Path(#[source] crate::path::PathError),
}

/// What became of a segment.
enum Outcome {
    /// It was written and kept.
    New(NewSegment, Vec<TreePath>),
    /// It is known; the number of its entries.
    Known(Digest, u64),
    /// It changed while it was read, and was dropped.
    Dropped,
}

struct Done {
    scope: Arc<Scope>,
    outcome: Outcome,
}

/// What a tree came to besides its segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// The name of the rules.
    pub rules: String,
    /// What was left out, at most 10,000 places.
    pub skipped: Vec<Skipped>,
    /// How many places were left out in all.
    pub skipped_total: u64,
    /// Sockets that were left out.
    pub sockets: u64,
    /// Files that changed while they were read, if the caller allowed it.
    pub changed: Vec<TreePath>,
    /// How the daemon stood still, if it ran.
    pub freeze: Option<Freeze>,
    /// The databases in it.
    pub databases: Vec<DatabaseRecord>,
}

impl PackError {
    /// Returns what changed or vanished while it was read, if that is the cause.
    pub(crate) fn race(&self) -> Option<&TreePath> {
        match self {
            Self::Segment {
                source: SegmentError::Changed(path),
                ..
            } => Some(path),
            Self::Segment {
                source: SegmentError::Read { path, source },
                ..
            }
            | Self::Walk(WalkError::Read { path, source }) => has_vanished(source).then_some(path),
            _ => None,
        }
    }
}

/// Packs the tree at `root` into `sink`.
pub fn pack(
    root: &Path,
    options: &PackOptions,
    sink: &dyn Sink,
    progress: &mut dyn FnMut(Progress),
) -> Result<Ending, PackError> {
    let packer = Packer::new(root, options, sink)?;
    let scene = Now {
        root: root.to_owned(),
    };
    packer.place_all(&scene, None, options.changes, progress)
}

/// What a round of packing ahead came to.
#[derive(Default)]
pub(crate) struct Round {
    /// The bytes of the tar stream that were packed.
    pub(crate) tar_bytes: u64,
    /// For directories that are segments of their own: what was seen of each segment, if nothing in it changed meanwhile.
    pub(crate) scopes: HashMap<String, Option<Vec<(Digest, u64)>>>,
}

/// Packs one tree, in one round or in several.
pub(crate) struct Packer<'a> {
    pub(crate) source: Source,
    pub(crate) options: &'a PackOptions,
    sink: &'a dyn Sink,
    streams: AtomicU32,
}

/// What one pass of the packer does.
#[derive(Clone, Copy)]
struct Pass<'a> {
    scene: &'a dyn Scene,
    /// What was set aside, and when.
    staging: Option<(&'a Staging, SystemTime)>,
    changes: Changes,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(
        root: &Path,
        options: &'a PackOptions,
        sink: &'a dyn Sink,
    ) -> Result<Self, PackError> {
        let source = Source::open(root).map_err(|source| PackError::Open {
            root: root.to_owned(),
            source,
        })?;
        Ok(Self {
            source,
            options,
            sink,
            streams: AtomicU32::new(1),
        })
    }

    /// Returns true if a segment of which the walk saw the same is there.
    pub(crate) fn has(&self, seen: &Digest) -> bool {
        self.sink.has(seen)
    }

    /// Packs the whole tree and puts its segments in their order.
    pub(crate) fn place_all(
        &self,
        scene: &dyn Scene,
        staging: Option<(&Staging, SystemTime)>,
        changes: Changes,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Ending, PackError> {
        let pass = Pass {
            scene,
            staging,
            changes,
        };
        let mut torn = Vec::new();
        let mut so_far = Progress::default();
        let mut place = |done: Done| {
            let next = match done.outcome {
                Outcome::New(segment, paths) => {
                    so_far.add(&segment);
                    torn.extend(paths);
                    Next::Stream(segment.stream)
                }
                Outcome::Known(seen, entries) => {
                    so_far.entries += entries;
                    Next::Seen(seen)
                }
                Outcome::Dropped => return Ok(()),
            };
            progress(so_far);
            self.sink.place(next)
        };
        let (left, number) = self.run(pass, &mut place)?;
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        end(self.sink, stream, self.options.level).map_err(|source| PackError::Segment {
            number,
            source: SegmentError::Write(source),
        })?;
        Ok(Ending {
            rules: self.options.rules.name.to_owned(),
            skipped: left.skipped,
            skipped_total: left.skipped_total,
            sockets: left.sockets,
            changed: torn,
            freeze: None,
            databases: databases::read(scene, &self.options.rules, &self.source, staging),
        })
    }

    /// Packs what is not known yet, without placing it; what changes or vanishes meanwhile is dropped.
    pub(crate) fn ahead(
        &self,
        scene: &dyn Scene,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Round, PackError> {
        let pass = Pass {
            scene,
            staging: None,
            changes: Changes::Drop,
        };
        let mut round = Round::default();
        let mut so_far = Progress::default();
        let mut note = |done: Done| {
            let seen = match done.outcome {
                Outcome::New(segment, _) => {
                    so_far.add(&segment);
                    round.tar_bytes += segment.tar_bytes;
                    segment.seen.map(|seen| (seen, segment.entries))
                }
                Outcome::Known(seen, entries) => {
                    so_far.entries += entries;
                    Some((seen, entries))
                }
                Outcome::Dropped => None,
            };
            progress(so_far);
            if done.scope.kind == SegmentKind::Own {
                let scope = round.scopes.entry(done.scope.name.clone());
                let scope = scope.or_insert_with(|| Some(Vec::new()));
                match (scope.as_mut(), seen) {
                    (Some(all), Some(seen)) => all.push(seen),
                    _ => *scope = None,
                }
            }
            Ok(())
        };
        self.run(pass, &mut note)?;
        Ok(round)
    }

    /// Walks, packs in several threads, and gives each segment in its order to `take`.
    fn run(
        &self,
        pass: Pass<'_>,
        take: &mut dyn FnMut(Done) -> io::Result<()>,
    ) -> Result<(Left, u32), PackError> {
        let (give, jobs) = sync_channel::<Job>(1);
        let jobs = Mutex::new(jobs);
        let (tell, hear) = channel();
        let way = Way {
            rules: &self.options.rules,
            may_vanish: pass.changes == Changes::Drop,
        };
        thread::scope(|scope| {
            let walker = scope.spawn(move || {
                walk(pass.scene, &TreePath::default(), way, &mut |job| {
                    give.send(job).is_ok()
                })
            });
            for _ in 0..self.options.workers.max(1) {
                let (tell, jobs) = (tell.clone(), &jobs);
                scope.spawn(move || {
                    while let Some(job) = next(jobs) {
                        let number = job.number;
                        let done = self.work(job, pass);
                        let is_over = done.is_err();
                        if tell.send((number, done)).is_err() || is_over {
                            break;
                        }
                    }
                });
            }
            drop(tell);
            let end = in_order(&hear, take);
            drop(hear);
            // Unblocks the walker if the workers have stopped.
            while next(&jobs).is_some() {}
            let end_of_walk = walker.join().unwrap_or(Err(WalkError::Ended));
            end.and(end_of_walk.map_err(PackError::Walk))
        })
    }

    fn work(&self, job: Job, pass: Pass<'_>) -> Result<Done, SegmentError> {
        let scope = job.scope;
        let outcome = match job.work {
            Work::Known { seen, entries } => Outcome::Known(seen, entries),
            Work::Read(found) => self.read(&found, &scope, pass)?,
            Work::Staged(entries) => self.pack_staged(&entries, &scope, pass)?,
        };
        Ok(Done { scope, outcome })
    }

    fn read(
        &self,
        found: &[Found],
        scope: &Scope,
        pass: Pass<'_>,
    ) -> Result<Outcome, SegmentError> {
        let seen = scope.seen(found);
        if self.sink.has(&seen) {
            return Ok(Outcome::Known(seen, found.len() as u64));
        }
        let moment = pass.staging.map_or_else(SystemTime::now, |(_, at)| at);
        let settled = is_settled(found, moment);
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        let out = self.sink.begin(stream).map_err(SegmentError::Write)?;
        let mut segment =
            SegmentBuilder::new(out, self.options.level).map_err(SegmentError::Write)?;
        let mut changed = Vec::new();
        for found in found {
            match self.add(found, &mut segment, pass) {
                Ok(true) => {}
                Ok(false) if pass.changes == Changes::Record => changed.push(found.path.clone()),
                Err(SegmentError::Read { source, .. })
                    if pass.changes == Changes::Drop && has_vanished(&source) =>
                {
                    return Ok(Outcome::Dropped);
                }
                Ok(false) if pass.changes == Changes::Drop => return Ok(Outcome::Dropped),
                Ok(false) => return Err(SegmentError::Changed(found.path.clone())),
                Err(error) => return Err(error),
            }
        }
        let seen = (settled && changed.is_empty()).then_some(seen);
        let segment = keep(self.sink, stream, segment, scope, seen);
        Ok(Outcome::New(segment.map_err(SegmentError::Write)?, changed))
    }

    /// Adds one place; returns false if it changed since the walk saw it.
    fn add(
        &self,
        found: &Found,
        segment: &mut SegmentBuilder<'_>,
        pass: Pass<'_>,
    ) -> Result<bool, SegmentError> {
        if found.link.is_none()
            && let Some(staged) = pass.scene.staged(&found.path)
        {
            return add_staged(staged, segment, pass);
        }
        let (entry, file, was_changed) = self.source.read(found)?;
        let is_whole = segment.add(&entry, file.as_ref())?;
        let Some(file) = &file else {
            return Ok(!was_changed && is_whole);
        };
        let is_same = found.is_same(&source::look(found, file)?);
        Ok(!was_changed && is_whole && is_same)
    }

    fn pack_staged(
        &self,
        entries: &[Staged],
        scope: &Scope,
        pass: Pass<'_>,
    ) -> Result<Outcome, SegmentError> {
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        let out = self.sink.begin(stream).map_err(SegmentError::Write)?;
        let mut segment =
            SegmentBuilder::new(out, self.options.level).map_err(SegmentError::Write)?;
        for staged in entries {
            add_staged(staged, &mut segment, pass)?;
        }
        let segment = keep(self.sink, stream, segment, scope, None);
        Ok(Outcome::New(
            segment.map_err(SegmentError::Write)?,
            Vec::new(),
        ))
    }
}

fn add_staged(
    staged: &Staged,
    segment: &mut SegmentBuilder<'_>,
    pass: Pass<'_>,
) -> Result<bool, SegmentError> {
    let content = pass
        .staging
        .and_then(|(staging, _)| staged.content(staging));
    segment.add(&staged.entry, content.as_ref())
}

pub(crate) fn keep(
    sink: &dyn Sink,
    stream: u32,
    segment: SegmentBuilder<'_>,
    scope: &Scope,
    seen: Option<Digest>,
) -> io::Result<NewSegment> {
    let packed = segment.finish()?;
    let segment = NewSegment {
        stream,
        kind: scope.kind,
        scope: scope.name.clone(),
        sealed: packed.sealed,
        tar_bytes: packed.tar_bytes,
        entries: packed.entries,
        counts: packed.counts,
        seen,
    };
    sink.keep(&segment, &packed.list)?;
    Ok(segment)
}

/// Places the mark that ends the tar stream.
pub(crate) fn end(sink: &dyn Sink, stream: u32, level: i32) -> io::Result<()> {
    let mut segment = SegmentBuilder::new(sink.begin(stream)?, level)?;
    segment.end_stream()?;
    let scope = Scope {
        kind: SegmentKind::End,
        name: ".".to_owned(),
    };
    keep(sink, stream, segment, &scope, None)?;
    sink.place(Next::Stream(stream))
}

impl Progress {
    fn add(&mut self, segment: &NewSegment) {
        self.entries += segment.entries;
        self.tar_bytes += segment.tar_bytes;
        self.packed_bytes += segment.sealed.bytes;
    }
}

/// Takes segments as they are done, in their order, until there are no more.
fn in_order(
    hear: &Receiver<(u32, Result<Done, SegmentError>)>,
    take: &mut dyn FnMut(Done) -> io::Result<()>,
) -> Result<(), PackError> {
    let mut early = BTreeMap::new();
    let mut expected = 1;
    let failed = |number| move |source| PackError::Segment { number, source };
    for (number, done) in hear {
        early.insert(number, done.map_err(failed(number))?);
        while let Some(done) = early.remove(&expected) {
            take(done)
                .map_err(SegmentError::Write)
                .map_err(failed(expected))?;
            expected += 1;
        }
    }
    Ok(())
}

fn next(jobs: &Mutex<Receiver<Job>>) -> Option<Job> {
    jobs.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

/// Returns true if each change after `moment` must show in the times: the last one before is farther back than clocks are coarse.
pub(crate) fn is_settled(found: &[Found], moment: SystemTime) -> bool {
    let since = moment.duration_since(UNIX_EPOCH).ok();
    let Some(limit) = since.and_then(|since| since.checked_sub(COARSEST_CLOCK)) else {
        return false;
    };
    found.iter().all(|found| {
        let seconds = u64::try_from(found.changed.seconds).unwrap_or(0);
        Duration::new(seconds, found.changed.nanoseconds) < limit
    })
}
