//! What a state tree really holds on disk: the things that a careless copy loses.

use anyhow::Result;
use rustix::{fs::lgetxattr, io::Errno};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

/// Counts of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Regular files.
    pub files: u64,
    /// Their sizes, added up.
    pub bytes: u64,
    /// Folders marked as replacing what is below: `trusted.overlay.opaque`.
    pub opaque: u64,
    /// Character devices 0:0, which stand for deleted files.
    pub whiteouts: u64,
    /// Names of files that have more than one name.
    pub hard_linked: u64,
    /// Files with `security.capability`.
    pub capabilities: u64,
    /// Files that take less room than their size says.
    pub sparse: u64,
}

impl Survey {
    /// Counts the tree below `root`.
    pub fn of(root: &Path) -> Result<Self> {
        let mut survey = Self::default();
        survey.walk(root)?;
        Ok(survey)
    }

    fn walk(&mut self, folder: &Path) -> Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            // A running daemon's scratch folders come and go.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let path = entry?.path();
            let Ok(data) = fs::symlink_metadata(&path) else {
                continue;
            };
            if data.is_dir() {
                self.opaque += u64::from(has(&path, "trusted.overlay.opaque"));
                self.walk(&path)?;
            } else if data.file_type().is_char_device() {
                self.whiteouts += u64::from(data.rdev() == 0);
            } else if data.is_file() {
                self.files += 1;
                self.bytes += data.len();
                self.hard_linked += u64::from(data.nlink() > 1);
                self.capabilities += u64::from(has(&path, "security.capability"));
                self.sparse += u64::from(data.blocks() * 512 + 4096 < data.len());
            }
        }
        Ok(())
    }
}

fn has(path: &Path, attribute: &str) -> bool {
    let mut value = [0_u8; 64];
    matches!(
        lgetxattr(path, attribute, &mut value),
        Ok(_) | Err(Errno::RANGE)
    )
}
