//! Checks a plan on paper: dangerous orders fail here, before anything can be applied.

use std::collections::BTreeMap;

use crate::{
    engine_cache::EnginePlace,
    name::ArchiveId,
    plan::Plan,
    step::{Action, BootState, Step, StepId},
};

/// A plan whose order is safe. Only [`check`] makes one, and the executor takes nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedPlan(Plan);

impl CheckedPlan {
    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.0
    }

    /// Returns the step with this number.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.0
            .steps
            .get(usize::try_from(id.0).ok()?.checked_sub(1)?)
    }
}

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// It is of another kind or version.
    #[error(
        "this is `{schema}` version {version}; this rekit reads `{}` version {}",
        Plan::SCHEMA,
        Plan::VERSION
    )]
    Version {
        /// The schema it names.
        schema: String,
        /// The version it names.
        version: u32,
    },
    /// Step numbers are not 1, 2, 3, ….
    #[error("step {found} stands where step {expected} belongs")]
    Number {
        /// The number that belongs there.
        expected: u32,
        /// The number that stands there.
        found: u32,
    },
    /// A removal without a proven archive before it.
    #[error("step {step} `{kind}` removes state, but no earlier step verified archive `{archive}`")]
    Unproven {
        /// The removal.
        step: StepId,
        /// Its kind.
        kind: &'static str,
        /// The archive it names.
        archive: ArchiveId,
    },
    /// A verification of an archive that the plan changes afterwards.
    #[error("step {step} writes archive `{archive}` after step {verified} verified it")]
    ChangedAfterProof {
        /// The later step.
        step: StepId,
        /// The archive.
        archive: ArchiveId,
        /// The verification.
        verified: StepId,
    },
    /// A step that needs its node stopped, without a stop before it.
    #[error(
        "step {step} `{kind}` needs container `{container}` stopped, but no earlier step stops it"
    )]
    NotStopped {
        /// The step.
        step: StepId,
        /// Its kind.
        kind: &'static str,
        /// The container.
        container: String,
    },
    /// A stop without a wait for running builds before it.
    #[error("step {step} stops container `{container}`, but no earlier step waits for its builds")]
    NotDrained {
        /// The step.
        step: StepId,
        /// The container.
        container: String,
    },
    /// A step that needs its engine stopped, without a stop before it.
    #[error("step {step} `{kind}` needs its engine stopped, but no earlier step stops it")]
    EngineRuns {
        /// The step.
        step: StepId,
        /// Its kind.
        kind: &'static str,
    },
    /// A stop of an engine that no later step starts.
    #[error("step {step} stops an engine, but no later step starts it")]
    EngineStays {
        /// The step.
        step: StepId,
    },
    /// A state that is moved while its daemon runs.
    #[error("step {step} `{kind}` moves `{root}`, but no earlier step stops its daemon")]
    DaemonRuns {
        /// The step.
        step: StepId,
        /// Its kind.
        kind: &'static str,
        /// The state.
        root: crate::name::HostPath,
    },
    /// A stop of a standalone daemon that no later step starts.
    #[error("step {step} stops a daemon, but no later step starts it")]
    DaemonStays {
        /// The step.
        step: StepId,
    },
    /// A node that is made twice.
    #[error("step {step} makes node `{node}` a second time")]
    Twice {
        /// The step.
        step: StepId,
        /// The node.
        node: String,
    },
    /// A decision by a baseline that is not taken before.
    #[error("step {step} decides by a baseline, but step {baseline} before it takes none")]
    NoBaseline {
        /// The step.
        step: StepId,
        /// The step that should take it.
        baseline: StepId,
    },
    /// A record that names a node before it was proven.
    #[error("step {step} sends builds to node `{node}`, but no earlier step probed it")]
    Unprobed {
        /// The step.
        step: StepId,
        /// The node.
        node: String,
    },
}

/// Returns the plan as one that may be applied, or all that is wrong with it.
pub fn check(plan: Plan) -> Result<CheckedPlan, Vec<PlanFault>> {
    let mut faults = Vec::new();
    if plan.schema != Plan::SCHEMA || plan.version != Plan::VERSION {
        faults.push(PlanFault::Version {
            schema: plan.schema.clone(),
            version: plan.version,
        });
    }
    for (step, expected) in plan.steps.iter().zip(1..) {
        if step.id.0 != expected {
            faults.push(PlanFault::Number {
                expected,
                found: step.id.0,
            });
        }
    }
    check_proofs(&plan.steps, &mut faults);
    check_stops(&plan.steps, &mut faults);
    check_switches(&plan.steps, &mut faults);
    check_engines(&plan.steps, &mut faults);
    check_decisions(&plan.steps, &mut faults);
    faults.extend(crate::standalone::faults(&plan.steps));
    if faults.is_empty() {
        Ok(CheckedPlan(plan))
    } else {
        Err(faults)
    }
}

