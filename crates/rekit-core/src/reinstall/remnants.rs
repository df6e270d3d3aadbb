//! Remnants: strays and leftovers in the store, state volumes that no builder names, a selection that leads nowhere.

use std::collections::BTreeSet;

use super::Reinstall;
use crate::{
    doctor::{Remedy, mendable},
    draft::volume_place,
    fact::Fact,
    inventory::{HostVolume, Inventory, LeftoverKind, Store},
    name::{HostId, HostPath, NodeName},
    step::{Action, FileState, VolumePlace},
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
    let remedies = mendable(inventory).into_iter();
    paths.extend(
        remedies
            .flat_map(|found| found.remedies)
            .filter_map(|remedy| match remedy {
                Remedy::RemoveCopy(path) => Some(path),
                _ => None,
            }),
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

    pub(super) fn sweep_store(&mut self) {
        self.sweep_store_without(&BTreeSet::new());
    }

    /// The same, where these builders are gone as well.
    pub(super) fn sweep_store_without(&mut self, departed: &BTreeSet<String>) {
        for stray in &self.store.strays {
            self.sweep_stray(stray);
        }
        let mut known = known_builders(self.ground.inventory, self.store);
        known.retain(|name| !departed.iter().any(|gone| gone.eq_ignore_ascii_case(name)));
        self.sweep_departed(|name| !known.contains(name));
    }

    /// Removes what the store keeps of these builders beside their records.
    pub(super) fn sweep_builders(&mut self, departed: &BTreeSet<String>) {
        self.sweep_departed(|name| departed.iter().any(|gone| gone.eq_ignore_ascii_case(name)));
    }

    fn sweep_departed(&mut self, is_gone: impl Fn(&str) -> bool) {
        let refs = self.store.refs.iter().map(|refs| refs.builder.as_str());
        let gone: BTreeSet<&str> = refs.filter(|name| is_gone(name)).collect();
        for builder in gone {
            let path = self.store.path.join("refs").join(builder);
            let why = format!("builder `{builder}` is gone, its build references are left over");
            let store = Some(self.store.path.clone());
            self.draft.push(why, Action::RemoveTree { path, store });
        }
        for name in self.store.activity.keys().filter(|name| is_gone(name)) {
            let why = format!("builder `{name}` is gone, its activity file is left over");
            self.sweep_file("activity", name, why);
        }
        let defaults = self.store.defaults.iter();
        for (file, name) in defaults.filter(|(_, name)| is_gone(name)) {
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
        self.remove_from_store(self.store.path.join(folder).join(name), why);
    }

    /// Removes a file of the store.
    pub(super) fn remove_from_store(&mut self, path: HostPath, why: String) {
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
        for volume in self.orphans() {
            if self.is_given_up(None, &volume) {
                let what = format!("volume {}", volume.volume);
                let why = "you gave it up (`--without-cache-backup`): it stays, and `rekit clean` removes it";
                self.draft.leave_out(what, why);
            } else {
                self.draft.archive_state(volume, None);
            }
        }
    }

    /// Returns the state volumes that no builder names.
    pub(super) fn orphans(&mut self) -> Vec<VolumePlace> {
        let ground = self.ground;
        let mut orphans = Vec::new();
        for host in &ground.inventory.hosts {
            let engine = host.engine.known();
            let volumes = engine.map(|engine| engine.volumes.as_slice());
            for volume in volumes.unwrap_or_default() {
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
                orphans.push(volume_place(&host.id, volume));
            }
        }
        orphans
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
        let leads_nowhere = broken || chosen.is_some_and(|name| !lives(name));
        let fallback = leads_nowhere.then(|| self.last_used_builder().unwrap_or_default());
        if let Some(name) = wanted
            .or(fallback)
            .filter(|name| Some(name.as_str()) != chosen)
        {
            self.write_selection(&name);
        }
    }

    /// Selects a builder; the empty name is the context's own.
    pub(super) fn write_selection(&mut self, name: &str) {
        let path = self.store.path.join("current");
        let key = &self.ground.inventory.selection.key;
        let content = serde_json::json!({ "Key": key, "Name": name, "Global": false }).to_string();
        let named = match name {
            "" => "the context's own builder".to_owned(),
            name => format!("builder `{name}`"),
        };
        self.draft.push(
            format!("`docker buildx build` and Compose use {named} from here on"),
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

    pub(super) fn is_context(&self, name: &str) -> bool {
        self.ground
            .inventory
            .contexts
            .iter()
            .any(|context| context.name == name)
    }

    /// Returns whether a builder of this name is left as it is.
    pub(super) fn leads_somewhere(&self, name: &str) -> bool {
        let mut builders = self.store.builders.iter();
        !self.departed.contains(name)
            && builders
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
