//! Decision points for a person: what will decide, and what was decided.

use rekit_core::{criteria::decision_points, plan::Plan};

use crate::document::StepDecision;

/// Returns where it will be decided whether the run goes on; nothing for a plan without a baseline.
pub(super) fn points(plan: &Plan) -> Vec<String> {
    let points = decision_points(plan);
    let Some(last) = points.last().filter(|point| point.criteria.len() > 1) else {
        return Vec::new();
    };
    let way = if plan.decided_by_hand {
        "a criterion that fails leaves the run standing: `rekit rollback` takes it back, `rekit resume` accepts what was measured"
    } else {
        "a criterion that fails takes the run back by itself (`--no-auto-rollback`: a person decides)"
    };
    let named = points.iter().map(|point| {
        let criteria: Vec<_> = point
            .criteria
            .iter()
            .map(|(it, _)| it.to_string())
            .collect();
        format!(
            "after step {}, {}: {}",
            point.step,
            point.when,
            criteria.join(", ")
        )
    });
    let agreed = last.criteria.iter();
    let agreed = agreed.map(|(criterion, limit)| format!("{criterion}: {limit}"));
    std::iter::once(way.to_owned())
        .chain(named)
        .chain(agreed)
        .collect()
}

/// Returns what fails although the run went on: it failed before, or a person accepted it.
pub(super) fn no_better(decisions: &[StepDecision]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for decision in decisions.iter().map(|it| &it.decision) {
        let failed = decision.verdicts.iter().filter(|verdict| !verdict.holds);
        let accepted = failed.map(|it| format!("accepted: {}: {}", it.criterion, it.measure));
        for line in accepted.chain(decision.told.iter().cloned()) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}
