//! A user's home in which root has left files: one `sudo docker …` is enough.
//!
//! The user is `nobody`; run programs as it with [`Lab::command_as_user`].

use crate::{lab::Lab, seal};
use anyhow::Result;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
};

/// Root's files where the user's buildx wants to write.
pub(super) fn root_owned_store(lab: &Lab) -> Result<()> {
    let store = lab.buildx_config();
    fs::create_dir_all(store.join("activity"))?;
    seal::give_home(lab.root())?;
    for name in ["current", ".lock", "activity/default"] {
        let file = store.join(name);
        if !file.exists() {
            fs::write(&file, "")?;
        }
        chown(&file, Some(0), Some(0))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Folders that only root may enter, where BuildKit's configuration lies.
pub(super) fn unreadable_directory(lab: &Lab) -> Result<()> {
    let folders = [
        lab.home().join(".config/buildkit"),
        lab.buildx_config().join("instances"),
    ];
    for folder in &folders {
        fs::create_dir_all(folder)?;
    }
    seal::give_home(lab.root())?;
    for folder in folders {
        chown(&folder, Some(0), Some(0))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}
