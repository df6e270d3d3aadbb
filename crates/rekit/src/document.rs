//! The JSON documents of verbs whose facts have no document of their own. Add-only: scripts hang on them.

mod decision;
mod exchange;

use jiff::Timestamp;
use rekit_core::{
    by_hand::{ByHand, by_hand},
    history::{Generation, History, Parked, Probation},
    name::{ArchiveId, HostPath, RunId},
    next::{RunEnd, RunState, Stage, Turn},
    plan::{LeftOut, Plan, Purpose},
    retention::Reason,
    sheet,
    step::{Action, StepId},
    undo::Outcome,
};
use rekit_run::{
    archives::{Content, Detail, StoredArchive},
    executor::DriveEnd,
    journal::StoredRun,
    running::BuildsOnNode,
    session::Applied,
    world::path_of,
};
use serde::Serialize;

pub(crate) use self::decision::{Held, StepDecision, decisions, held};
pub(crate) use self::exchange::{ExportedArchive, ExportedFile, ImportedArchive, ImportedArchives};
use crate::{failure::Failure, ui::words};

/// A document: its name, the version of its shape, and what it says.
#[derive(Debug, Serialize)]
pub(crate) struct Document<T> {
    schema: &'static str,
    version: u32,
    #[serde(flatten)]
    pub(crate) body: T,
}

/// Gives facts their document.
pub(crate) fn document<T>(schema: &'static str, body: T) -> Document<T> {
    Document {
        schema,
        version: 1,
        body,
    }
}

/// Returns the document of a failure.
pub(crate) fn error(failure: &Failure) -> Document<&Failure> {
    document("rekit/error", failure)
}

/// What a changing verb did.
#[derive(Debug, Serialize)]
pub(crate) struct Outcomes {
    /// Whether the world is other than before.
    pub(crate) changed: bool,
    /// `done`, `rolled-back`, `stuck`, `held`, `interrupted`, or `nothing-to-do`.
    pub(crate) end: &'static str,
    /// The run; `None` where nothing was to be done.
    pub(crate) run: Option<RunId>,
    pub(crate) purpose: Purpose,
    pub(crate) from_generation: u32,
    pub(crate) to_generation: u32,
    /// Whole seconds that this call took.
    pub(crate) seconds: u64,
    pub(crate) steps: Vec<StepOutcome>,
    /// What the finished steps changed, in words.
    pub(crate) changes: Vec<String>,
    /// One line per proof.
    pub(crate) proofs: Vec<String>,
    /// For how long nobody answered where a daemon was ended and started anew, as measured.
    pub(crate) interrupted: Vec<String>,
    /// Archives that were made.
    pub(crate) archives: Vec<ArchivePlace>,
    /// What turned out not to be keepable only while it was archived, and why.
    pub(crate) left_out: Vec<LeftOut>,
    /// What is kept, stopped, for going back.
    pub(crate) parked: Vec<Parked>,
    /// What was decided at each decision point that the run came past.
    pub(crate) decisions: Vec<StepDecision>,
    /// Why the run went backward, where it did.
    pub(crate) turned: Option<Turn>,
    /// The rollback sheet of the run: the way back with a shell alone.
    pub(crate) sheet: Option<HostPath>,
    /// What a person has to do by hand, where the run is stuck.
    pub(crate) remaining: Vec<Remaining>,
    /// The failure, where there is one.
    pub(crate) error: Option<Failure>,
}

/// What became of a step.
#[derive(Debug, Serialize)]
pub(crate) struct StepOutcome {
    pub(crate) id: StepId,
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
    /// `pending`, `started`, `finished`, `adopted`, `undone`.
    pub(crate) stage: &'static str,
    pub(crate) outcome: Option<Outcome>,
}

/// An archive and where it lies.
#[derive(Debug, Serialize)]
pub(crate) struct ArchivePlace {
    pub(crate) id: ArchiveId,
    pub(crate) path: String,
    /// Whether it holds cache: a daemon's state, cache mounts of it, an exported cache; else it holds configuration.
    pub(crate) state: bool,
    pub(crate) files: Option<u64>,
    /// Bytes on disk.
    pub(crate) packed_bytes: Option<u64>,
}

