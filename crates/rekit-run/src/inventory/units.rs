//! systemd units that start an engine or a BuildKit daemon.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use rekit_core::{
    inventory::{ConfigFile, ConfigKind},
    name::HostPath,
};

use crate::world::{
    environment::Surroundings,
    host::{self, Entry, Kind},
};

/// Where the system's units and those for all users lie.
const SYSTEM: &[&str] = &[
    "/etc/systemd/system",
    "/etc/systemd/user",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/usr/lib/systemd/user",
    "/lib/systemd/system",
];
/// Programs that make a unit ours to know.
const PROGRAMS: &[&str] = &[
    "buildkitd",
    "dockerd",
    "rootlesskit",
    "buildkit-qemu",
    "binfmt",
];

/// Finds units and drop-ins that mention one of the daemons.
pub(super) fn units(
    surroundings: &Surroundings,
    unreadable: &mut Vec<(HostPath, String)>,
) -> Vec<ConfigFile> {
    let own = surroundings.config_home().join("systemd/user");
    let folders = SYSTEM
        .iter()
        .map(|path| surroundings.system(path))
        .chain([own]);
    let (mut files, mut seen) = (Vec::new(), HashSet::new());
    for folder in folders {
        for path in candidates(folder, unreadable) {
            let identity = host::status(&path).map(|status| status.identity).ok();
            if identity.is_none_or(|identity| seen.insert(identity)) {
                files.extend(unit(&path));
            }
        }
    }
    files
}

/// Lists unit files and drop-ins of a folder.
fn candidates(folder: PathBuf, unreadable: &mut Vec<(HostPath, String)>) -> Vec<PathBuf> {
    let mut list = |folder: PathBuf| -> Vec<Entry> {
        host::list(&folder, 10_000).unwrap_or_else(|error| {
            if !error.is_absent() {
                unreadable.push((host::host_path(&folder), error.to_string()));
            }
            Vec::new()
        })
    };
    let mut paths = Vec::new();
    for entry in list(folder) {
        let end = Path::new(&entry.name).extension();
        let has_end = |ends: &[&str]| {
            ends.iter()
                .any(|known| end.is_some_and(|end| end == *known))
        };
        if entry.kind == Kind::Folder && has_end(&["d"]) {
            // Only drop-ins of units that may be ours are worth a look into the folder.
            if ["docker", "buildkit", "container"]
                .iter()
                .any(|part| entry.name.contains(part))
            {
                paths.extend(list(entry.path).into_iter().map(|drop_in| drop_in.path));
            }
        } else if entry.kind != Kind::Folder && has_end(&["service", "socket"]) {
            paths.push(entry.path);
        }
    }
    paths
}

/// Describes a unit if it mentions one of the daemons.
fn unit(path: &Path) -> Option<ConfigFile> {
    let is_named_so = path.to_string_lossy().contains("buildkit");
    let text = match host::read_text(path) {
        Ok(text) => text,
        Err(error) if error.is_absent() => return None,
        Err(_) if is_named_so => String::new(),
        Err(_) => return None,
    };
    if !is_named_so && !PROGRAMS.iter().any(|program| text.contains(program)) {
        return None;
    }
    let (file, _) = host::facts(path)?;
    let (keys, lines) = text
        .lines()
        .zip(1_u32..)
        .filter_map(|(line, number)| {
            let (key, _) = line.split_once('=')?;
            let key = key.trim();
            let steers = key.starts_with("Exec")
                || key.starts_with("Environment")
                || key.starts_with("Listen");
            steers.then(|| (key.to_owned(), number))
        })
        .unzip();
    Some(ConfigFile {
        kind: ConfigKind::Unit,
        file,
        keys,
        lines,
        assigned: Vec::new(),
        verdict: None,
        remarks: Vec::new(),
    })
}
