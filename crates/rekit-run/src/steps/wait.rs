//! Steps that prove or wait and leave nothing behind: probe a node, drain a node.

use rekit_core::{
    name::{ContainerName, HostId, Platform},
    next::Observed,
    step::{Action, NodePlace},
    undo::Outcome,
};

use super::{
    builds::{self, Watch},
    is_running, same_container,
};
use crate::world::{ChangeWorld, ReadWorld, WorldError};

pub(super) async fn observe_probe<W: ReadWorld>(
    host: &HostId,
    container: &ContainerName,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(if is_running(host, container, world).await? {
        Observed::Before
    } else {
        Observed::Foreign(format!("container `{container}` does not run"))
    })
}

pub(super) async fn probe<W: ChangeWorld>(
    host: &HostId,
    container: &ContainerName,
    platforms: &[Platform],
    world: &mut W,
) -> Result<Outcome, WorldError> {
    let mut passed = Vec::new();
    for platform in platforms {
        passed.push((
            platform.clone(),
            world.probe(host, container, platform).await?,
        ));
    }
    Ok(probed(passed))
}

/// Returns what platforms with their milliseconds are as an outcome that nothing is decided by.
pub(super) fn probed(platforms: Vec<(Platform, u64)>) -> Outcome {
    Outcome::Probed {
        platforms,
        decision: None,
    }
}

pub(super) async fn observe_drain<W: ReadWorld>(
    node: &NodePlace,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(same_container(node, world)
        .await?
        .map_or_else(|foreign| foreign, |_| Observed::Before))
}

pub(super) async fn drain<W: ChangeWorld>(
    action: &Action,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    let Action::Drain {
        node,
        grace_seconds,
        limit_seconds,
        cut,
    } = action
    else {
        unreachable!("BUG: not a drain")
    };
    if !is_running(&node.host, &node.container, world).await? {
        return Ok(Outcome::Drained {
            waited_seconds: 0,
            cut: Vec::new(),
        });
    }
    world
        .wait(
            *grace_seconds,
            "clients that read the old record a moment ago",
        )
        .await?;
    let (mut watch, mut waited) = (Watch::new(*grace_seconds), 0);
    loop {
        let active = match world.active_builds(&node.host, &node.container).await {
            Ok(active) => active,
            Err(_) if *cut => Vec::new(), // A person agreed to cut whatever runs.
            // A daemon that ends as soon as it starts has no build, and does not live to tell so. One that answers is asked all the same.
            Err(_) if is_looping(node, world).await? => Vec::new(),
            Err(error) => return Err(unknown_builds(node, &error)),
        };
        if watch.is_over(&active) || (*cut && waited >= *limit_seconds) {
            return Ok(Outcome::Drained {
                waited_seconds: u64::from(waited + grace_seconds),
                cut: builds::cut(node, active, world).await?,
            });
        }
        let on = node.container.as_str();
        if waited >= *limit_seconds {
            return Err(builds::still_run(on, &watch.blame(active), *limit_seconds));
        }
        let event = builds::awaited(on, active, waited, *limit_seconds);
        world.pass_second(event).await?;
        waited += 1;
    }
}

async fn is_looping<W: ReadWorld>(node: &NodePlace, world: &W) -> Result<bool, WorldError> {
    let facts = world.container(&node.host, &node.container).await?;
    Ok(facts.is_some_and(|facts| facts.looping))
}

/// A daemon that does not answer may still be building: only a person may decide to cut.
fn unknown_builds(node: &NodePlace, error: &WorldError) -> WorldError {
    let why = rekit_core::fact::chain(error);
    WorldError::Refused {
        why: format!(
            "whether builds run on `{}` cannot be told: {why}",
            node.container
        ),
    }
}
