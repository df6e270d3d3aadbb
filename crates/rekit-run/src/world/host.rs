//! Files, folders and programs of this machine.
//!
//! Invariant: reading never hangs and never fills memory. Only regular files are read, up to a limit; folders are listed up to a limit;
//! programs are ended with all their children when their time is up.

mod files;
mod link;
mod lock;
mod programs;
mod remains;
mod signals;
mod socket;
mod streams;
mod tree;

pub use files::{
    Entry, Kind, READ_LIMIT, ReadError, Status, disk, facts, free_bytes, is_flocked, link_target,
    list, read, read_text, resolved, save, status, unused_bytes,
};
pub use link::linked_text;
pub use lock::{FolderLock, lock_folder, lock_holder, nearest_folder};
pub use programs::{Output, RunError, run};
pub use remains::{Remains, Usage, mount_within, remains};
pub use signals::ignores_hangup;
pub use socket::{SocketState, make_socket, remove_socket, socket};
pub use streams::{Outlet, Pipe, new_file, source};
pub use tree::{TreeError, size_on_disk};

use std::{os::unix::ffi::OsStrExt, path::Path, path::PathBuf};

use rekit_core::name::HostPath;

/// Writes a path as a fact.
pub fn host_path(path: &Path) -> HostPath {
    HostPath::from_bytes(path.as_os_str().as_bytes())
}

/// Makes a path of one that was written as a fact.
pub fn path_of(path: &HostPath) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(&path.to_bytes()))
}
