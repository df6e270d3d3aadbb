//! A deep look: what it tries and reads, and how that comes into the inventory. A quick look does neither.

use std::collections::BTreeSet;

use crate::{
    collection::{Reach, collectors},
    criteria::Found,
    fact::Fact,
    inventory::{Daemon, Engine, Inventory},
    name::{ContainerName, HostId, HostPath, Platform, VolumeName},
};

/// Where a state lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateOnDisk {
    /// In a volume of an engine.
    Volume {
        /// The engine.
        host: HostId,
        /// The volume.
        volume: VolumeName,
    },
    /// In a folder of this machine.
    Folder(HostPath),
}

/// Returns each daemon that answered, once, with its own platform, which needs no emulator.
pub fn daemons(inventory: &Inventory) -> Vec<(Reach, Platform)> {
    let answered = collectors(inventory).into_iter().filter_map(|collector| {
        let mut platforms = collector
            .daemon
            .known()?
            .workers
            .iter()
            .flat_map(|worker| &worker.platforms);
        Some((collector.reach?, platforms.next()?.clone()))
    });
    answered.collect()
}

/// Returns the containers of nodes that stand still: whether their daemons would build, only stand-ins can tell.
pub fn at_rest(inventory: &Inventory) -> BTreeSet<(HostId, ContainerName)> {
    let nodes = inventory.nodes().filter_map(|(_, _, _, node)| {
        let engine = inventory.host(node.host.as_ref()?)?;
        let mut containers = engine.engine.known()?.containers.iter();
        let container = containers.find(|it| Some(&it.name) == node.container.as_ref())?;
        let rests = ["exited", "created"].contains(&container.status.as_str());
        (rests && container.is_buildkit).then(|| (engine.id.clone(), container.name.clone()))
    });
    nodes.collect()
}

/// Writes down what became of a stand-in.
pub fn note_stand_in(
    inventory: &mut Inventory,
    (host, container): &(HostId, ContainerName),
    found: Found,
) {
    if let Some(engine) = engine_of(inventory, host) {
        let mut containers = engine.containers.iter_mut();
        if let Some(container) = containers.find(|it| it.name == *container) {
            container.stand_in = Some(found);
        }
    }
}

/// Returns each state whose databases can be read; what is parked is nobody's worry.
pub fn states(inventory: &Inventory) -> Vec<StateOnDisk> {
    let mut found = Vec::new();
    for host in &inventory.hosts {
        let volumes = host
            .engine
            .known()
            .into_iter()
            .flat_map(|engine| &engine.volumes);
        let states = volumes
            .filter(|volume| volume.parked.is_none() && volume.holds_state.known() != Some(&false));
        found.extend(states.map(|volume| StateOnDisk::Volume {
            host: host.id.clone(),
            volume: volume.name.clone(),
        }));
    }
    let roots = inventory
        .standalone
        .iter()
        .filter_map(|daemon| daemon.root.clone());
    found.extend(roots.map(StateOnDisk::Folder));
    found
}

/// Writes down what became of builds.
pub fn note_trials(inventory: &mut Inventory, trials: &[(Reach, Found)]) {
    let note = |reach: Option<Reach>, daemon: &mut Fact<Daemon>| {
        let trial = trials
            .iter()
            .find(|(tried, _)| Some(tried) == reach.as_ref());
        if let (Some((_, found)), Fact::Known(daemon)) = (trial, daemon) {
            daemon.trial = Some(found.clone());
        }
    };
    for store in &mut inventory.stores {
        for builder in &mut store.builders {
            let Fact::Known(record) = &mut builder.record else {
                continue;
            };
            let reaches: Vec<_> = record
                .nodes
                .iter()
                .map(|node| Reach::of_node(&store.path, builder.name.as_str(), record, node))
                .collect();
            for (node, reach) in record.nodes.iter_mut().zip(reaches) {
                note(reach, &mut node.daemon);
            }
        }
    }
    for host in &mut inventory.hosts {
        if let Fact::Known(engine) = &mut host.engine {
            note(Some(Reach::embedded(&host.id)), &mut engine.embedded);
        }
    }
    for daemon in &mut inventory.standalone {
        note(
            daemon.address.clone().map(Reach::Address),
            &mut daemon.daemon,
        );
    }
}

/// Returns what is known of a host's engine, to add to it.
fn engine_of<'a>(inventory: &'a mut Inventory, host: &HostId) -> Option<&'a mut Engine> {
    let host = inventory.hosts.iter_mut().find(|it| it.id == *host)?;
    match &mut host.engine {
        Fact::Known(engine) => Some(engine),
        Fact::Unreadable { .. } => None,
    }
}

/// Writes down where a state contradicts itself.
pub fn note_contradictions(
    inventory: &mut Inventory,
    state: &StateOnDisk,
    found: Fact<Vec<String>>,
) {
    match state {
        StateOnDisk::Volume { host, volume } => {
            if let Some(engine) = engine_of(inventory, host) {
                let volume = engine.volumes.iter_mut().find(|it| it.name == *volume);
                if let Some(volume) = volume {
                    volume.contradictions = Some(found);
                }
            }
        }
        StateOnDisk::Folder(root) => {
            let mut daemons = inventory.standalone.iter_mut();
            if let Some(daemon) = daemons.find(|daemon| daemon.root.as_ref() == Some(root)) {
                daemon.contradictions = Some(found);
            }
        }
    }
}
