//! Reads files and lists folders.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the one door to files"
)]

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use rekit_core::{
    fact::Fact,
    inventory::{Disk, FileFacts},
    name::Digest,
};
use rustix::fs::{FlockOperation, Mode, OFlags};

use super::host_path;

/// How much of a file is read at most, unless the caller says otherwise.
pub const READ_LIMIT: u64 = 8 << 20;

/// Why a file or folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("{}", words(.0))]
    System(io::Error),
    /// It is a folder, pipe, socket or device.
    #[error("not a regular file")]
    NotAFile,
    /// It is larger than anybody would write by hand.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A folder has more entries than are looked at.
    #[error("more than {limit} entries")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The content is no text.
    #[error("not UTF-8 text")]
    NotText,
}

impl ReadError {
    /// Returns whether there is just no such file.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::System(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }
}

/// Says an error of the system in words, without Rust's `(os error 13)`.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let plain = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = plain.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A socket.
    Socket,
    /// A pipe or device.
    Other,
}

/// Kind, size, owner and identity of what lies at a path.
#[derive(Clone, Debug)]
pub struct Status {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub owner: u32,
    /// Device and inode: equal for two names of one file.
    pub identity: (u64, u64),
}

impl Kind {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        let file_type = metadata.file_type();
        if file_type.is_file() {
            Self::File
        } else if file_type.is_dir() {
            Self::Folder
        } else if file_type.is_symlink() {
            Self::Link
        } else if file_type.is_socket() {
            Self::Socket
        } else {
            Self::Other
        }
    }
}

impl Status {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            kind: Kind::of(metadata),
            size: metadata.len(),
            mode: metadata.mode() & 0o7777,
            owner: metadata.uid(),
            identity: (metadata.dev(), metadata.ino()),
        }
    }
}

/// An entry of a folder.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// What it is, links not followed.
    pub kind: Kind,
}

/// Returns what lies at a path, links followed.
pub fn status(path: &Path) -> Result<Status, ReadError> {
    fs::metadata(path)
        .map(|metadata| Status::of(&metadata))
        .map_err(ReadError::System)
}

/// Returns where a symbolic link points, `None` for anything else.
pub fn link_target(path: &Path) -> Option<PathBuf> {
    fs::read_link(path).ok()
}

/// Returns the file behind a path, all links followed.
pub fn resolved(path: &Path) -> Result<PathBuf, ReadError> {
    path.canonicalize().map_err(ReadError::System)
}

/// Reads a regular file of at most `limit` bytes. Pipes and devices are refused, not waited for.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|errno| ReadError::System(errno.into()))?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(ReadError::System)?;
    if !metadata.is_file() {
        return Err(ReadError::NotAFile);
    }
    if metadata.len() > limit {
        return Err(ReadError::TooLarge { limit });
    }
    let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    // Files below /proc and /sys say 0 bytes; others may grow meanwhile.
    file.take(limit + 1)
        .read_to_end(&mut content)
        .map_err(ReadError::System)?;
    if content.len() as u64 > limit {
        return Err(ReadError::TooLarge { limit });
    }
    Ok(content)
}

/// Reads a text of at most [`READ_LIMIT`] bytes.
pub fn read_text(path: &Path) -> Result<String, ReadError> {
    String::from_utf8(read(path, READ_LIMIT)?).map_err(|_| ReadError::NotText)
}

/// Writes a file that a person named for output, whole or not at all; one of that name is replaced.
pub fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Lists a folder in the order of names.
pub fn list(path: &Path, limit: usize) -> Result<Vec<Entry>, ReadError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(ReadError::System)? {
        let entry = entry.map_err(ReadError::System)?;
        if entries.len() >= limit {
            return Err(ReadError::TooMany { limit });
        }
        let kind = match entry.file_type() {
            Ok(kind) if kind.is_file() => Kind::File,
            Ok(kind) if kind.is_dir() => Kind::Folder,
            Ok(kind) if kind.is_symlink() => Kind::Link,
            Ok(kind) if kind.is_socket() => Kind::Socket,
            _ => Kind::Other,
        };
        entries.push(Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            path: entry.path(),
            kind,
        });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Returns the facts of a file and, where it can be read, its content. `None`: there is no such file.
pub fn facts(path: &Path) -> Option<(FileFacts, Result<Vec<u8>, ReadError>)> {
    let metadata = fs::symlink_metadata(path);
    let status = match metadata {
        Ok(link) if link.is_symlink() => fs::metadata(path).unwrap_or(link),
        Ok(metadata) => metadata,
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return None,
        Err(error) => {
            let error = ReadError::System(error);
            let facts = FileFacts {
                path: host_path(path),
                size_bytes: 0,
                mode: 0,
                owner: 0,
                digest: Fact::Unreadable {
                    reason: error.to_string(),
                },
            };
            return Some((facts, Err(error)));
        }
    };
    let content = read(path, READ_LIMIT);
    let digest = match &content {
        Ok(bytes) => Fact::Known(Digest::of(bytes)),
        Err(error) => Fact::Unreadable {
            reason: error.to_string(),
        },
    };
    let facts = FileFacts {
        path: host_path(path),
        size_bytes: status.len(),
        mode: status.mode() & 0o7777,
        owner: status.uid(),
        digest,
    };
    Some((facts, content))
}

/// Returns the bytes that the disk under a path has left for this account.
pub fn free_bytes(path: &Path) -> Result<u64, ReadError> {
    let disk = rustix::fs::statvfs(path).map_err(|errno| ReadError::System(errno.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Returns the bytes that nobody uses on the disk under a path, those kept for root included.
pub fn unused_bytes(path: &Path) -> Result<u64, ReadError> {
    let disk = rustix::fs::statvfs(path).map_err(|errno| ReadError::System(errno.into()))?;
    Ok(disk.f_bfree.saturating_mul(disk.f_frsize))
}

/// Returns the disk under a path.
pub fn disk(path: &Path) -> Result<Disk, ReadError> {
    let system = |errno: rustix::io::Errno| ReadError::System(errno.into());
    let disk = rustix::fs::statvfs(path).map_err(system)?;
    let place = rustix::fs::stat(path).map_err(system)?;
    Ok(Disk {
        device: place.st_dev,
        total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}

/// Returns whether another process holds the lock on a file. The question itself holds a shared lock for some microseconds.
pub fn is_flocked(path: &Path) -> Result<bool, ReadError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|errno| ReadError::System(errno.into()))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(ReadError::System(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_a_folder_and_a_giant_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(matches!(read(&pipe, 10), Err(ReadError::NotAFile)));
        assert!(matches!(read(folder.path(), 10), Err(ReadError::NotAFile)));
        let giant = folder.path().join("giant");
        File::create(&giant).unwrap().set_len(10 << 30).unwrap();
        assert!(matches!(
            read(&giant, READ_LIMIT),
            Err(ReadError::TooLarge { .. })
        ));
        let (facts, _) = facts(&giant).unwrap();
        assert_eq!(facts.size_bytes, 10 << 30);
        assert!(facts.digest.reason().is_some());
        assert!(
            read(&folder.path().join("none"), 1)
                .unwrap_err()
                .is_absent()
        );
    }

    #[test]
    fn a_lock_is_seen_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let file = File::create(&path).unwrap();
        assert!(!is_flocked(&path).unwrap());
        file.lock().unwrap();
        assert!(is_flocked(&path).unwrap());
    }
}
