//! Sizes of whole folders.

#![expect(clippy::disallowed_methods, reason = "this is the one door to files")]

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::world::clock::Deadline;

/// Why a folder could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A folder in it is not ours to read.
    #[error("needs root")]
    Denied,
    /// The system refused.
    #[error("`{}` could not be read", path.display())]
    System {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has too many files for the time.
    #[error("more than {files} files: not measured within the time of an inventory")]
    OutOfTime {
        /// How many were seen.
        files: u64,
    },
}

/// Returns the bytes that a folder takes on its disk, hard links counted once, other file systems left out.
pub fn size_on_disk(root: &Path, deadline: Deadline) -> Result<u64, TreeError> {
    let at = |path: &Path, source: io::Error| {
        if source.kind() == io::ErrorKind::PermissionDenied {
            TreeError::Denied
        } else {
            TreeError::System {
                path: path.to_owned(),
                source,
            }
        }
    };
    let top = fs::symlink_metadata(root).map_err(|source| at(root, source))?;
    let device = top.dev();
    let (mut bytes, mut files) = (top.blocks() * 512, 0_u64);
    let mut linked = HashSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // A builder at work removes folders under our feet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&folder, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|source| at(&folder, source))?;
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            files += 1;
            if files.is_multiple_of(256) && deadline.is_over() {
                return Err(TreeError::OutOfTime { files });
            }
            if metadata.dev() != device {
                continue;
            }
            let is_first =
                metadata.is_dir() || metadata.nlink() < 2 || linked.insert(metadata.ino());
            if is_first {
                bytes += metadata.blocks() * 512;
            }
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(bytes)
}
