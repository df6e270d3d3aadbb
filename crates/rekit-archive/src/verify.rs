//! Reads everything of an archive back. Only this module can make a [`Verified`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use thiserror::Error;

use crate::archive::{Archive, files_of};
use crate::check::{Before, CheckError, OnlyLook, Summary, check};
use crate::digest::Digest;
use crate::list::Lines;
use crate::manifest::{Counts, SegmentRecord, TreeRecord};
use crate::order::Last;
use crate::pack::Progress;
use crate::pool::{LIST, hash_file, read_frame};
use crate::sums::SUMS;

/// At most so many faults are kept.
const MOST_FAULTS: usize = 100;

/// Proof that an archive was read back whole. It cannot be made otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    identity: Digest,
    bytes: u64,
    files: u64,
}

impl Verified {
    /// Returns the digest of `SHA256SUMS`, which stands for all bytes of the archive.
    pub fn identity(&self) -> Digest {
        self.identity
    }

    /// Returns the bytes of the archive's files that were read, `SHA256SUMS` and the manifest apart.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the number of regular files in the trees whose digests were compared.
    pub fn files(&self) -> u64 {
        self.files
    }
}

/// What is wrong with a file of the archive.
#[derive(Debug, Error)]
pub enum FaultKind {
    /// The file is not there.
    #[error("missing")]
    Missing,
    /// The file is named nowhere.
    #[error("not part of the archive")]
    Unknown,
    /// The file cannot be read.
    #[error("cannot be read")]
    Unreadable(#[source] io::Error),
    /// Its bytes are not those of `SHA256SUMS`.
    #[error("damaged: wrong digest")]
    Damaged,
    /// `SHA256SUMS` and the manifest contradict each other.
    #[error("`SHA256SUMS` and the manifest contradict each other")]
    Contradiction,
    /// The segment's content is wrong though its bytes are as written.
    #[error("wrong content")]
    Content(#[source] Box<CheckError>),
    /// The segments together do not hold what the manifest says.
    #[error("the counts are not those of the manifest")]
    Counts,
}

/// One fault.
#[derive(Debug, Error)]
#[error("`{file}`")]
pub struct Fault {
    /// The file in the archive.
    pub file: String,
    /// What is wrong.
    #[source]
    pub kind: FaultKind,
}

/// The archive is not whole.
#[derive(Debug, Error)]
#[error("{total} faults, the first in `{}`", .faults.first().map_or("", |fault| &fault.file))]
pub struct VerifyError {
    /// The first 100.
    pub faults: Vec<Fault>,
    /// How many there are.
    pub total: u64,
}

enum Job<'a> {
    Plain(&'a str),
    Segment {
        tree: &'a TreeRecord,
        index: usize,
        list_offset: u64,
    },
}

struct Report<'a> {
    job: &'a Job<'a>,
    result: Result<(u64, Summary), FaultKind>,
}

/// Reads everything back: each file's digest, each segment's content, each packed file's digest, all counts.
pub fn verify(
    archive: &Archive,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verified, VerifyError> {
    let mut faults = Faults::default();
    let sums = archive.sums();
    for (name, sha256) in archive.manifest().trees.iter().flat_map(files_of) {
        if sums.get(&name) != Some(&sha256) {
            faults.add(name, FaultKind::Contradiction);
        }
    }
    for file in &archive.manifest().files {
        if sums.get(&file.name) != Some(&file.sha256) {
            faults.add(file.name.clone(), FaultKind::Contradiction);
        }
    }
    faults.compare_names(archive);
    if !faults.list.is_empty() {
        // What is missing or contradictory need not be read.
        return Err(faults.into_error());
    }
    let jobs = jobs(archive);
    let bytes = run(archive, &jobs, &mut faults, progress);
    let files = archive
        .manifest()
        .trees
        .iter()
        .map(|tree| tree.counts.files)
        .sum();
    if faults.total > 0 {
        return Err(faults.into_error());
    }
    Ok(Verified {
        identity: archive.identity(),
        bytes,
        files,
    })
}

fn jobs(archive: &Archive) -> Vec<Job<'_>> {
    let mut jobs = Vec::new();
    let mut segments = BTreeSet::new();
    for tree in &archive.manifest().trees {
        let mut list_offset = 0_u64;
        for (index, segment) in tree.segments.iter().enumerate() {
            segments.insert(format!("trees/{}/{}", tree.name, segment.file));
            jobs.push(Job::Segment {
                tree,
                index,
                list_offset,
            });
            list_offset = list_offset.saturating_add(segment.list_bytes);
        }
    }
    let plain = archive
        .sums()
        .keys()
        .filter(|name| !segments.contains(*name));
    jobs.extend(plain.map(|name| Job::Plain(name)));
    jobs
}

fn run(
    archive: &Archive,
    jobs: &[Job<'_>],
    faults: &mut Faults,
    progress: &mut dyn FnMut(Progress),
) -> u64 {
    let workers = thread::available_parallelism()
        .map_or(2, usize::from)
        .min(4);
    let next = AtomicUsize::new(0);
    let (tell, hear) = channel();
    let mut so_far = Progress::default();
    let mut trees: BTreeMap<&str, TreeState> = BTreeMap::new();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || work(archive, jobs, next, &tell));
        }
        drop(tell);
        for report in hear {
            so_far.packed_bytes += report.result.as_ref().map_or(0, |(bytes, _)| *bytes);
            match (report.job, report.result) {
                (Job::Plain(name), Err(kind)) => faults.add((*name).to_owned(), kind),
                (Job::Plain(_), Ok(_)) => {}
                (Job::Segment { tree, index, .. }, result) => {
                    let segment = &tree.segments[*index];
                    so_far.entries += segment.entries;
                    so_far.tar_bytes += segment.tar_bytes;
                    let summary = result.map(|(_, summary)| summary);
                    let summary = summary
                        .map_err(|kind| faults.add(name_of(tree, segment), kind))
                        .ok();
                    trees
                        .entry(&tree.name)
                        .or_default()
                        .take(tree, *index, summary, faults);
                }
            }
            progress(so_far);
        }
    });
    for tree in &archive.manifest().trees {
        let is_right = trees
            .get(&tree.name[..])
            .is_some_and(|state| state.has_faults || state.counts == tree.counts);
        if !is_right {
            faults.add(format!("trees/{}", tree.name), FaultKind::Counts);
        }
    }
    so_far.packed_bytes
}

