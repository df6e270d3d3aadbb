//! `rekit plan`: what a reinstall would do here; nothing is changed.

use std::path::PathBuf;

use rekit_core::{
    inventory::Inventory,
    plan::Plan,
    reinstall::{NoPlan, Wishes},
};
use rekit_run::{session::SessionError, world::host};

use crate::{
    call::Call,
    change::{self, Told},
    exit::Exit,
    failure::Failure,
    goal_file,
    ui::{self, plan::Room},
};

/// What to do when the engine's socket is closed to this account.
const ENGINE_DENIED_NEXT: &str = "let this account use the engine: as root, `usermod -aG docker NAME`, then log in anew; or run rekit as root";

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
    /// Let the new nodes begin with a copy of the old nodes' caches, cache mounts included
    ///
    /// Without it they begin empty, and the old caches are kept in archives. A state with a damaged database is refused.
    #[arg(long)]
    keep_cache: bool,
    /// Where a criterion fails, stand still and let a person decide, instead of going back
    ///
    /// `rekit rollback` then goes back, and `rekit resume` accepts what was measured.
    #[arg(long)]
    no_auto_rollback: bool,
    /// Give the cache of this builder up, or of this volume that no builder names: no archive is made of it, and nothing brings it back
    /// (repeatable)
    ///
    /// For a disk that has no room for archives.
    #[arg(long, value_name = "BUILDER|VOLUME")]
    without_cache_backup: Vec<String>,
    /// Leave this node of a builder as it is, and renew the builder's other nodes (repeatable)
    ///
    /// For a node whose engine does not answer now: it stays in the builder's record as it is.
    #[arg(long, value_name = "NODE")]
    without_node: Vec<String>,
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
        keep_cache: aims.keep_cache,
        images: Vec::new(),
        decided_by_hand: aims.no_auto_rollback,
        given_up: aims.without_cache_backup.clone(),
        without_nodes: aims.without_node.clone(),
    };
    let session = call.silent();
    let planned = session.plan_reinstall(&inventory, &goal, &wishes);
    let planned = call.looking(planned).await?;
    let plan = planned.map_err(|error| failure(error, &inventory))?;
    let room = ui::plan::room(&plan, &inventory, &call.silent().past_archives(&plan));
    Ok((plan, room))
}

/// Carries out what was planned for an inventory.
pub(crate) async fn carry_out(
    call: &Call<'_>,
    inventory: &Inventory,
    planned: impl Future<Output = Result<Plan, SessionError>>,
) -> Result<Told, Failure> {
    let planned = call.looking(planned).await?;
    let plan = planned.map_err(|error| failure(error, inventory))?;
    let room = ui::plan::room(&plan, inventory, &call.silent().past_archives(&plan));
    change::carry_out(call, plan, &room).await
}

/// Says why there is no plan, and for engines that do not answer, why each does not.
fn failure(error: SessionError, inventory: &Inventory) -> Failure {
    if !matches!(error, SessionError::NoPlan(NoPlan::NoEngine)) {
        return error.into();
    }
    let hosts = inventory.hosts.iter();
    let reasons: Vec<_> = hosts
        .filter_map(|host| Some(format!("`{}`: {}", host.id, host.engine.reason()?)))
        .collect();
    let denied = reasons
        .iter()
        .any(|reason| reason.contains("permission denied"));
    let failure = reasons.into_iter().fold(error.into(), Failure::because);
    if denied {
        failure.then(ENGINE_DENIED_NEXT)
    } else {
        failure
    }
}
