//! What earlier runs left: generations, parked nodes, archives. Derived from plans and journals, stored nowhere else.

mod states;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    fact::Fact,
    inventory::{HostContainer, Inventory},
    name::{ArchiveId, ContainerName, HostId, HostPath, NodeName, VolumeName},
    next::{RunEnd, RunState, Stage},
    plan::{Plan, Purpose},
    step::{Action, Identity, NodePlace, Step, VolumePlace},
    undo::Undo,
};

use states::States;

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

    /// Returns whether it is still to be resumed or taken back.
    pub fn is_open(&self) -> bool {
        matches!(self.state.ended(), None | Some(RunEnd::Stuck))
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
    /// The state of a standalone daemon, where it is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<HostPath>,
    /// The archive of its stopped state, where there is one that is newer than its last start.
    pub archive: Option<ArchiveId>,
    /// The generation that it belonged to.
    pub generation: u32,
}

/// The time in which a generation is tried, with the one before it parked. Its end only reminds: nothing goes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Probation {
    /// The generation that is tried.
    pub generation: u32,
    /// When a person is reminded to decide.
    #[schemars(with = "String")]
    pub ends: Timestamp,
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

    /// Returns these runs, in order.
    pub fn runs(&self) -> &[PastRun] {
        &self.runs
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

    /// Returns after how many runs a generation came into force last; `None` if it never was.
    pub fn position(&self, generation: u32) -> Option<usize> {
        let in_force_after = |run: &PastRun| run.plan.to_generation == generation;
        let is_first = |run: &PastRun| run.plan.from_generation == generation;
        match self.runs.iter().rposition(in_force_after) {
            Some(last) => Some(last + 1),
            None if self.runs.first().is_some_and(is_first) => Some(0),
            None => None,
        }
    }

    /// Returns the runs to take back, latest first, to come to a generation; `None` if it never was in force.
    pub fn since(&self, generation: u32) -> Option<Vec<&PastRun>> {
        let first = self.position(generation)?;
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

    /// Returns the probation of the generation in force, `None` if nothing is parked.
    pub fn probation(&self) -> Option<Probation> {
        let changes = |run: &&PastRun| run.plan.from_generation != run.plan.to_generation;
        let run = self.runs.iter().rev().find(changes)?;
        let days = SignedDuration::from_hours(24 * i64::from(run.plan.probation_days));
        let ends = run.began.checked_add(days).unwrap_or(Timestamp::MAX);
        (!self.parked().is_empty()).then_some(Probation {
            generation: run.plan.to_generation,
            ends,
        })
    }

    /// Returns what is parked now.
    pub fn parked(&self) -> Vec<Parked> {
        let mut now = Shelf::default();
        // A backup leaves all as it was, and its archives may lie anywhere.
        let changes = |run: &&PastRun| run.plan.purpose != Purpose::Backup;
        for run in self.runs.iter().filter(changes) {
            for step in run.done_steps() {
                now.take_in(step, &run.plan);
                now.states.take_in(step, &run.plan);
            }
        }
        // A volume that no builder named belongs to its generation: while that is in force, it is no more parked than the rest.
        let current = self.current();
        let mut parked = now.parked();
        parked.retain(|item| item.node.is_some() || item.generation != current);
        parked
    }
}

/// Follows what steps do to nodes and volumes.
#[derive(Default)]
struct Shelf {
    nodes: BTreeMap<(HostId, ContainerName), (NodePlace, u32)>,
    orphans: BTreeMap<(HostId, VolumeName), (VolumePlace, u32)>,
    archives: BTreeMap<(HostId, VolumeName), (VolumePlace, ArchiveId)>,
    /// The generations of nodes that were removed, for when they come back.
    removed: BTreeMap<(HostId, ContainerName), u32>,
    states: States,
}

impl Shelf {
    fn take_in(&mut self, step: &Step, plan: &Plan) {
        let generation = plan.from_generation;
        match &step.action {
            // It comes back stopped; one that is in force again is started by a later step.
            Action::RecreateContainer {
                host, container, ..
            } => {
                let Some(owner) = NodeName::of_container(container.as_str()) else {
                    return;
                };
                let key = (host.clone(), container.clone());
                let generation = self.removed.get(&key).copied().unwrap_or(generation);
                let node = NodePlace {
                    host: host.clone(),
                    container: container.clone(),
                    identity: Identity::MadeBy {
                        run: plan.run.clone(),
                        step: step.id,
                    },
                    volume: owner.volume(),
                };
                self.nodes.insert(key, (node, generation));
            }
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
                let key = (node.host.clone(), node.container.clone());
                if let Some((_, generation)) = self.nodes.remove(&key) {
                    self.removed.insert(key, generation);
                }
            }
            Action::RemoveVolume { volume, .. } | Action::DropVolume { volume } => {
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
                folder: None,
                archive,
                generation,
            }
        });
        let orphans = self.orphans.iter().map(|(key, (volume, generation))| {
            let archive = self.archives.get(key).map(|(_, archive)| archive.clone());
            Parked {
                node: None,
                volume: Some(volume.clone()),
                folder: None,
                archive,
                generation: *generation,
            }
        });
        nodes.chain(orphans).chain(self.states.parked()).collect()
    }
}

