//! Steps that remove a container or a state volume, and those that bring them back.

use rekit_core::{
    name::{ArchiveId, ContainerName, HostId, VolumeName},
    next::Observed,
    step::{Action, NodePlace, VolumePlace},
    undo::{Outcome, Undo},
};

use super::{Scene, keep, kept, same_container};
use crate::{
    journal::Journal,
    world::{ChangeWorld, ForeignBytes, Labels, ReadWorld, VolumeFacts, WorldError},
};

/// Returns a volume if it is the one that the plan means.
pub(super) async fn same_volume<W: ReadWorld>(
    volume: &VolumePlace,
    world: &W,
) -> Result<Result<VolumeFacts, Observed>, WorldError> {
    let found = world.volume(&volume.host, &volume.volume).await?;
    Ok(match found {
        None => Err(Observed::Foreign(format!(
            "volume `{}` is gone",
            volume.volume
        ))),
        Some(facts) if facts.created_at != volume.created_at && !volume.was(&facts.labels) => {
            Err(Observed::Foreign(format!(
                "volume `{}` is another one than planned for",
                volume.volume
            )))
        }
        Some(facts) => Ok(facts),
    })
}

pub(super) async fn observe_container<W: ReadWorld>(
    node: &NodePlace,
    world: &W,
) -> Result<Observed, WorldError> {
    if world
        .container(&node.host, &node.container)
        .await?
        .is_none()
    {
        return Ok(Observed::After);
    }
    Ok(match same_container(node, world).await? {
        Ok(facts) if facts.running => {
            Observed::Foreign(format!("container `{}` was started again", node.container))
        }
        Ok(_) => Observed::Before,
        Err(foreign) => foreign,
    })
}

pub(super) async fn observe_volume<W: ReadWorld>(
    volume: &VolumePlace,
    world: &W,
) -> Result<Observed, WorldError> {
    if world.volume(&volume.host, &volume.volume).await?.is_none() {
        return Ok(Observed::After);
    }
    Ok(same_volume(volume, world)
        .await?
        .map_or_else(|foreign| foreign, |_| Observed::Before))
}

pub(super) async fn observe_restored_volume<W: ReadWorld>(
    host: &HostId,
    volume: &VolumeName,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match world.volume(host, volume).await? {
        None => Observed::Before,
        Some(facts) if scene.labels.are_on(&facts.labels) => Observed::Partly,
        Some(_) => Observed::Foreign(format!("a volume `{volume}` is there already")),
    })
}

pub(super) async fn observe_recreated<W: ReadWorld>(
    host: &HostId,
    container: &ContainerName,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match world.container(host, container).await? {
        None => Observed::Before,
        Some(facts) if scene.labels.are_on(&facts.labels) => Observed::Partly,
        Some(_) => Observed::Foreign(format!("a container `{container}` is there already")),
    })
}

pub(super) async fn prepare_container<W: ReadWorld, J: Journal>(
    node: &NodePlace,
    world: &W,
    journal: &mut J,
) -> Result<Undo, WorldError> {
    let description = keep(
        journal,
        &world
            .describe_container(&node.host, &node.container)
            .await?,
    )?;
    Ok(Undo::RecreateContainer {
        host: node.host.clone(),
        container: node.container.clone(),
        description,
    })
}

pub(super) async fn prepare_volume<W: ReadWorld, J: Journal>(
    volume: &VolumePlace,
    archive: &ArchiveId,
    world: &W,
    journal: &mut J,
) -> Result<Undo, WorldError> {
    let options = keep(
        journal,
        &world.describe_volume(&volume.host, &volume.volume).await?,
    )?;
    Ok(Undo::RestoreVolume {
        host: volume.host.clone(),
        volume: volume.volume.clone(),
        archive: archive.clone(),
        options,
    })
}

pub(super) async fn prepare_drop<W: ReadWorld, J: Journal>(
    volume: &VolumePlace,
    world: &W,
    journal: &mut J,
) -> Result<Undo, WorldError> {
    let described = world.describe_volume(&volume.host, &volume.volume).await?;
    Ok(Undo::RecreateVolume {
        host: volume.host.clone(),
        volume: volume.volume.clone(),
        options: keep(journal, &described)?,
    })
}

/// Makes an empty volume, if there is none.
pub(super) async fn recreate_volume<W: ChangeWorld>(
    (host, volume): (&HostId, &VolumeName),
    like: &ForeignBytes,
    labels: &Labels,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    if world.volume(host, volume).await?.is_none() {
        world.recreate_volume(host, volume, like, labels).await?;
    }
    Ok(Outcome::Done {})
}

pub(super) async fn remove_container<W: ChangeWorld>(
    node: &NodePlace,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    world.remove_container(&node.host, &node.container).await?;
    Ok(Outcome::Done {})
}

pub(super) async fn remove_volume<W: ChangeWorld>(
    volume: &VolumePlace,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    world.remove_volume(&volume.host, &volume.volume).await?;
    Ok(Outcome::Done {})
}

pub(super) async fn restore_volume<W: ChangeWorld, J: Journal>(
    scene: &Scene<'_>,
    world: &mut W,
    journal: &J,
) -> Result<Outcome, WorldError> {
    let Action::RestoreVolume {
        host,
        volume,
        archive,
        options,
    } = scene.action
    else {
        unreachable!("BUG: no volume to restore")
    };
    world.verify_archive(archive).await?;
    if world.volume(host, volume).await?.is_some() {
        // Ours by its labels, and perhaps half filled: begin again with an empty one.
        world.remove_volume(host, volume).await?;
    }
    world
        .recreate_volume(host, volume, &kept(journal, options)?, &scene.labels)
        .await?;
    world.restore_state(archive, host, volume).await?;
    Ok(Outcome::Done {})
}
