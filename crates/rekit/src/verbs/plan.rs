//! `rekit plan`: what a reinstall would do here; nothing is changed.

use std::path::PathBuf;

use rekit_core::reinstall::Wishes;
use rekit_run::world::host;

use crate::{call::Call, exit::Exit, failure::Failure, goal_file, ui};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write the plan to a file as well, for `rekit apply`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Read the goal from this file instead of ./rekit.toml
    #[arg(long, value_name = "FILE")]
    goal: Option<PathBuf>,
    /// Plan to cut builds that still run when the wait for them is over
    #[arg(long)]
    cut_running_builds: bool,
}

pub(crate) async fn run(call: &Call<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    let goal = goal_file::read(call, arguments.goal.as_deref())?;
    let inventory = call.look().await?;
    let wishes = Wishes {
        cut_running_builds: arguments.cut_running_builds,
    };
    let session = call.silent();
    let planned = session.plan_reinstall(&inventory, &goal, &wishes);
    let plan = call.looking(planned).await??;
    if let Some(file) = &arguments.out {
        let path = call.surroundings.working_folder().join(file);
        host::save(&path, plan.to_json().as_bytes()).map_err(|error| {
            let message = format!("the plan cannot be written to `{}`", file.display());
            Failure::new(Exit::Failed, "plan-unwritable", message)
                .because(error.to_string())
                .then("name a file in a folder that this account can write to")
        })?;
        let shown = file.display();
        call.output.note(&format!(
            "Written to {shown}; `rekit apply {shown}` carries it out.\n"
        ));
    }
    let room = ui::plan::room(&plan, &inventory);
    call.output
        .give(&plan, |style| ui::plan::plan(&plan, &room, style));
    Ok(Exit::Done)
}
