//! Runs, resumes or unwinds a run: one loop. What to do next is decided in the core; the undo is on disk before the world changes.

use rekit_core::{
    check::CheckedPlan,
    criteria::Measure,
    event::Event,
    fact::chain,
    mask,
    next::{Do, Entry, RunEnd, RunState, Stage, Turn},
    standalone::Launch,
    step::{Action, BootState, StateSource, Step, StepId},
    undo::{Outcome, Undo},
};

use crate::{
    journal::{Journal, JournalError},
    steps::{self, Scene, StoppedDaemon},
    world::{ChangeWorld, Labels, WorldError},
};

/// A run under way: its plan, where it stands, and who listens.
pub struct Run<'a> {
    plan: &'a CheckedPlan,
    state: RunState,
    listener: &'a dyn Fn(Event),
    interrupt: &'a dyn Fn() -> bool,
    kill: Option<KillPoint>,
}

/// A point at which the program ends itself as if by a power cut (`REKIT_LAB_KILL=<step>:<started|effect|finished>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KillPoint {
    /// The step.
    pub step: StepId,
    /// Where in the step.
    pub at: KillAt,
}

/// Where in a step the program ends itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillAt {
    /// The undo is on disk, the effect has not begun.
    Started,
    /// The effect is complete, and not yet journalled.
    Effect,
    /// The effect is journalled.
    Finished,
    /// The undo is carried out, and not yet journalled.
    Undo,
    /// The undo is journalled.
    Undone,
}

impl std::str::FromStr for KillPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not STEP:started, effect, finished, undo or undone");
        let (step, at) = text.split_once(':').ok_or_else(wrong)?;
        let at = match at {
            "started" => KillAt::Started,
            "effect" => KillAt::Effect,
            "finished" => KillAt::Finished,
            "undo" => KillAt::Undo,
            "undone" => KillAt::Undone,
            _ => return Err(wrong()),
        };
        Ok(Self {
            step: StepId(step.parse().map_err(|_| wrong())?),
            at,
        })
    }
}

/// Seconds between two attempts at an undo.
const UNDO_PAUSE_SECONDS: u32 = 2;

/// How a drive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveEnd {
    /// The run has ended.
    Ended(RunEnd),
    /// A person asked to stop; the run is open and can be resumed or rolled back.
    Interrupted,
    /// A criterion failed; the run is open until a person decides.
    Held,
}

/// Why a drive had to stop with the run open.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The journal cannot be written, so nothing may change.
    #[error("the journal cannot be written")]
    Journal(#[from] JournalError),
    /// The process is to end here, as if by a crash. Only the fake world says so.
    #[error("crashed, as the test asked")]
    Crashed,
}

impl<'a> Run<'a> {
    /// Takes up a run where its journal says it stands.
    pub fn new(
        plan: &'a CheckedPlan,
        entries: &[Entry],
        listener: &'a dyn Fn(Event),
        interrupt: &'a dyn Fn() -> bool,
    ) -> Self {
        let state = RunState::replay(plan.plan().steps.len(), entries);
        Self {
            plan,
            state,
            listener,
            interrupt,
            kill: None,
        }
    }

    /// Ends the program at a point, as if by a power cut.
    #[must_use]
    pub fn with_kill(mut self, kill: Option<KillPoint>) -> Self {
        self.kill = kill;
        self
    }

    /// Returns where the run stands.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Goes on until the run ends or somebody interrupts.
    pub async fn drive<W: ChangeWorld, J: Journal>(
        &mut self,
        world: &mut W,
        journal: &mut J,
    ) -> Result<DriveEnd, DriveError> {
        let steps = u32::try_from(self.plan.plan().steps.len()).unwrap_or(u32::MAX);
        let finished = u32::try_from(self.state.finished()).unwrap_or(u32::MAX);
        (self.listener)(Event::RunBegan {
            run: self.plan.plan().run.clone(),
            steps,
            finished,
        });
        loop {
            if let Some(end) = self.advance(world, journal).await? {
                return Ok(end);
            }
            if (self.interrupt)() {
                return Ok(DriveEnd::Interrupted);
            }
        }
    }

