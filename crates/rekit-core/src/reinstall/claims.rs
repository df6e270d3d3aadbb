//! Whose a node is: one that another store names too is not this store's alone to stop or remove.

use super::Reinstall;
use crate::{
    inventory::{Inventory, NodeRecord, Store},
    name::{BuilderName, ContainerName, HostId, HostPath, NodeName},
};

/// A node that another store names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// The node.
    pub(crate) node: NodeName,
    /// The other store.
    pub(crate) store: HostPath,
    /// The builder there.
    pub(crate) builder: String,
}

impl Claimed {
    /// Says why the node is left as it is, and what can be done.
    pub(crate) fn why(&self) -> String {
        format!(
            "its node {} is named by builder {} of another store too, {}: whoever builds there would start it again. Take that record away first, \
             which leaves daemon and cache alone: `BUILDX_CONFIG={} docker buildx rm --keep-daemon {}`",
            self.node, self.builder, self.store, self.store, self.builder
        )
    }
}

impl Reinstall<'_> {
    /// Returns one of these nodes that another store names too.
    pub(super) fn claimed_elsewhere(&self, nodes: &[&NodeRecord]) -> Option<Claimed> {
        nodes.iter().find_map(|node| {
            let (host, container) = (node.host.as_ref()?, node.container.as_ref()?);
            claim(
                self.ground.inventory,
                host,
                container,
                Some(&self.store.path),
            )
        })
    }

    /// Says why a builder whose record does not parse is left as it is: a store that has one of the same name may mean the same nodes.
    pub(super) fn unreadable_elsewhere(&self, builder: &BuilderName) -> Option<String> {
        let stores = self.ground.inventory.stores.iter();
        let mut others = stores.filter(|store| store.path != self.store.path);
        let has_it = |store: &&Store| {
            let mut builders = store.builders.iter();
            builders.any(|known| &known.name == builder && known.record.known().is_none())
        };
        let other = others.find(has_it)?;
        Some(format!(
            "neither its record nor the one of the same name in another store, {}, can be read: whose its containers are is not known. \
             Take one of the two records away",
            other.path
        ))
    }
}

/// Returns who names a container, other than one store. Two endpoints may lead to one engine.
pub(crate) fn claim(
    inventory: &Inventory,
    host: &HostId,
    container: &ContainerName,
    except: Option<&HostPath>,
) -> Option<Claimed> {
    let engine = |host: &HostId| Some(&inventory.host(host)?.engine.known()?.id);
    let is_same =
        |other: &HostId| other == host || engine(other).is_some_and(|id| engine(host) == Some(id));
    let mut nodes = inventory.nodes();
    nodes.find_map(|(store, builder, _, node)| {
        let is_it = Some(&store.path) != except
            && node.container.as_ref() == Some(container)
            && node.host.as_ref().is_some_and(is_same);
        is_it.then(|| Claimed {
            node: node.name.clone(),
            store: store.path.clone(),
            builder: builder.name.to_string(),
        })
    })
}
