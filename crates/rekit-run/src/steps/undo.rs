//! Takes steps back. Every undo may run twice, and looks before it touches.

use rekit_core::{
    name::{ContainerName, HostId, NodeName},
    step::{StateSource, StepId},
    undo::Undo,
};

use super::{builds, file, kept, removal, standalone, tree};
use crate::{
    journal::Journal,
    world::{ArchiveState, ChangeWorld, Labels, WorldError},
};

/// Seconds that builds on a node may still take before it is removed or stopped in an undo.
const DRAIN_LIMIT_SECONDS: u32 = 600;
/// Seconds that a daemon has to end.
const STOP_TIMEOUT_SECONDS: u32 = 120;

/// Takes a step back.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of undo")]
pub async fn undo<W: ChangeWorld, J: Journal>(
    undo: &Undo,
    world: &mut W,
    journal: &J,
) -> Result<(), WorldError> {
    match undo {
        Undo::Nothing {} => Ok(()),
        Undo::DropPartialArchive { archive } => match world.archive(archive).await? {
            // A whole archive stays: it costs room and may be somebody's last copy.
            ArchiveState::Whole | ArchiveState::Absent => Ok(()),
            ArchiveState::Partial => world.drop_partial_archive(archive).await,
        },
        Undo::RestoreFile { .. } => file::restore(undo, world, journal).await,
        Undo::RestoreTree { path, store, blob } => {
            world
                .write_tree(path, store.as_ref(), &kept(journal, blob)?)
                .await
        }
        Undo::RemoveTree { path, store, made } => {
            tree::remove_restored(path, store.as_ref(), made, world).await
        }
        Undo::RestoreSocket { path, socket } => world.make_socket(path, socket).await,
        Undo::RemoveSocket { path, socket } => world.remove_socket(path, socket).await,
        Undo::RemoveNode {
            host,
            node,
            run,
            step,
            state,
        } => {
            let labels = Labels {
                run: run.clone(),
                step: *step,
            };
            remove_node(host, node, &labels, state.as_ref(), world).await
        }
        Undo::RestoreContainerState {
            node,
            running,
            restart_policy,
            ..
        } => restore_container_state(node, *running, restart_policy, world).await,
        Undo::RecreateContainer {
            host,
            container,
            description,
        } => {
            if world.container(host, container).await?.is_none() {
                let like = kept(journal, description)?;
                world
                    .recreate_container(host, container, &like, &undo_labels())
                    .await?;
            }
            Ok(())
        }
        Undo::StartEngine { engine } => world.start_engine(engine).await,
        Undo::StopEngine { engine } => {
            if world.engine_runs(engine).await? {
                world.stop_engine(engine).await?;
            }
            Ok(())
        }
        Undo::StartDaemon { daemon, script, .. } => {
            standalone::start_again(daemon, script.as_ref(), world, journal).await
        }
        Undo::StopDaemon { daemon } => standalone::stop_again(daemon, world).await,
        Undo::UnparkState {
            parked,
            root,
            renewed,
        } => standalone::move_back(parked, root, *renewed, world).await,
        Undo::ParkState { root, parked } => standalone::move_back(root, parked, false, world).await,
        Undo::RestoreState { folder, source } => standalone::restore(folder, source, world).await,
        Undo::RestoreEngine { engine, archive } => {
            world.verify_archive(archive).await?; // Nothing is removed before its backup has been read back.
            world.restore_engine(archive, engine).await
        }
        Undo::EmptyFolder {
            path,
            source,
            remove,
        } => {
            world.verify_source(source).await?; // Nothing is removed before its backup has been read back.
            world.empty_folder(path, *remove).await
        }
        Undo::ForgetMounts { place, ids, known } => world.forget_mounts(place, ids, known).await,
        Undo::RestoreVolume { .. } => restore_volume(undo, world, journal).await,
        Undo::RecreateVolume {
            host,
            volume,
            options,
        } => {
            let (like, labels) = (kept(journal, options)?, undo_labels());
            removal::recreate_volume((host, volume), &like, &labels, world)
                .await
                .map(drop)
        }
        Undo::RemoveRecreatedVolume { host, volume } => {
            if world.volume(host, volume).await?.is_some() {
                world.remove_volume(host, volume).await?;
            }
            Ok(())
        }
        Undo::RemoveRecreated { host, container } => {
            if world.container(host, container).await?.is_some() {
                world.remove_container(host, container).await?;
            }
            Ok(())
        }
        Undo::RemoveRestored {
            host,
            volume,
            archive,
        } => {
            if world.volume(host, volume).await?.is_some() {
                world.verify_archive(archive).await?; // Nothing is removed before its backup has been read back.
                world.remove_volume(host, volume).await?;
            }
            Ok(())
        }
    }
}

