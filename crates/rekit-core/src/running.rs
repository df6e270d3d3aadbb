//! Builds that run where a plan stops something: named in the plan before anybody agrees to it.

use crate::{
    fact::Fact,
    inventory::{ActiveBuild, Daemon, Inventory},
    name::{ContainerName, HostId, HostPath},
    plan::Plan,
    step::Action,
};

/// Adds to a plan which builds run now on what it stops, and what becomes of them.
pub fn announce(plan: &mut Plan, inventory: &Inventory) {
    for step in &plan.steps {
        let (place, builds, limit, cut) = match &step.action {
            Action::Drain {
                node,
                limit_seconds,
                cut,
                ..
            } => {
                let builds = on_node(inventory, &node.host, &node.container);
                (node.container.to_string(), builds, *limit_seconds, *cut)
            }
            Action::StopEngine {
                engine,
                limit_seconds,
                cut,
            } => {
                let builds = on_engine(inventory, &engine.host);
                (engine.host.to_string(), builds, *limit_seconds, *cut)
            }
            Action::StopDaemon {
                daemon,
                limit_seconds,
                cut,
                ..
            } => {
                let builds = on_daemon(inventory, &daemon.root);
                (daemon.address.clone(), builds, *limit_seconds, *cut)
            }
            _ => continue,
        };
        let fate = fate(limit, cut);
        let told = builds
            .into_iter()
            .map(|build| format!("{} runs on {place} now: {fate}", build.told()));
        plan.interruptions.extend(told);
    }
}

/// Says what becomes of a build that runs when its turn comes.
fn fate(limit: u32, cut: bool) -> String {
    if cut {
        format!("it is waited for, {limit} s at most, and then it is cut (`--cut-running-builds`)")
    } else {
        format!(
            "it is waited for, {limit} s at most, and never cut: the run takes itself back before"
        )
    }
}

/// Returns the builds that run on a node.
fn on_node<'a>(
    inventory: &'a Inventory,
    host: &HostId,
    container: &ContainerName,
) -> Vec<&'a ActiveBuild> {
    let mut nodes = inventory.nodes().map(|(.., node)| node);
    let found = nodes.find(|node| {
        node.host.as_ref() == Some(host) && node.container.as_ref() == Some(container)
    });
    found.map(|node| active(&node.daemon)).unwrap_or_default()
}

/// Returns the builds that run inside an engine and in the nodes on it.
fn on_engine<'a>(inventory: &'a Inventory, host: &HostId) -> Vec<&'a ActiveBuild> {
    let engine = inventory.host(host).and_then(|host| host.engine.known());
    let embedded = engine.map(|engine| &engine.embedded);
    let nodes = inventory.nodes().map(|(.., node)| node);
    let nodes = nodes.filter(|node| node.host.as_ref() == Some(host));
    let daemons = embedded.into_iter().chain(nodes.map(|node| &node.daemon));
    daemons.flat_map(active).collect()
}

/// Returns the builds that run on a standalone daemon.
fn on_daemon<'a>(inventory: &'a Inventory, root: &HostPath) -> Vec<&'a ActiveBuild> {
    let all = inventory.standalone.iter();
    let found = all.filter(|standalone| standalone.root.as_ref() == Some(root));
    found
        .flat_map(|standalone| active(&standalone.daemon))
        .collect()
}

fn active(daemon: &Fact<Daemon>) -> Vec<&ActiveBuild> {
    let daemon = daemon.known();
    let active = daemon.and_then(|daemon| daemon.active.known());
    active.into_iter().flatten().collect()
}
