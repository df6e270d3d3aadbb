//! The rollback sheet of a run: how to go back with a shell alone, made for this machine and this run.
//!
//! Written before the run begins, and again before each effect, so that it always names what was really changed.

mod decisions;
mod pitfalls;

use std::fmt::Write;

use crate::{
    by_hand::by_hand,
    name::{HostPath, RunId},
    next::{RunEnd, RunState, Stage},
    plan::Plan,
    step::{Action, Step, StepId},
    undo::Undo,
};

/// Returns where the sheet of a run lies in rekit's own directory.
pub fn place(home: &HostPath, run: &RunId) -> HostPath {
    home.join("rollback").join(&format!("{run}.md"))
}

/// Returns where the same sheet lies as a page for a browser.
pub fn page_place(home: &HostPath, run: &RunId) -> HostPath {
    home.join("rollback").join(&format!("{run}.html"))
}

/// Returns the sheet of a run as Markdown.
pub fn sheet(plan: &Plan, state: &RunState) -> String {
    let undos: Vec<_> = state
        .undos()
        .into_iter()
        .filter_map(|(id, undo)| Some((step(plan, id)?, undo)))
        .collect();
    let mut text = head(plan, state) + &decisions::decisions(plan, state);
    let steps = undos
        .iter()
        .filter(|(_, undo)| !by_hand(undo, plan).commands.is_empty());
    for (number, (step, undo)) in (1..).zip(steps) {
        text += &taken_back(number, step, undo, plan);
    }
    text += &not_begun(plan, state);
    text + &end(plan, state)
}

fn step(plan: &Plan, id: StepId) -> Option<&Step> {
    plan.steps.iter().find(|step| step.id == id)
}

fn head(plan: &Plan, state: &RunState) -> String {
    let (from, to) = (plan.from_generation, plan.to_generation);
    let stands = match state.ended() {
        Some(RunEnd::Done) => "The run is done.",
        Some(RunEnd::RolledBack) => "The run was taken back: there is nothing left to do here.",
        Some(RunEnd::Stuck) => "The run is half taken back and stuck.",
        None if state.has_changed() => "The run is open.",
        None => "Nothing has been changed yet.",
    };
    format!(
        "# Way back from run `{}`\n\n\
         A {} planned at {}, from generation {from} to {to}. {stands}\n\n\
         `rekit rollback` does by itself what stands here, and waits for running builds. This sheet is for a person who has only a shell.\n\n\
         - Runs that were begun after this one come first: each has its sheet beside this one, latest first.\n\
         - Let running builds end. Then take the steps in the order given, latest first, as the account that ran rekit; whatever a step's\n  \
         proof shows, go on only when it ends with 0. A step that fails may be run again once its cause is mended.\n\
         - Needed: `docker`, GNU coreutils and `tar`; where a container or a volume is made again also `jq` and `curl`; where a cache comes\n  \
         back from an archive also `zstd` and root on the engine's machine.\n",
        plan.run, plan.purpose, plan.made
    )
}

fn taken_back(number: u32, step: &Step, undo: &Undo, plan: &Plan) -> String {
    let by_hand = by_hand(undo, plan);
    let pitfalls = pitfalls::pitfalls(undo).iter();
    let pitfalls = pitfalls.map(|(sign, help)| format!("- {sign}: {help}.\n"));
    let pitfalls: String = pitfalls.collect();
    format!(
        "\n## {number}. Take back step {}: {} of {}\n\n```sh\n{}\n```\n\nProof:\n\n```sh\n{}\n```\n\nWhere it can fail:\n\n{pitfalls}",
        step.id,
        step.action.kind(),
        step.action.subject(),
        by_hand.commands.join("\n"),
        by_hand.proof.join("\n"),
    )
}

