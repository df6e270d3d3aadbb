//! Makes things below a directory that only we can enter: nothing is followed, nothing is overwritten. Any thread may do so.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, linkat, lremovexattr, makedev, mkdirat, mknodat, openat,
    symlinkat,
};
use rustix::io::Errno;

use crate::beneath;
use crate::entry::{Device, Entry, Kind};
use crate::path::TreePath;
use crate::place::{PlaceError, refused};
use crate::settle::{settle, settle_unopened};
use crate::unpack::Owners;

/// So many directories are kept open; further ones are opened each time. A process may have 1024 open files.
const MOST_HANDLES: usize = 256;

/// Where a tree is unpacked.
pub(crate) struct Ground {
    root: PathBuf,
    directory: OwnedFd,
    owners: Owners,
    handles: AtomicUsize,
}

/// A directory that was made. It is settled when the last thing in it has been placed: whoever drops it last does so.
pub(crate) struct Folder {
    entry: Entry,
    handle: Option<OwnedFd>,
    parent: Option<Arc<Self>>,
}

impl Folder {
    pub(crate) fn path(&self) -> &TreePath {
        &self.entry.path
    }
}

/// A directory, open.
enum Opened<'a> {
    Kept(BorrowedFd<'a>),
    Fresh(OwnedFd),
}

impl AsFd for Opened<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Kept(handle) => *handle,
            Self::Fresh(handle) => handle.as_fd(),
        }
    }
}

fn name(entry: &Entry) -> &[u8] {
    entry.path.split().map_or(&[], |(_, name)| name)
}

impl Ground {
    pub(crate) fn new(root: &Path, directory: OwnedFd, owners: Owners) -> Self {
        Self {
            root: root.to_owned(),
            directory,
            owners,
            handles: AtomicUsize::new(0),
        }
    }

    /// Takes over the root, which is there and empty.
    pub(crate) fn root(&self, entry: &Entry) -> Arc<Folder> {
        for acl in ["system.posix_acl_default", "system.posix_acl_access"] {
            // What the empty directory inherits would be inherited further; mostly there is nothing.
            let _absent = lremovexattr(&self.root, acl);
        }
        Arc::new(Folder {
            entry: entry.clone(),
            handle: None,
            parent: None,
        })
    }

    /// Makes a directory.
    pub(crate) fn folder(
        &self,
        entry: &Entry,
        parent: &Arc<Folder>,
    ) -> Result<Arc<Folder>, PlaceError> {
        let within = self.open(parent, entry)?;
        mkdirat(&within, name(entry), Mode::RWXU).map_err(refused("make", entry))?;
        let is_kept = self.handles.fetch_add(1, Ordering::Relaxed) < MOST_HANDLES;
        let handle = if is_kept {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = openat(&within, name(entry), flags, Mode::empty());
            Some(opened.map_err(refused("open", entry))?)
        } else {
            self.handles.fetch_sub(1, Ordering::Relaxed);
            None
        };
        Ok(Arc::new(Folder {
            entry: entry.clone(),
            handle,
            parent: Some(Arc::clone(parent)),
        }))
    }

    /// Gives a directory back; if nobody else needs it, it is settled, and so are those around it.
    pub(crate) fn release(&self, folder: Arc<Folder>) -> Result<(), PlaceError> {
        let mut next = Some(folder);
        while let Some(folder) = next.and_then(Arc::into_inner) {
            settle(
                self.open(&folder, &folder.entry)?,
                &folder.entry,
                self.owners,
            )?;
            if folder.handle.is_some() {
                self.handles.fetch_sub(1, Ordering::Relaxed);
            }
            next = folder.parent;
        }
        Ok(())
    }

    /// Creates an empty file that nobody else may read.
    pub(crate) fn create(&self, entry: &Entry, parent: &Folder) -> Result<File, PlaceError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let within = self.open(parent, entry)?;
        let file = openat(&within, name(entry), flags, Mode::RUSR | Mode::WUSR);
        Ok(file.map_err(refused("create", entry))?.into())
    }

    /// Settles a file whose content is written.
    pub(crate) fn settle(&self, file: &File, entry: &Entry) -> Result<(), PlaceError> {
        settle(file, entry, self.owners)
    }

    /// Places whatever is neither a directory nor a further name, as a whole.
    pub(crate) fn place(
        &self,
        entry: &Entry,
        content: &[u8],
        parent: &Folder,
    ) -> Result<(), PlaceError> {
        if let Kind::File { .. } = &entry.kind {
            let file = self.create(entry, parent)?;
            let written = file.write_all_at(content, 0);
            written.map_err(|source| PlaceError::Refused {
                action: "write",
                path: entry.path.clone(),
                source,
            })?;
            return settle(file, entry, self.owners);
        }
        let within = self.open(parent, entry)?;
        make(&within, entry)?;
        let path = entry.path.below(&self.root);
        settle_unopened(within, name(entry), entry, &path, self.owners)
    }

    /// Gives what lies at `target` a further name.
    pub(crate) fn link(
        &self,
        entry: &Entry,
        target: &TreePath,
        parent: &Folder,
    ) -> Result<(), PlaceError> {
        let within = self.open(parent, entry)?;
        let link = || {
            let (directory, target) = target.split().ok_or(Errno::PERM)?;
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let directory = beneath::open(&self.directory, &directory, flags)?;
            linkat(&directory, target, &within, name(entry), AtFlags::empty())
        };
        link().map_err(refused("link", entry))
    }

    /// Opens a directory for the sake of `entry`.
    fn open<'a>(&self, folder: &'a Folder, entry: &Entry) -> Result<Opened<'a>, PlaceError> {
        if let Some(handle) = &folder.handle {
            return Ok(Opened::Kept(handle.as_fd()));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = beneath::open(&self.directory, folder.path(), flags);
        Ok(Opened::Fresh(
            opened.map_err(refused("open the parent of", entry))?,
        ))
    }
}

/// Makes a link, a device or a pipe.
fn make(within: impl AsFd, entry: &Entry) -> Result<(), PlaceError> {
    let node = |kind, device: Device| {
        let number = makedev(device.major, device.minor);
        mknodat(&within, name(entry), kind, Mode::RUSR, number).map_err(refused("create", entry))
    };
    match &entry.kind {
        Kind::Symlink { target } => {
            symlinkat(&target[..], &within, name(entry)).map_err(refused("link", entry))
        }
        Kind::CharacterDevice(device) => node(FileType::CharacterDevice, *device),
        Kind::BlockDevice(device) => node(FileType::BlockDevice, *device),
        Kind::Fifo => node(FileType::Fifo, Device::WHITEOUT),
        Kind::File { .. } | Kind::Directory | Kind::HardLink { .. } => Ok(()),
    }
}
