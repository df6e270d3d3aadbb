//! The streams of a tree as files. Segments are shared between archives through hard links to `pool/<digest>.tar.zst`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Hashing};
use crate::sink::{Sealed, Sink, Stream, StreamWriter, segment_file_name};

/// The name of the list in a tree's directory.
pub(crate) const LIST: &str = "files.jsonl.zst";

/// Writes the streams of one tree into its directory.
pub(crate) struct TreeFiles {
    pub(crate) directory: PathBuf,
    pub(crate) pool: PathBuf,
}

struct FileStream<'a> {
    file: Hashing<File>,
    path: PathBuf,
    stream: Stream,
    tree: &'a TreeFiles,
}

/// Creates a file that nobody else may read and that was not there.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

impl Sink for TreeFiles {
    fn begin(&self, stream: Stream) -> io::Result<Box<dyn StreamWriter + '_>> {
        let name = match stream {
            Stream::Segment(number) => format!("{number:06}.incoming"),
            Stream::List => LIST.to_owned(),
        };
        let path = self.directory.join(name);
        let file = Hashing::new(create_private(&path)?);
        Ok(Box::new(FileStream {
            file,
            path,
            stream,
            tree: self,
        }))
    }
}

impl Write for FileStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl StreamWriter for FileStream<'_> {
    fn seal(mut self: Box<Self>) -> io::Result<Sealed> {
        self.file.flush()?;
        let (sha256, bytes) = self.file.hasher.finish();
        if let Stream::Segment(number) = self.stream {
            let path = self.tree.directory.join(segment_file_name(number, &sha256));
            fs::rename(&self.path, &path)?;
            share(&path, &self.tree.pool.join(format!("{sha256}.tar.zst")))?;
        }
        Ok(Sealed { sha256, bytes })
    }
}

/// Makes `path` and its copy in the pool one file, where the file system can do that.
fn share(path: &Path, pooled: &Path) -> io::Result<()> {
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