    /// Asks the run to go backward from here.
    pub fn turn<J: Journal>(&mut self, journal: &mut J) -> Result<(), DriveError> {
        self.enter(
            journal,
            &Entry::Turned {
                why: Turn::Asked {},
            },
        )
    }

    /// Accepts what was measured where the run stands still.
    pub fn accept<J: Journal>(&mut self, journal: &mut J) -> Result<(), DriveError> {
        match self.state.held() {
            Some((step, _)) => {
                let step = *step;
                self.enter(journal, &Entry::Accepted { step })
            }
            None => Ok(()),
        }
    }

    /// Lets undos that failed before be tried again.
    pub fn retry<J: Journal>(&mut self, journal: &mut J) -> Result<(), DriveError> {
        self.enter(journal, &Entry::Retried {})
    }

    /// Does one thing; returns the end when there is nothing more to do.
    pub async fn advance<W: ChangeWorld, J: Journal>(
        &mut self,
        world: &mut W,
        journal: &mut J,
    ) -> Result<Option<DriveEnd>, DriveError> {
        let next = match self.state.next() {
            Do::Observe(step) => match self.observe(step, world).await {
                Ok(next) => next,
                Err(error) => return self.fail(step, error, journal).map(|()| None),
            },
            next => next,
        };
        match next {
            Do::Observe(_) => unreachable!("BUG: a look led to another look"),
            Do::Prepare(step) => self.prepare(step, world, journal).await?,
            Do::Adopt(step) => {
                self.enter(journal, &Entry::Adopted { step })?;
                (self.listener)(Event::StepAdopted { step });
            }
            Do::Effect(step) => return self.effect(step, world, journal).await,
            Do::Hold(_) => return Ok(Some(DriveEnd::Held)),
            Do::Turn(why) => self.go_back(why, journal)?,
            Do::Undo(step, undo) => return self.undo(step, &undo, world, journal).await,
            Do::End(end) => {
                self.enter(journal, &Entry::Ended { end })?;
                (self.listener)(Event::RunEnded { end });
                return Ok(Some(DriveEnd::Ended(end)));
            }
            Do::Nothing(end) => return Ok(Some(DriveEnd::Ended(end))),
        }
        Ok(None)
    }

    async fn observe<W: ChangeWorld>(&self, id: StepId, world: &W) -> Result<Do, WorldError> {
        let scene = self.scene(id);
        let observed = steps::observe(&scene, world).await?;
        Ok(self.state.decide(id, observed))
    }

    async fn prepare<W: ChangeWorld, J: Journal>(
        &mut self,
        id: StepId,
        world: &W,
        journal: &mut J,
    ) -> Result<(), DriveError> {
        let undo = {
            let scene = self.scene(id);
            steps::prepare_undo(&scene, world, journal).await
        };
        match undo {
            Ok(undo) => self.enter(journal, &Entry::Started { step: id, undo })?,
            Err(error) => return self.fail(id, error, journal),
        }
        self.die_at(id, KillAt::Started);
        Ok(())
    }

    async fn effect<W: ChangeWorld, J: Journal>(
        &mut self,
        id: StepId,
        world: &mut W,
        journal: &mut J,
    ) -> Result<Option<DriveEnd>, DriveError> {
        let step = self.step(id);
        (self.listener)(Event::StepBegan {
            step: id,
            kind: step.action.kind().to_owned(),
            subject: step.action.subject(),
        });
        if let Some(why) = self.unproven(id, world).await {
            self.go_back(why, journal)?;
            return Ok(None);
        }
        let began = std::time::Instant::now();
        let outcome = {
            let scene = self.scene(id);
            // One place for the many kinds of effects: their futures are large.
            Box::pin(steps::effect(&scene, world, journal)).await
        };
        match outcome {
            Ok(outcome) => {
                self.die_at(id, KillAt::Effect);
                self.enter(
                    journal,
                    &Entry::Finished {
                        step: id,
                        outcome: outcome.clone(),
                    },
                )?;
                self.die_at(id, KillAt::Finished);
                let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                (self.listener)(Event::StepFinished {
                    step: id,
                    outcome,
                    milliseconds,
                });
                Ok(None)
            }
            Err(WorldError::Interrupted) => Ok(Some(DriveEnd::Interrupted)),
            Err(error) => self.fail(id, error, journal).map(|()| None),
        }
    }

