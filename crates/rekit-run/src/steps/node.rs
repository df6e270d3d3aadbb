//! Steps on a node's container: stop, park, start.

use rekit_core::{
    inventory::ActiveBuild,
    next::Observed,
    step::{Action, NodePlace, PARKED_POLICY},
    undo::{Outcome, Undo},
};

use super::{builds, same_container};
use crate::world::{ChangeWorld, ReadWorld, WorldError};

pub(super) async fn observe_stop<W: ReadWorld>(
    node: &NodePlace,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match same_container(node, world).await? {
        Ok(facts) if facts.running => Observed::Before,
        Ok(_) => Observed::After,
        Err(foreign) => foreign,
    })
}

pub(super) async fn observe_park<W: ReadWorld>(
    node: &NodePlace,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match same_container(node, world).await? {
        Ok(facts) if facts.running => {
            Observed::Foreign(format!("container `{}` was started again", node.container))
        }
        Ok(facts) if facts.restart_policy == PARKED_POLICY => Observed::After,
        Ok(_) => Observed::Before,
        Err(foreign) => foreign,
    })
}

pub(super) async fn observe_start<W: ReadWorld>(
    node: &NodePlace,
    policy: &str,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match same_container(node, world).await? {
        Ok(facts) if facts.running && facts.restart_policy == policy => Observed::After,
        Ok(_) => Observed::Before,
        Err(foreign) => foreign,
    })
}

pub(super) async fn prepare_undo<W: ReadWorld>(
    node: &NodePlace,
    world: &W,
) -> Result<Undo, WorldError> {
    match same_container(node, world).await? {
        Ok(facts) => Ok(Undo::RestoreContainerState {
            node: node.clone(),
            running: facts.running,
            looping: facts.looping,
            restart_policy: facts.restart_policy,
        }),
        Err(_) => Err(WorldError::Changed {
            what: format!("container `{}` is gone or another one", node.container),
        }),
    }
}

pub(super) async fn stop<W: ChangeWorld>(
    node: &NodePlace,
    timeout: u32,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    // The wait for builds is over: one that runs now began on a record that was read before the grace.
    // A daemon that does not tell may still end by itself, and is not killed if it does not.
    let active = builds::before_the_end(&node.host, &node.container, world).await;
    let active = active.unwrap_or_default();
    if !active.is_empty() {
        let told = ActiveBuild::all_told(&active);
        let why = format!("a build began on `{}` since: {told}", node.container);
        return Err(WorldError::Refused { why });
    }
    let ended = world
        .end_container(&node.host, &node.container, timeout)
        .await?;
    Ok(Outcome::Stopped {
        exit_code: ended.exit_code,
        clean: ended.clean,
    })
}

pub(super) async fn park<W: ChangeWorld>(
    node: &NodePlace,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    world
        .set_restart_policy(&node.host, &node.container, PARKED_POLICY)
        .await?;
    Ok(Outcome::Done {})
}

pub(super) async fn start<W: ChangeWorld>(
    node: &NodePlace,
    policy: &str,
    looping: bool,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    world
        .set_restart_policy(&node.host, &node.container, policy)
        .await?;
    world.start_container(&node.host, &node.container).await?;
    if looping {
        return Ok(Outcome::Done {}); // It did not come up before either.
    }
    Ok(Outcome::Booted {
        version: world.wait_ready(&node.host, &node.container).await?,
    })
}

/// Returns the node that a step relies on.
pub(super) fn guard(action: &Action) -> Option<&NodePlace> {
    match action {
        Action::Drain { node, .. }
        | Action::StopNode { node, .. }
        | Action::Park { node }
        | Action::RemoveContainer { node }
        | Action::StartNode { node, .. }
        | Action::CopyState { node, .. } => Some(node),
        _ => None,
    }
}
