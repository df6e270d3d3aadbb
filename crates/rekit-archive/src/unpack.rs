//! Unpacks a tree into an empty directory, checking digests on the way.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{Mode, OFlags, fchmod, openat, syncfs};
use thiserror::Error;

use crate::archive::Archive;
use crate::check::{Before, CheckError, check};
use crate::crew::{self, Queue};
use crate::ground::Ground;
use crate::list::Lines;
use crate::manifest::{Counts, SegmentRecord, TreeRecord};
use crate::order::Last;
use crate::pack::Progress;
use crate::place::{PlaceError, Placer};
use crate::verify::read_list;

/// Which devices may be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    /// All that the tree holds.
    #[default]
    All,
    /// Only character devices 0:0; any other is an error.
    OnlyWhiteouts,
}

/// Whom the files belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owners {
    /// Whom the tree says; this needs root where that is somebody else.
    #[default]
    Archived,
    /// The account that unpacks.
    Own,
}

/// How to unpack.
#[derive(Clone, Copy, Debug)]
pub struct UnpackOptions {
    /// Which devices may be made.
    pub devices: Devices,
    /// Whom the files belong to.
    pub owners: Owners,
    /// Whether all is on disk before the end; not needed for a copy that is thrown away.
    pub durable: bool,
    /// A tree with more entries is refused before anything is written.
    pub most_entries: u64,
    /// A tree whose files are larger in sum is refused before anything is written.
    pub most_bytes: u64,
}

impl Default for UnpackOptions {
    fn default() -> Self {
        Self {
            devices: Devices::default(),
            owners: Owners::default(),
            durable: true,
            most_entries: u64::MAX,
            most_bytes: u64::MAX,
        }
    }
}

/// A tree could not be unpacked. The target may hold a part of it.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// The archive has no such tree.
    #[error("the archive has no tree `{0}`")]
    NoTree(String),
    /// The tree is larger than the caller allows.
    #[error("the tree has {entries} entries and {bytes} bytes, more than allowed")]
    TooLarge {
        /// Its entries.
        entries: u64,
        /// Its bytes.
        bytes: u64,
    },
    /// The target is not an empty directory.
    #[error("`{0}` is not an empty directory")]
    NotEmpty(PathBuf),
    /// The target could not be used.
    #[error("could not use `{target}`")]
    Target {
        /// The target.
        target: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A segment could not be read.
    #[error("could not read segment `{file}`")]
    Read {
        /// The segment's file.
        file: String,
        /// The cause.
        source: io::Error,
    },
    /// A segment is wrong or could not be placed.
    #[error("could not unpack segment `{file}`")]
    Segment {
        /// The segment's file.
        file: String,
        /// The cause.
        source: CheckError,
    },
    /// The directories could not be finished.
    #[error("could not finish the directories")]
    Finish(#[source] PlaceError),
    /// The segments together do not hold what the manifest says.
    #[error("the tree does not hold what the manifest says")]
    Counts,
}

/// What was unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// What the tree holds.
    pub counts: Counts,
}

/// Where the segments come from, in their order.
pub(crate) trait Segments {
    /// Returns the files of a segment and its bytes.
    fn next(&mut self, record: &SegmentRecord) -> io::Result<(Lines, Box<dyn Read + '_>)>;
}

struct FromArchive {
    directory: PathBuf,
    list_offset: u64,
}

impl Segments for FromArchive {
    fn next(&mut self, record: &SegmentRecord) -> io::Result<(Lines, Box<dyn Read + '_>)> {
        let files = read_list(&self.directory, record, self.list_offset)?;
        self.list_offset += record.list_bytes;
        let file = File::open(self.directory.join(&record.file))?;
        Ok((files, Box::new(file)))
    }
}

/// Unpacks a tree of the archive into `target`, which must be an empty directory or not be there.
pub fn unpack(
    archive: &Archive,
    tree: &str,
    target: &Path,
    options: &UnpackOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Unpacked, UnpackError> {
    let record = archive
        .tree(tree)
        .ok_or_else(|| UnpackError::NoTree(tree.to_owned()))?;
    let mut segments = FromArchive {
        directory: archive.tree_directory(record),
        list_offset: 0,
    };
    unpack_segments(record, &mut segments, target, options, progress)
}

pub(crate) fn unpack_segments(
    record: &TreeRecord,
    segments: &mut dyn Segments,
    target: &Path,
    options: &UnpackOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Unpacked, UnpackError> {
    let entries = record
        .segments
        .iter()
        .map(|segment| segment.entries)
        .fold(0, u64::saturating_add);
    if entries > options.most_entries || record.counts.bytes > options.most_bytes {
        return Err(UnpackError::TooLarge {
            entries,
            bytes: record.counts.bytes,
        });
    }
    let failed = |source| UnpackError::Target {
        target: target.to_owned(),
        source,
    };
    let directory = prepare(target)?;
    let handle = directory.try_clone().map_err(failed)?.into();
    let ground = Ground::new(target, handle, options.owners);
    let queue = Queue::default();
    let counts = thread::scope(|scope| {
        let _closing = queue.closing();
        for _ in 0..crew::size() {
            scope.spawn(|| queue.work(&ground));
        }
        let mut placer = Placer::new(&ground, &queue, options.devices);
        place(record, segments, &mut placer, progress)
    })?;
    if options.durable {
        syncfs(&directory).map_err(|error| failed(error.into()))?;
    }
    Ok(Unpacked { counts })
}

/// Reads the segments in their order and places what is in them.
fn place(
    record: &TreeRecord,
    segments: &mut dyn Segments,
    placer: &mut Placer<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Counts, UnpackError> {
    let mut last: Option<Last> = None;
    let mut so_far = Progress::default();
    let mut counts = Counts::default();
    for (number, segment) in record.segments.iter().enumerate() {
        let file = || segment.file.clone();
        let (files, data) = segments.next(segment).map_err(|source| UnpackError::Read {
            file: file(),
            source,
        })?;
        placer.begin(number);
        let checked = check(data, segment, files, Before::Known(last.clone()), placer);
        let summary = checked.map_err(|source| UnpackError::Segment {
            file: match source {
                CheckError::Place(_) => record.segments[placer.failed_segment()].file.clone(),
                _ => file(),
            },
            source,
        })?;
        counts.add(&summary.counts);
        last = summary.last.or(last);
        so_far.entries += segment.entries;
        so_far.tar_bytes += segment.tar_bytes;
        so_far.packed_bytes += segment.packed_bytes;
        progress(so_far);
    }
    placer.finish().map_err(UnpackError::Finish)?;
    if counts == record.counts {
        Ok(counts)
    } else {
        Err(UnpackError::Counts)
    }
}

/// Opens the target, made if need be, empty, and closed to others until the root's own mode is set.
fn prepare(target: &Path) -> Result<File, UnpackError> {
    let failed = |source: io::Error| UnpackError::Target {
        target: target.to_owned(),
        source,
    };
    match DirBuilder::new().mode(0o700).create(target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs::symlink_metadata(target).map_err(failed)?;
            if !metadata.is_dir() || fs::read_dir(target).map_err(failed)?.next().is_some() {
                return Err(UnpackError::NotEmpty(target.to_owned()));
            }
        }
        result => result.map_err(failed)?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(rustix::fs::CWD, target, flags, Mode::empty())
        .map_err(|error| failed(error.into()))?;
    fchmod(&directory, Mode::RWXU).map_err(|error| failed(error.into()))?;
    Ok(directory.into())
}
