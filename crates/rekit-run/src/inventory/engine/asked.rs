//! All answers together, and what they make of the rest of the inventory.

use std::collections::BTreeSet;

use rekit_core::{
    fact::Fact,
    inventory::{CachePlace, Disk, Engine, Host, PlaceKind, Store},
    name::{HostId, HostPath, NodeName},
};

use super::{
    host::{self, AskedHost},
    made::AskedFor,
    nodes::{self, NodeAnswer, NodePlace, NodeQuestion},
};
use crate::{
    inventory::{
        Limits, caches, foundations::Foundations, record::NodeAddress, store::Claim, together,
    },
    world::{clock::Deadline, host as files},
};

/// What engines and daemons answered.
pub(in crate::inventory) struct Asked {
    hosts: Vec<AskedHost>,
    remote: Vec<NodeAnswer>,
}

/// Asks every endpoint and every node, side by side.
pub(in crate::inventory) async fn ask(
    base: &Foundations,
    deadline: Deadline,
    limits: Limits,
) -> Asked {
    let engines: Vec<_> = base
        .endpoints
        .all()
        .iter()
        .map(|endpoint| {
            let questions = questions(base, &endpoint.id);
            host::ask(endpoint.clone(), questions, base.pins_api, deadline, limits)
        })
        .collect();
    let remote: Vec<_> = remote_nodes(base)
        .into_iter()
        .map(|(place, address)| nodes::ask_remote(place, address, deadline, limits))
        .collect();
    let (hosts, remote) = tokio::join!(together::all(engines), together::all(remote));
    Asked { hosts, remote }
}

/// Lists the nodes that lie on a host.
fn questions(base: &Foundations, host: &HostId) -> Vec<NodeQuestion> {
    nodes_of(base)
        .filter(|(_, _, node, _)| node.host.as_ref() == Some(host))
        .filter_map(|(place, driver, node, address)| {
            Some(NodeQuestion {
                place,
                container: node.container.clone()?,
                asked_for: (driver == "docker-container").then(|| AskedFor::of(node, address)),
            })
        })
        .collect()
}

/// Lists the nodes of the remote driver with their addresses.
fn remote_nodes(base: &Foundations) -> Vec<(NodePlace, NodeAddress)> {
    nodes_of(base)
        .filter(|(_, driver, _, _)| *driver == "remote")
        .map(|(place, _, _, address)| (place, address.clone()))
        .collect()
}

/// Walks all readable nodes: place, driver, node, address.
fn nodes_of(
    base: &Foundations,
) -> impl Iterator<
    Item = (
        NodePlace,
        &str,
        &rekit_core::inventory::NodeRecord,
        &NodeAddress,
    ),
> {
    base.stores.iter().enumerate().flat_map(|(store, read)| {
        let builders = read.store.builders.iter().zip(&read.addresses);
        builders
            .enumerate()
            .filter_map(move |(builder, (entry, addresses))| {
                Some((builder, entry.record.known()?, addresses))
            })
            .flat_map(move |(builder, record, addresses)| {
                let nodes = record.nodes.iter().zip(addresses).enumerate();
                nodes.map(move |(node, (entry, address))| {
                    let place = NodePlace {
                        store,
                        builder,
                        node,
                    };
                    (place, record.driver.as_str(), entry, address)
                })
            })
    })
}

impl Asked {
    /// Fills in what the nodes answered.
    pub(in crate::inventory) fn fill_nodes(&self, stores: &mut [Store]) {
        let answers = self.hosts.iter().flat_map(|host| &host.nodes);
        for answer in answers.chain(&self.remote) {
            let NodePlace {
                store,
                builder,
                node,
            } = answer.place;
            if let Fact::Known(record) = &mut stores[store].builders[builder].record {
                let node = &mut record.nodes[node];
                node.status.clone_from(&answer.status);
                node.unapplied.clone_from(&answer.unapplied);
                node.image_is_here = answer.image_is_here;
                node.daemon = answer.daemon.clone();
            }
        }
    }

    /// Returns what the engine at an endpoint said of itself.
    pub(in crate::inventory) fn said(&self, id: &HostId) -> Fact<String> {
        match self.hosts.iter().find(|asked| &asked.host.id == id) {
            Some(asked) => match &asked.host.engine {
                Fact::Known(engine) => Fact::Known(format!("engine {}", engine.version)),
                Fact::Unreadable { reason } => Fact::Unreadable {
                    reason: reason.clone(),
                },
            },
            None => Fact::Unreadable {
                reason: "not asked".to_owned(),
            },
        }
    }

