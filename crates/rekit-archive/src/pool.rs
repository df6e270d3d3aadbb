//! The streams of a tree as files. Segments are shared between archives through hard links to `pool/<digest>.tar.zst`.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::archive::Archive;
use crate::digest::{Digest, Hashing};
use crate::manifest::{Counts, SegmentRecord, TreeRecord};
use crate::pack::Ending;
use crate::sink::{NewSegment, Next, Sealed, Sink, StreamWriter, segment_file_name};

/// The name of the list in a tree's directory.
pub(crate) const LIST: &str = "files.jsonl.zst";

/// A segment that is there, with what a manifest says of it.
#[derive(Clone, Debug)]
struct Kept {
    /// The name in it is that of an earlier place.
    record: SegmentRecord,
    path: PathBuf,
    list: PathBuf,
    list_offset: u64,
    /// Whether its bytes are surely those of its digest.
    is_checked: bool,
}

#[derive(Default)]
struct Assembly {
    streams: HashMap<u32, Kept>,
    seen: HashMap<Digest, Kept>,
    segments: Vec<SegmentRecord>,
    counts: Counts,
}

/// Writes one tree into its directory.
///
/// Segments are written to `ahead`, beside the tree; placing one makes it a file of the tree too. `ahead` goes when the archive is finished.
pub(crate) struct TreeFiles {
    directory: PathBuf,
    ahead: PathBuf,
    pool: PathBuf,
    list: Mutex<Hashing<File>>,
    assembly: Mutex<Assembly>,
}

struct SegmentFile {
    file: Hashing<File>,
    path: PathBuf,
    is_sealed: bool,
}

/// Creates a file that nobody else may read and that was not there.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

impl TreeFiles {
    /// Begins a tree; its segments that `earlier` archives hold need not be packed again.
    pub(crate) fn create(
        directory: PathBuf,
        ahead: PathBuf,
        pool: PathBuf,
        earlier: &[Archive],
    ) -> io::Result<Self> {
        let mut assembly = Assembly::default();
        for archive in earlier {
            for tree in &archive.manifest().trees {
                assembly.learn(&archive.tree_directory(tree), tree);
            }
        }
        let list = create_private(&directory.join(LIST))?;
        Ok(Self {
            directory,
            ahead,
            pool,
            list: Mutex::new(Hashing::new(list)),
            assembly: Mutex::new(assembly),
        })
    }

    /// Returns what was seen of all segments that are known.
    pub(crate) fn known(&self) -> Vec<Digest> {
        self.assembly().seen.keys().copied().collect()
    }

    /// Returns the folder beside the tree that goes when the archive is finished.
    pub(crate) fn ahead(&self) -> &Path {
        &self.ahead
    }

    /// Ends the tree. The record's name is empty: the archive gives it.
    pub(crate) fn finish(self, ending: Ending) -> io::Result<TreeRecord> {
        let mut list = self
            .list
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        list.flush()?;
        let assembly = self.assembly.into_inner();
        let assembly = assembly.unwrap_or_else(PoisonError::into_inner);
        Ok(TreeRecord {
            name: String::new(),
            rules: ending.rules,
            segments: assembly.segments,
            list_sha256: list.hasher.finish().0,
            counts: assembly.counts,
            skipped: ending.skipped,
            skipped_total: ending.skipped_total,
            sockets: ending.sockets,
            changed: ending.changed,
            freeze: ending.freeze,
            databases: ending.databases,
        })
    }

    fn assembly(&self) -> MutexGuard<'_, Assembly> {
        self.assembly.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self, stream: u32) -> PathBuf {
        self.ahead.join(format!("{stream}.incoming"))
    }

    /// Makes a segment the file `path` of the tree.
    fn copy(&self, kept: &Kept, path: &Path) -> io::Result<()> {
        let pooled = self.pool.join(format!("{}.tar.zst", kept.record.sha256));
        if fs::hard_link(&kept.path, path).is_ok() {
            return share(path, &pooled);
        }
        // No links here, or no more of them: a plain copy only costs room.
        let mut copy = create_private(path)?;
        io::copy(&mut File::open(&kept.path)?, &mut copy).map(drop)
    }
}

impl Assembly {
    /// Learns which segments an archive holds.
    fn learn(&mut self, directory: &Path, tree: &TreeRecord) {
        let mut list_offset = 0_u64;
        for record in &tree.segments {
            let kept = Kept {
                record: record.clone(),
                path: directory.join(&record.file),
                list: directory.join(LIST),
                list_offset,
                is_checked: false,
            };
            list_offset = list_offset.saturating_add(record.list_bytes);
            if let Some(seen) = record.seen {
                self.seen.insert(seen, kept);
            }
        }
    }
}

