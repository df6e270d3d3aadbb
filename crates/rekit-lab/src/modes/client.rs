//! The client's side: its plugins, its variables, the files of shells, the programs that keep passwords.

use super::{contexts::set_in_config, endpoints::detached_holder};
use crate::lab::Lab;
use anyhow::Result;
use serde_json::json;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
};

/// Returns the plugin's place, with nothing in it: what lay there is a link to the cache of labs, which must not be written to.
fn emptied(lab: &Lab) -> Result<PathBuf> {
    let plugin = lab.home().join(".docker/cli-plugins/docker-buildx");
    if plugin.exists() {
        fs::rename(&plugin, lab.root().join("buildx"))?;
    }
    Ok(plugin)
}

fn executable(path: &PathBuf) -> Result<()> {
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o755),
    )?)
}

/// The command line was installed without its plugin.
pub(super) fn plugin_missing(lab: &Lab) -> Result<()> {
    emptied(lab).map(drop)
}

/// Returns a place for a plugin that docker looks at before the one where the good copy lies.
fn before(lab: &Lab) -> Result<PathBuf> {
    let folder = lab.home().join("plugins");
    fs::create_dir_all(&folder)?;
    set_in_config(
        lab,
        "cliPluginsExtraDirs",
        json!([folder.display().to_string()]),
    )?;
    Ok(folder.join("docker-buildx"))
}

/// A download that got an error page; it hides the copy that works.
pub(super) fn plugin_is_a_page(lab: &Lab) -> Result<()> {
    let plugin = before(lab)?;
    fs::write(&plugin, "<html><body>404 Not Found</body></html>\n")?;
    executable(&plugin)
}

/// A program of another processor, whose emulator lacks what it needs.
pub(super) fn plugin_of_another_machine(lab: &Lab) -> Result<()> {
    let plugin = emptied(lab)?;
    // Enough of an ELF file for the kernel to see that it is no program of this machine: EM_SPARCV9, which nobody emulates for `docker`.
    let mut header = b"\x7fELF\x02\x02\x01".to_vec();
    header.resize(16, 0);
    header.extend([0, 2, 0, 43, 0, 0, 0, 1]);
    header.resize(64, 0);
    fs::write(&plugin, header)?;
    executable(&plugin)
}

/// A copy that lost its permission to be executed.
pub(super) fn plugin_not_executable(lab: &Lab) -> Result<()> {
    let plugin = emptied(lab)?;
    fs::copy(lab.root().join("buildx"), &plugin)?;
    Ok(fs::set_permissions(
        &plugin,
        fs::Permissions::from_mode(0o644),
    )?)
}

/// A link into a Docker Desktop that was removed: docker says nothing at all.
pub(super) fn plugin_dangling_link(lab: &Lab) -> Result<()> {
    let plugin = emptied(lab)?;
    Ok(symlink(
        "/opt/docker-desktop-that-is-gone/docker-buildx",
        plugin,
    )?)
}

/// An old copy that hides a newer one and tells its version as old copies do; all else is done by the real one.
pub(super) fn old_plugin(lab: &Lab) -> Result<()> {
    let plugin = before(lab)?;
    let real = lab.home().join(".docker/cli-plugins/docker-buildx");
    let metadata = json!({"SchemaVersion": "0.1.0", "Vendor": "Docker Inc.", "Version": "v0.12.0", "ShortDescription": "Docker Buildx"});
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = docker-cli-plugin-metadata ] && echo '{metadata}' && exit\nexec '{}' \"$@\"\n",
        real.display()
    );
    fs::write(&plugin, script)?;
    executable(&plugin)
}

/// Nothing lies on the disk: the variables of the mode are the fault.
pub(super) fn only_variables(lab: &Lab) -> Result<()> {
    // All else is well, or the mode would show something else.
    lab.docker(&["buildx", "inspect"]).map(drop)
}

/// A line that somebody added to a shell's profile years ago.
pub(super) fn profile(lab: &Lab) -> Result<()> {
    Ok(fs::write(
        lab.home().join(".bashrc"),
        "# ours\nalias ll='ls -l'\nexport BUILDX_BUILDER=departed\nexport DOCKER_BUILDKIT=0\n",
    )?)
}

/// config.json names the program of a Docker Desktop that was removed.
pub(super) fn credential_helper(lab: &Lab) -> Result<()> {
    set_in_config(lab, "credsStore", json!("desktop.exe"))
}

/// Another program holds buildx's lock.
pub(super) fn store_lock(lab: &Lab) -> Result<()> {
    let store = lab.buildx_config();
    fs::create_dir_all(&store)?;
    let lock = fs::File::options()
        .create(true)
        .append(true)
        .open(store.join(".lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    // A lock of this kind goes with the last process that has the file open.
    detached_holder(lab, "lock", lock.into())
}
