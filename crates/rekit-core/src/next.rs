//! Decides what the executor does next: apply, resume and unwind are this one function.
//!
//! Invariants: a started step is never prepared again, so its first undo stands; a run turns once and never turns back.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    criteria::FailedCriterion,
    step::StepId,
    undo::{Outcome, Undo},
};

/// One line of a run's journal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "entry", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Entry {
    /// The step's undo is prepared; its effect may have begun.
    Started {
        /// The step.
        step: StepId,
        /// How to take it back.
        undo: Undo,
    },
    /// The step's effect is complete.
    Finished {
        /// The step.
        step: StepId,
        /// What it revealed.
        outcome: Outcome,
    },
    /// The world was already as the step wants it; there is nothing to take back.
    Adopted {
        /// The step.
        step: StepId,
    },
    /// A criterion failed, and the run stands still until a person decides.
    Held {
        /// The step at whose end it was decided.
        step: StepId,
        /// What failed.
        failed: FailedCriterion,
    },
    /// A person accepted what was measured: the step that the run stands at is done once more, and its criteria no longer decide.
    Accepted {
        /// The step.
        step: StepId,
    },
    /// The run goes backward from here.
    Turned {
        /// Why.
        why: Turn,
    },
    /// The step is taken back.
    Undone {
        /// The step.
        step: StepId,
    },
    /// Taking the step back failed.
    UndoFailed {
        /// The step.
        step: StepId,
        /// Why, without secrets.
        error: String,
    },
    /// A person asked to try again; earlier failures of undos no longer count.
    Retried {},
    /// The run is over.
    Ended {
        /// How.
        end: RunEnd,
    },
}

/// Why a run goes backward.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "turn", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Turn {
    /// An effect failed.
    Failed {
        /// The step.
        step: StepId,
        /// Why, without secrets.
        error: String,
    },
    /// Going on would not be safe: builds that do not end, an archive that does not match.
    Refused {
        /// The step.
        step: StepId,
        /// Why, without secrets.
        reason: String,
    },
    /// Somebody changed what a step relies on.
    Moved {
        /// The step.
        step: StepId,
        /// What was found instead.
        found: String,
    },
    /// A criterion failed.
    Criterion {
        /// The step at whose end it was decided.
        step: StepId,
        /// What failed, on what measure, and when.
        failed: FailedCriterion,
    },
    /// A person asked.
    Asked {},
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// Every step is done.
    Done,
    /// Every started step is taken back.
    RolledBack,
    /// An undo fails for good; the remaining commands are printed for a person.
    Stuck,
}

/// What a look at the world says of a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Observed {
    /// The world is as the step expects it before.
    Before,
    /// The step's effect has begun.
    Partly,
    /// The world is as the step leaves it.
    After,
    /// The world is as neither: somebody else changed it.
    Foreign(String),
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nothing happened yet.
    Pending,
    /// Its undo is on disk.
    Started(Undo),
    /// Its effect is complete.
    Finished(Undo, Outcome),
    /// The world was already so.
    Adopted,
    /// It is taken back.
    Undone,
}

/// What the journal says of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunState {
    stages: Vec<Stage>,
    turned: Option<Turn>,
    held: Option<(StepId, FailedCriterion)>,
    accepted: BTreeSet<StepId>,
    failed_undos: u32,
    ended: Option<RunEnd>,
}

/// What the executor does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Do {
    /// Look at the world for this step, then call [`RunState::decide`].
    Observe(StepId),
    /// Prepare the undo, by reading only, and journal it.
    Prepare(StepId),
    /// Journal that the world is already so.
    Adopt(StepId),
    /// Bring the effect about, which may have begun before, and journal its outcome.
    Effect(StepId),
    /// Stand still: a person decides.
    Hold(StepId),
    /// Journal that the run goes backward.
    Turn(Turn),
    /// Take the step back and journal it.
    Undo(StepId, Undo),
    /// Journal the end.
    End(RunEnd),
    /// Nothing: the run has ended.
    Nothing(RunEnd),
}

/// How often an undo may fail before the run is stuck.
pub const UNDO_ATTEMPTS: u32 = 3;

