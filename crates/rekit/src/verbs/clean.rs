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
    /// Give the cache of this builder up, or of this volume that no builder names: it goes without an archive, and nothing brings it back
    /// (repeatable)
    #[arg(long, value_name = "BUILDER|VOLUME")]
    without_cache_backup: Vec<String>,
}

pub(crate) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    call.refuse_open_run()?;
    let goal = goal_file::read(call, None)?;
    let inventory = call.look().await?;
    let wishes = Wishes {
        cut_running_builds: arguments.cut_running_builds,
        given_up: arguments.without_cache_backup.clone(),
        ..Wishes::default()
    };
    let session = call.silent();
    let planned = session.plan_clean(&inventory, &goal, &arguments.builders, &wishes);
    Ok(plan::carry_out(call, &inventory, planned).await?.exit)
}