impl Sink for TreeFiles {
    fn begin(&self, stream: u32) -> io::Result<Box<dyn StreamWriter + '_>> {
        let path = self.begun(stream);
        let file = Hashing::new(create_private(&path)?);
        Ok(Box::new(SegmentFile {
            file,
            path,
            is_sealed: false,
        }))
    }

    fn has(&self, seen: &Digest) -> bool {
        let Some(kept) = self.assembly().seen.get(seen).cloned() else {
            return false;
        };
        // The name alone does not say that the disk has kept the bytes.
        let is_whole = kept.is_checked
            || hash_file(&kept.path).is_ok_and(|(sha256, _)| sha256 == kept.record.sha256);
        let mut assembly = self.assembly();
        if is_whole && let Some(kept) = assembly.seen.get_mut(seen) {
            kept.is_checked = true;
        } else {
            assembly.seen.remove(seen);
        }
        is_whole
    }

    fn keep(&self, segment: &NewSegment, list: &[u8]) -> io::Result<()> {
        let frame = self.ahead.join(format!("{}.list", segment.stream));
        create_private(&frame)?.write_all(list)?;
        let kept = Kept {
            record: SegmentRecord {
                file: String::new(),
                kind: segment.kind,
                scope: segment.scope.clone(),
                sha256: segment.sealed.sha256,
                packed_bytes: segment.sealed.bytes,
                tar_bytes: segment.tar_bytes,
                entries: segment.entries,
                list_bytes: list.len() as u64,
                counts: segment.counts,
                seen: segment.seen,
            },
            path: self.begun(segment.stream),
            list: frame,
            list_offset: 0,
            is_checked: true,
        };
        let mut assembly = self.assembly();
        if let Some(seen) = segment.seen {
            assembly.seen.insert(seen, kept.clone());
        }
        assembly.streams.insert(segment.stream, kept);
        Ok(())
    }

    fn place(&self, next: Next) -> io::Result<()> {
        let mut assembly = self.assembly();
        let kept = match next {
            Next::Stream(stream) => assembly.streams.get(&stream),
            Next::Seen(seen) => assembly.seen.get(&seen),
        };
        let kept = kept.cloned().ok_or(io::ErrorKind::NotFound)?;
        let number = u32::try_from(assembly.segments.len() + 1).map_err(io::Error::other)?;
        let file = segment_file_name(number, &kept.record.sha256);
        self.copy(&kept, &self.directory.join(&file))?;
        let frame = read_frame(&kept.list, kept.list_offset, kept.record.list_bytes)?;
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.write_all(&frame)?;
        assembly.counts.add(&kept.record.counts);
        assembly.segments.push(SegmentRecord {
            file,
            ..kept.record
        });
        Ok(())
    }

    fn restart(&self) -> io::Result<()> {
        let mut assembly = self.assembly();
        for segment in std::mem::take(&mut assembly.segments) {
            fs::remove_file(self.directory.join(segment.file))?;
        }
        assembly.counts = Counts::default();
        let path = self.directory.join(LIST);
        fs::remove_file(&path)?;
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        *list = Hashing::new(create_private(&path)?);
        Ok(())
    }
}

/// Reads the frame of one segment out of a list of files.
pub(crate) fn read_frame(list: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let file = File::open(list)?;
    let end = offset
        .checked_add(length)
        .filter(|end| file.metadata().is_ok_and(|is| *end <= is.len()));
    let length = end.and_then(|_| usize::try_from(length).ok());
    let mut frame = vec![0; length.ok_or(io::ErrorKind::UnexpectedEof)?];
    file.read_exact_at(&mut frame, offset)?;
    Ok(frame)
}

impl Write for SegmentFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl StreamWriter for SegmentFile {
    fn seal(mut self: Box<Self>) -> io::Result<Sealed> {
        self.file.flush()?;
        self.is_sealed = true;
        let (sha256, bytes) = std::mem::take(&mut self.file.hasher).finish();
        Ok(Sealed { sha256, bytes })
    }
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        if !self.is_sealed {
            // It goes with its directory at the latest.
            let _later = fs::remove_file(&self.path);
        }
    }
}

/// Makes `path` and its copy in the pool one file, where the file system can do that.
pub(crate) fn share(path: &Path, pooled: &Path) -> io::Result<()> {
    let linked = match fs::hard_link(path, pooled) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => adopt(path, pooled),
        result => result,
    };
    match linked {
        // Out of room is a failure; a file system without links, or with no more of them, only costs room.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Replaces `path` by the pool's file if their bytes are equal; a damaged file in the pool is replaced by ours.
fn adopt(path: &Path, pooled: &Path) -> io::Result<()> {
    let is_one_file = |(path, pooled): (fs::Metadata, fs::Metadata)| {
        (path.dev(), path.ino()) == (pooled.dev(), pooled.ino())
    };
    if is_one_file((path.metadata()?, pooled.metadata()?)) {
        return Ok(());
    }
    let beside = path.with_extension("link");
    if is_equal(path, pooled)? {
        fs::hard_link(pooled, &beside)?;
        return fs::rename(&beside, path);
    }
    fs::hard_link(path, &beside)?;
    fs::rename(&beside, pooled)
}

/// Compares bytes: the name alone does not say that the disk has kept them.
fn is_equal(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let digest = |file: File| -> io::Result<Digest> {
        let mut reader = Hashing::new(BufReader::with_capacity(1 << 18, file));
        io::copy(&mut reader, &mut io::sink())?;
        Ok(reader.hasher.finish().0)
    };
    Ok(digest(one)? == digest(other)?)
}

/// Removes what no archive uses from the pool beside the archives in `home`; returns the bytes freed.
pub fn sweep(home: &Path) -> io::Result<u64> {
    let mut freed = 0;
    let entries = match fs::read_dir(home.join("pool")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        result => result?,
    };
    for entry in entries {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() && metadata.nlink() == 1 {
            fs::remove_file(entry.path())?;
            freed += metadata.len();
        }
    }
    Ok(freed)
}

/// Returns the digest and the length of a file.
pub(crate) fn hash_file(path: &Path) -> io::Result<(Digest, u64)> {
    let mut reader = Hashing::new(File::open(path)?);
    let mut buffer = vec![0; 256 << 10];
    while reader.read(&mut buffer)? > 0 {}
    Ok(reader.hasher.finish())
}