impl RunState {
    /// Makes the state of a run with this many steps from its journal.
    pub fn replay<'a>(steps: usize, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut state = Self {
            stages: vec![Stage::Pending; steps],
            turned: None,
            held: None,
            accepted: BTreeSet::new(),
            failed_undos: 0,
            ended: None,
        };
        for entry in entries {
            state.enter(entry);
        }
        state
    }

    /// Takes one more entry in.
    pub fn enter(&mut self, entry: &Entry) {
        match entry {
            Entry::Started { step, undo } => {
                // The first undo stands, whatever comes later.
                if self.stage(*step) == &Stage::Pending {
                    self.set(*step, Stage::Started(undo.clone()));
                }
            }
            Entry::Finished { step, outcome } => {
                if let Stage::Started(undo) = self.stage(*step).clone() {
                    self.set(*step, Stage::Finished(undo, outcome.clone()));
                }
            }
            Entry::Adopted { step } => self.set(*step, Stage::Adopted),
            Entry::Held { step, failed } => self.held = Some((*step, failed.clone())),
            Entry::Accepted { step } => {
                self.held = None;
                self.accepted.insert(*step);
            }
            Entry::Turned { why } => {
                self.turned.get_or_insert_with(|| why.clone());
            }
            Entry::Undone { step } => {
                self.set(*step, Stage::Undone);
                self.failed_undos = 0;
            }
            Entry::UndoFailed { .. } => self.failed_undos += 1,
            Entry::Retried {} => {
                self.failed_undos = 0;
                self.ended = self.ended.filter(|end| *end != RunEnd::Stuck);
            }
            Entry::Ended { end } => self.ended = Some(*end),
        }
    }

    /// Returns what to do before the world is looked at.
    pub fn next(&self) -> Do {
        if let Some(end) = self.ended {
            return Do::Nothing(end);
        }
        if self.turned.is_some() {
            return self.backward();
        }
        if let Some((step, _)) = &self.held {
            return Do::Hold(*step);
        }
        match self.position(|stage| matches!(stage, Stage::Pending | Stage::Started(_))) {
            Some(step) => Do::Observe(step),
            None => Do::End(RunEnd::Done),
        }
    }

    /// Returns what to do with the step that [`Do::Observe`] named, after the look.
    pub fn decide(&self, step: StepId, observed: Observed) -> Do {
        match (self.stage(step), observed) {
            (_, Observed::Foreign(found)) => Do::Turn(Turn::Moved { step, found }),
            (Stage::Started(_), _) => Do::Effect(step),
            (_, Observed::Before) => Do::Prepare(step),
            (_, Observed::After) => Do::Adopt(step),
            (_, Observed::Partly) => Do::Turn(Turn::Moved {
                step,
                found: "it is half done already, and not by this run".to_owned(),
            }),
        }
    }

    fn backward(&self) -> Do {
        if self.failed_undos >= UNDO_ATTEMPTS {
            return Do::End(RunEnd::Stuck);
        }
        let last = self
            .stages
            .iter()
            .rposition(|stage| matches!(stage, Stage::Started(_) | Stage::Finished(..)));
        match last.map(|index| (Self::id(index), &self.stages[index])) {
            Some((step, Stage::Started(undo) | Stage::Finished(undo, _))) => {
                Do::Undo(step, undo.clone())
            }
            _ => Do::End(RunEnd::RolledBack),
        }
    }

    /// Returns the stage of a step.
    pub fn stage(&self, step: StepId) -> &Stage {
        let index = usize::try_from(step.0).unwrap_or(0).wrapping_sub(1);
        self.stages.get(index).unwrap_or(&Stage::Pending)
    }

    /// Returns the outcome of a step that is finished.
    pub fn outcome(&self, step: StepId) -> Option<&Outcome> {
        match self.stage(step) {
            Stage::Finished(_, outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Returns why the run goes backward, `None` while it goes forward.
    pub fn turned(&self) -> Option<&Turn> {
        self.turned.as_ref()
    }

    /// Returns where the run stands still and why, until a person decides; `None` once it goes backward.
    pub fn held(&self) -> Option<&(StepId, FailedCriterion)> {
        self.held.as_ref().filter(|_| self.turned.is_none())
    }

    /// Returns whether a person accepted what was measured at a step.
    pub fn is_accepted(&self, step: StepId) -> bool {
        self.accepted.contains(&step)
    }

    /// Returns how the run ended, `None` while it is open.
    pub fn ended(&self) -> Option<RunEnd> {
        self.ended
    }

    /// Returns whether any step changed the world, taken back or not.
    pub fn has_changed(&self) -> bool {
        self.stages.iter().any(|stage| {
            matches!(
                stage,
                Stage::Started(_) | Stage::Finished(..) | Stage::Undone
            )
        })
    }

    /// Returns the undos that are still to be done, in their order.
    pub fn undos(&self) -> Vec<(StepId, Undo)> {
        let undo = |(index, stage): (usize, &Stage)| match stage {
            Stage::Started(undo) | Stage::Finished(undo, _) => {
                Some((Self::id(index), undo.clone()))
            }
            _ => None,
        };
        self.stages
            .iter()
            .enumerate()
            .rev()
            .filter_map(undo)
            .collect()
    }

    /// Returns how many steps are finished or adopted.
    pub fn finished(&self) -> usize {
        self.stages
            .iter()
            .filter(|stage| matches!(stage, Stage::Finished(..) | Stage::Adopted))
            .count()
    }

    fn position(&self, wanted: fn(&Stage) -> bool) -> Option<StepId> {
        self.stages.iter().position(wanted).map(Self::id)
    }

    fn set(&mut self, step: StepId, stage: Stage) {
        let index = usize::try_from(step.0).unwrap_or(0).wrapping_sub(1);
        if let Some(slot) = self.stages.get_mut(index) {
            *slot = stage;
        }
    }

    fn id(index: usize) -> StepId {
        StepId(u32::try_from(index + 1).unwrap_or(u32::MAX))
    }
}
