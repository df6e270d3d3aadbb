//! What was decided at the decision points of a run.

use rekit_core::{
    criteria::{Decision, FailedCriterion},
    next::RunState,
    plan::Plan,
    step::StepId,
};
use serde::Serialize;

/// What was decided at the end of a step.
#[derive(Debug, Serialize)]
pub(crate) struct StepDecision {
    pub(crate) step: StepId,
    #[serde(flatten)]
    pub(crate) decision: Decision,
}

/// Where a run stands still until a person decides, and why.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    pub(crate) step: StepId,
    #[serde(flatten)]
    pub(crate) failed: FailedCriterion,
}

/// Returns what was decided so far.
pub(crate) fn decisions(plan: &Plan, state: &RunState) -> Vec<StepDecision> {
    let steps = plan.steps.iter().map(|step| step.id);
    let decided = steps.filter_map(|step| {
        let decision = state.outcome(step)?.decision()?.clone();
        Some(StepDecision { step, decision })
    });
    decided.collect()
}

/// Returns why a run stands still.
pub(crate) fn held(state: &RunState) -> Option<Held> {
    let (step, failed) = state.held()?.clone();
    Some(Held { step, failed })
}
