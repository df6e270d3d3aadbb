//! `rekit backup create`: archives are made, and kept or streamed away.

use std::path::{Path, PathBuf};

use rekit_core::name::ArchiveId;
use rekit_run::{
    sealing::Recipients,
    world::host::{self, Outlet},
};

use super::{
    clean, engine,
    export::{is_pipe, send, stream},
    sealing::{self, Sealing},
};
use crate::{
    call::Call,
    change::{self, Told},
    exit::Exit,
    failure::Failure,
    ui,
};

/// What is archived, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The builders, and folders by their paths; none named: all that are found
    #[arg(value_name = "BUILDER|FOLDER")]
    names: Vec<String>,
    /// Put the archives into this folder, on another disk for example, instead of rekit's own directory; `-` streams them to stdout
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// The whole cache inside the engine that is in force, with the layers and images that it hangs on: the engine is stopped for it,
    /// with every container on it, and both are started again. Needs root on the engine's machine
    #[arg(long, conflicts_with = "names")]
    engine_cache: bool,
    #[command(flatten)]
    engine: engine::EngineOptions,
    #[command(flatten)]
    sealing: Sealing,
}

pub(super) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    call.refuse_open_run()?;
    let recipients = arguments.sealing.recipients(call)?;
    if arguments.to.as_deref().is_some_and(is_pipe) {
        let out = stream(call)?;
        let told = make(call, arguments).await?;
        return stream_away(call, &told, recipients.as_ref(), out).await;
    }
    if recipients.is_some() {
        let message = "an archive in a folder is not encrypted, only what is streamed or exported";
        return Err(Failure::new(Exit::Misuse, "usage", message)
            .then("`--to -` streams it, or `rekit backup export` writes it into a file"));
    }
    let told = make(call, arguments).await?;
    let archives = &told.outcomes.archives;
    let last = archives
        .iter()
        .rfind(|archive| archive.state)
        .or(archives.last());
    if let Some(last) = last.filter(|_| told.exit == Exit::Done && !call.output.is_json()) {
        call.output.data(&format!("{}\n", last.path));
    }
    Ok(exit(&told))
}

/// Makes the archives.
async fn make(call: &Call<'_>, arguments: &Arguments) -> Result<Told, Failure> {
    let inventory = call.look().await?;
    let folder = arguments.to.as_deref().filter(|folder| !is_pipe(folder));
    let folder = folder.map(|folder| call.surroundings.working_folder().join(folder));
    let folder = folder.map(|folder| host::host_path(&folder));
    let plan = if arguments.engine_cache {
        engine::plan(call, &inventory, &arguments.engine, folder.as_ref()).await?
    } else {
        let working_folder = call.surroundings.working_folder();
        let names = arguments.names.iter();
        let names: Vec<_> = names.map(|name| absolute(working_folder, name)).collect();
        call.silent()
            .plan_backup(&inventory, &names, folder.as_ref())?
    };
    let room = ui::plan::room(&plan, &inventory, &call.silent().past_archives(&plan));
    change::carry_out(call, plan, &room).await
}

/// Returns the whole path where a name is one: no builder's name begins with a dot or has a slash.
fn absolute(working_folder: &Path, name: &str) -> String {
    if !name.contains('/') && !name.starts_with('.') {
        return name.to_owned();
    }
    host::host_path(&clean(&working_folder.join(name))).to_string()
}

/// Sends what was made to stdout, and removes it here, however that ends.
async fn stream_away(
    call: &Call<'_>,
    told: &Told,
    recipients: Option<&Recipients>,
    out: Box<dyn Outlet>,
) -> Result<Exit, Failure> {
    if told.exit != Exit::Done {
        return Ok(told.exit);
    }
    let archives = &told.outcomes.archives;
    let paths: Vec<_> = archives.iter().map(|it| PathBuf::from(&it.path)).collect();
    let ids: Vec<ArchiveId> = archives.iter().map(|it| it.id.clone()).collect();
    let sent = match sealing::sealed(recipients, out) {
        Ok(out) => send(call, &paths, out).await,
        Err(failure) => Err(failure),
    };
    call.silent().remove_streamed(&ids)?;
    sent.map_err(|failure| failure.standing("what the pipe took is cut off, and no import takes it; the archives made for it are removed"))?;
    call.output.note(ui::exchange::STREAMED);
    call.output.note(ui::exchange::UNPROVEN);
    Ok(exit(told))
}

/// Returns how the verb ends: with care, if something of what was planned could not be archived.
fn exit(told: &Told) -> Exit {
    if told.exit == Exit::Done && !told.outcomes.left_out.is_empty() {
        Exit::Care
    } else {
        told.exit
    }
}
