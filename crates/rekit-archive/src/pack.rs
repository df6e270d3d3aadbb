//! Packs a tree: one thread walks, workers read, compress and hash segments, the caller's thread keeps them in order.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use thiserror::Error;

use crate::cut::{Job, Scope};
use crate::entry::{Entry, Kind, Time};
use crate::manifest::{Counts, SegmentKind, SegmentRecord, TreeRecord};
use crate::path::TreePath;
use crate::rules::{Rules, plain_rules};
use crate::segment::{Packed, SegmentBuilder, SegmentError};
use crate::sink::{Sink, Stream, StreamWriter, segment_file_name};
use crate::source::{self, Source};
use crate::walk::{Left, WalkError, walk};

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
    /// The list of files could not be written.
    #[error("could not write the list of files")]
    List(#[source] io::Error),
    /// A path of a tree from memory.
    #[error("a path cannot be kept")]
    Path(#[source] crate::path::PathError),
}

/// A small file that the caller has in memory.
#[derive(Clone)]
pub struct MemoryFile {
    /// Where in the tree; directories on the way are made with mode 0700.
    pub path: TreePath,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner and group.
    pub owner: (u32, u32),
    /// Its content.
    pub bytes: Vec<u8>,
}

struct Done {
    scope: std::sync::Arc<Scope>,
    packed: Packed,
    changed: Vec<TreePath>,
}

/// Packs the tree at `root` into `sink`. The record's name is empty: the archive gives it.
pub fn pack(
    root: &Path,
    options: &PackOptions,
    sink: &dyn Sink,
    progress: &mut dyn FnMut(Progress),
) -> Result<TreeRecord, PackError> {
    let source = Source::open(root).map_err(|source| PackError::Open {
        root: root.to_owned(),
        source,
    })?;
    let mut tree = TreeBuilder::new(options.rules.name, sink, progress)?;
    let (give, take) = sync_channel::<Job>(1);
    let take = Mutex::new(take);
    let (tell, hear) = channel();
    let outcome = thread::scope(|scope| {
        let walker = scope.spawn(move || walk_into(root, &options.rules, &give));
        for _ in 0..options.workers.max(1) {
            let (tell, take, source) = (tell.clone(), &take, &source);
            scope.spawn(move || {
                while let Some(job) = next(take) {
                    let number = job.number;
                    let done = pack_segment(job, source, options, sink);
                    let is_over = done.is_err();
                    if tell.send((number, done)).is_err() || is_over {
                        break;
                    }
                }
            });
        }
        drop(tell);
        let end = tree.collect(&hear);
        drop(hear);
        // Unblocks the walker if the workers have stopped.
        while next(&take).is_some() {}
        let end_of_walk = walker.join().unwrap_or(Err(WalkError::Ended));
        end.and(end_of_walk.map_err(PackError::Walk))
    });
    let (left, number) = outcome?;
    tree.end(number, options)?;
    tree.finish(left)
}

fn walk_into(root: &Path, rules: &Rules, give: &SyncSender<Job>) -> Result<(Left, u32), WalkError> {
    walk(root.to_owned(), rules, &mut |job| give.send(job).is_ok())
}

fn next(take: &Mutex<Receiver<Job>>) -> Option<Job> {
    take.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

fn pack_segment(
    job: Job,
    source: &Source,
    options: &PackOptions,
    sink: &dyn Sink,
) -> Result<Done, SegmentError> {
    let out = sink
        .begin(Stream::Segment(job.number))
        .map_err(SegmentError::Write)?;
    let mut segment = SegmentBuilder::new(out, options.level).map_err(SegmentError::Write)?;
    let mut changed = Vec::new();
    for found in &job.found {
        let (entry, file, mut is_changed) = source.read(found)?;
        is_changed |= !segment.add(&entry, file.as_ref())?;
        if let Some(file) = &file {
            is_changed |= !found.is_same(&source::look(found, file)?);
        }
        match options.changes {
            Changes::Refuse if is_changed => return Err(SegmentError::Changed(found.path.clone())),
            Changes::Record if is_changed => changed.push(found.path.clone()),
            _ => {}
        }
    }
    let packed = segment.finish().map_err(SegmentError::Write)?;
    Ok(Done {
        scope: job.scope,
        packed,
        changed,
    })
}

/// Describes a file or directory that no file system has, without a time.
fn memory_entry(path: &TreePath, kind: Kind, mode: u32, (uid, gid): (u32, u32)) -> Entry {
    Entry {
        path: path.clone(),
        kind,
        mode,
        uid,
        gid,
        modified: Time {
            seconds: 0,
            nanoseconds: 0,
        },
        xattrs: Vec::new(),
    }
}

/// Packs files from memory, owned by root, with the time 0, as one segment.
pub fn pack_memory(
    files: &[MemoryFile],
    options: &PackOptions,
    sink: &dyn Sink,
) -> Result<TreeRecord, PackError> {
    let mut entries: BTreeMap<TreePath, (Entry, &[u8])> = BTreeMap::new();
    entries.insert(
        TreePath::default(),
        (
            memory_entry(&TreePath::default(), Kind::Directory, 0o700, (0, 0)),
            &[],
        ),
    );
    for file in files {
        let mut path = file.path.clone();
        while let Some((parent, _)) = path.split() {
            entries.insert(
                parent.clone(),
                (memory_entry(&parent, Kind::Directory, 0o700, (0, 0)), &[]),
            );
            path = parent;
        }
    }
    for file in files {
        TreePath::parse(&file.path.member_name()).map_err(PackError::Path)?;
        let kind = Kind::File {
            size: file.bytes.len() as u64,
            extents: None,
        };
        entries.insert(
            file.path.clone(),
            (
                memory_entry(&file.path, kind, file.mode & 0o7777, file.owner),
                &file.bytes,
            ),
        );
    }
    let failed = |source| PackError::Segment { number: 1, source };
    let mut ignore = |_: Progress| {};
    let mut tree = TreeBuilder::new("memory", sink, &mut ignore)?;
    let out = sink
        .begin(Stream::Segment(1))
        .map_err(SegmentError::Write)
        .map_err(failed)?;
    let mut segment = SegmentBuilder::new(out, options.level)
        .map_err(SegmentError::Write)
        .map_err(failed)?;
    for (entry, bytes) in entries.values() {
        segment.add(entry, Some(*bytes)).map_err(failed)?;
    }
    let packed = segment
        .finish()
        .map_err(SegmentError::Write)
        .map_err(failed)?;
    tree.put(1, SegmentKind::Rest, ".", &packed)?;
    tree.end(2, options)?;
    tree.finish(Left::default())
}

/// Puts finished segments into order.
struct TreeBuilder<'a> {
    sink: &'a dyn Sink,
    list: Box<dyn StreamWriter + 'a>,
    progress: &'a mut dyn FnMut(Progress),
    so_far: Progress,
    rules: &'a str,
    segments: Vec<SegmentRecord>,
    counts: Counts,
    changed: Vec<TreePath>,
}

impl<'a> TreeBuilder<'a> {
    fn new(
        rules: &'a str,
        sink: &'a dyn Sink,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Result<Self, PackError> {
        Ok(Self {
            sink,
            list: sink.begin(Stream::List).map_err(PackError::List)?,
            progress,
            so_far: Progress::default(),
            rules,
            segments: Vec::new(),
            counts: Counts::default(),
            changed: Vec::new(),
        })
    }

    /// Takes segments as they are done until there are no more.
    fn collect(
        &mut self,
        hear: &Receiver<(u32, Result<Done, SegmentError>)>,
    ) -> Result<(), PackError> {
        let mut early = BTreeMap::new();
        let mut expected = 1;
        for (number, done) in hear {
            early.insert(
                number,
                done.map_err(|source| PackError::Segment { number, source })?,
            );
            while let Some(done) = early.remove(&expected) {
                self.changed.extend(done.changed);
                self.put(expected, done.scope.kind, &done.scope.name, &done.packed)?;
                expected += 1;
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        number: u32,
        kind: SegmentKind,
        scope: &str,
        packed: &Packed,
    ) -> Result<(), PackError> {
        self.list.write_all(&packed.list).map_err(PackError::List)?;
        self.counts.add(&packed.counts);
        self.so_far.entries += packed.entries;
        self.so_far.tar_bytes += packed.tar_bytes;
        self.so_far.packed_bytes += packed.sealed.bytes;
        (self.progress)(self.so_far);
        self.segments.push(SegmentRecord {
            file: segment_file_name(number, &packed.sealed.sha256),
            kind,
            scope: scope.to_owned(),
            sha256: packed.sealed.sha256,
            packed_bytes: packed.sealed.bytes,
            tar_bytes: packed.tar_bytes,
            entries: packed.entries,
            list_bytes: packed.list.len() as u64,
        });
        Ok(())
    }

    fn end(&mut self, number: u32, options: &PackOptions) -> Result<(), PackError> {
        let write = || {
            let out = self.sink.begin(Stream::Segment(number))?;
            let mut segment = SegmentBuilder::new(out, options.level)?;
            segment.end_stream()?;
            segment.finish()
        };
        let packed = write()
            .map_err(SegmentError::Write)
            .map_err(|source| PackError::Segment { number, source })?;
        self.put(number, SegmentKind::End, ".", &packed)
    }

    fn finish(self, left: Left) -> Result<TreeRecord, PackError> {
        let sealed = self.list.seal().map_err(PackError::List)?;
        Ok(TreeRecord {
            name: String::new(),
            rules: self.rules.to_owned(),
            segments: self.segments,
            list_sha256: sealed.sha256,
            counts: self.counts,
            skipped: left.skipped,
            skipped_total: left.skipped_total,
            sockets: left.sockets,
            changed: self.changed,
        })
    }
}
