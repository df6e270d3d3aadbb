//! Locks on folders: they add no file, and go when their holder ends, however it ends.

#![expect(clippy::disallowed_types, reason = "this is the one door to files")]

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};

use super::{files, read_text};

/// A folder that this process alone works in, among those that ask.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "held, not read")] File);

/// Returns the lock on a folder; `None`: another process holds it.
pub fn lock_folder(folder: &Path) -> io::Result<Option<FolderLock>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(folder, flags, Mode::empty())?);
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(FolderLock(file))),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns who holds the lock on a file or folder, as far as the kernel tells this account: program and process.
pub fn lock_holder(path: &Path) -> Option<String> {
    let metadata = path.metadata().ok()?;
    let place = (
        rustix::fs::major(metadata.dev()),
        rustix::fs::minor(metadata.dev()),
    );
    let locks = read_text(Path::new("/proc/locks")).ok()?;
    let process = locks.lines().find_map(|line| {
        let (found, device, inode) = entry(line)?;
        (device == place && inode == metadata.ino()).then_some(found)
    })?;
    let program = read_text(Path::new(&format!("/proc/{process}/comm"))).ok()?;
    Some(format!("`{}` (process {process})", program.trim()))
}

/// Takes a line of `/proc/locks` apart: process, device, inode of one that is held.
fn entry(line: &str) -> Option<(u32, (u32, u32), u64)> {
    // 1: FLOCK  ADVISORY  WRITE 708 00:13:20500 0 EOF; one that waits has `->` in the second place.
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != "FLOCK" {
        return None;
    }
    let process = words.nth(2)?.parse().ok().filter(|process| *process > 0)?;
    let mut place = words.next()?.split(':');
    let mut number = || u32::from_str_radix(place.next()?, 16).ok();
    let device = (number()?, number()?);
    Some((process, device, place.next()?.parse().ok()?))
}

/// Returns a folder, or the nearest one above it that is there.
pub fn nearest_folder(folder: &Path) -> PathBuf {
    let mut folders = folder.ancestors();
    let is_there = |folder: &&Path| {
        files::status(folder).is_ok_and(|status| status.kind == files::Kind::Folder)
    };
    folders.find(is_there).unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_and_its_holder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock_folder(folder.path()).unwrap();
        assert!(held.is_some());
        assert!(lock_folder(folder.path()).unwrap().is_none());
        let holder = lock_holder(folder.path()).unwrap();
        assert!(
            holder.ends_with(&format!("(process {})", std::process::id())),
            "{holder}"
        );
        drop(held);
        // A child that another test starts just now has the folder open until its program runs.
        let is_free = |_| {
            std::thread::yield_now();
            lock_holder(folder.path()).is_none()
        };
        assert!((0..1_000_000).any(is_free));
        assert!(lock_folder(folder.path()).unwrap().is_some());
        let below = folder.path().join("a/b");
        assert_eq!(nearest_folder(&below), folder.path());
    }

    #[test]
    fn only_a_lock_that_is_held_has_a_holder() {
        let held = "1: FLOCK  ADVISORY  WRITE 708 fe:13:20500 0 EOF";
        assert_eq!(entry(held), Some((708, (0xfe, 0x13), 20500)));
        for other in [
            "1: -> FLOCK  ADVISORY  WRITE 709 fe:13:20500 0 EOF",
            "2: POSIX  ADVISORY  WRITE 708 fe:13:20500 0 EOF",
            "3: FLOCK  ADVISORY  WRITE 0 fe:13:20500 0 EOF",
            "",
        ] {
            assert_eq!(entry(other), None, "{other}");
        }
    }
}
