//! Reads one place of the source: its attributes, its link target, its holes, its content.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    OFlags, SeekFrom, fgetxattr, flistxattr, lgetxattr, llistxattr, major, minor, seek,
};
use rustix::io::Errno;

use crate::beneath;
use crate::entry::{Device, Entry, Extent, Kind};
use crate::path::TreePath;
use crate::segment::SegmentError;
use crate::tar::MOST_EXTENTS;
use crate::walk::Found;

/// The root of a tree that is packed.
pub(crate) struct Source {
    root: PathBuf,
    directory: File,
}

impl Source {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        Ok(Self {
            root: root.to_owned(),
            directory: File::open(root)?,
        })
    }

    /// Reads what the walk found; a file is returned open. The flag says that it changed since the walk.
    pub(crate) fn read(&self, found: &Found) -> Result<(Entry, Option<File>, bool), SegmentError> {
        let failed = |source| SegmentError::Read {
            path: found.path.clone(),
            source,
        };
        let path = found.path.below(&self.root);
        let (kind, xattrs, file, changed) = if let Some(target) = &found.link {
            (
                Kind::HardLink {
                    target: target.clone(),
                },
                Vec::new(),
                None,
                false,
            )
        } else if found.is_file() {
            let file = self.open_file(&found.path).map_err(failed)?;
            let now = look(found, &file)?;
            let extents = extents(&file, &now).map_err(failed)?;
            let kind = Kind::File {
                size: now.size,
                extents,
            };
            let list = |buffer: &mut [u8]| flistxattr(&file, buffer);
            let xattrs =
                xattrs(list, |name, buffer| fgetxattr(&file, name, buffer)).map_err(failed)?;
            (kind, xattrs, Some(file), !found.is_same(&now))
        } else {
            let kind = other(found, &path)?;
            let list = |buffer: &mut [u8]| llistxattr(&path, buffer);
            let xattrs =
                xattrs(list, |name, buffer| lgetxattr(&path, name, buffer)).map_err(failed)?;
            (kind, xattrs, None, false)
        };
        let entry = Entry {
            path: found.path.clone(),
            kind,
            mode: found.mode & 0o7777,
            uid: found.uid,
            gid: found.gid,
            modified: found.modified,
            xattrs,
        };
        Ok((entry, file, changed))
    }

    /// Opens without touching the access time, where that is allowed.
    pub(crate) fn open_file(&self, path: &TreePath) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let directory = self.directory.as_fd();
        let file = match beneath::open(directory, path, flags | OFlags::NOATIME) {
            Err(Errno::PERM) => beneath::open(directory, path, flags)?,
            result => result?,
        };
        Ok(File::from(file))
    }
}

/// Says what a place is that is no file.
fn other(found: &Found, path: &Path) -> Result<Kind, SegmentError> {
    let failed = |source| SegmentError::Read {
        path: found.path.clone(),
        source,
    };
    let device = Device {
        major: major(found.device),
        minor: minor(found.device),
    };
    Ok(match found.mode & 0o170_000 {
        0o040_000 => Kind::Directory,
        0o120_000 => Kind::Symlink {
            target: fs::read_link(path)
                .map_err(failed)?
                .into_os_string()
                .into_vec(),
        },
        0o020_000 => Kind::CharacterDevice(device),
        0o060_000 => Kind::BlockDevice(device),
        0o010_000 => Kind::Fifo,
        _ => return Err(SegmentError::UnknownType(found.path.clone())),
    })
}

/// Looks at an open file.
pub(crate) fn look(found: &Found, file: &File) -> Result<Found, SegmentError> {
    let failed = |source| SegmentError::Read {
        path: found.path.clone(),
        source,
    };
    Ok(Found::new(
        found.path.clone(),
        &file.metadata().map_err(failed)?,
    ))
}

/// Returns the stretches of data if the file has holes and is worth keeping sparse.
fn extents(file: &File, found: &Found) -> Result<Option<Vec<Extent>>, io::Error> {
    if found.blocks.saturating_mul(512) >= found.size {
        return Ok(None);
    }
    let mut extents = Vec::new();
    let mut at = 0;
    while at < found.size {
        let offset = match seek(file, SeekFrom::Data(at)) {
            Ok(offset) if offset < found.size => offset,
            Ok(_) | Err(Errno::NXIO) => break,
            Err(Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        at = seek(file, SeekFrom::Hole(offset))?.min(found.size);
        extents.push(Extent {
            offset,
            length: at - offset,
        });
        if extents.len() > MOST_EXTENTS {
            return Ok(None);
        }
    }
    let data: u64 = extents.iter().map(|extent| extent.length).sum();
    if data == found.size {
        return Ok(None);
    }
    if extents
        .last()
        .is_none_or(|last| last.offset + last.length < found.size)
    {
        // GNU tar wants an end mark after a last hole.
        extents.push(Extent {
            offset: found.size,
            length: 0,
        });
    }
    Ok(Some(extents))
}

/// Reads all attributes of all name spaces, sorted by name.
fn xattrs(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let names = match fill(&list) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        result => result?,
    };
    let mut found = Vec::new();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let value = fill(&|buffer: &mut [u8]| get(name, buffer))?;
        found.push((name.to_vec(), value));
    }
    found.sort_unstable();
    Ok(found)
}

/// Calls with a small buffer, and again with the largest that the kernel may want.
fn fill(call: &impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut small = [0; 512];
    match call(&mut small) {
        Err(Errno::RANGE) => {
            let mut large = vec![0; 64 << 10];
            let length = call(&mut large)?;
            large.truncate(length);
            Ok(large)
        }
        result => Ok(small[..result?].to_vec()),
    }
}