/// No removal of state without its proof, and no proof that is older than the archive's last write.
fn check_proofs(steps: &[Step], faults: &mut Vec<PlanFault>) {
    let mut verified: BTreeMap<StepId, &ArchiveId> = BTreeMap::new();
    // What was built after such a copy is not in it.
    let mut copied: Vec<&ArchiveId> = Vec::new();
    for step in steps {
        if let Action::VerifyArchive { archive } = &step.action {
            verified.insert(step.id, archive);
        }
        if let Some(archive) = step.action.made_archive() {
            copied.retain(|known| *known != archive);
            if matches!(step.action, Action::CopyState { .. }) {
                copied.push(archive);
            }
            if let Some((&id, _)) = verified.iter().find(|(_, known)| **known == archive) {
                faults.push(PlanFault::ChangedAfterProof {
                    step: step.id,
                    archive: archive.clone(),
                    verified: id,
                });
            }
        }
        if let Some((archive, verified_by)) = relied_on(&step.action) {
            let removes = !matches!(step.action, Action::BootNode { .. });
            let proven = verified.get(&verified_by) == Some(&archive);
            if !proven || (removes && copied.contains(&archive)) {
                faults.push(PlanFault::Unproven {
                    step: step.id,
                    kind: step.action.kind(),
                    archive: archive.clone(),
                });
            }
        }
    }
}

/// Returns the archive of this plan that a step relies on, and the step that must have verified it.
fn relied_on(action: &Action) -> Option<(&ArchiveId, StepId)> {
    match action {
        Action::BootNode {
            state:
                Some(BootState::Copied {
                    archive,
                    verified_by,
                }),
            ..
        }
        | Action::RestoreEngine {
            before: archive,
            verified_by,
            ..
        }
        | Action::RemoveVolume {
            archive,
            verified_by,
            ..
        }
        | Action::RemoveState {
            archive,
            verified_by,
            ..
        } => Some((archive, *verified_by)),
        _ => None,
    }
}

/// A node is drained before it is stopped, and stopped before its state is archived or parked.
fn check_stops(steps: &[Step], faults: &mut Vec<PlanFault>) {
    let mut drained = Vec::new();
    let mut stopped = Vec::new();
    for step in steps {
        match &step.action {
            Action::Drain { node, .. } => drained.push(&node.container),
            Action::StopNode { node, .. } => {
                if !drained.contains(&&node.container) {
                    faults.push(PlanFault::NotDrained {
                        step: step.id,
                        container: node.container.to_string(),
                    });
                }
                stopped.push(&node.container);
            }
            Action::StartNode { node, .. } => stopped.retain(|name| *name != &node.container),
            Action::ArchiveState {
                container: Some(container),
                ..
            } if !stopped.contains(&container) => {
                faults.push(PlanFault::NotStopped {
                    step: step.id,
                    kind: step.action.kind(),
                    container: container.to_string(),
                });
            }
            Action::Park { node } if !stopped.contains(&&node.container) => {
                faults.push(PlanFault::NotStopped {
                    step: step.id,
                    kind: step.action.kind(),
                    container: node.container.to_string(),
                });
            }
            _ => {}
        }
    }
}

/// The cache of an engine is archived and replaced only between its stop and its start, and no plan ends with an engine stopped.
fn check_engines(steps: &[Step], faults: &mut Vec<PlanFault>) {
    let mut stopped: Option<(StepId, &EnginePlace)> = None;
    for step in steps {
        match &step.action {
            Action::StopEngine { engine, .. } => stopped = Some((step.id, engine)),
            Action::StartEngine { engine } => stopped = stopped.filter(|(_, it)| *it != engine),
            Action::ArchiveEngine { engine, .. } | Action::RestoreEngine { engine, .. }
                if stopped.is_none_or(|(_, it)| it != engine) =>
            {
                faults.push(PlanFault::EngineRuns {
                    step: step.id,
                    kind: step.action.kind(),
                });
            }
            _ => {}
        }
    }
    if let Some((step, _)) = stopped {
        faults.push(PlanFault::EngineStays { step });
    }
}

/// What decides is compared with a baseline that was taken before.
fn check_decisions(steps: &[Step], faults: &mut Vec<PlanFault>) {
    let mut taken = Vec::new();
    for step in steps {
        let by = match &step.action {
            Action::TakeBaseline { .. } => {
                taken.push(step.id);
                None
            }
            Action::ProbeNode { judged, .. } => judged.as_ref().map(|judged| &judged.by),
            Action::Validate { judged, .. } => judged.as_ref(),
            _ => None,
        };
        if let Some(by) = by.filter(|by| !taken.contains(&by.baseline)) {
            faults.push(PlanFault::NoBaseline {
                step: step.id,
                baseline: by.baseline,
            });
        }
    }
}

/// A record names a new node only after a probe of it passed.
fn check_switches(steps: &[Step], faults: &mut Vec<PlanFault>) {
    let mut booted = Vec::new();
    let mut probed = Vec::new();
    for step in steps {
        match &step.action {
            Action::BootNode { node, .. } if booted.contains(&node) => {
                let node = node.to_string();
                faults.push(PlanFault::Twice {
                    step: step.id,
                    node,
                });
            }
            Action::BootNode { node, .. } => booted.push(node),
            Action::ProbeNode { container, .. } => probed.push(container.clone()),
            Action::RewriteRecord { edit, .. } => {
                for node in &edit.nodes {
                    if booted.contains(&&node.name) && !probed.contains(&node.name.container()) {
                        faults.push(PlanFault::Unprobed {
                            step: step.id,
                            node: node.name.to_string(),
                        });
                    }
                }
            }
            _ => {}
        }
    }
}