/// What is left to do by hand for one step.
#[derive(Debug, Serialize)]
pub(crate) struct Remaining {
    pub(crate) step: StepId,
    #[serde(flatten)]
    pub(crate) by_hand: ByHand,
}

/// Returns what a verb did that found nothing to do.
pub(crate) fn nothing(plan: &Plan) -> Outcomes {
    Outcomes {
        changed: false,
        end: "nothing-to-do",
        run: None,
        purpose: plan.purpose,
        from_generation: plan.from_generation,
        to_generation: plan.to_generation,
        seconds: 0,
        steps: Vec::new(),
        changes: Vec::new(),
        proofs: Vec::new(),
        interrupted: Vec::new(),
        archives: Vec::new(),
        left_out: Vec::new(),
        parked: Vec::new(),
        decisions: Vec::new(),
        turned: None,
        sheet: None,
        remaining: Vec::new(),
        error: None,
    }
}

/// Returns what a verb did that found no run to go on with.
pub(crate) fn no_run() -> NoRun {
    NoRun {
        changed: false,
        end: "nothing-to-do",
        run: None,
    }
}

/// What a verb did that found no run to go on with.
#[derive(Debug, Serialize)]
pub(crate) struct NoRun {
    changed: bool,
    end: &'static str,
    run: Option<RunId>,
}

/// Returns what a run did.
pub(crate) fn outcomes(applied: &Applied, seconds: u64, history: &History) -> Outcomes {
    let (plan, state) = (&applied.plan, &applied.state);
    let steps = plan.steps.iter().map(|step| StepOutcome {
        id: step.id,
        kind: step.action.kind(),
        subject: step.action.subject(),
        stage: stage(state.stage(step.id)),
        outcome: state.outcome(step.id).cloned(),
    });
    let proofs = plan
        .steps
        .iter()
        .filter_map(|step| match state.outcome(step.id) {
            Some(Outcome::Validated { proofs, .. }) => Some(proofs.clone()),
            _ => None,
        });
    let finished = plan
        .steps
        .iter()
        .filter(|step| matches!(state.stage(step.id), Stage::Finished(..)));
    Outcomes {
        changed: applied.changed(),
        end: end(applied.end),
        run: Some(plan.run.clone()),
        steps: steps.collect(),
        changes: finished
            .filter_map(|step| words::change(&step.action))
            .collect(),
        proofs: proofs.flatten().collect(),
        interrupted: interrupted(plan, state),
        seconds,
        archives: archives(plan, state),
        left_out: left_out(plan, state),
        parked: history.parked(),
        decisions: decisions(plan, state),
        turned: state.turned().cloned(),
        sheet: Some(sheet::place(&plan.home, &plan.run)),
        remaining: if applied.end == DriveEnd::Ended(RunEnd::Stuck) {
            remaining(plan, state)
        } else {
            Vec::new()
        },
        ..nothing(plan)
    }
}

/// Says for how long nobody answered at each daemon that was ended and started anew.
fn interrupted(plan: &Plan, state: &RunState) -> Vec<String> {
    let silent = |step: &rekit_core::step::Step| match (&step.action, state.outcome(step.id)) {
        (
            Action::StartDaemon { daemon, .. },
            Some(Outcome::DaemonStarted {
                silent_milliseconds,
                ..
            }),
        ) => {
            let address = &daemon.address;
            Some(match silent_milliseconds {
                Some(silent) => format!("nobody answered at {address} for {silent} ms"),
                None => format!(
                    "nobody answered at {address}, and for how long is not known: the run was broken off meanwhile"
                ),
            })
        }
        _ => None,
    };
    plan.steps.iter().filter_map(silent).collect()
}

fn end(end: DriveEnd) -> &'static str {
    match end {
        DriveEnd::Ended(RunEnd::Done) => "done",
        DriveEnd::Ended(RunEnd::RolledBack) => "rolled-back",
        DriveEnd::Ended(RunEnd::Stuck) => "stuck",
        DriveEnd::Interrupted => "interrupted",
        DriveEnd::Held => "held",
    }
}

