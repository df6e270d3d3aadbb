//! Steps that make and prove archives.

use rekit_core::{
    engine_cache::EnginePlace,
    folders::CacheFolder,
    mounts::CacheMount,
    name::{ArchiveId, ContainerName, HostId, HostPath, ImageRef},
    next::Observed,
    step::{BuildPlace, NodePlace, VolumePlace},
    undo::Outcome,
};

use super::{Scene, is_running, removal::same_volume, same_container};
use crate::world::{ArchiveState, Archived, ChangeWorld, ReadWorld, WorldError};

pub(super) async fn observe<W: ReadWorld>(
    archive: &ArchiveId,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match (world.archive(archive).await?, scene.is_started()) {
        (ArchiveState::Absent, _) => Observed::Before,
        (ArchiveState::Partial, true) => Observed::Partly,
        (ArchiveState::Whole, true) => Observed::After,
        (_, false) => Observed::Foreign(format!("an archive `{archive}` is there already")),
    })
}

pub(super) async fn observe_state<W: ReadWorld>(
    archive: &ArchiveId,
    volume: &VolumePlace,
    container: Option<&ContainerName>,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    if let Some(container) = container
        && is_running(&volume.host, container, world).await?
    {
        return Ok(Observed::Foreign(format!(
            "container `{container}` was started again"
        )));
    }
    match same_volume(volume, world).await? {
        Ok(_) => observe(archive, scene, world).await,
        Err(foreign) => Ok(foreign),
    }
}

pub(super) async fn observe_copy<W: ReadWorld>(
    archive: &ArchiveId,
    node: &NodePlace,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    if let Err(foreign) = same_container(node, world).await? {
        return Ok(foreign);
    }
    if !is_running(&node.host, &node.container, world).await? {
        let what = format!("container `{}` was stopped", node.container);
        return Ok(Observed::Foreign(what));
    }
    observe(archive, scene, world).await
}

pub(super) async fn observe_proof<W: ReadWorld>(
    archive: &ArchiveId,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match world.archive(archive).await? {
        ArchiveState::Whole => Observed::Before,
        ArchiveState::Partial | ArchiveState::Absent => {
            Observed::Foreign(format!("archive `{archive}` is not there, or not whole"))
        }
    })
}

pub(super) async fn save<W: ChangeWorld>(
    archive: &ArchiveId,
    paths: &[HostPath],
    world: &mut W,
) -> Result<Outcome, WorldError> {
    Ok(archived(world.archive_paths(archive, paths).await?))
}

pub(super) async fn archive_state<W: ChangeWorld>(
    archive: &ArchiveId,
    volume: &VolumePlace,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    Ok(archived(
        world
            .archive_state(archive, &volume.host, &volume.volume)
            .await?,
    ))
}

pub(super) async fn copy_state<W: ChangeWorld>(
    archive: &ArchiveId,
    node: &NodePlace,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    Ok(archived(world.copy_state(archive, node).await?))
}

pub(super) async fn export_mounts<W: ChangeWorld>(
    archive: &ArchiveId,
    place: &BuildPlace,
    mounts: &[CacheMount],
    world: &mut W,
) -> Result<Outcome, WorldError> {
    Ok(archived(world.export_mounts(archive, place, mounts).await?))
}

pub(super) async fn save_image<W: ChangeWorld>(
    archive: &ArchiveId,
    host: &HostId,
    image: &ImageRef,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    Ok(archived(world.save_image(archive, host, image).await?))
}

pub(super) async fn archive_folder<W: ChangeWorld>(
    archive: &ArchiveId,
    folder: &CacheFolder,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    Ok(archived(world.archive_folder(archive, folder).await?))
}

pub(super) async fn archive_engine<W: ChangeWorld>(
    archive: &ArchiveId,
    engine: &EnginePlace,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    Ok(archived(world.archive_engine(archive, engine).await?))
}

pub(super) async fn verify<W: ChangeWorld>(
    archive: &ArchiveId,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    let fingerprint = world.archive_fingerprint(archive).await?; // Before the reading: a later write shows.
    let identity = world.verify_archive(archive).await?;
    Ok(Outcome::Verified {
        identity,
        fingerprint,
    })
}

fn archived(counts: Archived) -> Outcome {
    Outcome::Archived {
        files: counts.files,
        bytes: counts.bytes,
        packed_bytes: counts.packed_bytes,
        left_out: counts.left_out,
    }
}
