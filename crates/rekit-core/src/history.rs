//! What earlier runs left: generations, parked nodes, archives. Derived from plans and journals, stored nowhere else.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    fact::Fact,
    inventory::{HostContainer, Inventory},
    name::{ArchiveId, ContainerName, HostId, VolumeName},
    next::{RunEnd, RunState, Stage},
    plan::{Plan, Purpose},
    step::{Action, Identity, NodePlace, Step, VolumePlace},
    undo::Undo,
};

/// A run that is over or open, as the journal has it.
#[derive(Clone, Debug)]
pub struct PastRun {
    /// Its plan.
    pub plan: Plan,
    /// Where it stands.
    pub state: RunState,
    /// When it began.
    pub began: Timestamp,
}

impl PastRun {
    /// Returns the steps that are done and not taken back, in order.
    pub fn done_steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.plan.steps.iter().filter(|step| {
            matches!(
                self.state.stage(step.id),
                Stage::Finished(..) | Stage::Adopted
            )
        })
    }

    /// Returns the undo of a step that is done.
    pub fn undo(&self, step: &Step) -> Option<&Undo> {
        match self.state.stage(step.id) {
            Stage::Finished(undo, _) => Some(undo),
            _ => None,
        }
    }
}

/// All runs that ended well, in order.
#[derive(Clone, Debug, Default)]
pub struct History {
    runs: Vec<PastRun>,
}

/// An installed set of builders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Generation {
    /// Its number; 0 is what was there before rekit.
    pub number: u32,
    /// The run that brought it.
    pub run: Option<crate::name::RunId>,
    /// What that run was for.
    pub purpose: Option<Purpose>,
    /// When it came.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// Whether it is in force now.
    pub current: bool,
}

/// A node or volume that is kept, stopped, for going back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parked {
    /// Its container; `None` for a volume that no builder named.
    pub node: Option<NodePlace>,
    /// Its state volume.
    pub volume: Option<VolumePlace>,
    /// The archive of its stopped state, where there is one that is newer than its last start.
    pub archive: Option<ArchiveId>,
    /// The generation that it belonged to.
    pub generation: u32,
}

impl History {
    /// Keeps the runs that ended well and changed something.
    pub fn new(runs: Vec<PastRun>) -> Self {
        Self {
            runs: runs
                .into_iter()
                .filter(|run| run.state.ended() == Some(RunEnd::Done))
                .collect(),
        }
    }

    /// Returns the generation in force.
    pub fn current(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.plan.to_generation)
    }

    /// Returns the highest number there ever was.
    pub fn highest(&self) -> u32 {
        self.runs
            .iter()
            .map(|run| run.plan.to_generation.max(run.plan.from_generation))
            .max()
            .unwrap_or(0)
    }

    /// Returns all generations, oldest first.
    pub fn generations(&self) -> Vec<Generation> {
        let current = self.current();
        let mut generations = vec![Generation {
            number: 0,
            run: None,
            purpose: None,
            since: None,
            current: current == 0,
        }];
        for run in &self.runs {
            let number = run.plan.to_generation;
            if generations.iter().all(|known| known.number != number) {
                generations.push(Generation {
                    number,
                    run: Some(run.plan.run.clone()),
                    purpose: Some(run.plan.purpose),
                    since: Some(run.began),
                    current: number == current,
                });
            }
        }
        generations
    }

    /// Returns the runs to take back, latest first, to come to a generation; `None` if it never was in force.
    pub fn since(&self, generation: u32) -> Option<Vec<&PastRun>> {
        let in_force_after = |run: &PastRun| run.plan.to_generation == generation;
        let first = match self.runs.iter().rposition(in_force_after) {
            Some(last) => last + 1,
            None if self
                .runs
                .first()
                .is_some_and(|run| run.plan.from_generation == generation) =>
            {
                0
            }
            None => return None,
        };
        Some(self.runs[first..].iter().rev().collect())
    }

    /// Returns the generation before the last change, `None` if there was no change.
    pub fn previous(&self) -> Option<u32> {
        let changes = |run: &&PastRun| run.plan.from_generation != run.plan.to_generation;
        self.runs
            .iter()
            .rev()
            .find(changes)
            .map(|run| run.plan.from_generation)
    }

    /// Returns what is parked now.
    pub fn parked(&self) -> Vec<Parked> {
        let mut now = Shelf::default();
        for run in &self.runs {
            for step in run.done_steps() {
                now.take_in(&step.action, run.plan.from_generation);
            }
        }
        now.parked()
    }
}

