//! A plan while it is being made: numbers its steps, and collects choices and what is left out.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    engine_cache::EnginePlace,
    goal::DrainGoal,
    inventory::{Engine, HostContainer, HostVolume, Inventory},
    name::{ArchiveId, ContainerName, HostId, HostPath, NameError, NodeName, RunId},
    plan::{Choice, LeftOut, Plan, Purpose},
    standalone::{ProcessIdentity, StandalonePlace},
    step::{Action, FileState, Identity, NodePlace, Step, StepId, VolumePlace},
};

/// Seconds to wait for clients that read the old record (facts.md A: 5 s gave no failure in 74 builds).
const GRACE_SECONDS: u32 = 5;
/// Seconds to wait for running builds when nothing else is said.
const LIMIT_SECONDS: u32 = 1800;
/// Seconds that a daemon has to end; it is never killed.
const STOP_SECONDS: u32 = 120;

/// How long builds on a node are waited for before it stops.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    grace_seconds: u32,
    limit_seconds: u32,
    stop_seconds: u32,
    cut: bool,
}

impl Patience {
    /// Returns what the goal says, else the usual; `cut`: builds that still run then are cut.
    pub fn of(goal: &DrainGoal, cut: bool) -> Self {
        Self {
            grace_seconds: goal.grace_seconds.unwrap_or(GRACE_SECONDS),
            limit_seconds: goal.limit_seconds.unwrap_or(LIMIT_SECONDS),
            stop_seconds: goal.stop_seconds.unwrap_or(STOP_SECONDS),
            cut,
        }
    }

    /// Returns the step that ends a standalone daemon once no build runs on it. Its builds are never cut: told to end, it waits for them itself,
    /// and there is no engine that would kill it.
    pub fn stop_daemon(self, daemon: &StandalonePlace, process: ProcessIdentity) -> Action {
        Action::StopDaemon {
            daemon: daemon.clone(),
            process,
            limit_seconds: self.limit_seconds,
            cut: false,
        }
    }

    /// Returns the step that stops an engine once no build runs on it.
    pub fn stop_engine(self, engine: &EnginePlace) -> Action {
        Action::StopEngine {
            engine: engine.clone(),
            limit_seconds: self.limit_seconds,
            cut: self.cut,
        }
    }
}

/// What every planner is given: all that it may know.
#[derive(Clone, Debug)]
pub struct Ground<'a> {
    /// The world, just looked at.
    pub inventory: &'a Inventory,
    /// The state of each file that a step may change.
    pub files: &'a BTreeMap<HostPath, FileState>,
    /// The id of the run to be.
    pub run: RunId,
    /// The time of planning.
    pub now: Timestamp,
    /// The generation in force.
    pub generation: u32,
    /// The highest generation there ever was.
    pub highest_generation: u32,
}

impl Ground<'_> {
    /// Returns what a file is; one that was not looked at counts as absent, and its step's guard will say so.
    pub fn file(&self, path: &HostPath) -> FileState {
        self.files
            .get(path)
            .cloned()
            .unwrap_or(FileState::Absent {})
    }

    /// Returns the engine of a host, if it answers.
    pub fn engine(&self, host: &HostId) -> Option<&Engine> {
        self.inventory.host(host)?.engine.known()
    }

    /// Returns a container of a host.
    pub fn container(&self, host: &HostId, name: &ContainerName) -> Option<&HostContainer> {
        self.engine(host)?
            .containers
            .iter()
            .find(|container| &container.name == name)
    }

    /// Returns a node's volume on a host.
    pub fn volume(&self, host: &HostId, node: &NodeName) -> Option<&HostVolume> {
        self.engine(host)?
            .volumes
            .iter()
            .find(|volume| volume.name == node.volume())
    }
}

/// A plan in the making.
#[derive(Debug)]
pub struct Draft {
    plan: Plan,
    archives: u32,
}

impl Draft {
    /// Begins a plan.
    pub fn new(ground: &Ground<'_>, purpose: Purpose, to_generation: u32) -> Self {
        let home = ground.inventory.machine.rekit_home.clone();
        let plan = Plan {
            from_generation: ground.generation,
            to_generation,
            ..Plan::new(ground.run.clone(), purpose, ground.now, home)
        };
        Self { plan, archives: 0 }
    }

    /// Adds a step.
    pub fn push(&mut self, why: impl Into<String>, action: Action) -> StepId {
        let id = StepId(u32::try_from(self.plan.steps.len() + 1).unwrap_or(u32::MAX));
        self.plan.steps.push(Step {
            id,
            why: why.into(),
            action,
        });
        id
    }