    /// Returns the places where the engines keep cache, each engine once though several endpoints may lead to it.
    pub(in crate::inventory) fn places(
        &self,
        stores: &[Store],
        claims: &[Claim],
    ) -> Vec<CachePlace> {
        let mut seen = BTreeSet::new();
        let mut places = Vec::new();
        for asked in &self.hosts {
            let Some(engine) = asked.host.engine.known() else {
                continue;
            };
            if !seen.insert(engine.id.as_str()) {
                continue;
            }
            places.push(asked.embedded(engine));
            places.extend(engine.volumes.iter().map(|volume| {
                let mut used_by = self.users(stores, &engine.id, volume.name.as_str());
                if used_by.is_empty() {
                    used_by = claimants(claims, volume.name.as_str());
                }
                CachePlace {
                    kind: if used_by.is_empty() {
                        PlaceKind::OrphanVolume
                    } else {
                        PlaceKind::StateVolume
                    },
                    host: Some(asked.host.id.clone()),
                    name: volume.name.to_string(),
                    path: volume.mountpoint.clone(),
                    used_by,
                    size_bytes: volume.size_bytes.clone(),
                    free_bytes: asked.free(&volume.mountpoint),
                    disk: asked.disk(&volume.mountpoint),
                }
            }));
        }
        places
    }

    /// Lists the nodes that use a volume of an engine, `BUILDER/NODE`, whichever endpoint they name it by.
    fn users(&self, stores: &[Store], engine: &str, volume: &str) -> Vec<String> {
        let mut users = BTreeSet::new();
        let builders = stores.iter().flat_map(|store| &store.builders);
        for (builder, record) in
            builders.filter_map(|builder| Some((builder, builder.record.known()?)))
        {
            for node in &record.nodes {
                let is_here = node.host.as_ref().is_none_or(|host| {
                    // A host that does not answer may be this engine by another name.
                    self.engine_at(host).is_none_or(|there| there.id == engine)
                });
                let is_it = node
                    .volume
                    .as_ref()
                    .is_some_and(|name| name.as_str() == volume);
                if is_here && is_it {
                    users.insert(format!("{}/{}", builder.name, node.name));
                }
            }
        }
        users.into_iter().collect()
    }

    fn engine_at(&self, id: &HostId) -> Option<&Engine> {
        let asked = self.hosts.iter().find(|asked| &asked.host.id == id)?;
        asked.host.engine.known()
    }

    /// Returns the hosts.
    pub(in crate::inventory) fn into_hosts(self) -> Vec<Host> {
        self.hosts.into_iter().map(|asked| asked.host).collect()
    }
}

/// Lists the builders whose records do not parse and that may name the volume's node.
fn claimants(claims: &[Claim], volume: &str) -> Vec<String> {
    let Some(node) = NodeName::of_volume(volume) else {
        return Vec::new();
    };
    claims
        .iter()
        .filter(|claim| claim.covers(&node))
        .map(|claim| format!("{}/{node}", claim.builder))
        .collect()
}

impl AskedHost {
    /// Describes the cache inside the engine. Its layers lie among the images', so its size is what the daemon counts.
    fn embedded(&self, engine: &Engine) -> CachePlace {
        let path = engine.data_root.join("buildkit");
        let size_bytes = match &engine.embedded {
            Fact::Known(daemon) => match &daemon.cache {
                Fact::Known(cache) => Fact::Known(cache.bytes),
                Fact::Unreadable { reason } => Fact::Unreadable {
                    reason: reason.clone(),
                },
            },
            Fact::Unreadable { reason } => Fact::Unreadable {
                reason: reason.clone(),
            },
        };
        CachePlace {
            kind: PlaceKind::Embedded,
            host: Some(self.host.id.clone()),
            name: path.as_str().to_owned(),
            free_bytes: self.free(&engine.data_root),
            disk: self.disk(&engine.data_root),
            path,
            used_by: vec!["the engine".to_owned()],
            size_bytes,
        }
    }

    fn disk(&self, path: &HostPath) -> Option<Disk> {
        let folder = files::path_of(path);
        self.is_local.then(|| caches::disk(&folder)).flatten()
    }

    fn free(&self, path: &HostPath) -> Fact<u64> {
        if self.is_local {
            caches::free(&files::path_of(path))
        } else {
            Fact::Unreadable {
                reason: "it lies on another machine".to_owned(),
            }
        }
    }
}
