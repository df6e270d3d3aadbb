//! Steps that archive a folder of cache, or bring one back.
//!
//! Invariant: a folder is filled only where nothing was, so what the undo takes out again is the archive's alone.

use rekit_core::{
    folders::CacheFolder,
    name::ArchiveId,
    next::Observed,
    step::StateSource,
    undo::{Outcome, Undo},
};

use super::{Scene, archive};
use crate::world::{ChangeWorld, FolderState, ReadWorld, WorldError};

pub(super) async fn observe_archive<W: ReadWorld>(
    archive: &ArchiveId,
    folder: &CacheFolder,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    if world.folder(&folder.path).await? == FolderState::Absent {
        let what = format!("folder `{}` is gone", folder.path);
        return Ok(Observed::Foreign(what));
    }
    archive::observe(archive, scene, world).await
}

pub(super) async fn observe_restore<W: ReadWorld>(
    folder: &CacheFolder,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    let state = world.folder(&folder.path).await?;
    Ok(match (state, scene.is_started()) {
        (_, true) => Observed::Partly,
        (FolderState::Absent | FolderState::Empty, false) => Observed::Before,
        (FolderState::Full, false) => Observed::Foreign(format!(
            "folder `{}` holds something, which is not mixed with what was archived: move it aside, or name another folder",
            folder.path
        )),
    })
}

pub(super) async fn prepare_restore<W: ReadWorld>(
    source: &StateSource,
    folder: &CacheFolder,
    world: &W,
) -> Result<Undo, WorldError> {
    Ok(Undo::EmptyFolder {
        path: folder.path.clone(),
        source: source.clone(),
        remove: world.folder(&folder.path).await? == FolderState::Absent,
    })
}

pub(super) async fn restore<W: ChangeWorld>(
    source: &StateSource,
    folder: &CacheFolder,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    world.verify_source(source).await?;
    world.empty_folder(&folder.path, false).await?; // What a crash left half.
    world.restore_folder(source, folder).await?;
    Ok(Outcome::Done {})
}
