//! Gives what was placed its owner, attributes, mode and times.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmodat, chownat,
    fchmod, fchown, fsetxattr, futimens, lsetxattr, utimensat,
};

use crate::entry::{Entry, Kind};
use crate::place::{PlaceError, refused};
use crate::unpack::Owners;

/// Sets owner, attributes, mode and times, in this order: a new owner clears capabilities and mode bits.
pub(crate) fn settle(file: impl AsFd, entry: &Entry, owners: Owners) -> Result<(), PlaceError> {
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
pub(crate) fn settle_unopened(
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
