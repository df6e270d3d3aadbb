//! The cache inside an engine, whole: the engine is stopped for it.

use std::path::Path;

use rekit_core::{inventory::Inventory, name::HostPath, plan::Plan};
use rekit_run::{
    engine_cache::{Commands, archived},
    session::SessionError,
};

use super::{no_archive, restore::source};
use crate::{call::Call, change, exit::Exit, failure::Failure, ui::plan::Room};

/// How an engine is stopped and started.
#[derive(Debug, clap::Args)]
pub(crate) struct EngineOptions {
    /// The shell command that stops the engine, where no systemd unit runs it
    #[arg(long, value_name = "COMMAND", requires = "start_engine")]
    stop_engine: Option<String>,
    /// The shell command that starts the engine again; it must come back while the engine goes on
    #[arg(long, value_name = "COMMAND", requires = "stop_engine")]
    start_engine: Option<String>,
    /// Cut builds that still run when the wait for them is over
    #[arg(long)]
    pub(crate) cut_running_builds: bool,
}

impl EngineOptions {
    fn commands(&self) -> Commands {
        Commands {
            stop: self.stop_engine.clone(),
            start: self.start_engine.clone(),
        }
    }
}

pub(super) async fn plan(
    call: &Call<'_>,
    inventory: &Inventory,
    options: &EngineOptions,
    folder: Option<&HostPath>,
) -> Result<Plan, Failure> {
    let session = call.silent();
    let engine = session.engine_place(inventory, &options.commands()).await?;
    let cut = options.cut_running_builds;
    Ok(session.plan_engine_backup(inventory, &engine, cut, folder)?)
}

pub(super) async fn restore(
    call: &Call<'_>,
    path: &Path,
    options: &EngineOptions,
) -> Result<Exit, Failure> {
    let source = source(call, path).await?;
    let held = archived(path, &source)
        .ok_or_else(|| no_archive(path, "it does not say which engine it is of".to_owned()))?;
    let inventory = call.look().await?;
    let session = call.silent();
    let engine = session
        .engine_place(&inventory, &options.commands())
        .await?;
    let cut = options.cut_running_builds;
    let planned = session.plan_engine_restore(&inventory, &engine, &held, cut);
    let plan = planned
        .await
        .map_err(|error: SessionError| Failure::from(error))?;
    Ok(change::carry_out(call, plan, &Room::default()).await?.exit)
}