/// Marks in an inventory what is parked. A parked container that somebody started again is not parked any more.
pub fn mark_parked(inventory: &mut Inventory, parked: &[Parked]) {
    for host in &mut inventory.hosts {
        let Fact::Known(engine) = &mut host.engine else {
            continue;
        };
        for item in parked.iter().filter(|item| item.is_on(&host.id)) {
            let is_meant = |node: &NodePlace, container: &HostContainer| match &node.identity {
                Identity::Id { id } => id == &container.id || node.identity.was(&container.labels),
                Identity::MadeBy { .. } => true,
            };
            let is_node = |container: &HostContainer| {
                let named = item.node.as_ref().is_some_and(|node| {
                    node.container == container.name && is_meant(node, container)
                });
                named && container.status != "running"
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{name::RunId, next::Entry, step::StepId, undo::Outcome};

    const HOST: &str = "unix:///run/docker.sock";

    fn node(identity: Identity) -> NodePlace {
        NodePlace {
            host: HOST.parse().unwrap(),
            container: "buildx_buildkit_team0-g1".parse().unwrap(),
            identity,
            volume: "buildx_buildkit_team0-g1_state".parse().unwrap(),
        }
    }

    fn run(id: &str, generations: (u32, u32), actions: Vec<Action>) -> PastRun {
        let numbered = actions.into_iter().zip(1..);
        let steps: Vec<_> = numbered
            .map(|(action, id)| Step {
                id: StepId(id),
                why: String::new(),
                action,
            })
            .collect();
        let done = |step: &Step| {
            [
                Entry::Started {
                    step: step.id,
                    undo: Undo::Nothing {},
                },
                Entry::Finished {
                    step: step.id,
                    outcome: Outcome::Done {},
                },
            ]
        };
        let end = Entry::Ended { end: RunEnd::Done };
        let entries: Vec<_> = steps.iter().flat_map(done).chain([end]).collect();
        PastRun {
            state: RunState::replay(steps.len(), &entries),
            began: Timestamp::UNIX_EPOCH,
            plan: Plan {
                from_generation: generations.0,
                to_generation: generations.1,
                steps,
                ..Plan::new(
                    id.parse().unwrap(),
                    Purpose::Reinstall,
                    Timestamp::UNIX_EPOCH,
                    "/home".into(),
                )
            },
        }
    }

    #[test]
    fn a_node_that_a_rollback_makes_again_is_parked_until_it_is_started() {
        let old = node(Identity::Id {
            id: "a".repeat(64).parse().unwrap(),
        });
        let made: RunId = "rollback-3".parse().unwrap();
        let again = node(Identity::MadeBy {
            run: made,
            step: StepId(1),
        });
        let recreate = Action::RecreateContainer {
            host: old.host.clone(),
            container: old.container.clone(),
            description: "b".repeat(64).parse().unwrap(),
        };
        let start = Action::StartNode {
            node: again.clone(),
            restart_policy: String::new(),
            looping: false,
        };
        let mut runs = vec![
            run(
                "reinstall-1",
                (1, 2),
                vec![Action::Park { node: old.clone() }],
            ),
            run(
                "finalize-2",
                (2, 2),
                vec![Action::RemoveContainer { node: old }],
            ),
        ];
        assert!(History::new(runs.clone()).parked().is_empty());
        runs.push(run("rollback-3", (2, 0), vec![recreate]));
        let parked = History::new(runs.clone()).parked();
        assert_eq!(parked.len(), 1);
        assert_eq!((&parked[0].node, parked[0].generation), (&Some(again), 1));
        runs.push(run("rollback-4", (0, 1), vec![start]));
        assert!(History::new(runs).parked().is_empty());
    }
}
