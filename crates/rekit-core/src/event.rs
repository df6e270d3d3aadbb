//! What a run tells while it runs. One stream, many readers: terminal, JSON, documents cannot contradict each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    criteria::FailedCriterion,
    inventory::ActiveBuild,
    name::RunId,
    next::{RunEnd, Turn},
    step::StepId,
    undo::Outcome,
};

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A run began or goes on.
    RunBegan {
        /// The run.
        run: RunId,
        /// Steps in its plan.
        steps: u32,
        /// Steps that an earlier attempt finished.
        finished: u32,
    },
    /// A step's effect begins.
    StepBegan {
        /// The step.
        step: StepId,
        /// Its kind.
        kind: String,
        /// What it works on.
        subject: String,
    },
    /// Bytes moved so far.
    Progress {
        /// Bytes so far.
        bytes: u64,
        /// Bytes expected in all; 0: not known.
        total: u64,
        /// Files so far.
        files: u64,
    },
    /// The run waits.
    Waiting {
        /// For what, in words.
        what: String,
        /// Since how many seconds.
        seconds: u64,
        /// For how many seconds at most.
        limit: u64,
    },
    /// The run waits for builds that run.
    BuildsAwaited {
        /// The container or engine that they run on.
        on: String,
        /// The builds.
        builds: Vec<ActiveBuild>,
        /// Since how many seconds.
        seconds: u64,
        /// For how many seconds at most.
        limit: u64,
    },
    /// A step is complete.
    StepFinished {
        /// The step.
        step: StepId,
        /// What it revealed.
        outcome: Outcome,
        /// How long it took.
        milliseconds: u64,
    },
    /// The world was already as the step wants it.
    StepAdopted {
        /// The step.
        step: StepId,
    },
    /// A criterion failed, and the run stands still until a person decides.
    Held {
        /// The step.
        step: StepId,
        /// What failed.
        failed: FailedCriterion,
    },
    /// The run goes backward from here.
    Turned {
        /// Why.
        why: Turn,
    },
    /// A step is taken back.
    StepUndone {
        /// The step.
        step: StepId,
    },
    /// Taking a step back failed; it may be tried again.
    UndoFailed {
        /// The step.
        step: StepId,
        /// Why.
        error: String,
    },
    /// The run is over.
    RunEnded {
        /// How.
        end: RunEnd,
    },
}
