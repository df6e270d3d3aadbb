//! `rekit install`: makes the builder that the goal names, beside what is there.

use std::path::PathBuf;

use super::plan;
use crate::{call::Call, change, exit::Exit, failure::Failure, goal_file, ui};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Read the goal from this file instead of ./rekit.toml
    #[arg(long, value_name = "FILE")]
    goal: Option<PathBuf>,
}

pub(crate) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    call.refuse_open_run()?;
    let goal = goal_file::read(call, arguments.goal.as_deref())?;
    let inventory = call.look().await?;
    let session = call.silent();
    let planned = session.plan_install(&inventory, &goal);
    let planned = call.looking(planned).await?;
    let plan = planned.map_err(|error| plan::failure(error, &inventory))?;
    let room = ui::plan::room(&plan, &inventory);
    Ok(change::carry_out(call, plan, &room).await?.exit)
}
