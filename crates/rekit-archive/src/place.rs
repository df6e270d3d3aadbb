//! Places entries below a directory that only we can enter: nothing is followed, nothing is overwritten.
//!
//! The entries come in the order that `order` holds, so each parent is a directory that we made ourselves. A
//! directory gets its owner, mode, attributes and times when the first entry outside it comes.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
    chmodat, chownat, fchmod, fchown, fsetxattr, futimens, linkat, lremovexattr, lsetxattr,
    makedev, mkdirat, mknodat, openat, symlinkat, utimensat,
};
use thiserror::Error;

use crate::beneath;
use crate::check::Visitor;
use crate::entry::{Device, Entry, Kind};
use crate::path::TreePath;
use crate::unpack::{Devices, Owners, UnpackOptions};

/// An entry could not be placed.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// The file system refused.
    #[error("could not {action} `{path}`")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The entry.
        path: TreePath,
        /// The cause.
        source: io::Error,
    },
    /// A device where the caller allows none.
    #[error("`{0}` is a device, and only whiteouts are allowed")]
    Device(TreePath),
}

pub(crate) struct Placer {
    root: PathBuf,
    directory: OwnedFd,
    devices: Devices,
    owners: Owners,
    /// The directory in which the last entry was placed.
    parent: Option<(TreePath, OwnedFd)>,
    /// Directories that are not finished, outermost first.
    unfinished: Vec<Entry>,
    file: Option<File>,
}

fn refused(action: &'static str, entry: &Entry) -> impl FnOnce(rustix::io::Errno) -> PlaceError {
    move |source| PlaceError::Refused {
        action,
        path: entry.path.clone(),
        source: source.into(),
    }
}

impl Placer {
    pub(crate) fn new(root: &Path, directory: OwnedFd, options: &UnpackOptions) -> Self {
        Self {
            root: root.to_owned(),
            directory,
            devices: options.devices,
            owners: options.owners,
            parent: None,
            unfinished: Vec::new(),
            file: None,
        }
    }

    /// Finishes the directories that are left.
    pub(crate) fn finish(&mut self) -> Result<(), PlaceError> {
        while let Some(directory) = self.unfinished.pop() {
            self.finish_directory(&directory)?;
        }
        Ok(())
    }

    fn leave(&mut self, next: &TreePath) -> Result<(), PlaceError> {
        while let Some(directory) = self
            .unfinished
            .pop_if(|directory| !next.is_within(&directory.path))
        {
            self.finish_directory(&directory)?;
        }
        Ok(())
    }

    fn finish_directory(&mut self, entry: &Entry) -> Result<(), PlaceError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory =
            beneath::open(&self.directory, &entry.path, flags).map_err(refused("open", entry))?;
        settle(&directory, entry, self.owners)
    }

    /// Makes `parent` the directory of the entry.
    fn enter(&mut self, entry: &Entry, parent: TreePath) -> Result<(), PlaceError> {
        if self.parent.as_ref().is_none_or(|(path, _)| *path != parent) {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let directory = beneath::open(&self.directory, &parent, flags)
                .map_err(refused("open the parent of", entry))?;
            self.parent = Some((parent, directory));
        }
        Ok(())
    }

    fn create(&mut self, entry: &Entry, name: &[u8]) -> Result<(), PlaceError> {
        let parent = self
            .parent
            .as_ref()
            .map_or(self.directory.as_fd(), |(_, parent)| parent.as_fd());
        let private = Mode::RUSR | Mode::WUSR;
        match &entry.kind {
            Kind::Directory => {
                mkdirat(parent, name, Mode::RWXU).map_err(refused("make", entry))?;
                self.unfinished.push(entry.clone());
                return Ok(());
            }
            Kind::File { .. } => {
                let flags = OFlags::WRONLY
                    | OFlags::CREATE
                    | OFlags::EXCL
                    | OFlags::NOFOLLOW
                    | OFlags::CLOEXEC;
                let file =
                    openat(parent, name, flags, private).map_err(refused("create", entry))?;
                self.file = Some(file.into());
                return Ok(());
            }
            Kind::HardLink { target } => return self.link(entry, target, name),
            Kind::Symlink { target } => {
                symlinkat(&target[..], parent, name).map_err(refused("link", entry))?;
            }
            Kind::CharacterDevice(device) => {
                self.device(entry, name, FileType::CharacterDevice, *device)?;
            }
            Kind::BlockDevice(device) => {
                self.device(entry, name, FileType::BlockDevice, *device)?;
            }
            Kind::Fifo => mknodat(parent, name, FileType::Fifo, private, 0)
                .map_err(refused("create", entry))?,
        }
        let parent = self
            .parent
            .as_ref()
            .map_or(self.directory.as_fd(), |(_, parent)| parent.as_fd());
        settle_unopened(
            parent,
            name,
            entry,
            &entry.path.below(&self.root),
            self.owners,
        )
    }

    fn device(
        &self,
        entry: &Entry,
        name: &[u8],
        kind: FileType,
        device: Device,
    ) -> Result<(), PlaceError> {
        let is_whiteout = kind == FileType::CharacterDevice && device == Device::WHITEOUT;
        if self.devices == Devices::OnlyWhiteouts && !is_whiteout {
            return Err(PlaceError::Device(entry.path.clone()));
        }
        let parent = self
            .parent
            .as_ref()
            .map_or(self.directory.as_fd(), |(_, parent)| parent.as_fd());
        let number = makedev(device.major, device.minor);
        mknodat(parent, name, kind, Mode::RUSR, number).map_err(refused("create", entry))
    }

    fn link(&self, entry: &Entry, target: &TreePath, name: &[u8]) -> Result<(), PlaceError> {
        let failed = refused("link", entry);
        let parent = self
            .parent
            .as_ref()
            .map_or(self.directory.as_fd(), |(_, parent)| parent.as_fd());
        let link = || {
            let (directory, target) = target.split().ok_or(rustix::io::Errno::PERM)?;
            let directory = beneath::open(
                &self.directory,
                &directory,
                OFlags::PATH | OFlags::DIRECTORY,
            )?;
            linkat(&directory, target, parent, name, AtFlags::empty())
        };
        link().map_err(failed)
    }
}

