//! Boots a new node beside the old one.

use rekit_core::{
    next::Observed,
    record,
    step::Action,
    undo::{Outcome, Undo},
};

use super::{Scene, criteria, file};
use crate::world::{ChangeWorld, NodeRequest, ReadWorld, WorldError};

/// Seconds before the engine kills a daemon that never came up.
const STOP_SECONDS: u32 = 10;

pub(super) async fn observe<W: ReadWorld>(
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    let Action::BootNode {
        host,
        node,
        record,
        before,
        ..
    } = scene.action
    else {
        unreachable!("BUG: not a boot")
    };
    if &world.file(record).await? != before {
        return Ok(Observed::Foreign(format!(
            "`{record}` was changed by somebody else"
        )));
    }
    let container = world.container(host, &node.container()).await?;
    let volume = world.volume(host, &node.volume()).await?;
    if container
        .as_ref()
        .is_some_and(|facts| !scene.labels.are_on(&facts.labels))
    {
        return Ok(Observed::Foreign(format!(
            "a container `{}` is there already, and rekit did not make it",
            node.container()
        )));
    }
    if volume
        .as_ref()
        .is_some_and(|facts| !scene.labels.are_on(&facts.labels))
    {
        return Ok(Observed::Foreign(format!(
            "a volume `{}` is there already, and rekit did not make it",
            node.volume()
        )));
    }
    Ok(if container.is_none() && volume.is_none() {
        Observed::Before
    } else {
        Observed::Partly
    })
}

pub(super) async fn prepare_undo<W: ReadWorld>(
    scene: &Scene<'_>,
    world: &W,
) -> Result<Undo, WorldError> {
    let Action::BootNode {
        host, node, image, ..
    } = scene.action
    else {
        unreachable!("BUG: not a boot")
    };
    if !world.has_image(host, image).await? {
        return Err(WorldError::Refused {
            why: format!("image `{image}` is not on `{host}`: pull or load it first"),
        });
    }
    Ok(Undo::RemoveNode {
        host: host.clone(),
        node: node.clone(),
        run: scene.labels.run.clone(),
        step: scene.labels.step,
        state: scene.source.clone(),
    })
}

pub(super) async fn effect<W: ChangeWorld>(
    scene: &Scene<'_>,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    let Action::BootNode {
        host,
        node,
        image,
        record,
        edit,
        ..
    } = scene.action
    else {
        unreachable!("BUG: not a boot")
    };
    let unusable = |error| {
        WorldError::failed(
            format!("`{record}` cannot be used for node `{node}`"),
            error,
        )
    };
    let old = world.read_file(record).await?;
    let sources = file::read_sources(edit, world).await?;
    let old = old.as_ref().map(|(bytes, _)| bytes.expose());
    let new = record::rewrite(old, edit, &sources).map_err(unusable)?;
    let spec = record::node_spec(&new, &edit.builder, node).map_err(unusable)?;
    let container = node.container();
    prepare_volume(scene, world).await?;
    match world.container(host, &container).await? {
        // One that a person wants tried again did not come up as it is.
        Some(facts) if facts.running && !scene.accepted => {}
        found => {
            if let Some(facts) = found {
                if facts.running {
                    world.stop_container(host, &container, STOP_SECONDS).await?;
                }
                // Ours by its labels, and never of use: its files may be half copied.
                world.remove_container(host, &container).await?;
            }
            let request = NodeRequest {
                container: container.clone(),
                volume: node.volume(),
                image: image.clone(),
                spec,
            };
            world.create_node(host, &request, &scene.labels).await?;
            world.start_container(host, &container).await?;
        }
    }
    let version = match world.wait_ready(host, &container).await {
        Err(WorldError::Failed { what, source }) => {
            return Err(criteria::not_started(&what, source.as_ref(), world));
        }
        answered => answered?,
    };
    if let Some(source) = &scene.source {
        world
            .prove_state(source, host, &container, &node.volume())
            .await?;
    }
    Ok(Outcome::Booted { version })
}

/// Makes the node's volume: empty, or with an archived state in it.
async fn prepare_volume<W: ChangeWorld>(
    scene: &Scene<'_>,
    world: &mut W,
) -> Result<(), WorldError> {
    let Action::BootNode {
        host, node, state, ..
    } = scene.action
    else {
        unreachable!("BUG: not a boot")
    };
    if state.is_some() != scene.source.is_some() {
        let why = format!("the state that node `{node}` begins with has not been verified");
        return Err(WorldError::Refused { why });
    }
    let volume = node.volume();
    let is_there = world.volume(host, &volume).await?.is_some();
    let Some(source) = &scene.source else {
        if !is_there {
            world.create_volume(host, &volume, &scene.labels).await?;
        }
        return Ok(());
    };
    if world.container(host, &node.container()).await?.is_some() {
        return Ok(()); // The container comes after the volume is filled.
    }
    if is_there {
        // Ours by its labels, and perhaps half filled: begin again, if the archive is still sound.
        world.verify_source(source).await?;
        world.remove_volume(host, &volume).await?;
    }
    world.create_volume(host, &volume, &scene.labels).await?;
    world.restore_from(source, host, &volume).await
}
