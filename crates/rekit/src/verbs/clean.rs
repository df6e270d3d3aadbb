//! `rekit clean [BUILDER…]`: removes builders and remnants; each cache goes after its archive was read back.

use rekit_core::reinstall::Wishes;

use super::plan;
use crate::{call::Call, exit::Exit, failure::Failure, goal_file};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The builders; none named: all, and every remnant
    #[arg(value_name = "BUILDER")]
    builders: Vec<String>,
    /// Cut builds that still run when the wait for them is over
    #[arg(long)]
    cut_running_builds: bool,
}

pub(crate) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    call.refuse_open_run()?;
    let goal = goal_file::read(call, None)?;
    let inventory = call.look().await?;
    let wishes = Wishes {
        cut_running_builds: arguments.cut_running_builds,
        ..Wishes::default()
    };
    let session = call.silent();
    let planned = session.plan_clean(&inventory, &goal, &arguments.builders, &wishes);
    Ok(plan::carry_out(call, &inventory, planned).await?.exit)
}