/// Follows what steps do to nodes and volumes.
#[derive(Default)]
struct Shelf {
    nodes: BTreeMap<(HostId, ContainerName), (NodePlace, u32)>,
    orphans: BTreeMap<(HostId, VolumeName), (VolumePlace, u32)>,
    archives: BTreeMap<(HostId, VolumeName), (VolumePlace, ArchiveId)>,
}

impl Shelf {
    fn take_in(&mut self, action: &Action, generation: u32) {
        match action {
            Action::Park { node } => {
                self.nodes.insert(
                    (node.host.clone(), node.container.clone()),
                    (node.clone(), generation),
                );
            }
            Action::ArchiveState {
                archive,
                volume,
                container,
            } => {
                let key = (volume.host.clone(), volume.volume.clone());
                self.archives
                    .insert(key.clone(), (volume.clone(), archive.clone()));
                if container.is_none() {
                    self.orphans.insert(key, (volume.clone(), generation));
                }
            }
            Action::StartNode { node, .. } => {
                self.nodes
                    .remove(&(node.host.clone(), node.container.clone()));
                // A state that ran since its archive is no longer what the archive holds.
                self.archives
                    .remove(&(node.host.clone(), node.volume.clone()));
            }
            Action::RemoveContainer { node } => {
                self.nodes
                    .remove(&(node.host.clone(), node.container.clone()));
            }
            Action::RemoveVolume { volume, .. } => {
                let key = (volume.host.clone(), volume.volume.clone());
                self.orphans.remove(&key);
                self.archives.remove(&key);
            }
            _ => {}
        }
    }

    fn parked(self) -> Vec<Parked> {
        let nodes = self.nodes.into_values().map(|(node, generation)| {
            let found = self.archives.get(&(node.host.clone(), node.volume.clone()));
            let (volume, archive) = found.cloned().unzip();
            Parked {
                node: Some(node),
                volume,
                archive,
                generation,
            }
        });
        let orphans = self.orphans.iter().map(|(key, (volume, generation))| {
            let archive = self.archives.get(key).map(|(_, archive)| archive.clone());
            Parked {
                node: None,
                volume: Some(volume.clone()),
                archive,
                generation: *generation,
            }
        });
        nodes.chain(orphans).collect()
    }
}

/// Marks in an inventory what is parked. A parked container that somebody started again is not parked any more.
pub fn mark_parked(inventory: &mut Inventory, parked: &[Parked]) {
    for host in &mut inventory.hosts {
        let Fact::Known(engine) = &mut host.engine else {
            continue;
        };
        for item in parked.iter().filter(|item| item.is_on(&host.id)) {
            let id = |node: &NodePlace| match &node.identity {
                Identity::Id { id } => Some(id.clone()),
                Identity::MadeBy { .. } => None,
            };
            let known = item.node.as_ref().and_then(id);
            let is_node = |container: &HostContainer| {
                let named = item
                    .node
                    .as_ref()
                    .is_some_and(|node| node.container == container.name);
                named
                    && known.as_ref().is_none_or(|id| id == &container.id)
                    && container.status != "running"
            };
            for container in engine
                .containers
                .iter_mut()
                .filter(|container| is_node(container))
            {
                container.parked = Some(item.generation);
            }
            let volume = item
                .node
                .as_ref()
                .map(|node| &node.volume)
                .or(item.volume.as_ref().map(|place| &place.volume));
            for found in engine
                .volumes
                .iter_mut()
                .filter(|found| Some(&found.name) == volume)
            {
                found.parked = Some(item.generation);
            }
        }
    }
}

impl Parked {
    fn is_on(&self, host: &HostId) -> bool {
        let node = self.node.as_ref().map(|node| &node.host);
        node.or(self.volume.as_ref().map(|volume| &volume.host)) == Some(host)
    }
}
