//! The decision points on the sheet: when it is decided whether the run goes on, on what measure, and what was decided.

use std::fmt::Write;

use crate::{
    criteria::{Decision, DecisionPoint, decision_points},
    next::{RunEnd, RunState, Stage, Turn},
    plan::Plan,
};

/// Returns the section of the decision points; nothing for a plan without any.
pub(super) fn decisions(plan: &Plan, state: &RunState) -> String {
    let points = decision_points(plan);
    if points.is_empty() {
        return String::new();
    }
    let way = if plan.decided_by_hand {
        "Where a criterion fails, the run stands still (`--no-auto-rollback`): `rekit rollback` takes it back, `rekit resume` accepts what was \
         measured."
    } else {
        "Where a criterion fails, the run takes itself back, at once and without being asked."
    };
    let mut text = format!("\n## Decision points\n\n{way}\n");
    if let Some(now) = standing(state) {
        let _ = write!(text, "\n**{}**\n", cell(&now));
    }
    text += "\n| after step | when | criterion | agreed | reached | measured |\n|---|---|---|---|---|---|\n";
    for point in &points {
        text += &rows(point, state);
    }
    text + &afterwards(plan, state)
}

/// Says which criterion failed, where one did.
fn standing(state: &RunState) -> Option<String> {
    match (state.held(), state.turned()) {
        (Some((step, failed)), _) => {
            Some(format!("The run stands still at step {step}: {failed}."))
        }
        (_, Some(Turn::Criterion { step, failed })) => {
            Some(format!("The run was turned at step {step}: {failed}."))
        }
        _ => None,
    }
}

fn rows(point: &DecisionPoint, state: &RunState) -> String {
    let decision = state
        .outcome(point.step)
        .and_then(|outcome| outcome.decision());
    let mut rows = String::new();
    for (number, (criterion, limit)) in point.criteria.iter().enumerate() {
        let (step, when) = match number {
            0 => (point.step.to_string(), point.when.as_str()),
            _ => (String::new(), ""),
        };
        let verdict = decision.and_then(|decision| {
            let mut verdicts = decision.verdicts.iter();
            verdicts.find(|verdict| verdict.criterion == *criterion)
        });
        let measured = match verdict {
            Some(verdict) if verdict.holds => format!("holds: {}", verdict.measure),
            Some(verdict) => format!("accepted by a person: {}", verdict.measure),
            None if decision.is_none() && is_done(point, state) => "holds".to_owned(),
            None => String::new(),
        };
        let reached = decision.map(reached).unwrap_or_default();
        let (limit, measured) = (cell(limit), cell(&measured));
        // Writing to a String cannot fail.
        let _ = writeln!(
            rows,
            "| {step} | {when} | {criterion} | {limit} | {reached} | {measured} |"
        );
    }
    rows
}

fn is_done(point: &DecisionPoint, state: &RunState) -> bool {
    matches!(state.stage(point.step), Stage::Finished(..))
}

fn reached(decision: &Decision) -> String {
    format!("{:.0}", decision.at)
}

/// Says what is left for a person to decide.
fn afterwards(plan: &Plan, state: &RunState) -> String {
    if plan.from_generation == plan.to_generation || state.ended() == Some(RunEnd::RolledBack) {
        return String::new();
    }
    "\nAfterwards a person decides, at any time: as long as `rekit finalize` has not removed the old nodes, going back takes seconds and is warm. \
     Whoever sees builds fail or take longer than agreed goes back. Nothing is removed by the time that passes.\n"
        .to_owned()
}

/// Returns a text that stays in one cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', r"\|").replace(['\n', '\r'], " ")
}
