//! `rekit rollback [N]`: takes the open run back; where none is open, goes back to the generation before, or to generation N.

use rekit_core::draft::Patience;

use super::plan;
use crate::{
    call::Call,
    change::{self, Asked},
    exit::Exit,
    failure::Failure,
    goal_file, ui,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The generation to go back to; without it, the one before the last change
    #[arg(value_name = "N")]
    generation: Option<u32>,
    /// Cut builds that still run when the wait for them is over
    #[arg(long)]
    cut_running_builds: bool,
}

pub(crate) async fn run(call: &Call<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    if let Some(open) = call.open_run()? {
        if arguments.generation.is_some() {
            call.refuse_open_run()?;
        }
        let (plan, state) = (open.plan.clone(), open.state());
        call.output.note(&ui::status::unwinding(
            &plan,
            &state,
            &call.output.note_style,
        ));
        change::agree(call, "Take it back?").await?;
        let told = change::follow(call, &plan, Asked::Backward, async |session| {
            Box::pin(session.unwind()).await
        });
        return Ok(told.await?.exit);
    }
    // Said before the look, which takes its time.
    if arguments.generation.is_none() && call.silent().history()?.previous().is_none() {
        let nothing = rekit_core::rollback::NoWayBack::NothingBefore;
        return Err(rekit_run::session::SessionError::NoWayBack(nothing).into());
    }
    let goal = goal_file::read(call, None)?;
    let patience = Patience::of(&goal.drain, arguments.cut_running_builds);
    let inventory = call.look().await?;
    let session = call.silent();
    let planned = session.plan_rollback(&inventory, arguments.generation, patience);
    Ok(plan::carry_out(call, &inventory, planned).await?.exit)
}
