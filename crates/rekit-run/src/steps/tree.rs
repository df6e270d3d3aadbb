//! Steps that remove a folder or put it back.

use rekit_core::{
    name::{BlobId, HostPath},
    next::Observed,
    step::Action,
    undo::{Outcome, Undo},
};

use super::{Scene, keep, kept};
use crate::{
    journal::Journal,
    world::{ChangeWorld, ReadWorld, WorldError},
};

pub(super) async fn observe_removal<W: ReadWorld>(
    path: &HostPath,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match (world.has_tree(path).await?, scene.is_started()) {
        (false, _) => Observed::After,
        (true, true) => Observed::Partly,
        (true, false) => Observed::Before,
    })
}

pub(super) async fn observe_restoring<W: ReadWorld>(
    path: &HostPath,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match (world.has_tree(path).await?, scene.is_started()) {
        (_, true) => Observed::Partly,
        // Something new of that name is somebody's: it stays, and what was is still in its blob.
        (true, false) => Observed::After,
        (false, false) => Observed::Before,
    })
}

pub(super) async fn prepare_undo<W: ReadWorld, J: Journal>(
    path: &HostPath,
    store: Option<&HostPath>,
    scene: &Scene<'_>,
    world: &W,
    journal: &mut J,
) -> Result<Undo, WorldError> {
    if let Action::RestoreTree { blob, .. } = scene.action {
        return Ok(Undo::RemoveTree {
            path: path.clone(),
            store: store.cloned(),
            made: blob.clone(),
        });
    }
    let blob = keep(journal, &world.read_tree(path).await?)?;
    Ok(Undo::RestoreTree {
        path: path.clone(),
        store: store.cloned(),
        blob,
    })
}

pub(super) async fn remove<W: ChangeWorld>(
    path: &HostPath,
    store: Option<&HostPath>,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    world.remove_tree(path, store).await?;
    Ok(Outcome::Done {})
}

/// Removes a folder that was put back; one that somebody wrote into since stays.
pub(super) async fn remove_restored<W: ChangeWorld>(
    path: &HostPath,
    store: Option<&HostPath>,
    made: &BlobId,
    world: &mut W,
) -> Result<(), WorldError> {
    if world.has_tree(path).await? && &BlobId::of(world.read_tree(path).await?.expose()) == made {
        world.remove_tree(path, store).await?;
    }
    Ok(())
}

pub(super) async fn restore<W: ChangeWorld, J: Journal>(
    path: &HostPath,
    store: Option<&HostPath>,
    blob: &BlobId,
    world: &mut W,
    journal: &J,
) -> Result<Outcome, WorldError> {
    world.write_tree(path, store, &kept(journal, blob)?).await?;
    Ok(Outcome::Done {})
}