impl Visitor for Placer {
    fn entry(&mut self, entry: &Entry) -> Result<(), PlaceError> {
        self.leave(&entry.path)?;
        let Some((parent, name)) = entry.path.split() else {
            for acl in ["system.posix_acl_default", "system.posix_acl_access"] {
                // What the empty directory inherits would be inherited further; mostly there is nothing.
                let _absent = lremovexattr(&self.root, acl);
            }
            self.unfinished.push(entry.clone());
            return Ok(());
        };
        self.enter(entry, parent)?;
        self.create(entry, name)
    }

    fn content(&mut self, entry: &Entry, offset: u64, bytes: &[u8]) -> Result<(), PlaceError> {
        let failed = |source| PlaceError::Refused {
            action: "write",
            path: entry.path.clone(),
            source,
        };
        self.file
            .as_ref()
            .map_or(Ok(()), |file| file.write_all_at(bytes, offset))
            .map_err(failed)
    }

    fn end(&mut self, entry: &Entry) -> Result<(), PlaceError> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        if let Kind::File {
            size,
            extents: Some(_),
        } = &entry.kind
        {
            let failed = |source| PlaceError::Refused {
                action: "write",
                path: entry.path.clone(),
                source,
            };
            file.set_len(*size).map_err(failed)?;
        }
        settle(file, entry, self.owners)
    }
}

fn times(entry: &Entry) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: entry.modified.seconds,
            tv_nsec: entry.modified.nanoseconds.into(),
        },
    }
}

/// Returns the owner to set, none where the account that unpacks is to own all.
fn owner(entry: &Entry, owners: Owners) -> (Option<Uid>, Option<Gid>) {
    match owners {
        Owners::Archived => (
            Some(Uid::from_raw(entry.uid)),
            Some(Gid::from_raw(entry.gid)),
        ),
        Owners::Own => (None, None),
    }
}

/// Sets owner, attributes, mode and times, in this order: a new owner clears capabilities and mode bits.
fn settle(file: impl AsFd, entry: &Entry, owners: Owners) -> Result<(), PlaceError> {
    let (uid, gid) = owner(entry, owners);
    fchown(&file, uid, gid).map_err(refused("set the owner of", entry))?;
    for (name, value) in &entry.xattrs {
        fsetxattr(&file, &name[..], value, XattrFlags::empty())
            .map_err(refused("set an attribute of", entry))?;
    }
    fchmod(&file, Mode::from_raw_mode(entry.mode)).map_err(refused("set the mode of", entry))?;
    futimens(&file, &times(entry)).map_err(refused("set the times of", entry))
}

/// The same for what cannot be opened. The attributes go by path: all directories on it are ours.
fn settle_unopened(
    parent: impl AsFd,
    name: &[u8],
    entry: &Entry,
    path: &Path,
    owners: Owners,
) -> Result<(), PlaceError> {
    let (uid, gid) = owner(entry, owners);
    let here = AtFlags::SYMLINK_NOFOLLOW;
    chownat(&parent, name, uid, gid, here).map_err(refused("set the owner of", entry))?;
    for (key, value) in &entry.xattrs {
        lsetxattr(path, &key[..], value, XattrFlags::empty())
            .map_err(refused("set an attribute of", entry))?;
    }
    if !matches!(entry.kind, Kind::Symlink { .. }) {
        let mode = Mode::from_raw_mode(entry.mode);
        chmodat(&parent, name, mode, AtFlags::empty())
            .map_err(refused("set the mode of", entry))?;
    }
    utimensat(&parent, name, &times(entry), here).map_err(refused("set the times of", entry))
}