    async fn undo<W: ChangeWorld, J: Journal>(
        &mut self,
        id: StepId,
        undo: &rekit_core::undo::Undo,
        world: &mut W,
        journal: &mut J,
    ) -> Result<Option<DriveEnd>, DriveError> {
        match steps::undo(undo, world, journal).await {
            Ok(()) => {
                self.die_at(id, KillAt::Undo);
                self.enter(journal, &Entry::Undone { step: id })?;
                self.die_at(id, KillAt::Undone);
                (self.listener)(Event::StepUndone { step: id });
                Ok(None)
            }
            Err(WorldError::Interrupted) => Ok(Some(DriveEnd::Interrupted)),
            Err(WorldError::Crashed) => Err(DriveError::Crashed),
            Err(error) => {
                let error = told(&error);
                self.enter(
                    journal,
                    &Entry::UndoFailed {
                        step: id,
                        error: error.clone(),
                    },
                )?;
                (self.listener)(Event::UndoFailed { step: id, error });
                // An engine that restarts needs a moment; a wait that is interrupted ends the drive at the next look.
                world
                    .wait(
                        UNDO_PAUSE_SECONDS,
                        "a moment before the undo is tried again",
                    )
                    .await
                    .ok();
                Ok(None)
            }
        }
    }

    /// Returns why a removal must not be: its archive was not verified in this run, or was written to since.
    async fn unproven<W: ChangeWorld>(&self, step: StepId, world: &W) -> Option<Turn> {
        let (Action::RemoveVolume {
            verified_by,
            archive,
            ..
        }
        | Action::RemoveState {
            verified_by,
            archive,
            ..
        }
        | Action::RestoreEngine {
            verified_by,
            before: archive,
            ..
        }) = &self.step(step).action
        else {
            return None;
        };
        let reason = match (
            self.state.outcome(*verified_by),
            world.archive_fingerprint(archive).await,
        ) {
            (Some(Outcome::Verified { fingerprint, .. }), Ok(now)) if &now == fingerprint => {
                return None;
            }
            (Some(Outcome::Verified { .. }), _) => {
                format!("archive `{archive}` was written to since step {verified_by} verified it")
            }
            _ => format!("step {verified_by} has not verified archive `{archive}`"),
        };
        Some(Turn::Refused { step, reason })
    }

    fn fail<J: Journal>(
        &mut self,
        step: StepId,
        error: WorldError,
        journal: &mut J,
    ) -> Result<(), DriveError> {
        let why = match error {
            WorldError::Crashed => return Err(DriveError::Crashed),
            WorldError::Criterion { failed } if self.plan.plan().decided_by_hand => {
                let held = Entry::Held {
                    step,
                    failed: failed.clone(),
                };
                self.enter(journal, &held)?;
                (self.listener)(Event::Held { step, failed });
                return Ok(());
            }
            WorldError::Criterion { failed } => Turn::Criterion { step, failed },
            WorldError::Changed { what } => Turn::Moved {
                step,
                found: mask::text(&what),
            },
            WorldError::Refused { why } => Turn::Refused {
                step,
                reason: mask::text(&why),
            },
            error => Turn::Failed {
                step,
                error: told(&error),
            },
        };
        self.go_back(why, journal)
    }

    fn go_back<J: Journal>(&mut self, why: Turn, journal: &mut J) -> Result<(), DriveError> {
        self.enter(journal, &Entry::Turned { why: why.clone() })?;
        (self.listener)(Event::Turned { why });
        Ok(())
    }

