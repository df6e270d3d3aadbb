//! Plans to remove builders with all that is theirs, each state after its archive was read back, and the remnants of departed ones.

use std::collections::BTreeSet;

use super::{NoPlan, Reinstall, Wishes};
use crate::{
    draft::{Ground, Patience, place, volume_place},
    goal::Goal,
    inventory::{BuilderRecord, HostVolume, PlaceKind},
    name::{BuilderName, HostId, NodeName},
    plan::{Plan, Purpose},
    step::{Action, NodePlace, VolumePlace},
};

/// Plans to remove these builders; none named: every builder, and every remnant.
pub fn clean(
    ground: &Ground<'_>,
    goal: &Goal,
    builders: &[String],
    wishes: &Wishes,
) -> Result<Plan, NoPlan> {
    let mut clean = Reinstall::begin(ground, goal, wishes, Purpose::Clean)?;
    let store = clean.store;
    let is_there = |name: &&String| {
        let mut known = store.builders.iter();
        !known.any(|builder| builder.name.as_str() == name.as_str())
    };
    if let Some(missing) = builders.iter().find(is_there) {
        return Err(NoPlan::NoBuilder(missing.clone()));
    }
    clean.save_configuration();
    let saved = clean.draft.next_id();
    let mut gone = BTreeSet::new();
    for builder in &store.builders {
        let is_named = builders.iter().any(|name| name == builder.name.as_str());
        if (builders.is_empty() || is_named) && clean.remove_builder(builder) {
            gone.insert(builder.name.to_string());
        }
    }
    if clean.selection_dangles_without(&gone) {
        clean.write_selection("");
    }
    if builders.is_empty() {
        clean.retire_configuration();
        clean.sweep_store_without(&gone);
        clean.sweep_leftovers();
        clean.remove_orphans();
        clean.name_what_stays();
    } else {
        clean.sweep_builders(&gone);
    }
    clean.claim_context_builders();
    if clean.draft.next_id() > saved {
        clean.validate();
    }
    Ok(clean.draft.finish_unless_at(saved))
}

/// What a node leaves on its host.
pub(super) struct Remains {
    pub(super) node: Option<NodePlace>,
    pub(super) volume: Option<VolumePlace>,
}

impl Reinstall<'_> {
    /// Removes a builder: first its record, so that no client finds it any more. Returns whether it goes.
    fn remove_builder(&mut self, builder: &BuilderRecord) -> bool {
        let what = format!("builder {}", builder.name);
        let nodes = match self.nodes_to_remove(builder) {
            Ok(nodes) => nodes,
            Err(why) => {
                self.draft.leave_out(what, why);
                return false;
            }
        };
        let why = format!("from here on, no build finds builder `{}`", builder.name);
        self.remove_from_store(builder.file.path.clone(), why);
        for remains in nodes {
            self.remove_node(Some(&builder.name), remains);
        }
        true
    }

    /// Returns what a builder's nodes leave, or why the builder stays.
    fn nodes_to_remove(&self, builder: &BuilderRecord) -> Result<Vec<Remains>, String> {
        let Some(record) = builder.record.known() else {
            if let Some(why) = self.unreadable_elsewhere(&builder.name) {
                return Err(why);
            }
            let nodes = self.containers_of(&builder.name);
            let nodes = nodes.map(|(host, nodes)| {
                let names = nodes.into_iter().map(|(node, _)| node);
                names.map(|node| self.remains(&host, &node)).collect()
            });
            return Ok(nodes.unwrap_or_default());
        };
        match record.driver.as_str() {
            "docker-container" => {}
            "remote" => return Ok(Vec::new()),
            driver => {
                return Err(format!(
                    "its driver is {driver}; its daemon is not rekit's to remove"
                ));
            }
        }
        if let Some(claimed) = self.claimed_elsewhere(&record.nodes.iter().collect::<Vec<_>>()) {
            return Err(claimed.why());
        }
        let mut nodes = Vec::new();
        for node in &record.nodes {
            let host = node
                .host
                .as_ref()
                .filter(|host| self.ground.engine(host).is_some());
            let host = host.ok_or_else(|| {
                format!(
                    "the endpoint of its node {} does not answer: {}",
                    node.name, node.endpoint
                )
            })?;
            nodes.push(self.remains(host, &node.name));
        }
        Ok(nodes)
    }

    pub(super) fn remains(&self, host: &HostId, node: &NodeName) -> Remains {
        let container = self
            .ground
            .container(host, &node.container())
            .filter(|container| container.is_buildkit);
        // A volume that anybody else uses too is not this node's to lose.
        let is_own = |volume: &&HostVolume| {
            let mut users = volume.used_by.iter();
            users.all(|user| container.is_some_and(|container| &container.name == user))
        };
        let volume = self.ground.volume(host, node).filter(is_own);
        Remains {
            node: container.map(|container| place(host, container, node)),
            volume: volume.map(|volume| volume_place(host, volume)),
        }
    }

    pub(super) fn remove_node(&mut self, builder: Option<&BuilderName>, remains: Remains) {
        if let Some(node) = &remains.node {
            let patience = Patience::of(&self.goal.drain, self.wishes.cut_running_builds);
            self.draft.drain_and_stop(node, patience);
        }
        if let Some(volume) = &remains.volume
            && self.is_given_up(builder, volume)
        {
            let volume = volume.clone();
            return self.give_up(remains.node, volume);
        }
        let container = remains.node.as_ref().map(|node| node.container.clone());
        let proven = remains.volume.map(|volume| {
            let (archive, proof) = self.draft.archive_state(volume.clone(), container);
            (volume, archive, proof)
        });
        if let Some(node) = remains.node {
            let why = "its builder is gone";
            self.draft.push(why, Action::RemoveContainer { node });
        }
        if let Some((volume, archive, verified_by)) = proven {
            let action = Action::RemoveVolume {
                volume,
                archive,
                verified_by,
            };
            self.draft.push("its archive is proven and kept", action);
        }
    }

    /// Returns whether the selected builder is one of these, or was gone before.
    fn selection_dangles_without(&self, gone: &BTreeSet<String>) -> bool {
        let current = self.store.current.as_ref().and_then(|fact| fact.known());
        let name = current.map(|file| file.current.name.as_str());
        name.filter(|name| !name.is_empty()).is_some_and(|name| {
            gone.contains(name) || !(self.leads_somewhere(name) || self.is_context(name))
        })
    }

    /// Removes state volumes that no builder names.
    fn remove_orphans(&mut self) {
        for volume in self.orphans() {
            let orphan = Remains {
                node: None,
                volume: Some(volume),
            };
            self.remove_node(None, orphan);
        }
    }

    /// Names the caches that are no builder's to remove.
    fn name_what_stays(&mut self) {
        for place in &self.ground.inventory.caches {
            let why = match place.kind {
                PlaceKind::StateVolume | PlaceKind::OrphanVolume => continue,
                PlaceKind::Embedded => {
                    "it is whole only while its engine is stopped: `rekit backup create --engine-cache` keeps it, `docker buildx prune --builder default` empties it"
                }
                PlaceKind::StandaloneRoot => {
                    "it belongs to a daemon that no builder made; stop and remove that daemon where it was installed"
                }
                PlaceKind::LocalExport => {
                    "a folder of your project; remove it by hand if it is not needed"
                }
            };
            self.draft.leave_out(format!("cache {}", place.name), why);
        }
    }
}
