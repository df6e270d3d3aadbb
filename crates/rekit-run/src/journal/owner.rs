//! Whose rekit's own directory is: what root writes there, when it goes on with somebody's run, belongs to that account afterwards.

use std::{
    io,
    os::unix::fs::{MetadataExt, lchown},
    path::Path,
};

/// Gives what root has made in a directory of another account to that account.
pub(super) fn hand_over(home: &Path) -> io::Result<()> {
    let owner = home.symlink_metadata()?;
    if !rustix::process::geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    hand_over_all(home, owner.uid(), owner.gid())
}

fn hand_over_all(folder: &Path, user: u32, group: u32) -> io::Result<()> {
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let found = path.symlink_metadata()?;
        if found.uid() == 0 {
            lchown(&path, Some(user), Some(group))?;
        }
        if found.is_dir() {
            hand_over_all(&path, user, group)?;
        }
    }
    Ok(())
}
