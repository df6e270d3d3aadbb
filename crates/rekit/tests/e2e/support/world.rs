//! The world as data, seen past rekit: with docker and the file system alone, never with buildx, which writes to its store.

use super::Machine;
use rekit_core::inventory::{ConfigVerdict, Inventory};
use rekit_lab::Lab;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Every fact that must be as it was when rekit has gone back.
pub(crate) type World = BTreeMap<String, String>;

impl Machine {
    /// Returns what is nobody's business: engine objects that are not BuildKit's, and the files of others.
    pub(crate) fn foreign(&self) -> World {
        let home = self.lab.home();
        let mut files: Vec<PathBuf> = [
            ".docker/config.json",
            ".docker/daemon.json",
            ".docker/desktop/settings-store.json",
            "project",
        ]
        .iter()
        .map(|file| home.join(file))
        .collect();
        files.push(self.lab.daemon_json());
        files.push(self.lab.root().join(&self.planted.foreign.notes));
        files.push(self.context(&self.planted.foreign.context));
        let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
        self.lab.fingerprint(&files).unwrap()
    }

    /// Returns all that is on the machine beside BuildKit, its files and rekit's own: what [`foreign`](Self::foreign) tells, every file of
    /// the home, of the lab's programs and of `/etc/docker`.
    pub(crate) fn everything_else(&self) -> World {
        let home = self.lab.home();
        let mut files = vec![PathBuf::from("/etc/docker"), self.lab.root().join("bin")];
        files.extend(entries(&home, &[".docker", ".config", ".local", ".cache"]));
        files.extend(entries(&home.join(".docker"), &["buildx", "contexts"]));
        files.extend(entries(&home.join(".config"), &["buildkit"]));
        let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
        let mut world = self.foreign();
        world.extend(self.lab.fingerprint(&files).unwrap());
        world
    }

    /// Returns the foreign world and everything of BuildKit's: the store (without what buildx itself rewrites all the time), contexts,
    /// configuration, containers, volumes, and what a killed daemon left.
    pub(crate) fn world(&self) -> World {
        let mut world = self.foreign();
        let mut files = vec![
            self.lab.home().join(".docker/contexts"),
            self.lab.home().join(".config"),
        ];
        let left_behind = self.planted.left_behind.iter();
        files.extend(left_behind.map(|path| self.lab.root().join(path)));
        for entry in fs::read_dir(self.lab.buildx_config()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "activity" && entry.file_name() != ".lock" {
                files.push(entry.path());
            }
        }
        let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
        world.extend(self.lab.fingerprint(&files).unwrap());
        world.extend(self.containers());
        for volume in self
            .docker(&["volume", "ls", "-q"])
            .good()
            .stdout
            .split_whitespace()
        {
            world.insert(format!("volume {volume}"), "there".to_owned());
        }
        world
    }

    /// Returns each container with its image, whether it runs, its restart policy and its mounts.
    pub(crate) fn containers(&self) -> World {
        containers(&self.lab, "running={{.State.Running}}")
    }

    /// Returns the names of BuildKit's containers and volumes.
    pub(crate) fn objects(&self) -> BTreeSet<String> {
        let world = self.world();
        let names = world.keys().filter(|name| {
            name.starts_with("container buildx_") || name.starts_with("volume buildx_")
        });
        names.cloned().collect()
    }

    /// Returns the folder of a context's metadata.
    fn context(&self, name: &str) -> PathBuf {
        let folders = fs::read_dir(self.lab.home().join(".docker/contexts/meta")).unwrap();
        let named = format!("\"Name\":\"{name}\"");
        folders
            .map(|entry| entry.unwrap().path())
            .find(|folder| {
                fs::read_to_string(folder.join("meta.json"))
                    .unwrap_or_default()
                    .replace("\": \"", "\":\"")
                    .contains(&named)
            })
            .unwrap_or_else(|| panic!("no context `{name}`"))
    }
}

