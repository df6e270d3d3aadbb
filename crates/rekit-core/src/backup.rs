//! Plans archives of builders: configuration, and each node's state, copied while it runs; cache mounts where nobody reaches the state.

use std::collections::BTreeSet;

use crate::{
    config::files,
    draft::{Draft, Ground, place, volume_place},
    folders::{self, CacheFolder},
    inventory::{HostContainer, NodeRecord},
    mounts,
    name::{HostId, HostPath},
    plan::{Plan, Purpose},
    step::Action,
};

/// Plans to archive these builders and folders of cache; none named: all. A name that none of them bears is returned.
///
/// `further` are folders that were named and that the inventory does not know; `images` the ids of those that are archived already. `to` is a folder for the archives other than rekit's own.
pub fn plan(
    ground: &Ground<'_>,
    builders: &[String],
    further: &[CacheFolder],
    images: &[String],
    to: Option<&HostPath>,
) -> Result<Plan, String> {
    let mut draft = Draft::new(ground, Purpose::Backup, ground.generation);
    if let Some(folder) = to {
        draft.archive_to(folder.clone());
    }
    let wanted = |name: &str| builders.is_empty() || builders.iter().any(|builder| builder == name);
    let archive = draft.archive_id("configuration");
    let why = "records, configuration, scripts and keys belong to the caches";
    draft.push(
        why,
        Action::SaveConfiguration {
            archive: archive.clone(),
            paths: files::paths(ground.inventory),
        },
    );
    draft.verify(&archive);
    let mut found = Vec::new();
    let mut images: BTreeSet<_> = images.iter().cloned().collect();
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
            if images.insert(container.image_id.clone()) {
                archive_image(&mut draft, &host, container);
            }
        }
    }
    found.extend(mounts::keep(
        ground,
        &mut draft,
        &wanted,
        !builders.is_empty(),
    ));
    let all = folders::folders(ground.inventory).into_iter();
    let known = all.chain(further.iter().cloned());
    let mut taken: Vec<CacheFolder> = Vec::new();
    for folder in known {
        if wanted(folder.path.as_str()) && !taken.iter().any(|other| other.path == folder.path) {
            found.push(folder.path.to_string());
            taken.push(folder);
        }
    }
    folders::archive(&mut draft, taken);
    match builders.iter().find(|name| !found.contains(name)) {
        Some(missing) => Err(missing.clone()),
        None => Ok(draft.finish()),
    }
}

/// A name that only a digest has cannot be given back by a load.
fn archive_image(draft: &mut Draft, host: &HostId, container: &HostContainer) {
    let Ok(image) = container.image.parse() else {
        return;
    };
    let archive = draft.archive_id("image");
    draft.push(
        "a restore elsewhere needs no registry",
        Action::SaveImage {
            archive: archive.clone(),
            host: host.clone(),
            image,
        },
    );
    draft.verify(&archive);
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
