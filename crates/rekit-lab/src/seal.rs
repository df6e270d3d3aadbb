//! The sealed home of a lab and the environment that leads to it, and to nothing of the machine's own user.

use crate::{
    engine::SYSTEM_PATH,
    process::{text, words},
};
use anyhow::Result;
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

/// Makes the home: folders, the command line and its plugins.
pub(crate) fn furnish(root: &Path, engine_prefix: &Path, buildx: &Path) -> Result<()> {
    let plugins = root.join("home/.docker/cli-plugins");
    for folder in [
        "home/.docker/cli-plugins",
        "home/project",
        "bin",
        "run",
        "tmp",
    ] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o700))?;
    provide(
        &engine_prefix.join("usr/bin/docker"),
        &root.join("bin/docker"),
    )?;
    provide(
        &engine_prefix.join("usr/libexec/docker/cli-plugins/docker-compose"),
        &plugins.join("docker-compose"),
    )?;
    provide(&buildx.join("buildx"), &plugins.join("docker-buildx"))
}

/// Puts a program of the cache into the lab. Not by a symlink: the cache may lie in root's home, and a user of the lab need not be root.
pub(crate) fn provide(program: &Path, place: &Path) -> Result<()> {
    if fs::hard_link(program, place).is_err() {
        fs::copy(program, place)?;
    }
    Ok(())
}

/// Returns every variable that a program in the lab sees.
pub(crate) fn environment(root: &Path) -> BTreeMap<String, String> {
    let at = |path: &str| root.join(path).display().to_string();
    [
        ("HOME", at("home")),
        ("USER", "root".to_owned()),
        ("LOGNAME", "root".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("TZ", "UTC".to_owned()),
        ("TERM", "dumb".to_owned()),
        ("TMPDIR", at("tmp")),
        ("PATH", format!("{}:{SYSTEM_PATH}", at("bin"))),
        ("DOCKER_HOST", format!("unix://{}", at("docker.sock"))),
        ("DOCKER_CONFIG", at("home/.docker")),
        ("BUILDX_CONFIG", at("home/.docker/buildx")),
        ("XDG_CONFIG_HOME", at("home/.config")),
        ("XDG_CACHE_HOME", at("home/.cache")),
        ("XDG_DATA_HOME", at("home/.local/share")),
        ("XDG_STATE_HOME", at("home/.local/state")),
        ("XDG_RUNTIME_DIR", at("run")),
        ("REKIT_HOME", at("home/.local/state/rekit")),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The user without rights, `nobody`, and its group.
pub(crate) const USER: &str = "65534";

/// Gives the home and what else a user writes to, to [`USER`].
pub(crate) fn give_home(root: &Path) -> Result<()> {
    let owner = format!("{USER}:{USER}");
    text(words("chown", ["-Rh", &owner]).args(["home", "run", "tmp"].map(|part| root.join(part))))?;
    Ok(())
}
