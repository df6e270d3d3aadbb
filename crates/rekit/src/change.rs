//! What every changing verb shares: the plan is shown, a person agrees, the run is followed, its end is told.

use std::time::Instant;

use rekit_core::{
    check::check,
    next::{RunEnd, Turn},
    plan::Plan,
    step::StepId,
};
use rekit_run::{
    executor::DriveEnd,
    session::{Applied, Session, SessionError},
    world::path_of,
};

use crate::{
    call::{Call, interrupted_next},
    document::{self, Outcomes, document},
    exit::Exit,
    failure::{Failure, HELD_NEXT, plan_faults},
    output::{self, Output},
    ui::{self, plan::Room, progress::Progress},
};

const SCHEMA: &str = "rekit/result";

/// Carries out a plan: checked, shown, agreed to, applied, told.
pub(crate) async fn carry_out(call: &Call<'_>, plan: Plan, room: &Room) -> Result<Told, Failure> {
    if plan.steps.is_empty() {
        return Ok(tell_nothing(call, &plan));
    }
    let plan = check(plan)
        .map_err(|faults| plan_faults(&faults))?
        .plan()
        .clone();
    let style = &call.output.note_style;
    call.output.note(&ui::plan::plan(&plan, room, style));
    if let Some((needed, free)) = room.lacking() {
        return Err(no_room(&plan, &needed, &free));
    }
    agree(
        call,
        &format!("Carry out these {} steps?", plan.steps.len()),
    )
    .await?;
    follow(call, &plan, Asked::Forward, async |session| {
        session.apply(plan.clone()).await
    })
    .await
}

/// Says that the archives may not fit. Nothing has begun: a disk that runs full harms whoever else writes to it.
fn no_room(plan: &Plan, needed: &str, free: &str) -> Failure {
    let folder = path_of(&plan.archives);
    let message = format!(
        "the states to archive hold {needed}, and the disk of `{}` has {free} left",
        folder.display()
    );
    Failure::new(Exit::Refused, "no-room", message)
        .then("let rekit keep its archives on a disk with more room: `REKIT_HOME=/DISK/rekit rekit …`, or for a backup `--to DIR`")
        .then("or give up a builder's whole cache, for good: `--without-cache-backup NAME`")
        .then("or give up cache that nobody needs first: `docker buildx prune --builder NAME --filter until=240h`")
}

/// Returns once a person agreed, at the terminal or by `--yes`.
pub(crate) async fn agree(call: &Call<'_>, question: &str) -> Result<(), Failure> {
    if call.yes {
        return Ok(());
    }
    if !Output::can_ask() {
        return Err(Failure::new(
            Exit::Misuse,
            "needs-yes",
            "this changes the machine, and there is no terminal to ask at",
        )
        .then("read the plan, then run the same command with --yes"));
    }
    if call.agrees(question).await? {
        Ok(())
    } else {
        Err(Failure::new(Exit::Interrupted, "declined", "not agreed to"))
    }
}

/// Which way a person asked the run to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To its end.
    Forward,
    /// Back to its beginning.
    Backward,
}

/// What was told, for what a verb adds.
pub(crate) struct Told {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// What was done.
    pub(crate) outcomes: Outcomes,
}