fn name_of(tree: &TreeRecord, segment: &SegmentRecord) -> String {
    format!("trees/{}/{}", tree.name, segment.file)
}

fn work<'a>(archive: &Archive, jobs: &'a [Job<'a>], next: &AtomicUsize, tell: &Sender<Report<'a>>) {
    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
        let result = match job {
            Job::Plain(name) => check_plain(archive, name),
            Job::Segment {
                tree,
                index,
                list_offset,
            } => check_segment(archive, tree, &tree.segments[*index], *list_offset),
        };
        if tell.send(Report { job, result }).is_err() {
            break;
        }
    }
}

fn check_plain(archive: &Archive, name: &str) -> Result<(u64, Summary), FaultKind> {
    let (sha256, bytes) = hash_file(&archive.path().join(name)).map_err(FaultKind::Unreadable)?;
    match archive.sums().get(name) {
        Some(expected) if *expected == sha256 => Ok((bytes, Summary::default())),
        _ => Err(FaultKind::Damaged),
    }
}

fn check_segment(
    archive: &Archive,
    tree: &TreeRecord,
    segment: &SegmentRecord,
    list_offset: u64,
) -> Result<(u64, Summary), FaultKind> {
    let directory = archive.tree_directory(tree);
    let file = File::open(directory.join(&segment.file)).map_err(FaultKind::Unreadable)?;
    let files = read_list(&directory, segment, list_offset);
    // With a damaged list the segment's own bytes are still worth a look.
    let (files, list_error) = files.map_or_else(
        |error| (Lines::default(), Some(error)),
        |files| (files, None),
    );
    match check(file, segment, files, Before::Unknown, &mut OnlyLook) {
        Ok(summary) if summary.counts != segment.counts => Err(FaultKind::Counts),
        Ok(summary) => list_error.map_or(Ok((segment.packed_bytes, summary)), |error| {
            Err(FaultKind::Unreadable(error))
        }),
        Err(CheckError::SegmentDigest) => Err(FaultKind::Damaged),
        Err(CheckError::List(error)) => Err(FaultKind::Unreadable(error)),
        Err(error) => Err(FaultKind::Content(Box::new(error))),
    }
}