    fn enter<J: Journal>(&mut self, journal: &mut J, entry: &Entry) -> Result<(), DriveError> {
        journal.append(entry)?;
        self.state.enter(entry);
        Ok(())
    }

    fn step(&self, id: StepId) -> &'a Step {
        match self.plan.step(id) {
            Some(step) => step,
            None => unreachable!("BUG: step {id} is not in the plan"),
        }
    }

    fn scene(&self, id: StepId) -> Scene<'_> {
        let labels = Labels {
            run: self.plan.plan().run.clone(),
            step: id,
        };
        let action = &self.step(id).action;
        Scene {
            action,
            stage: self.state.stage(id),
            labels,
            source: self.source(action),
            baseline: self.baseline(action),
            accepted: self.state.is_accepted(id),
            stopped: self.stopped(action),
        }
    }

    /// Returns what was measured before anything changed, for a step that decides by it.
    fn baseline(&self, action: &Action) -> &[Measure] {
        let by = match action {
            Action::ProbeNode {
                judged: Some(judged),
                ..
            } => &judged.by,
            Action::Validate {
                judged: Some(by), ..
            } => by,
            _ => return &[],
        };
        match self.state.outcome(by.baseline) {
            Some(Outcome::Baseline { measures }) => measures,
            _ => &[],
        }
    }

    /// Returns what the stop of a standalone daemon left for its start.
    fn stopped(&self, action: &Action) -> Option<StoppedDaemon> {
        let Action::StartDaemon { launch, .. } = action else {
            return None;
        };
        match launch {
            Launch::Service {} => self.stop_before(action),
            Launch::AsKept { script } => Some(StoppedDaemon {
                script: Some(script.clone()),
                ..self.stop_before(action).unwrap_or_default()
            }),
            Launch::AsStopped { step } => Some(self.left_by(*step)),
        }
    }

    /// Returns what the last stop of the same daemon in this plan left.
    fn stop_before(&self, start: &Action) -> Option<StoppedDaemon> {
        let Action::StartDaemon { daemon, .. } = start else {
            return None;
        };
        let is_stop = |step: &&Step| matches!(&step.action, Action::StopDaemon { daemon: it, .. } if it.root == daemon.root);
        let stop = self.plan.plan().steps.iter().rfind(is_stop)?;
        Some(self.left_by(stop.id))
    }

    fn left_by(&self, stop: StepId) -> StoppedDaemon {
        match self.state.stage(stop) {
            Stage::Finished(
                Undo::StartDaemon { script, .. },
                Outcome::DaemonStopped { at, .. },
            ) => StoppedDaemon {
                script: script.clone(),
                at: *at,
            },
            _ => StoppedDaemon::default(),
        }
    }

    /// Returns the archived state that a node begins with, or that holds what a step removes; `None` also for one that is not proven yet.
    fn source(&self, action: &Action) -> Option<StateSource> {
        let state = match action {
            Action::BootNode { state, .. } => state.clone()?,
            Action::RemoveState {
                archive,
                verified_by,
                ..
            } => BootState::Copied {
                archive: archive.clone(),
                verified_by: *verified_by,
            },
            _ => return None,
        };
        match &state {
            BootState::Archived { source } => Some(source.clone()),
            BootState::Copied {
                archive,
                verified_by,
            } => match self.state.outcome(*verified_by)? {
                Outcome::Verified { identity, .. } => Some(StateSource {
                    archive: self.plan.plan().archives.join(archive.as_str()),
                    identity: identity.clone(),
                }),
                _ => None,
            },
        }
    }

    /// Ends the program here, as a power cut would, if a test asked for this point.
    fn die_at(&self, step: StepId, at: KillAt) {
        if self.kill == Some(KillPoint { step, at }) {
            crate::world::die();
        }
    }
}

/// Returns an error with its causes in one line, without secrets: it goes into the journal and to people.
fn told(error: &WorldError) -> String {
    mask::text(&chain(error))
}