fn stage(stage: &Stage) -> &'static str {
    match stage {
        Stage::Pending => "pending",
        Stage::Started(_) => "started",
        Stage::Finished(..) => "finished",
        Stage::Adopted => "adopted",
        Stage::Undone => "undone",
    }
}

/// Returns the archives that a run made and that are still there.
pub(crate) fn archives(plan: &Plan, state: &RunState) -> Vec<ArchivePlace> {
    let folder = path_of(&plan.archives);
    let made = plan.steps.iter().filter_map(|step| {
        let is_state = !matches!(
            step.action,
            Action::SaveConfiguration { .. } | Action::SaveImage { .. }
        );
        Some((step.id, step.action.made_archive()?, is_state))
    });
    made.filter(|(step, ..)| matches!(state.stage(*step), Stage::Finished(..) | Stage::Undone))
        .map(|(step, archive, is_state)| {
            let (files, packed_bytes) = match state.outcome(step) {
                Some(Outcome::Archived {
                    files,
                    packed_bytes,
                    ..
                }) => (Some(*files), Some(*packed_bytes)),
                _ => (None, None),
            };
            ArchivePlace {
                id: archive.clone(),
                path: folder.join(archive.as_str()).display().to_string(),
                state: is_state,
                files,
                packed_bytes,
            }
        })
        .collect()
}

/// Returns what a run could not archive although it was planned.
fn left_out(plan: &Plan, state: &RunState) -> Vec<LeftOut> {
    let outcomes = plan.steps.iter().filter_map(|step| state.outcome(step.id));
    let left_out = outcomes.filter_map(|outcome| match outcome {
        Outcome::Archived { left_out, .. } => Some(left_out.clone()),
        _ => None,
    });
    left_out.flatten().collect()
}

/// Returns what is left to be taken back, as commands for a person.
pub(crate) fn remaining(plan: &Plan, state: &RunState) -> Vec<Remaining> {
    let commands = |(step, undo): (StepId, rekit_core::undo::Undo)| Remaining {
        step,
        by_hand: by_hand(&undo, plan),
    };
    let all = state.undos().into_iter().map(commands);
    all.filter(|remaining| !remaining.by_hand.commands.is_empty())
        .collect()
}

/// Where things stand.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    pub(crate) generation: u32,
    /// Whether a rekit changes something at this moment.
    pub(crate) at_work: bool,
    pub(crate) open_run: Option<OpenRun>,
    /// The builds that run now where the open run works.
    pub(crate) running: Vec<BuildsOnNode>,
    pub(crate) parked: Vec<Parked>,
    pub(crate) probation: Option<Probation>,
    /// Commands that go on from here.
    pub(crate) next: Vec<String>,
}

/// A run that is neither done nor taken back.
#[derive(Debug, Serialize)]
pub(crate) struct OpenRun {
    pub(crate) run: RunId,
    pub(crate) purpose: Purpose,
    pub(crate) began: Timestamp,
    pub(crate) steps: usize,
    pub(crate) finished: usize,
    /// `forward` or `backward`.
    pub(crate) direction: &'static str,
    /// Whether an undo failed for good.
    pub(crate) stuck: bool,
    /// The rollback sheet of the run: the way back with a shell alone.
    pub(crate) sheet: HostPath,
    /// The step that was begun and not finished.
    pub(crate) under_way: Option<StepOutcome>,
    pub(crate) turned: Option<Turn>,
    /// Why the run stands still until a person decides, where it does.
    pub(crate) held: Option<Held>,
    pub(crate) remaining: Vec<Remaining>,
}

/// Describes a run that is open.
pub(crate) fn open_run(run: &StoredRun) -> OpenRun {
    let state = run.state();
    let stuck = state.ended() == Some(RunEnd::Stuck);
    let begun = run
        .plan
        .steps
        .iter()
        .find(|step| matches!(state.stage(step.id), Stage::Started(_)));
    OpenRun {
        run: run.plan.run.clone(),
        purpose: run.plan.purpose,
        began: run.began,
        steps: run.plan.steps.len(),
        finished: state.finished(),
        direction: if state.turned().is_some() {
            "backward"
        } else {
            "forward"
        },
        stuck,
        under_way: begun.map(|step| StepOutcome {
            id: step.id,
            kind: step.action.kind(),
            subject: step.action.subject(),
            stage: "started",
            outcome: None,
        }),
        turned: state.turned().cloned(),
        held: held(&state),
        sheet: sheet::place(&run.plan.home, &run.plan.run),
        remaining: if stuck {
            remaining(&run.plan, &state)
        } else {
            Vec::new()
        },
    }
}