    /// Says what an earlier step does, now that it is known.
    pub fn settle(&mut self, step: StepId, action: Action) {
        let mut steps = self.plan.steps.iter_mut();
        if let Some(found) = steps.find(|known| known.id == step) {
            found.action = action;
        }
    }

    /// Leaves the decision to a person where a criterion fails.
    pub fn decide_by_hand(&mut self) {
        self.plan.decided_by_hand = true;
    }

    /// Returns the number that the next step will have.
    pub fn next_id(&self) -> StepId {
        StepId(u32::try_from(self.plan.steps.len() + 1).unwrap_or(u32::MAX))
    }

    /// Notes what is left as it is, or cannot be kept.
    pub fn leave_out(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.plan.left_out.push(LeftOut {
            what: what.into(),
            why: why.into(),
        });
    }

    /// Returns the choices, to add to them.
    pub fn choices(&mut self) -> &mut Vec<Choice> {
        &mut self.plan.choices
    }

    /// Says where archives go other than into rekit's own directory.
    pub fn archive_to(&mut self, folder: HostPath) {
        self.plan.archives = folder;
    }

    /// Sets after how many days a person is reminded of what is parked.
    pub fn remind_after(&mut self, days: u32) {
        self.plan.probation_days = days;
    }

    /// Notes what will be interrupted.
    pub fn interrupt(&mut self, what: impl Into<String>) {
        self.plan.interruptions.push(what.into());
    }

    /// Mints the id of an archive of this run.
    pub fn archive_id(&mut self, what: &str) -> ArchiveId {
        self.archives += 1;
        let what: String = what
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "._-".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            .take(100)
            .collect();
        let id: Result<ArchiveId, NameError> =
            format!("{}-{:02}-{what}", self.plan.run, self.archives).parse();
        match id {
            Ok(id) => id,
            Err(error) => unreachable!("BUG: {error}"),
        }
    }

    /// Adds the steps that stop a node once no build runs on it.
    pub fn drain_and_stop(&mut self, node: &NodePlace, patience: Patience) {
        self.push(
            "no running build is cut",
            Action::Drain {
                node: node.clone(),
                grace_seconds: patience.grace_seconds,
                limit_seconds: patience.limit_seconds,
                cut: patience.cut,
            },
        );
        self.push(
            "a daemon that ended by itself has closed its databases",
            Action::StopNode {
                node: node.clone(),
                timeout_seconds: patience.stop_seconds,
            },
        );
    }

    /// Adds the steps that archive a stopped state and prove the archive; returns the archive and the step of the proof.
    pub fn archive_state(
        &mut self,
        volume: VolumePlace,
        container: Option<ContainerName>,
    ) -> (ArchiveId, StepId) {
        let archive = self.archive_id(volume.volume.as_str());
        self.push(
            "nothing is removed later that was not archived first",
            Action::ArchiveState {
                archive: archive.clone(),
                volume,
                container,
            },
        );
        let proof = self.verify(&archive);
        (archive, proof)
    }

    /// Adds the steps that archive the state of a running node and prove the archive; returns the archive and the step of the proof.
    pub fn copy_state(&mut self, node: NodePlace) -> (ArchiveId, StepId) {
        let archive = self.archive_id(node.volume.as_str());
        self.push(
            "it goes on building; its daemon stands still for a moment",
            Action::CopyState {
                archive: archive.clone(),
                node,
            },
        );
        let proof = self.verify(&archive);
        (archive, proof)
    }

    /// Adds the step that proves an archive.
    pub fn verify(&mut self, archive: &ArchiveId) -> StepId {
        self.push(
            "an archive counts once every byte was read back",
            Action::VerifyArchive {
                archive: archive.clone(),
            },
        )
    }

    /// Returns the plan; without any step if none was added since the next one was `step`: what was saved before is saved for nothing.
    pub fn finish_unless_at(self, step: StepId) -> Plan {
        let idle = self.next_id() == step;
        let mut plan = self.plan;
        if idle {
            plan.steps.clear();
            plan.to_generation = plan.from_generation;
        }
        plan
    }

    /// Returns the plan.
    pub fn finish(self) -> Plan {
        self.plan
    }
}

/// Returns a node as its steps name it.
pub fn place(host: &HostId, container: &HostContainer, node: &NodeName) -> NodePlace {
    NodePlace {
        host: host.clone(),
        container: container.name.clone(),
        identity: Identity::Id {
            id: container.id.clone(),
        },
        volume: node.volume(),
    }
}

/// Returns a volume as its steps name it.
pub fn volume_place(host: &HostId, volume: &HostVolume) -> VolumePlace {
    VolumePlace {
        host: host.clone(),
        volume: volume.name.clone(),
        created_at: volume.created_at.clone(),
    }
}
