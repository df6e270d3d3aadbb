//! Opens paths below a directory without ever following a link.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::path::TreePath;

/// Opens `path` below `root`; a symbolic link on the way is an error.
pub(crate) fn open(root: impl AsFd, path: &TreePath, flags: OFlags) -> Result<OwnedFd, Errno> {
    let root = root.as_fd();
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    if path.is_root() {
        return openat(root, ".", flags, Mode::empty());
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path.as_bytes(), flags, Mode::empty(), resolve) {
        // Old kernels do not have the call; old container profiles forbid it.
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(root, path, flags),
        result => result,
    }
}

fn step_by_step(root: impl AsFd, path: &TreePath, flags: OFlags) -> Result<OwnedFd, Errno> {
    let through = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut directory = openat(root, ".", through, Mode::empty())?;
    let mut parts = path.parts().peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return openat(&directory, part, flags, Mode::empty());
        }
        directory = openat(&directory, part, through, Mode::empty())?;
    }
    Err(Errno::INVAL)
}
