//! The decision points of a plan: where it is decided whether the run goes on, and on what measure.

use super::{Criterion, Yardstick};
use crate::{
    plan::Plan,
    step::{Action, StepId},
};

/// A point at which it is decided whether the run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionPoint {
    /// The step at whose end it lies.
    pub step: StepId,
    /// When that is, in words.
    pub when: String,
    /// What decides, and what is agreed on it.
    pub criteria: Vec<(Criterion, String)>,
}

/// Returns the decision points of a plan, in their order.
pub fn decision_points(plan: &Plan) -> Vec<DecisionPoint> {
    let point = |step, when: String, criteria: Vec<(Criterion, String)>| DecisionPoint {
        step,
        when,
        criteria,
    };
    let points = plan.steps.iter().filter_map(|step| match &step.action {
        Action::BootNode { node, .. } => Some(point(
            step.id,
            format!("node {node} is up, and no build goes to it yet"),
            vec![(
                Criterion::DaemonStarts,
                "its daemon answers within 60 s".to_owned(),
            )],
        )),
        Action::ProbeNode {
            judged: Some(judged),
            ..
        } => Some(point(
            step.id,
            format!("before builds of `{}` go to its new node", judged.builder),
            agreed(&BEFORE_THE_SWITCH, &judged.by),
        )),
        Action::Validate {
            judged: Some(by), ..
        } => Some(point(
            step.id,
            "at the end, with everything switched and settled".to_owned(),
            agreed(&AT_THE_END, by),
        )),
        _ => None,
    });
    points.collect()
}

/// What decides before a switch: no front end knows the new node yet.
const BEFORE_THE_SWITCH: [Criterion; 4] = [
    Criterion::DaemonStarts,
    Criterion::HealthyBuilder,
    Criterion::BuildsPass,
    Criterion::Speed,
];

/// What decides at the end.
const AT_THE_END: [Criterion; 5] = [
    Criterion::DaemonStarts,
    Criterion::HealthyBuilder,
    Criterion::BuildsPass,
    Criterion::Speed,
    Criterion::Integration,
];

fn agreed(criteria: &[Criterion], by: &Yardstick) -> Vec<(Criterion, String)> {
    let agreed = criteria.iter();
    agreed
        .map(|criterion| (*criterion, criterion.limit(by)))
        .collect()
}
