//! Unix sockets that nobody listens on: seen, made and removed.
//!
//! Invariant: a socket that somebody listens on, or that is another one than meant, is never removed.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a part of the one door to files"
)]

use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rekit_core::socket::DeadSocket;
use rustix::{
    fs::{AtFlags, CWD, Gid, Mode, RenameFlags, Timespec, Timestamps, Uid},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};

use super::ReadError;

/// What a path is, as a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketState {
    /// Nothing lies there.
    Absent,
    /// A socket that refuses connections: nobody listens.
    Dead(DeadSocket),
    /// Somebody listens or may listen, or it is no socket.
    Taken,
}

/// Returns what a path is, as a socket. The question itself is a connection that is closed at once, and never waits.
pub fn socket(path: &Path) -> Result<SocketState, ReadError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let error = ReadError::System(error);
            return if error.is_absent() {
                Ok(SocketState::Absent)
            } else {
                Err(error)
            };
        }
    };
    if !metadata.file_type().is_socket() || !refuses(path).unwrap_or(false) {
        return Ok(SocketState::Taken);
    }
    Ok(SocketState::Dead(DeadSocket {
        made: made(&metadata),
        mode: metadata.mode() & 0o7777,
        owner: metadata.uid(),
        group: metadata.gid(),
    }))
}

fn made(metadata: &fs::Metadata) -> Timestamp {
    let nanoseconds = i32::try_from(metadata.mtime_nsec()).unwrap_or_default();
    Timestamp::new(metadata.mtime(), nanoseconds).unwrap_or_default()
}

/// Returns whether a stream socket refuses a connection. A full queue, a missing right or another type of socket is no refusal.
fn refuses(path: &Path) -> io::Result<bool> {
    let (_folder, path) = short(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let answer = rustix::net::connect(&socket, &SocketAddrUnix::new(&path)?);
    Ok(answer == Err(rustix::io::Errno::CONNREFUSED))
}

/// Returns a path of a few letters for any path: an address holds no more than 107. It is good as long as the folder is open.
fn short(path: &Path) -> io::Result<(File, PathBuf)> {
    let folder = File::open(path.parent().unwrap_or(Path::new("/")))?;
    let name = path.file_name().unwrap_or_default();
    let short = Path::new("/proc/self/fd")
        .join(folder.as_raw_fd().to_string())
        .join(name);
    Ok((folder, short))
}

/// Makes a socket that nobody listens on, whole or not at all. Where something lies already, that stays.
pub fn make_socket(path: &Path, like: &DeadSocket) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Beside it, and there only for as long as it is not like the old one in every respect.
    let scratch = tempfile::Builder::new()
        .prefix(".rekit-")
        .tempdir_in(folder)?;
    let new = scratch.path().join("s");
    {
        let (_folder, new) = short(&new)?;
        let flags = SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(&new)?)?;
    }
    let (owner, group) = (Uid::from_raw(like.owner), Gid::from_raw(like.group));
    let is_own = fs::symlink_metadata(&new)
        .is_ok_and(|made| (made.uid(), made.gid()) == (like.owner, like.group));
    if !is_own {
        rustix::fs::chownat(CWD, &new, Some(owner), Some(group), AtFlags::empty())?;
    }
    rustix::fs::chmod(&new, Mode::from_raw_mode(like.mode))?;
    let made = Timespec {
        tv_sec: like.made.as_second(),
        tv_nsec: i64::from(like.made.subsec_nanosecond()),
    };
    let times = Timestamps {
        last_access: made,
        last_modification: made,
    };
    rustix::fs::utimensat(CWD, &new, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    match rustix::fs::renameat_with(CWD, &new, CWD, path, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::EXIST) => Ok(()),
        other => Ok(other?),
    }
}

/// Removes a socket if it is still this one and nobody listens on it.
pub fn remove_socket(path: &Path, known: &DeadSocket) -> io::Result<()> {
    match socket(path) {
        Ok(SocketState::Dead(found)) if found == *known => fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_is_dead_only_without_a_listener_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than the address of a socket can be.
        let deep = folder.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let path = deep.join("buildkitd.sock");
        assert_eq!(socket(&path).unwrap(), SocketState::Absent);
        let like = DeadSocket {
            made: "2026-01-02T03:04:05.000000006Z".parse().unwrap(),
            mode: 0o660,
            owner: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
        };
        make_socket(&path, &like).unwrap();
        make_socket(&path, &like).unwrap();
        assert_eq!(socket(&path).unwrap(), SocketState::Dead(like.clone()));
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 1);

        let other = DeadSocket {
            mode: 0o600,
            ..like.clone()
        };
        remove_socket(&path, &other).unwrap();
        assert_eq!(socket(&path).unwrap(), SocketState::Dead(like.clone()));
        remove_socket(&path, &like).unwrap();
        remove_socket(&path, &like).unwrap();
        assert_eq!(socket(&path).unwrap(), SocketState::Absent);

        let path = folder.path().join("alive");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(socket(&path).unwrap(), SocketState::Taken);
        drop(listener);
        assert!(matches!(socket(&path).unwrap(), SocketState::Dead(_)));
        fs::write(folder.path().join("file"), "").unwrap();
        let file = socket(&folder.path().join("file")).unwrap();
        assert_eq!(file, SocketState::Taken);
    }
}
