//! `rekit backup export` and `import`: archives leave in one file and come back. Needs no journal: nothing that is there is changed.

use std::{io::Read, path::PathBuf};

pub use rekit_archive::{ImportError, Imported};
use rekit_core::name::ArchiveId;

use crate::{
    journal::Home,
    sealing::{Identities, SealingError},
    session::{Session, SessionError},
    world::{WorldError, clock, host::Outlet, real},
};

/// An archive that left whole.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Its name.
    pub id: String,
    /// The digest of its SHA256SUMS.
    pub identity: String,
}

/// Why nothing of a file was imported.
#[derive(Debug, thiserror::Error)]
pub enum NoImport {
    /// It cannot be opened.
    #[error(transparent)]
    Sealed(#[from] SealingError),
    /// It holds nothing that can be taken.
    #[error(transparent)]
    File(#[from] ImportError),
}

impl Session<'_> {
    /// Writes archives into one file or pipe. What comes out is whole, or cut off where nobody can take it for whole.
    pub async fn export(
        &self,
        archives: &[PathBuf],
        out: Box<dyn Outlet>,
    ) -> Result<Vec<Exported>, WorldError> {
        let exported = real::export(archives, out, self.interrupt, self.listener).await?;
        let of = |archive: &rekit_archive::Archive| Exported {
            id: archive.manifest().id.clone(),
            identity: archive.identity().to_string(),
        };
        Ok(exported.iter().map(of).collect())
    }

    /// Brings the archives of an exported file into rekit's own directory, under its lock; the inner error is the file's.
    pub async fn import(
        &self,
        input: Box<dyn Read + Send>,
        identities: Option<Identities>,
    ) -> Result<Result<Vec<Imported>, NoImport>, SessionError> {
        let home = Home::open(&self.home_path(), clock::now)?;
        let imported = real::import(
            home.archives(),
            (input, identities),
            self.interrupt,
            self.listener,
        )
        .await?;
        Ok(imported)
    }

    /// Removes archives that were made only to be streamed from rekit's own directory, under its lock.
    pub fn remove_streamed(&self, archives: &[ArchiveId]) -> Result<(), SessionError> {
        let home = Home::open(&self.home_path(), clock::now)?;
        let ids: Vec<_> = archives.iter().map(ArchiveId::as_str).collect();
        let removed = rekit_archive::remove(&home.archives(), &ids);
        removed.map(drop).map_err(|error| {
            WorldError::failed("the archives that were streamed cannot be removed", error).into()
        })
    }
}
