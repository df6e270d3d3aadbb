//! Foreign bytes kept for undo: one file each, mode 0600, named by the digest of its content.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rekit_core::name::{BlobId, Digest};

use super::JournalError;
use crate::world::ForeignBytes;

/// The folder of blobs.
#[derive(Clone, Debug)]
pub(super) struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn keep(&self, bytes: &ForeignBytes) -> Result<BlobId, JournalError> {
        let id = BlobId::of(bytes.expose());
        let path = self.folder.join(id.as_str());
        let written = if path.exists() {
            Ok(())
        } else {
            write_durably(&self.folder, &path, bytes.expose())
        };
        written.map_err(|source| JournalError::Blob {
            blob: id.to_string(),
            doing: "written",
            source,
        })?;
        self.kept(&id)?; // Read back: an undo is no better than its bytes.
        Ok(id)
    }

    pub(super) fn kept(&self, id: &BlobId) -> Result<ForeignBytes, JournalError> {
        let bytes =
            std::fs::read(self.folder.join(id.as_str())).map_err(|source| JournalError::Blob {
                blob: id.to_string(),
                doing: "read",
                source,
            })?;
        if Digest::of(&bytes).as_str() == id.as_str() {
            Ok(ForeignBytes::new(bytes))
        } else {
            Err(JournalError::Damaged {
                blob: id.to_string(),
            })
        }
    }
}

/// Writes a file so that after a power cut it is there whole or not at all.
pub(super) fn write_durably(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&partial, path)?;
    File::open(folder)?.sync_all()
}
