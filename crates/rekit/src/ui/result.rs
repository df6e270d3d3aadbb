//! What was done, for a tired person: what changed, what is kept, how to go back, how to end it.

use rekit_core::{history::Parked, plan::Purpose, step::StepId};

use super::{
    plan::section,
    style::{Style, Tone, bytes, clean, counted},
    words,
};
use crate::document::{Outcomes, Remaining};

/// Returns what a run did that ended well.
pub(crate) fn done(outcomes: &Outcomes, style: &Style) -> String {
    let mut text = headline(outcomes, style);
    if outcomes.end == "rolled-back" {
        return text;
    }
    text.push_str(&section(
        "Changed",
        Tone::Heading,
        outcomes.changes.iter().cloned(),
        style,
    ));
    let kept = outcomes.parked.iter().map(parked);
    text.push_str(&section(
        "Parked (stopped, kept for going back)",
        Tone::Heading,
        kept,
        style,
    ));
    let archives =
        outcomes
            .archives
            .iter()
            .map(|archive| match archive.files.zip(archive.packed_bytes) {
                Some((files, packed)) => {
                    format!("{} ({files} files, {})", archive.path, bytes(packed))
                }
                None => archive.path.clone(),
            });
    text.push_str(&section("Archives", Tone::Heading, archives, style));
    text.push_str(&section(
        "Proven",
        Tone::Heading,
        outcomes.proofs.iter().cloned(),
        style,
    ));
    text.push_str(&section(
        "What next",
        Tone::Heading,
        next(outcomes).into_iter(),
        style,
    ));
    text
}

fn headline(outcomes: &Outcomes, style: &Style) -> String {
    let words = style.paint(
        Tone::Good,
        if outcomes.end == "rolled-back" {
            "Taken back"
        } else {
            "Done"
        },
    );
    let time = words::seconds(outcomes.seconds.saturating_mul(1000));
    let purpose = outcomes.purpose;
    if outcomes.end == "rolled-back" {
        let all = counted(
            outcomes
                .steps
                .iter()
                .filter(|step| step.stage == "undone")
                .count(),
            "step",
        );
        return format!("{words}: {purpose}, {all} undone in {time}; the world is as before it.\n");
    }
    let (from, to) = (outcomes.from_generation, outcomes.to_generation);
    let generation = if from == to {
        format!("generation {to} is in force, as before")
    } else {
        format!("generation {to} is in force, {from} was before")
    };
    let steps = counted(outcomes.steps.len(), "step");
    format!("{words}: {purpose}, {steps} in {time}; {generation}.\n")
}

/// Returns what is parked, in one line.
pub(crate) fn parked(parked: &Parked) -> String {
    let node = parked.node.as_ref().map(|node| {
        format!(
            "container {} with its cache in volume {}",
            node.container, node.volume
        )
    });
    let volume = parked
        .volume
        .as_ref()
        .map(|place| format!("volume {}", place.volume));
    let what = node.or(volume).unwrap_or_default();
    let archive = match &parked.archive {
        Some(archive) => format!("archive {archive}"),
        None => "no archive yet".to_owned(),
    };
    clean(&format!(
        "{what} (generation {}; {archive})",
        parked.generation
    ))
}

fn next(outcomes: &Outcomes) -> Vec<String> {
    let mut next = Vec::new();
    if outcomes.from_generation != outcomes.to_generation {
        next.push(format!(
            "`rekit rollback` goes back to generation {}, with its warm cache",
            outcomes.from_generation
        ));
    }
    if !outcomes.parked.is_empty() && outcomes.purpose != Purpose::Backup {
        next.push(
            "parked is kept until you say so: `rekit finalize` removes it and keeps the archives"
                .to_owned(),
        );
    }
    next
}

/// Returns the commands that are left for a person.
pub(crate) fn remaining(remaining: &[Remaining]) -> String {
    let mut text = String::new();
    for Remaining {
        step: StepId(step),
        commands,
    } in remaining
    {
        text.push_str(&format!("\n  # step {step}\n"));
        for command in commands {
            text.extend(["  ", &clean(command), "\n"]);
        }
    }
    text
}
