//! Where things stand, for a person.

use rekit_core::{
    fact::Fact,
    history::Probation,
    inventory::ActiveBuild,
    next::{RunState, Turn},
    plan::Plan,
};
use rekit_run::running::BuildsOnNode;

use super::{
    plan::section,
    result,
    style::{Style, Tone, clean, counted},
    words,
};
use crate::document::{OpenRun, Standing};

/// Returns where things stand.
pub(crate) fn status(standing: &Standing, style: &Style) -> String {
    let mut text = match standing.generation {
        0 => "Generation 0 is in force: what was there before rekit.\n".to_owned(),
        number => format!("Generation {number} is in force.\n"),
    };
    if let Some(probation) = &standing.probation {
        text += &self::probation(probation, style);
    }
    if standing.at_work {
        text.push_str("Another rekit is at work now.\n");
    }
    match &standing.open_run {
        Some(run) if standing.at_work => text.push_str(&headline(run, "A run is under way", style)),
        Some(run) => text.push_str(&open_run(run, style)),
        None => text.push_str("No run is open.\n"),
    }
    let running = standing.running.iter().flat_map(builds);
    text.push_str(&section(
        "Builds that run now",
        Tone::Heading,
        running,
        style,
    ));
    let parked = standing.parked.iter().map(result::parked);
    text.push_str(&section(result::PARKED, Tone::Heading, parked, style));
    text.push_str(&section(
        "What next",
        Tone::Heading,
        standing.next.iter().cloned(),
        style,
    ));
    text
}

/// Returns until when a person may take their time.
fn probation(probation: &Probation, style: &Style) -> String {
    let day = probation.ends.strftime("%Y-%m-%d");
    if style.now < probation.ends {
        format!("Its probation lasts until {day}.\n")
    } else {
        over(probation, style) + "\n"
    }
}

/// Returns the reminder that a probation is over.
pub(crate) fn over(probation: &Probation, style: &Style) -> String {
    let day = probation.ends.strftime("%Y-%m-%d");
    let text = format!(
        "The probation of generation {} ended on {day}.",
        probation.generation
    );
    style.paint(Tone::Care, &text)
        + " What is parked stays until you decide: `rekit finalize` or `rekit rollback`."
}

/// Returns the builds on a node, one line each.
fn builds(node: &BuildsOnNode) -> Vec<String> {
    match &node.builds {
        Fact::Known(builds) => {
            let told = builds.iter().map(ActiveBuild::told);
            told.map(|told| format!("on {}: {told}", node.container))
                .collect()
        }
        Fact::Unreadable { reason } => vec![format!(
            "on {}: whether builds run cannot be told: {reason}",
            node.container
        )],
    }
}

/// Returns where an open run stands.
pub(crate) fn open_run(run: &OpenRun, style: &Style) -> String {
    let mut text = headline(run, "A run is open", style);
    if let Some(held) = &run.held {
        let (step, failed) = (held.step, &held.failed);
        text.push_str(&clean(&format!(
            "It stands still at step {step}, as nothing else was agreed: {failed}.\n"
        )));
    } else if let Some(step) = &run.under_way {
        text.push_str(&clean(&format!(
            "It broke off in step {} `{}` {}.\n",
            step.id, step.kind, step.subject
        )));
    }
    if let Some(why) = &run.turned {
        text.push_str(&clean(&format!("It goes backward: {}.\n", turn(why))));
    }
    let sheet = clean(&run.sheet.to_string());
    text.extend(["Its way back with a shell alone: ", &sheet, "\n"]);
    if run.stuck {
        text.push_str("It is stuck: taking a step back failed for good. What is left, by hand:\n");
        text.push_str(&result::remaining(&run.remaining));
    }
    text
}

fn headline(run: &OpenRun, what: &str, style: &Style) -> String {
    let (purpose, id, began) = (run.purpose, &run.run, style.ago(run.began));
    let what = style.paint(Tone::Care, what);
    let steps = counted(run.steps, "step");
    format!(
        "{what}: {purpose} `{id}`, begun {began}; {} of {steps} are done.\n",
        run.finished
    )
}

/// Returns what taking an open run back will do.
pub(crate) fn unwinding(plan: &Plan, state: &RunState, style: &Style) -> String {
    let undos = state.undos();
    let steps = undos
        .iter()
        .filter_map(|(id, _)| plan.steps.iter().find(|step| step.id == *id));
    let steps: Vec<_> = steps
        .filter(|step| !words::leaves_no_trace(&step.action))
        .collect();
    let heading = style.paint(Tone::Heading, "Taking back");
    let count = counted(steps.len(), "change");
    let (purpose, run) = (plan.purpose, &plan.run);
    let head =
        format!("{heading}: {purpose} `{run}`, {count}, the last first; archives are kept\n");
    let lines = steps
        .into_iter()
        .map(|step| format!("{:>3}  {}\n", step.id.0, words::step(step)));
    std::iter::once(head).chain(lines).collect()
}

fn turn(why: &Turn) -> String {
    match why {
        Turn::Failed { step, error } => format!("step {step} failed: {error}"),
        Turn::Refused { step, reason } => format!("step {step} was refused: {reason}"),
        Turn::Moved { step, found } => format!("step {step} found the world changed: {found}"),
        Turn::Criterion { step, failed } => format!("step {step}: {failed}"),
        Turn::Asked {} => "a person asked".to_owned(),
    }
}
