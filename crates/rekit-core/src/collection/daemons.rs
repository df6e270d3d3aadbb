//! The daemons that collect: each once, with the way to it and the place of its cache.

use jiff::Timestamp;

use crate::{
    fact::Fact,
    inventory::{CachePlace, Daemon, Host, Inventory, NodeRecord, PlaceKind, Record, Standalone},
    name::{HostId, HostPath},
    step::DaemonPlace,
};

/// The way to ask a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Through an engine.
    Engine(DaemonPlace),
    /// A node of the remote driver, by its place in the builder's record.
    Remote {
        /// buildx's store.
        store: HostPath,
        /// The builder.
        builder: String,
        /// The place.
        node: usize,
    },
    /// At an address.
    Address(String),
}

impl Reach {
    /// Returns the way to a builder's node; `None`: there is none from here.
    pub(crate) fn of_node(
        store: &HostPath,
        builder: &str,
        record: &Record,
        node: &NodeRecord,
    ) -> Option<Self> {
        match record.driver.as_str() {
            "docker-container" => Some(Self::Engine(DaemonPlace {
                host: node.host.clone()?,
                container: Some(node.name.container()),
            })),
            "remote" => Some(Self::Remote {
                store: store.clone(),
                builder: builder.to_owned(),
                node: record.nodes.iter().position(|it| it.name == node.name)?,
            }),
            _ => None,
        }
    }

    /// Returns the way to the `BuildKit` inside an engine.
    pub(crate) fn embedded(host: &HostId) -> Self {
        Self::Engine(DaemonPlace {
            host: host.clone(),
            container: None,
        })
    }
}

/// A daemon that collects.
#[derive(Clone, Debug)]
pub struct Collector<'a> {
    /// `node`, `embedded` or `standalone`.
    pub kind: &'static str,
    /// The node, the endpoint, or how a standalone daemon is known.
    pub name: String,
    /// The builder that it belongs to.
    pub builder: Option<String>,
    /// The engine that it is in or on.
    pub host: Option<HostId>,
    /// The way to it; `None`: there is none from here.
    pub reach: Option<Reach>,
    /// What it said of itself.
    pub daemon: &'a Fact<Daemon>,
    /// When it was started; `None`: not known.
    pub started: Option<Timestamp>,
    /// Where its cache lies.
    pub place: Option<&'a CachePlace>,
    /// What a person may call it.
    called: Vec<String>,
}

impl Collector<'_> {
    /// Returns whether a person means this daemon by a word.
    pub fn is_called(&self, word: &str) -> bool {
        let mut names = self.called.iter();
        names.any(|name| name == word)
    }
}

/// Lists the daemons of an inventory.
pub fn collectors(inventory: &Inventory) -> Vec<Collector<'_>> {
    let mut all: Vec<Collector<'_>> = Vec::new();
    for (store, builder, record, node) in inventory.nodes() {
        let reach = Reach::of_node(&store.path, builder.name.as_str(), record, node);
        let is_engine = matches!(reach, Some(Reach::Engine(_)));
        if is_engine && all.iter().any(|it| it.reach == reach) {
            continue;
        }
        all.push(of_node(inventory, builder.name.to_string(), node, reach));
    }
    all.extend(
        inventory
            .hosts
            .iter()
            .filter_map(|host| of_engine(inventory, host)),
    );
    for standalone in &inventory.standalone {
        // A node of the remote driver that is this daemon was told already.
        let is_told = inventory.nodes().any(|(_, _, record, node)| {
            record.driver == "remote" && standalone.address.as_ref() == Some(&node.endpoint)
        });
        if !is_told {
            all.push(of_standalone(inventory, standalone));
        }
    }
    all
}

fn of_node<'a>(
    inventory: &'a Inventory,
    builder: String,
    node: &'a NodeRecord,
    reach: Option<Reach>,
) -> Collector<'a> {
    let volume = |place: &&CachePlace| {
        let is_own = node
            .volume
            .as_ref()
            .is_some_and(|it| it.as_str() == place.name);
        place.kind == PlaceKind::StateVolume && is_own && place.host == node.host
    };
    let root = |place: &&CachePlace| {
        let mut standalone = inventory.standalone.iter();
        standalone.any(|it| {
            it.address.as_ref() == Some(&node.endpoint) && it.root.as_ref() == Some(&place.path)
        })
    };
    let places = inventory.caches.iter();
    Collector {
        kind: "node",
        name: node.name.to_string(),
        called: vec![builder.clone(), node.name.to_string()],
        builder: Some(builder),
        host: node.host.clone(),
        reach,
        daemon: &node.daemon,
        started: started(inventory, node),
        place: places
            .clone()
            .find(volume)
            .or_else(|| places.clone().find(root)),
    }
}

/// Returns when the container of a node was started.
fn started(inventory: &Inventory, node: &NodeRecord) -> Option<Timestamp> {
    let engine = inventory.host(node.host.as_ref()?)?.engine.known()?;
    let name = node.name.container();
    let mut containers = engine.containers.iter();
    let container = containers.find(|it| it.name == name)?;
    container.started_at.parse().ok()
}

fn of_engine<'a>(inventory: &'a Inventory, host: &'a Host) -> Option<Collector<'a>> {
    let engine = host.engine.known()?;
    let own = |place: &&CachePlace| {
        place.kind == PlaceKind::Embedded && place.host.as_ref() == Some(&host.id)
    };
    let contexts = inventory.contexts.iter().filter(|context| {
        let state = context.state.known();
        state.is_some_and(|state| state.host.as_ref() == Some(&host.id))
    });
    let mut called: Vec<String> = contexts.map(|context| context.name.clone()).collect();
    called.push(host.id.to_string());
    Some(Collector {
        kind: "embedded",
        name: host.id.to_string(),
        builder: None,
        host: Some(host.id.clone()),
        reach: Some(Reach::embedded(&host.id)),
        daemon: &engine.embedded,
        started: None,
        place: inventory.caches.iter().find(own),
        called,
    })
}

fn of_standalone<'a>(inventory: &'a Inventory, standalone: &'a Standalone) -> Collector<'a> {
    let own = |place: &&CachePlace| {
        let root = standalone.root.as_ref();
        place.kind == PlaceKind::StandaloneRoot && root == Some(&place.path)
    };
    let known_by = standalone.known_by.first().cloned().unwrap_or_default();
    let address = standalone.address.clone();
    Collector {
        kind: "standalone",
        name: address.clone().unwrap_or(known_by),
        builder: None,
        host: None,
        called: address
            .iter()
            .chain(&standalone.known_by)
            .cloned()
            .collect(),
        reach: address.map(Reach::Address),
        daemon: &standalone.daemon,
        started: None,
        place: inventory.caches.iter().find(own),
    }
}
