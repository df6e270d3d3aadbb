//! The inventory with the questions that many checks ask.
//!
//! Invariant: names of builders are compared without case, because buildx lowers them in file names only.

use std::collections::{BTreeMap, BTreeSet};

use super::remedy::Owner;
use crate::{
    inventory::{
        BuilderRecord, Engine, Host, HostContainer, HostVolume, Inventory, NodeRecord, Record,
        Store,
    },
    name::{HostId, NodeName, VOLUME_SUFFIX},
};

/// A node with all that it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) store: &'a Store,
    pub(super) builder: &'a BuilderRecord,
    pub(super) record: &'a Record,
    pub(super) facts: &'a NodeRecord,
}

impl Node<'_> {
    /// Returns the builder that it is of.
    pub(super) fn owner(&self) -> Owner {
        Owner::of(self.store, self.builder)
    }

    /// Whether buildx runs it in a container of its own.
    pub(super) fn in_container(&self) -> bool {
        self.record.driver == "docker-container"
    }
}

/// The inventory, with answers ready.
pub(super) struct Known<'a> {
    pub(super) inventory: &'a Inventory,
    names: BTreeSet<String>,
    /// Per node name, the hosts that a record puts it on; `None`: a host that rekit cannot tell.
    nodes: BTreeMap<&'a str, Vec<Option<&'a HostId>>>,
    broken: Vec<String>,
}

impl<'a> Known<'a> {
    pub(super) fn of(inventory: &'a Inventory) -> Self {
        let records = inventory.stores.iter().flat_map(|store| &store.builders);
        let mut nodes: BTreeMap<&str, Vec<Option<&HostId>>> = BTreeMap::new();
        for (_, _, record, node) in inventory.nodes() {
            if record.driver == "docker-container" {
                nodes
                    .entry(node.name.as_str())
                    .or_default()
                    .push(node.host.as_ref());
            }
        }
        Self {
            inventory,
            names: records
                .clone()
                .map(|builder| builder.name.as_str().to_lowercase())
                .chain(inventory.contexts.iter().map(|c| c.name.to_lowercase()))
                .chain(["default".to_owned(), String::new()])
                .collect(),
            nodes,
            broken: records
                .filter(|builder| builder.record.known().is_none())
                .map(|builder| builder.name.as_str().to_lowercase())
                .collect(),
        }
    }

    /// Whether a builder or a context has this name.
    pub(super) fn names_a_builder(&self, name: &str) -> bool {
        self.names.contains(&name.to_lowercase())
    }

    /// Whether a record, or what can be told of a broken one, claims this node on this host.
    pub(super) fn claims(&self, node: &NodeName, host: &HostId) -> bool {
        let claimed = self
            .nodes
            .get(node.as_str())
            .is_some_and(|hosts| hosts.iter().any(|h| h.is_none_or(|h| h == host)));
        let stem = node.as_str().to_lowercase();
        let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit());
        claimed
            || self
                .broken
                .iter()
                .any(|name| name.trim_end_matches(|c: char| c.is_ascii_digit()) == stem)
    }

    /// Returns every readable node.
    pub(super) fn nodes(&self) -> impl Iterator<Item = Node<'a>> {
        self.inventory
            .nodes()
            .map(|(store, builder, record, node)| Node {
                store,
                builder,
                record,
                facts: node,
            })
    }

    /// Returns every engine that answered.
    pub(super) fn engines(&self) -> impl Iterator<Item = (&'a Host, &'a Engine)> {
        let hosts = self.inventory.hosts.iter();
        hosts.filter_map(|host| Some((host, host.engine.known()?)))
    }

    /// Returns the engine that this node's container is on.
    pub(super) fn engine(&self, node: Node<'a>) -> Option<&'a Engine> {
        self.inventory
            .host(node.facts.host.as_ref()?)?
            .engine
            .known()
    }

    /// Returns the container that bears this node's name.
    pub(super) fn container(&self, node: Node<'a>) -> Option<&'a HostContainer> {
        let name = node.facts.name.container();
        let containers = &self.engine(node)?.containers;
        containers.iter().find(|container| container.name == name)
    }

    /// Returns the state volume that bears this node's name.
    pub(super) fn volume(&self, node: Node<'a>) -> Option<&'a HostVolume> {
        let name = node.facts.name.volume();
        let volumes = &self.engine(node)?.volumes;
        volumes.iter().find(|volume| volume.name == name)
    }

    /// Returns the value of a variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&'a str> {
        let variables = &self.inventory.environment;
        variables
            .iter()
            .find(|variable| variable.name == name && !variable.value.is_empty())
            .map(|variable| variable.value.as_str())
    }
}

/// Returns the node whose container this would be; the container of a volume is not one.
pub(super) fn node_of(container: &HostContainer) -> Option<NodeName> {
    let name = container.name.as_str();
    NodeName::of_container(name.strip_suffix(VOLUME_SUFFIX).unwrap_or(name))
}