/// Returns each container with its image, what else is asked for, its restart policy, its command and its mounts.
pub(crate) fn containers(lab: &Lab, asked: &str) -> World {
    let ids = lab.docker(&["ps", "-aq"]).unwrap();
    let ids: Vec<_> = ids.split_whitespace().collect();
    if ids.is_empty() {
        return World::new();
    }
    let format = format!(
        "{{{{.Name}}}} {{{{.Config.Image}}}} {asked} restart={{{{.HostConfig.RestartPolicy.Name}}}} command={{{{.Path}}}} \
         {{{{.Args}}}} env={{{{.Config.Env}}}} mounts={{{{range .Mounts}}}}{{{{.Name}}}}:{{{{.Destination}}}} {{{{end}}}}"
    );
    let inspected = lab.docker(&[&["inspect", "--format", &format][..], &ids].concat());
    let inspected = inspected.unwrap();
    let lines = inspected.lines();
    lines
        .filter_map(|line| line.trim_start_matches('/').split_once(' '))
        .map(|(name, facts)| (format!("container {name}"), in_order(facts)))
        .collect()
}

/// Sorts the mounts at the end of a container's facts: the engine lists them in any order.
fn in_order(facts: &str) -> String {
    let Some((facts, mounts)) = facts.split_once(" mounts=") else {
        return facts.to_owned();
    };
    let mounts: BTreeSet<_> = mounts.split_whitespace().collect();
    format!("{facts} mounts={mounts:?}")
}

/// Lists a folder without some of its entries.
fn entries(folder: &Path, without: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let entries = entries.map(|entry| entry.unwrap());
    let wanted = entries.filter(|entry| !without.iter().any(|name| entry.file_name() == *name));
    wanted.map(|entry| entry.path()).collect()
}

/// Returns what is gone, new or different, one line each.
pub(crate) fn differences(before: &World, after: &World) -> Vec<String> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old == new => None,
            (Some(old), Some(new)) => Some(format!("changed: {name}\n  - {old}\n  + {new}")),
            (Some(_), None) => Some(format!("gone: {name}")),
            (None, _) => Some(format!("new: {name}")),
        })
        .collect()
}

/// Returns what an inventory still holds of builders that are gone, and what no listing or daemon can read.
pub(crate) fn remnants(inventory: &Inventory) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for context in &inventory.contexts {
        if context
            .state
            .known()
            .is_none_or(|state| state.unusable.is_some())
        {
            found.insert(format!("context {}", context.name));
        }
    }
    for file in &inventory.files {
        if matches!(file.verdict, Some(ConfigVerdict::Refused { .. })) {
            found.insert(format!("configuration {}", file.file.path));
        }
    }
    for engine in inventory
        .hosts
        .iter()
        .filter_map(|host| host.engine.known())
    {
        let idle = |name: &str| {
            !engine
                .containers
                .iter()
                .any(|container| container.name.as_str() == name && container.status == "running")
        };
        for container in &engine.containers {
            if idle(container.name.as_str()) {
                found.insert(format!("container {}", container.name));
            }
        }
        for volume in &engine.volumes {
            if volume.used_by.iter().all(|user| idle(user.as_str())) {
                found.insert(format!("volume {}", volume.name));
            }
        }
    }
    found.extend(remnants_of_stores(inventory));
    found
}

fn remnants_of_stores(inventory: &Inventory) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for store in &inventory.stores {
        let is_gone = |name: &str| {
            !store
                .builders
                .iter()
                .any(|builder| builder.name.as_str() == name)
                && !inventory
                    .contexts
                    .iter()
                    .any(|context| context.name == name)
        };
        found.extend(store.strays.iter().map(|stray| format!("stray {stray}")));
        let broken = store
            .builders
            .iter()
            .filter(|builder| builder.record.known().is_none());
        found.extend(broken.map(|builder| format!("record {}", builder.name)));
        let refs = store.refs.iter().map(|refs| refs.builder.as_str());
        found.extend(
            refs.filter(|name| is_gone(name))
                .map(|name| format!("refs {name}")),
        );
        let activity = store.activity.keys().filter(|name| is_gone(name));
        found.extend(activity.map(|name| format!("activity {name}")));
        let current = store.current.as_ref().and_then(|current| current.known());
        let selected = current.map(|current| current.current.name.as_str());
        found.extend(
            selected
                .filter(|name| !name.is_empty() && is_gone(name))
                .map(|name| format!("selection {name}")),
        );
    }
    found
}
