//! `rekit backup restore`: what an archive holds comes back, each kind in its way.

use std::path::{Path, PathBuf};

use rekit_core::{
    config::files::ConfigurationRestore,
    folders::CacheFolder,
    mounts::{ArchivedMount, MountRestore},
    name::{BuilderName, NameError},
    reinstall::{Restore, Wishes},
    step::StateSource,
};
use rekit_run::{
    archives::{content, folder, mounts},
    session::SessionError,
    world::{host, real::archived_files},
};

use super::{clean, engine, find, no_archive, read_back, volume};
use crate::{
    call::Call, change, exit::Exit, failure::Failure, goal_file, ui::plan::Room, verbs::plan,
};

/// Where it goes, and what of it.
pub(super) struct Target {
    pub(super) builder: Option<String>,
    pub(super) to: Option<PathBuf>,
    pub(super) files: Vec<PathBuf>,
}

impl Target {
    /// Refuses what does not go with an archive of this kind.
    fn takes_only(&self, takes: &[&str], kind: &str) -> Result<(), Failure> {
        let given = [
            ("--builder", self.builder.is_some()),
            ("--to", self.to.is_some()),
            ("FILE", !self.files.is_empty()),
        ];
        let mut wrong = given
            .iter()
            .filter(|(name, is_given)| *is_given && !takes.contains(name));
        match wrong.next() {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!("`{name}` does not go with an archive that holds {kind}");
                Err(Failure::new(Exit::Misuse, "usage", message)
                    .then("`rekit backup show ARCHIVE` says what an archive holds"))
            }
        }
    }
}

pub(super) async fn run(
    call: &Call<'_>,
    archive: &Path,
    target: Target,
    options: &engine::EngineOptions,
) -> Result<Exit, Failure> {
    call.refuse_open_run()?;
    let path = find(call, archive)?;
    let held = content(&path).map_err(|why| no_archive(&path, why))?;
    if let Some((made_of, mounts)) = mounts(&path).map_err(|why| no_archive(&path, why))? {
        target.takes_only(&["--builder"], "cache mounts")?;
        let builder = target.builder.unwrap_or(made_of);
        return into_mounts(call, &path, builder, mounts).await;
    }
    if held.kind == "configuration" {
        target.takes_only(&["FILE"], "configuration")?;
        return files(call, &path, &target.files).await;
    }
    if let Some(folder) = folder(&held) {
        target.takes_only(&["--to"], "a folder")?;
        return into_folder(call, &path, folder, target.to).await;
    }
    if held.kind == "engine-cache" {
        target.takes_only(&[], "the cache of an engine")?;
        return engine::restore(call, &path, options).await;
    }
    target.takes_only(&["--builder"], "a node's state")?;
    let wishes = Wishes {
        cut_running_builds: options.cut_running_builds,
        ..Wishes::default()
    };
    state(call, &path, target.builder, &wishes).await
}

pub(super) async fn source(call: &Call<'_>, path: &Path) -> Result<StateSource, Failure> {
    Ok(StateSource {
        archive: host::host_path(path),
        identity: read_back(call, path).await?,
    })
}

async fn state(
    call: &Call<'_>,
    path: &Path,
    builder: Option<String>,
    wishes: &Wishes,
) -> Result<Exit, Failure> {
    let builder: Option<BuilderName> = builder
        .map(|name| name.parse())
        .transpose()
        .map_err(|error: NameError| Failure::of(Exit::Misuse, "usage", &error))?;
    let volume = volume(path)?;
    let source = source(call, path).await?;
    let goal = goal_file::read(call, None)?;
    let inventory = call.look().await?;
    let restore = Restore {
        source,
        volume,
        builder,
    };
    let session = call.silent();
    let planned = session.plan_restore(&inventory, &goal, &restore, wishes);
    Ok(plan::carry_out(call, &inventory, planned).await?.exit)
}

async fn into_mounts(
    call: &Call<'_>,
    path: &Path,
    builder: String,
    mounts: Vec<ArchivedMount>,
) -> Result<Exit, Failure> {
    let restore = MountRestore {
        source: source(call, path).await?,
        mounts,
        builder,
    };
    let inventory = call.look().await?;
    let plan = call.silent().plan_mounts(&inventory, &restore)?;
    Ok(change::carry_out(call, plan, &Room::default()).await?.exit)
}

async fn into_folder(
    call: &Call<'_>,
    path: &Path,
    mut folder: CacheFolder,
    to: Option<PathBuf>,
) -> Result<Exit, Failure> {
    if let Some(to) = to {
        folder.path = host::host_path(&clean(&call.surroundings.working_folder().join(to)));
    }
    let source = source(call, path).await?;
    let inventory = call.look().await?;
    let plan = call.silent().plan_folder(&inventory, &source, &folder)?;
    Ok(change::carry_out(call, plan, &Room::default()).await?.exit)
}

async fn files(call: &Call<'_>, path: &Path, wanted: &[PathBuf]) -> Result<Exit, Failure> {
    let source = source(call, path).await?;
    let session = call.silent();
    let files = archived_files(path, &session.home_path()).map_err(SessionError::World)?;
    let working_folder = call.surroundings.working_folder();
    let restore = ConfigurationRestore {
        source,
        files,
        wanted: wanted
            .iter()
            .map(|file| host::host_path(&clean(&working_folder.join(file))))
            .collect(),
    };
    let inventory = call.look().await?;
    let plan = session.plan_configuration(&inventory, &restore).await?;
    Ok(change::carry_out(call, plan, &Room::default()).await?.exit)
}