/// The labels of what an undo makes again: it belongs to no run.
fn undo_labels() -> Labels {
    let run = match "undo".parse() {
        Ok(run) => run,
        Err(error) => unreachable!("BUG: {error}"),
    };
    Labels {
        run,
        step: StepId(0),
    }
}

/// Removes what a boot made, once no build runs on it; never anything without the labels of that boot.
async fn remove_node<W: ChangeWorld>(
    host: &HostId,
    node: &NodeName,
    labels: &Labels,
    state: Option<&StateSource>,
    world: &mut W,
) -> Result<(), WorldError> {
    let container = node.container();
    if let Some(facts) = world.container(host, &container).await?
        && labels.are_on(&facts.labels)
    {
        if facts.running {
            wait_for_builds(host, &container, world).await?;
            // It goes with all it holds: one that hangs may be killed.
            world
                .stop_container(host, &container, STOP_TIMEOUT_SECONDS)
                .await?;
        }
        world.remove_container(host, &container).await?;
    }
    let volume = world.volume(host, &node.volume()).await?;
    if volume.is_some_and(|facts| labels.are_on(&facts.labels)) {
        if let Some(source) = state {
            world.verify_source(source).await?; // Else this copy may be the last one.
        }
        world.remove_volume(host, &node.volume()).await?;
    }
    Ok(())
}

async fn wait_for_builds<W: ChangeWorld>(
    host: &HostId,
    container: &ContainerName,
    world: &mut W,
) -> Result<(), WorldError> {
    for waited in 0..DRAIN_LIMIT_SECONDS {
        // A daemon that never answered has never built anything.
        let active = builds::before_the_end(host, container, world).await;
        let active = active.unwrap_or_default();
        if active.is_empty() {
            return Ok(());
        }
        let event = builds::awaited(container.as_str(), active, waited, DRAIN_LIMIT_SECONDS);
        world.pass_second(event).await?;
    }
    Err(WorldError::Refused {
        why: format!("builds still run on `{container}`"),
    })
}

async fn restore_container_state<W: ChangeWorld>(
    node: &rekit_core::step::NodePlace,
    running: bool,
    policy: &str,
    world: &mut W,
) -> Result<(), WorldError> {
    let Some(facts) = world.container(&node.host, &node.container).await? else {
        return Err(WorldError::Changed {
            what: format!("container `{}` is gone", node.container),
        });
    };
    if !facts.is(&node.identity) {
        return Err(WorldError::Changed {
            what: format!("container `{}` is another one now", node.container),
        });
    }
    if facts.restart_policy != policy {
        world
            .set_restart_policy(&node.host, &node.container, policy)
            .await?;
    }
    if running && !facts.running {
        world.start_container(&node.host, &node.container).await?;
        world.wait_ready(&node.host, &node.container).await?;
    } else if !running && facts.running {
        wait_for_builds(&node.host, &node.container, world).await?;
        world
            .end_container(&node.host, &node.container, STOP_TIMEOUT_SECONDS)
            .await?;
    }
    Ok(())
}

/// Makes a removed volume again. A half filled one of an earlier attempt bears our label and is begun anew.
async fn restore_volume<W: ChangeWorld, J: Journal>(
    undo: &Undo,
    world: &mut W,
    journal: &J,
) -> Result<(), WorldError> {
    let Undo::RestoreVolume {
        host,
        volume,
        archive,
        options,
    } = undo
    else {
        unreachable!("BUG: this undo restores no volume")
    };
    let labels = undo_labels();
    let found = world.volume(host, volume).await?;
    if found
        .as_ref()
        .is_some_and(|facts| !labels.are_on(&facts.labels))
    {
        return Ok(()); // Never removed.
    }
    world.verify_archive(archive).await?;
    if found.is_some() {
        world.remove_volume(host, volume).await?;
    }
    world
        .recreate_volume(host, volume, &kept(journal, options)?, &labels)
        .await?;
    world.restore_state(archive, host, volume).await
}
