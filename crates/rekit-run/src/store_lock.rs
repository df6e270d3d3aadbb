//! The lock that keeps a second rekit off a store, whatever home each of them has.
//!
//! It lies on the store's folder itself: buildx locks `.lock` in it and nothing else, so that builds go on, and no file is added.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    session::{Session, SessionError},
    world::{
        WorldError,
        clock::Deadline,
        environment::Surroundings,
        host::{self, FolderLock},
    },
};

/// How long the lock may be somebody's: whoever only asks whether it is held, holds it for some microseconds.
const PATIENCE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(20);

/// Takes the lock on the active store; it is held until the value is dropped. `None`: this account may not even look at the store.
pub(crate) async fn lock_store(
    surroundings: &Surroundings,
) -> Result<Option<FolderLock>, SessionError> {
    let folder = folder(surroundings);
    let deadline = Deadline::after(PATIENCE);
    loop {
        match host::lock_folder(&folder) {
            Ok(Some(lock)) => return Ok(Some(lock)),
            Ok(None) if deadline.is_over() => return Err(locked(&folder)),
            Ok(None) => tokio::time::sleep(POLL).await,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
            Err(error) => {
                let what = format!("the folder `{}` cannot be locked", folder.display());
                return Err(WorldError::failed(what, error).into());
            }
        }
    }
}

impl Session<'_> {
    /// Returns whether another rekit works on the store, as an error that names it.
    pub fn refuse_beside_another(&self) -> Result<(), SessionError> {
        let folder = folder(self.surroundings);
        if host::is_flocked(&folder).unwrap_or(false) {
            return Err(locked(&folder));
        }
        Ok(())
    }
}

/// Returns the folder that is locked. A store that is still to be made is known by the one that it will lie in.
fn folder(surroundings: &Surroundings) -> PathBuf {
    host::nearest_folder(&surroundings.buildx_store())
}

fn locked(folder: &Path) -> SessionError {
    SessionError::StoreLocked {
        store: host::host_path(folder),
        holder: host::lock_holder(folder),
    }
}
