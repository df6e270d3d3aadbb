//! Every configuration file that steers builds (R1.1.4): which are there, and which keys in them matter.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use rekit_core::{
    inventory::{ConfigFile, ConfigKind},
    name::HostPath,
};
use serde_json::Value;
use toml_edit::{DocumentMut, Item};

use super::{judge, profiles, units};
use crate::world::{
    environment::Surroundings,
    host::{self, Kind},
};

/// Keys of daemon.json that steer builds, or that a builder of its own does not inherit.
const DAEMON_KEYS: &[&str] = &[
    "builder",
    "cgroup-parent",
    "containerd-namespace",
    "data-root",
    "default-address-pools",
    "dns",
    "exec-opts",
    "experimental",
    "features",
    "hosts",
    "insecure-registries",
    "mtu",
    "proxies",
    "registry-mirrors",
    "storage-driver",
    "storage-opts",
];
/// Keys of the CLI's config.json that steer builds.
const CLI_KEYS: &[&str] = &[
    "aliases",
    "auths",
    "cliPluginsExtraDirs",
    "credHelpers",
    "credsStore",
    "currentContext",
    "experimental",
    "features",
    "plugins",
    "proxies",
    "pruneFilters",
];

/// Finds the configuration files. `stores` are buildx's folders, `named` further files that daemons or the project name.
pub(super) fn files(
    surroundings: &Surroundings,
    stores: &[PathBuf],
    named: &[(ConfigKind, PathBuf)],
    unreadable: &mut Vec<(HostPath, String)>,
) -> Vec<ConfigFile> {
    let mut candidates = named.to_vec();
    candidates.extend(buildkitd(surroundings, unreadable));
    candidates.extend(daemon(surroundings));
    candidates.push((
        ConfigKind::Cli,
        surroundings.docker_config().join("config.json"),
    ));
    candidates.extend(stores.iter().map(|store| {
        (
            ConfigKind::BuildxDefault,
            store.join("buildkitd.default.toml"),
        )
    }));
    candidates.push((
        ConfigKind::Goal,
        surroundings.working_folder().join("rekit.toml"),
    ));
    let mut seen = HashSet::new();
    let mut files: Vec<ConfigFile> = candidates
        .into_iter()
        .filter(|(_, path)| {
            seen.insert(
                host::status(path).map_or_else(|_| (0, path_hash(path)), |status| status.identity),
            )
        })
        .filter_map(|(kind, path)| file(kind, &path))
        .collect();
    files.extend(units::units(surroundings, unreadable));
    files.extend(profiles::profiles(surroundings));
    files.sort_by(|a, b| (a.kind, &a.file.path).cmp(&(b.kind, &b.file.path)));
    files
}

/// Describes files of the project that are named like a configuration of buildkitd.
pub(super) fn of_project(paths: &[PathBuf]) -> Vec<ConfigFile> {
    paths
        .iter()
        .filter_map(|path| file(ConfigKind::Buildkitd, path))
        .collect()
}

/// Tells two paths apart that cannot be looked at.
fn path_hash(path: &Path) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// Lists the places of buildkitd's configuration.
fn buildkitd(
    surroundings: &Surroundings,
    unreadable: &mut Vec<(HostPath, String)>,
) -> Vec<(ConfigKind, PathBuf)> {
    let folders = [
        surroundings.system("/etc/buildkit"),
        surroundings.config_home().join("buildkit"),
        surroundings.home().join(".config/buildkit"),
    ];
    let mut found = Vec::new();
    for folder in folders {
        match host::list(&folder, 1000) {
            Ok(entries) => found.extend(
                entries
                    .into_iter()
                    .filter(|entry| {
                        entry.kind != Kind::Folder
                            && Path::new(&entry.name)
                                .extension()
                                .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
                    })
                    .map(|entry| (ConfigKind::Buildkitd, entry.path)),
            ),
            Err(error) if error.is_absent() => {}
            Err(error) => unreadable.push((host::host_path(&folder), error.to_string())),
        }
    }
    found
}

/// Lists the places of the engine's configuration.
fn daemon(surroundings: &Surroundings) -> Vec<(ConfigKind, PathBuf)> {
    [
        surroundings.system("/etc/docker/daemon.json"),
        surroundings.config_home().join("docker/daemon.json"),
        surroundings.home().join(".config/docker/daemon.json"),
        surroundings.docker_config().join("daemon.json"),
        surroundings.home().join(".docker/daemon.json"),
    ]
    .map(|path| (ConfigKind::Daemon, path))
    .into()
}

/// Describes one file; `None` where there is none.
fn file(kind: ConfigKind, path: &Path) -> Option<ConfigFile> {
    let (file, content) = host::facts(path)?;
    let content = content.unwrap_or_default();
    let is_read = file.digest.known().is_some();
    let keys = match kind {
        ConfigKind::Buildkitd | ConfigKind::BuildxDefault | ConfigKind::Goal => toml_keys(&content),
        ConfigKind::Daemon => json_keys(&content, DAEMON_KEYS),
        ConfigKind::Cli => json_keys(&content, CLI_KEYS),
        ConfigKind::Unit | ConfigKind::Desktop | ConfigKind::Profile => Vec::new(),
    };
    let judged = is_read.then(|| judge::file(kind, &content)).flatten();
    let (verdict, remarks) = match judged {
        Some(judged) => (Some(judged.verdict), judged.remarks),
        None => (None, Vec::new()),
    };
    Some(ConfigFile {
        kind,
        file,
        keys,
        lines: Vec::new(),
        assigned: Vec::new(),
        verdict,
        remarks,
    })
}

/// Returns the steering keys of a JSON file, dotted down to the second level.
fn json_keys(content: &[u8], steering: &[&str]) -> Vec<String> {
    let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(content) else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    for (key, value) in &fields {
        if !steering.contains(&key.as_str()) {
            continue;
        }
        match value.as_object().filter(|inner| !inner.is_empty()) {
            // Below `auths` and `proxies` stand hosts, which are nobody's business.
            Some(inner) if !matches!(key.as_str(), "auths" | "proxies" | "credHelpers") => {
                keys.extend(inner.keys().map(|name| format!("{key}.{name}")));
            }
            _ => keys.push(key.clone()),
        }
    }
    keys
}

/// Returns the keys of a TOML file, dotted down to the second level; empty where it does not parse.
fn toml_keys(content: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(content);
    let Ok(document) = text.parse::<DocumentMut>() else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    for (key, item) in document.iter() {
        match item {
            Item::Table(table) if !table.is_empty() => {
                keys.extend(table.iter().map(|(name, _)| format!("{key}.{name}")));
            }
            _ => keys.push(key.to_owned()),
        }
    }
    keys
}
