//! Remnants: strays and leftovers in the store, state volumes that no builder names, a selection that leads nowhere.

use std::collections::BTreeSet;

use super::Reinstall;
use crate::{
    draft::volume_place,
    fact::Fact,
    inventory::{HostVolume, Inventory, LeftoverKind, Store},
    name::{HostId, HostPath, NodeName},
    step::{Action, FileState},
};

/// Returns the files whose state the planner needs.
pub fn paths_of_interest(inventory: &Inventory) -> Vec<HostPath> {
    let mut paths: Vec<HostPath> = inventory
        .files
        .iter()
        .map(|file| file.file.path.clone())
        .collect();
    paths.extend(
        inventory
            .contexts
            .iter()
            .filter_map(|context| context.file.as_ref())
            .map(|file| file.path.clone()),
    );
    paths.extend(
        inventory
            .leftovers
            .iter()
            .filter(|leftover| leftover.kind == LeftoverKind::File)
            .map(|leftover| leftover.path.clone()),
    );
    for store in &inventory.stores {
        paths.push(store.path.join("current"));
        paths.extend(
            store
                .builders
                .iter()
                .map(|builder| builder.file.path.clone()),
        );
        paths.extend(
            store
                .activity
                .keys()
                .map(|name| store.path.join("activity").join(name)),
        );
        paths.extend(
            store
                .defaults
                .keys()
                .map(|name| store.path.join("defaults").join(name)),
        );
        paths.extend(store.strays.iter().cloned());
    }
    paths
}

impl Reinstall<'_> {
    pub(super) fn sweep_remnants(&mut self) {
        self.sweep_store();
        self.archive_orphans();
        self.sweep_leftovers();
    }

    fn sweep_store(&mut self) {
        let known = known_builders(self.ground.inventory, self.store);
        for stray in &self.store.strays {
            self.sweep_stray(stray);
        }
        let refs = self.store.refs.iter().map(|refs| refs.builder.as_str());
        let gone: BTreeSet<&str> = refs.filter(|name| !known.contains(*name)).collect();
        for builder in gone {
            let path = self.store.path.join("refs").join(builder);
            let why = format!("builder `{builder}` is gone, its build references are left over");
            let store = Some(self.store.path.clone());
            self.draft.push(why, Action::RemoveTree { path, store });
        }
        for name in self
            .store
            .activity
            .keys()
            .filter(|name| !known.contains(*name))
        {
            let why = format!("builder `{name}` is gone, its activity file is left over");
            self.sweep_file("activity", name, why);
        }
        for (file, name) in self
            .store
            .defaults
            .iter()
            .filter(|(_, name)| !known.contains(*name))
        {
            let why = format!("it selects builder `{name}`, which is gone");
            self.sweep_file("defaults", file, why);
        }
    }

    fn sweep_stray(&mut self, stray: &HostPath) {
        let store = Some(self.store.path.clone());
        let path = stray.clone();
        let action = match self.ground.file(stray) {
            FileState::Absent {} => Action::RemoveTree { path, store },
            before @ FileState::Present { .. } => Action::RemoveFile {
                path,
                store,
                before,
            },
        };
        self.draft.push(
            "buildx's listing of all builders fails on this entry",
            action,
        );
    }

    fn sweep_file(&mut self, folder: &str, name: &str, why: String) {
        let path = self.store.path.join(folder).join(name);
        let before = self.ground.file(&path);
        self.draft.push(
            why,
            Action::RemoveFile {
                path,
                store: Some(self.store.path.clone()),
                before,
            },
        );
    }

    /// Archives state volumes that no builder names. They stay, parked, until `rekit finalize`.
    fn archive_orphans(&mut self) {
        let ground = self.ground;
        for host in &ground.inventory.hosts {
            let volumes = host
                .engine
                .known()
                .map(|engine| engine.volumes.as_slice())
                .unwrap_or_default();
            for volume in volumes {
                if !self.is_orphan(&host.id, volume) {
                    continue;
                }
                if matches!(volume.holds_state, Fact::Known(false)) {
                    self.draft.leave_out(
                        format!("volume {}", volume.name),
                        "it bears a state volume's name, but holds no BuildKit state",
                    );
                    continue;
                }
                self.draft
                    .archive_state(volume_place(&host.id, volume), None);
            }
        }
    }

    fn is_orphan(&self, host: &HostId, volume: &HostVolume) -> bool {
        let Some(node) = NodeName::of_volume(volume.name.as_str()) else {
            return false;
        };
        let parked = volume.parked.is_some();
        volume.used_by.is_empty() && !parked && !self.is_named(host, node.container().as_str())
    }

    /// Selects a builder where the present choice leads nowhere, or where the goal names another.
    pub(super) fn select(&mut self) {
        let selection = &self.ground.inventory.selection;
        if selection.builder_from == "BUILDX_BUILDER" {
            self.draft.leave_out(
                "the selected builder",
                "BUILDX_BUILDER decides it, and only the shell can change that",
            );
            return;
        }
        let current = self
            .store
            .current
            .as_ref()
            .and_then(Fact::known)
            .map(|file| &file.current);
        let chosen = current
            .map(|current| current.name.as_str())
            .filter(|name| !name.is_empty());
        let lives = |name: &str| {
            self.claims.iter().any(|claim| claim.builder == name) || self.leads_somewhere(name)
        };
        let broken = self
            .store
            .current
            .as_ref()
            .is_some_and(|fact| fact.known().is_none());
        let wanted = self
            .goal
            .builder
            .name
            .as_ref()
            .map(ToString::to_string)
            .filter(|name| lives(name));
        let container_builder = || self.last_used_builder();
        let fallback = (broken || chosen.is_some_and(|name| !lives(name)))
            .then(container_builder)
            .flatten();
        let Some(name) = wanted
            .or(fallback)
            .filter(|name| Some(name.as_str()) != chosen)
        else {
            return;
        };
        let path = self.store.path.join("current");
        let content =
            serde_json::json!({ "Key": selection.key, "Name": name, "Global": false }).to_string();
        self.draft.push(
            format!("`docker buildx build` and Compose use builder `{name}` from here on"),
            Action::WriteFile {
                before: self.ground.file(&path),
                path,
                store: Some(self.store.path.clone()),
                mode: 0o600,
                content,
            },
        );
    }

    /// Returns the builder of this run that was used last.
    fn last_used_builder(&self) -> Option<String> {
        let builders = self.claims.iter().map(|claim| &claim.builder);
        let own = builders.filter(|builder| !self.is_context(builder));
        own.max_by_key(|builder| self.store.activity.get(&builder.to_lowercase()))
            .cloned()
    }

    fn is_context(&self, name: &str) -> bool {
        self.ground
            .inventory
            .contexts
            .iter()
            .any(|context| context.name == name)
    }

    /// Returns whether a builder of this name is left as it is.
    fn leads_somewhere(&self, name: &str) -> bool {
        self.store
            .builders
            .iter()
            .any(|builder| builder.name.as_str() == name && builder.record.known().is_some())
    }
}

/// Returns the names that builders and contexts bear, spelled as written and in lower case.
fn known_builders(inventory: &Inventory, store: &Store) -> BTreeSet<String> {
    let builders = store
        .builders
        .iter()
        .map(|builder| builder.name.to_string());
    let contexts = inventory
        .contexts
        .iter()
        .map(|context| context.name.clone());
    let fixed = ["default", "__group__", "version"].map(str::to_owned);
    builders
        .chain(contexts)
        .chain(fixed)
        .flat_map(|name| [name.to_lowercase(), name])
        .collect()
}