/// Follows a run to its end and tells it.
pub(crate) async fn follow(
    call: &Call<'_>,
    plan: &Plan,
    asked: Asked,
    work: impl AsyncFnOnce(&Session<'_>) -> Result<Applied, SessionError>,
) -> Result<Told, Failure> {
    let began = Instant::now();
    let progress = Progress::new(plan, call.output);
    let listener = |event| progress.tell(&event);
    let applied = call
        .changing(Box::pin(work(&call.session(&listener))))
        .await;
    progress.end();
    let applied = applied??;
    // The run is over and journalled; that the journal cannot be read back now is no failure of it.
    let history = call.silent().history().unwrap_or_default();
    let mut outcomes = document::outcomes(&applied, began.elapsed().as_secs(), &history);
    if asked == Asked::Backward {
        outcomes.changed = applied.state.has_changed();
    }
    outcomes.error = failure(&applied, asked, &progress);
    Ok(tell(call, outcomes))
}

fn tell(call: &Call<'_>, outcomes: Outcomes) -> Told {
    let told = document(SCHEMA, outcomes);
    let failed = told.body.error.as_ref();
    let exit = failed.map_or(Exit::Done, |failure| failure.exit);
    match failed {
        Some(failure) if !call.output.is_json() => {
            let style = &call.output.note_style;
            output::alarm(&ui::failure::blocks(failure, style));
            output::alarm(&ui::result::remaining(&told.body.remaining));
        }
        _ => call
            .output
            .give(&told, |style| ui::result::done(&told.body, style)),
    }
    Told {
        exit,
        outcomes: told.body,
    }
}

/// Returns what is wrong with how a run ended.
fn failure(applied: &Applied, asked: Asked, progress: &Progress<'_>) -> Option<Failure> {
    let plan = &applied.plan;
    match applied.end {
        DriveEnd::Ended(RunEnd::Done) => None,
        DriveEnd::Ended(RunEnd::RolledBack) if asked == Asked::Backward => None,
        DriveEnd::Ended(RunEnd::RolledBack) => turned(plan, applied.state.turned()?),
        DriveEnd::Ended(RunEnd::Stuck) => {
            let failure = Failure::new(Exit::Failed, "stuck", "taking a step back fails for good");
            Some(
                progress
                    .last_error()
                    .into_iter()
                    .fold(failure, Failure::because)
                    .standing("the run is open and half taken back; what is left is listed below")
                    .then("mend the cause and run `rekit rollback` again, which tries it once more")
                    .then("or run the commands below by hand, in their order"),
            )
        }
        DriveEnd::Held => held(applied),
        DriveEnd::Interrupted => {
            let (done, all) = (applied.state.finished(), plan.steps.len());
            let failure = Failure::new(Exit::Interrupted, "interrupted", "interrupted, as asked");
            let state = format!(
                "run `{}` is open: {done} of {all} steps are done and journalled, none is half done unseen",
                plan.run
            );
            Some(interrupted_next().fold(failure.standing(state), Failure::then))
        }
    }
}

/// Returns what a run says that stands still until a person decides.
fn held(applied: &Applied) -> Option<Failure> {
    let (step, failed) = applied.state.held()?;
    let message = format!("criterion `{}` fails; a person decides", failed.criterion);
    let state = format!(
        "run `{}` is open and stands still at step {step}; everything up to there is done and journalled",
        applied.plan.run
    );
    let failure = Failure::new(Exit::Care, "held", message)
        .because(failed.to_string())
        .standing(state);
    Some(HELD_NEXT.into_iter().fold(failure, Failure::then))
}

/// Returns the failure of a run that took itself back.
fn turned(plan: &Plan, why: &Turn) -> Option<Failure> {
    let named = |step: &StepId| {
        let kind = plan.steps.iter().find(|known| known.id == *step);
        format!(
            "step {step} `{}`",
            kind.map_or("", |step| step.action.kind())
        )
    };
    let failure = match why {
        Turn::Failed { step, error } => Failure::new(
            Exit::RolledBack,
            "rolled-back",
            format!("{} failed", named(step)),
        )
        .because(error),
        Turn::Refused { step, reason } => Failure::new(
            Exit::Refused,
            "refused",
            format!("{} was refused: going on would not be safe", named(step)),
        )
        .because(reason),
        Turn::Moved { step, found } => Failure::new(
            Exit::Refused,
            "moved",
            format!("{} found the world changed by somebody else", named(step)),
        )
        .because(found),
        Turn::Criterion { step, failed } => Failure::new(
            Exit::RolledBack,
            "rolled-back",
            format!(
                "{} did not meet criterion `{}`",
                named(step),
                failed.criterion
            ),
        )
        .because(failed.to_string()),
        Turn::Asked {} => return None,
    };
    Some(
        failure
            .standing("every step was taken back by itself; the world is as before, archives that were made are kept")
            .then("remove the cause, then run the same command again"),
    )
}

fn tell_nothing(call: &Call<'_>, plan: &Plan) -> Told {
    let outcomes = document::nothing(plan);
    let told = document(SCHEMA, outcomes);
    call.output
        .give(&told, |style| ui::plan::empty(plan, style));
    Told {
        exit: Exit::Done,
        outcomes: told.body,
    }
}
