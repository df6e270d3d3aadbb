//! `rekit reinstall`: every builder on a fresh, proven node, with a way back.

use std::path::PathBuf;

use rekit_core::reinstall::Wishes;

use crate::{call::Call, change, exit::Exit, failure::Failure, goal_file, ui};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Read the goal from this file instead of ./rekit.toml
    #[arg(long, value_name = "FILE")]
    goal: Option<PathBuf>,
    /// Cut builds that still run when the wait for them is over
    #[arg(long)]
    cut_running_builds: bool,
}

pub(crate) async fn run(call: &Call<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    let goal = goal_file::read(call, arguments.goal.as_deref())?;
    call.refuse_open_run()?;
    let inventory = call.look().await?;
    let wishes = Wishes {
        cut_running_builds: arguments.cut_running_builds,
    };
    let session = call.silent();
    let planned = session.plan_reinstall(&inventory, &goal, &wishes);
    let plan = call.looking(planned).await??;
    let room = ui::plan::room(&plan, &inventory);
    Ok(change::carry_out(call, plan, &room).await?.exit)
}
