//! Plans archives of builders: configuration, and each node's state, copied while it runs; cache mounts where nobody reaches the state.

use crate::{
    draft::{Draft, Ground, place, volume_place},
    inventory::{HostContainer, NodeRecord},
    mounts,
    name::{HostId, HostPath},
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
    draft.verify(&archive);
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
    found.extend(mounts::keep(
        ground,
        &mut draft,
        &wanted,
        !builders.is_empty(),
    ));
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
    if container.status == "running" {
        draft.copy_state(place(host, container, &record.name));
    } else {
        draft.archive_state(volume_place(host, volume), None);
    }
}