/// Reads the lines of one segment out of the list.
pub(crate) fn read_list(
    directory: &Path,
    segment: &SegmentRecord,
    offset: u64,
) -> io::Result<Lines> {
    Lines::new(read_frame(
        &directory.join(LIST),
        offset,
        segment.list_bytes,
    )?)
}

/// Joins the segments of a tree in their order, in whatever order they are done.
#[derive(Default)]
struct TreeState {
    waiting: BTreeMap<usize, Option<Summary>>,
    next: usize,
    last: Option<Last>,
    counts: Counts,
    has_faults: bool,
}

impl TreeState {
    fn take(
        &mut self,
        tree: &TreeRecord,
        index: usize,
        summary: Option<Summary>,
        faults: &mut Faults,
    ) {
        self.has_faults |= summary.is_none();
        self.waiting.insert(index, summary);
        while let Some(summary) = self.waiting.remove(&self.next) {
            let segment = &tree.segments[self.next];
            self.next += 1;
            let Some(summary) = summary.filter(|_| !self.has_faults) else {
                continue;
            };
            self.counts.add(&summary.counts);
            if let Some(first) = &summary.first
                && let Err(error) = Last::may_precede(self.last.as_ref(), first)
            {
                self.has_faults = true;
                faults.add(
                    name_of(tree, segment),
                    FaultKind::Content(Box::new(CheckError::Order(error))),
                );
            }
            self.last = summary.last.or(self.last.take());
        }
    }
}

#[derive(Default)]
struct Faults {
    list: Vec<Fault>,
    total: u64,
}

impl Faults {
    fn add(&mut self, file: String, kind: FaultKind) {
        self.total += 1;
        if self.list.len() < MOST_FAULTS {
            self.list.push(Fault { file, kind });
        }
    }

    fn into_error(self) -> VerifyError {
        VerifyError {
            faults: self.list,
            total: self.total,
        }
    }

    /// Compares the files that are there with those that should be.
    fn compare_names(&mut self, archive: &Archive) {
        let mut there = BTreeSet::new();
        if let Err(error) = names(archive.path(), "", &mut there) {
            self.add(".".to_owned(), FaultKind::Unreadable(error));
        }
        there.remove(SUMS);
        for name in archive.sums().keys() {
            if !there.remove(name) {
                self.add(name.clone(), FaultKind::Missing);
            }
        }
        let known: Vec<&str> = archive
            .manifest()
            .files
            .iter()
            .map(|file| &file.name[..])
            .collect();
        for name in archive.sums().keys() {
            let is_ours =
                matches!(&name[..], "manifest.json" | "RESTORE.md") || name.starts_with("trees/");
            if !is_ours && !known.contains(&&name[..]) {
                self.add(name.clone(), FaultKind::Contradiction);
            }
        }
        for name in there {
            self.add(name, FaultKind::Unknown);
        }
    }
}

/// Collects the names of all that is no directory.
fn names(directory: &Path, prefix: &str, found: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        let is_known_directory = name == "trees" || prefix == "trees/";
        if kind.is_dir() && is_known_directory {
            names(&entry.path(), &format!("{name}/"), found)?;
        } else {
            // A link or a directory where a file should be must not pass for one.
            found.insert(if kind.is_file() {
                name
            } else {
                format!("{name} (not a file)")
            });
        }
    }
    Ok(())
}