/// All generations.
#[derive(Debug, Serialize)]
pub(crate) struct Generations {
    pub(crate) generations: Vec<Generation>,
}

/// What real builds proved.
#[derive(Debug, Serialize)]
pub(crate) struct Validation {
    pub(crate) passed: bool,
    /// One line per proof.
    pub(crate) proofs: Vec<String>,
    pub(crate) error: Option<Failure>,
}

/// All archives.
#[derive(Debug, Serialize)]
pub(crate) struct Archives {
    pub(crate) archives: Vec<Archive>,
}

/// One archive.
#[derive(Debug, Serialize)]
pub(crate) struct Archive {
    pub(crate) id: ArchiveId,
    pub(crate) path: String,
    /// Whether it was completed; its bytes are not read for that.
    pub(crate) complete: bool,
    /// Why it is not complete, or cannot be read.
    pub(crate) fault: Option<String>,
    /// `configuration`, `state`, `cache-export`, `cache-mounts` or `engine-cache`.
    pub(crate) kind: Option<String>,
    pub(crate) volume: Option<String>,
    /// What it is an archive of, in words.
    pub(crate) subject: Option<String>,
    pub(crate) files: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) packed_bytes: Option<u64>,
}

impl From<StoredArchive> for Archive {
    fn from(stored: StoredArchive) -> Self {
        let (content, fault): (Option<Content>, _) = match stored.content {
            Ok(content) => (Some(content), None),
            Err(fault) => (None, Some(fault)),
        };
        let content = content.as_ref();
        Self {
            id: stored.id,
            path: stored.path.display().to_string(),
            complete: fault.is_none(),
            fault,
            kind: content.map(|content| content.kind.clone()),
            volume: content.and_then(|content| content.volume.clone()),
            subject: content.map(Content::subject),
            files: content.map(|content| content.files),
            bytes: content.map(|content| content.bytes),
            packed_bytes: content.map(|content| content.packed_bytes),
        }
    }
}

/// An archive that was read back.
#[derive(Debug, Serialize)]
pub(crate) struct VerifiedArchive {
    pub(crate) path: String,
    pub(crate) sound: bool,
    /// The SHA-256 of its SHA256SUMS.
    pub(crate) identity: String,
}

/// What an archive holds.
#[derive(Debug, Serialize)]
pub(crate) struct ArchiveContent {
    pub(crate) path: String,
    #[serde(flatten)]
    pub(crate) detail: Detail,
}

/// What was removed of the archives, or would be.
#[derive(Debug, Serialize)]
pub(crate) struct Pruned {
    /// Whether they are gone; else they would go.
    pub(crate) changed: bool,
    pub(crate) removed: Vec<PrunedArchive>,
    pub(crate) kept: Vec<KeptArchive>,
    /// Bytes that the disk gets back, those that other archives share not among them.
    pub(crate) freed_bytes: u64,
}

/// An archive that goes.
#[derive(Debug, Serialize)]
pub(crate) struct PrunedArchive {
    pub(crate) id: ArchiveId,
    /// What it is an archive of, in words; `None`: it was never completed.
    pub(crate) subject: Option<String>,
    /// Bytes on disk, those included that other archives share; `None`: it was never completed.
    pub(crate) packed_bytes: Option<u64>,
}

/// An archive that stays.
#[derive(Debug, Serialize)]
pub(crate) struct KeptArchive {
    pub(crate) id: ArchiveId,
    #[serde(flatten)]
    pub(crate) reason: Reason,
}

/// A kind of finding.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
    pub(crate) severity: rekit_core::finding::Severity,
    /// Why it happens, what it does, and how to get rid of it.
    pub(crate) text: &'static str,
}
