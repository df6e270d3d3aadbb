//! `rekit install`: makes the builder that the goal names, beside what is there.

use std::path::PathBuf;

use super::plan;
use crate::{call::Call, exit::Exit, failure::Failure, goal_file};

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
    Ok(plan::carry_out(call, &inventory, planned).await?.exit)
}
