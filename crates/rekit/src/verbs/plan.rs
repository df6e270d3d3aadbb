//! `rekit plan`: what a reinstall would do here; nothing is changed.

use std::path::PathBuf;

use rekit_core::{
    plan::Plan,
    reinstall::{NoPlan, Wishes},
};
use rekit_run::{session::SessionError, world::host};

use crate::{
    call::Call,
    exit::Exit,
    failure::Failure,
    goal_file,
    ui::{self, plan::Room},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write the plan to a file as well, for `rekit apply`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    aims: Aims,
}

/// What steers the plan of a reinstall.
#[derive(Debug, clap::Args)]
pub(crate) struct Aims {
    /// Read the goal from this file instead of ./rekit.toml
    #[arg(long, value_name = "FILE")]
    goal: Option<PathBuf>,
    /// Cut builds that still run when the wait for them is over
    #[arg(long)]
    cut_running_builds: bool,
}

pub(crate) async fn run(call: &Call<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    let (plan, room) = reinstall(call, &arguments.aims).await?;
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
    call.output
        .give(&plan, |style| ui::plan::plan(&plan, &room, style));
    Ok(Exit::Done)
}

/// Plans a reinstall, and measures the room it takes.
pub(crate) async fn reinstall(call: &Call<'_>, aims: &Aims) -> Result<(Plan, Room), Failure> {
    let goal = goal_file::read(call, aims.goal.as_deref())?;
    let inventory = call.look().await?;
    let wishes = Wishes {
        cut_running_builds: aims.cut_running_builds,
    };
    let session = call.silent();
    let planned = session.plan_reinstall(&inventory, &goal, &wishes);
    let plan = match call.looking(planned).await? {
        Ok(plan) => plan,
        Err(error @ SessionError::NoPlan(NoPlan::NoEngine)) => {
            let hosts = inventory.hosts.iter();
            let reasons =
                hosts.filter_map(|host| Some(format!("`{}`: {}", host.id, host.engine.reason()?)));
            return Err(reasons.fold(error.into(), Failure::because));
        }
        Err(error) => return Err(error.into()),
    };
    let room = ui::plan::room(&plan, &inventory);
    Ok((plan, room))
}
