//! The builds that run now where an open run works. Looks only.

use std::collections::BTreeSet;

use rekit_core::{
    fact::{Fact, chain},
    inventory::ActiveBuild,
    name::{ContainerName, HostId},
    step::Action,
};
use serde::Serialize;

use crate::{journal::StoredRun, session::Session, world::ReadWorld};

/// The builds on one node.
#[derive(Clone, Debug, Serialize)]
pub struct BuildsOnNode {
    /// The node's container.
    pub container: ContainerName,
    /// The builds, or why they cannot be told.
    pub builds: Fact<Vec<ActiveBuild>>,
}

impl Session<'_> {
    /// Returns the builds that run now on the nodes that a run makes or retires; a node that does not run has none.
    pub async fn builds_around(&self, run: &StoredRun) -> Vec<BuildsOnNode> {
        let world = self.world();
        let mut found = Vec::new();
        for (host, container) in nodes(run) {
            let runs = world.container(&host, &container).await;
            if runs.is_ok_and(|facts| facts.is_none_or(|facts| !facts.running)) {
                continue;
            }
            let builds = match world.active_builds(&host, &container).await {
                Ok(builds) => Fact::Known(builds),
                Err(error) => Fact::Unreadable {
                    reason: rekit_core::mask::text(&chain(&error)),
                },
            };
            found.push(BuildsOnNode { container, builds });
        }
        found
    }
}

/// Lists the nodes that a run makes or retires.
fn nodes(run: &StoredRun) -> BTreeSet<(HostId, ContainerName)> {
    let nodes = run.plan.steps.iter().filter_map(|step| match &step.action {
        Action::BootNode { host, node, .. } => Some((host.clone(), node.container())),
        Action::Drain { node, .. } => Some((node.host.clone(), node.container.clone())),
        _ => None,
    });
    nodes.collect()
}
