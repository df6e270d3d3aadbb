//! Plans archives of builders: configuration, and each node's stopped state.

use crate::{
    draft::{Draft, Ground, Patience, place, volume_place},
    goal::DrainGoal,
    inventory::{HostContainer, NodeRecord},
    name::{HostId, HostPath, Platform},
    plan::{Plan, Purpose},
    step::Action,
};

/// Plans to archive these builders; none named: all. A name that no builder with a container of its own bears is returned.
///
/// `to` is a folder for the archives other than rekit's own.
pub fn plan(
    ground: &Ground<'_>,
    builders: &[String],
    to: Option<&HostPath>,
) -> Result<Plan, String> {
    let mut draft = Draft::new(ground, Purpose::Backup, ground.generation);
    if let Some(folder) = to {
        draft.archive_to(folder.clone());
    }
    let wanted = |name: &str| builders.is_empty() || builders.iter().any(|builder| builder == name);
    let stores = ground.inventory.stores.iter().take(1);
    let paths: Vec<_> = stores.map(|store| store.path.clone()).collect();
    let archive = draft.archive_id("configuration");
    let why = "the builders' records belong to their state";
    draft.push(
        why,
        Action::SaveConfiguration {
            archive: archive.clone(),
            paths,
        },
    );
    draft.push(
        "an archive counts once every byte was read back",
        Action::VerifyArchive { archive },
    );
    let mut found = Vec::new();
    for (_, builder, _, node) in ground
        .inventory
        .nodes()
        .filter(|(_, builder, _, _)| wanted(builder.name.as_str()))
    {
        let host = node.host.clone();
        let container = host
            .as_ref()
            .and_then(|host| ground.container(host, &node.name.container()));
        if let (Some(host), Some(container)) =
            (host, container.filter(|container| container.is_buildkit))
        {
            found.push(builder.name.to_string());
            archive_node(ground, &mut draft, &host, container, node);
        }
    }
    match builders.iter().find(|name| !found.contains(name)) {
        Some(missing) => Err(missing.clone()),
        None => Ok(draft.finish()),
    }
}

fn archive_node(
    ground: &Ground<'_>,
    draft: &mut Draft,
    host: &HostId,
    container: &HostContainer,
    record: &NodeRecord,
) {
    let Some(volume) = ground.volume(host, &record.name) else {
        draft.leave_out(format!("node {}", record.name), "it has no state volume");
        return;
    };
    let node = place(host, container, &record.name);
    let runs = container.status == "running";
    if runs {
        draft.interrupt(format!(
            "node {} stops while its state is archived, and starts again afterwards",
            record.name
        ));
        draft.drain_and_stop(&node, Patience::of(&DrainGoal::default(), false));
    }
    draft.archive_state(
        volume_place(host, volume),
        runs.then(|| container.name.clone()),
    );
    if runs {
        let restart_policy = container.restart_policy.clone();
        draft.push(
            "it goes on building",
            Action::StartNode {
                node,
                restart_policy,
            },
        );
        let platforms: Vec<Platform> = ground
            .engine(host)
            .and_then(|engine| format!("linux/{}", engine.architecture).parse().ok())
            .into_iter()
            .collect();
        draft.push(
            "a status word is no proof",
            Action::ProbeNode {
                host: host.clone(),
                container: container.name.clone(),
                platforms,
            },
        );
    }
}
