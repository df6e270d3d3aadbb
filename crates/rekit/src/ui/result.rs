//! What was done, for a tired person: what changed, what is kept, how to go back, how to end it.

use rekit_core::{
    history::Parked,
    plan::{LeftOut, Purpose},
    undo::Outcome,
};

use super::{
    decisions,
    plan::section,
    style::{Style, Tone, bytes, clean, counted},
    words,
};
use crate::document::{ArchivePlace, Outcomes, Remaining};

/// The title above what is parked.
pub(super) const PARKED: &str = "Parked (stopped, kept for going back)";

/// Returns what a run did that ended well.
pub(crate) fn done(outcomes: &Outcomes, style: &Style) -> String {
    let mut text = headline(outcomes, style);
    if outcomes.end == "rolled-back" {
        return text;
    }
    let mut points = |title, points: Vec<String>| {
        text.push_str(&section(title, Tone::Heading, points.into_iter(), style));
    };
    // A backup leaves all as it was: that a node stopped and runs again is no news afterwards.
    if outcomes.purpose != Purpose::Backup {
        points("Changed", outcomes.changes.clone());
        points(PARKED, outcomes.parked.iter().map(parked).collect());
    }
    points("Interrupted", outcomes.interrupted.clone());
    points("Archives", outcomes.archives.iter().map(archive).collect());
    let left = |left: &LeftOut| format!("{}: {}", left.what, left.why);
    points(
        "Cut, as you allowed (`--cut-running-builds`)",
        cut(outcomes),
    );
    points("Not archived", outcomes.left_out.iter().map(left).collect());
    points("Proven", outcomes.proofs.clone());
    points("Fails still", decisions::no_better(&outcomes.decisions));
    points("What next", next(outcomes));
    text
}

/// Returns the builds that were cut.
fn cut(outcomes: &Outcomes) -> Vec<String> {
    let outcomes = outcomes
        .steps
        .iter()
        .filter_map(|step| step.outcome.as_ref());
    let cut = outcomes.filter_map(|outcome| match outcome {
        Outcome::Drained { cut, .. } => Some(cut.clone()),
        _ => None,
    });
    cut.flatten().collect()
}

fn archive(archive: &ArchivePlace) -> String {
    match archive.files.zip(archive.packed_bytes) {
        Some((files, packed)) => format!("{} ({files} files, {})", archive.path, bytes(packed)),
        None => archive.path.clone(),
    }
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
    let folder = parked.folder.as_ref();
    let folder = folder.map(|folder| format!("state {folder}"));
    let what = node.or(volume).or(folder).unwrap_or_default();
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
    if outcomes.purpose == Purpose::Finalize {
        next.push(
            "`rekit rollback` still goes back: the archives hold what was removed".to_owned(),
        );
    }
    if outcomes.from_generation != outcomes.to_generation {
        let from = outcomes.from_generation;
        next.push(format!(
            "`rekit rollback` goes back to generation {from}, with its warm cache"
        ));
        next.extend(
            outcomes.sheet.iter().map(|sheet| {
                format!("{sheet} is the same way back for a person with a shell alone")
            }),
        );
    }
    if !outcomes.parked.is_empty() && outcomes.purpose != Purpose::Backup {
        let kept = "what is parked is kept until you say so: `rekit finalize` removes it and keeps the archives";
        next.push(kept.to_owned());
    }
    next
}

/// Returns the commands that are left for a person.
pub(crate) fn remaining(remaining: &[Remaining]) -> String {
    let mut lines = Vec::new();
    for Remaining { step, by_hand } in remaining {
        lines.push(format!("\n  # step {step}\n"));
        let line = |command: &String| format!("  {}\n", clean(command));
        lines.extend(by_hand.commands.iter().map(line));
        lines.push("  # proof\n".to_owned());
        lines.extend(by_hand.proof.iter().map(line));
    }
    lines.concat()
}
