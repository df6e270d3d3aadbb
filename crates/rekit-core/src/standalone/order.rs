//! The order of steps on standalone daemons: what a plan may not do, seen on paper.

use crate::{
    check::PlanFault,
    name::HostPath,
    step::{Action, Step},
};

/// Returns what is wrong: a state that is moved while its daemon runs, a daemon that no later step starts.
pub(crate) fn faults(steps: &[Step]) -> Vec<PlanFault> {
    let mut faults = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let (before, after) = (&steps[..index], &steps[index + 1..]);
        if let Some(root) = moved(&step.action)
            && is_served(root, before, after)
        {
            faults.push(PlanFault::DaemonRuns {
                step: step.id,
                kind: step.action.kind(),
                root: root.clone(),
            });
        }
        if let Action::StopDaemon { daemon, .. } = &step.action
            && !after.iter().any(|step| ends_well(step, &daemon.root))
        {
            faults.push(PlanFault::DaemonStays { step: step.id });
        }
    }
    faults
}

/// Returns the root whose state a step moves or removes.
fn moved(action: &Action) -> Option<&HostPath> {
    match action {
        Action::ParkState { root, .. } | Action::UnparkState { root, .. } => Some(root),
        Action::RemoveState { folder, .. } => Some(folder),
        _ => None,
    }
}

/// Returns whether a daemon works on a root, as far as the plan tells: it was started last, or its stop comes later.
fn is_served(root: &HostPath, before: &[Step], after: &[Step]) -> bool {
    let runs = |step: &Step| match &step.action {
        Action::StopDaemon { daemon, .. } if &daemon.root == root => Some(false),
        Action::StartDaemon { daemon, .. } if &daemon.root == root => Some(true),
        _ => None,
    };
    let stops = |step: &Step| runs(step) == Some(false);
    before
        .iter()
        .rev()
        .find_map(runs)
        .unwrap_or_else(|| after.iter().any(stops))
}

/// Returns whether a step starts the daemon again, or removes its state for good.
fn ends_well(step: &Step, root: &HostPath) -> bool {
    match &step.action {
        Action::StartDaemon { daemon, .. } => &daemon.root == root,
        Action::RemoveState { folder, .. } => folder == root,
        _ => false,
    }
}