/// Lists what would be taken back how, for the steps that have not begun.
fn not_begun(plan: &Plan, state: &RunState) -> String {
    let pending = plan
        .steps
        .iter()
        .filter(|step| matches!(state.stage(step.id), Stage::Pending));
    let mut lines = String::new();
    if matches!(state.ended(), Some(RunEnd::Done | RunEnd::RolledBack)) {
        return lines;
    }
    for step in pending {
        let (kind, subject) = (step.action.kind(), step.action.subject());
        // Writing to a String cannot fail.
        let _ = writeln!(
            lines,
            "| {} | {kind} | {subject} | {} |",
            step.id,
            way_back(&step.action)
        );
    }
    if lines.is_empty() {
        return lines;
    }
    format!(
        "\n## Not begun\n\nNothing to take back yet. Each of these gets its commands above before it begins.\n\n\
         | step | kind | what | way back |\n|---|---|---|---|\n{lines}"
    )
}

/// Says how a kind of step is taken back.
fn way_back(action: &Action) -> &'static str {
    match action {
        Action::TakeBaseline { .. }
        | Action::ProbeNode { .. }
        | Action::ProbeDaemon { .. }
        | Action::Drain { .. }
        | Action::VerifyArchive { .. }
        | Action::Validate { .. } => "changes nothing",
        Action::SaveConfiguration { .. }
        | Action::ArchiveState { .. }
        | Action::CopyState { .. }
        | Action::ExportMounts { .. }
        | Action::SaveImage { .. }
        | Action::ArchiveFolder { .. }
        | Action::ArchiveEngine { .. } => "the archive may stay; it only takes room",
        Action::ImportMounts { .. } => "the cache mounts that it made are pruned",
        Action::StopEngine { .. } => "the engine is started again, with what ran on it",
        Action::StartEngine { .. } => "the engine is stopped again",
        Action::RestoreEngine { .. } => "the engine's cache comes back from the archive of before",
        Action::StopDaemon { .. } => "the daemon is started again as it ran",
        Action::StartDaemon { .. } => "the daemon is ended again",
        Action::ParkState { .. } => "the state comes back by a rename",
        Action::UnparkState { .. } => "the state is parked again by a rename",
        Action::RemoveState { .. } => "the state comes back from its archive",
        Action::LoadImage { .. } => "the image may stay",
        Action::RestoreFolder { .. } => "the folder is emptied again; its archive stays",
        Action::BootNode { .. } => "the new node is stopped and kept",
        Action::RewriteRecord { .. }
        | Action::WriteFile { .. }
        | Action::EditJson { .. }
        | Action::SilenceLines { .. }
        | Action::RemoveFile { .. }
        | Action::RestoreFile { .. }
        | Action::BringFile { .. } => "the file comes back as it was, from its kept bytes",
        Action::RemoveTree { .. } => "the folder comes back from its kept bytes",
        Action::RestoreTree { .. } => "the folder goes again",
        Action::RemoveSocket { .. } => "the dead socket comes back as it was",
        Action::RestoreSocket { .. } => "the dead socket goes again",
        Action::StopNode { .. } | Action::Park { .. } => {
            "the node is started again, with its restart policy"
        }
        Action::StartNode { .. } => "the node is stopped again",
        Action::RemoveContainer { .. } => "the container is made again from its description",
        Action::RemoveVolume { .. } => "the volume is made again from its archive",
        Action::DropVolume { .. } => "the volume is made again, empty: its cache was given up",
        Action::RecreateVolume { .. } => "the empty volume goes again",
        Action::RestoreVolume { .. } => "the volume goes again; its archive stays",
        Action::RecreateContainer { .. } => "the container goes again",
    }
}

fn end(plan: &Plan, state: &RunState) -> String {
    if !state.has_changed() {
        return String::new();
    }
    format!(
        "\n## At the end\n\nEvery builder of generation {} answers, with its cache:\n\n```sh\ndocker buildx ls\ndocker buildx du\n```\n",
        plan.from_generation
    )
}
