//! Plans the end of the probation: parked nodes and volumes go, each after its archive was read back once more.

use crate::{
    draft::{Draft, Ground, volume_place},
    history::Parked,
    name::NodeName,
    plan::{Plan, Purpose},
    step::{Action, NodePlace, VolumePlace},
};

/// Plans to remove what is parked, except nodes of the generation in force.
pub fn plan(ground: &Ground<'_>, parked: &[Parked]) -> Plan {
    let mut draft = Draft::new(ground, Purpose::Finalize, ground.generation);
    for item in parked {
        match &item.node {
            Some(node) => remove_node(ground, &mut draft, item, node),
            None => remove_orphan(&mut draft, item),
        }
    }
    draft.finish()
}

fn remove_node(ground: &Ground<'_>, draft: &mut Draft, item: &Parked, node: &NodePlace) {
    let Some(container) = ground.container(&node.host, &node.container) else {
        draft.leave_out(
            format!("container {}", node.container),
            "it is gone already",
        );
        return;
    };
    if container.status == "running" {
        draft.leave_out(
            format!("container {}", node.container),
            "somebody started it again; stop it first, or leave it",
        );
        return;
    }
    let owner = NodeName::of_container(node.container.as_str());
    let present = owner
        .as_ref()
        .and_then(|owner| ground.volume(&node.host, owner));
    let volume = present.map(|volume| volume_place(&node.host, volume));
    let proven = match (&item.archive, &volume) {
        (Some(archive), Some(_)) => {
            let why = "nothing is removed before its archive was read back";
            Some((
                archive.clone(),
                draft.push(
                    why,
                    Action::VerifyArchive {
                        archive: archive.clone(),
                    },
                ),
            ))
        }
        (None, Some(volume)) => {
            let (archive, proof) = draft.archive_state(volume.clone(), None);
            Some((archive, proof))
        }
        (_, None) => None,
    };
    draft.push(
        "the probation is over",
        Action::RemoveContainer { node: node.clone() },
    );
    if let (Some((archive, verified_by)), Some(volume)) = (proven, volume) {
        draft.push(
            "its archive is proven and kept",
            Action::RemoveVolume {
                volume,
                archive,
                verified_by,
            },
        );
    }
    if let Some(owner) = owner {
        remove_references(ground, draft, &owner);
    }
}

/// Build references of a node that is gone lead nowhere.
fn remove_references(ground: &Ground<'_>, draft: &mut Draft, node: &NodeName) {
    for store in &ground.inventory.stores {
        for refs in store.refs.iter().filter(|refs| refs.node == node.as_str()) {
            let action = Action::RemoveTree {
                path: refs.path.clone(),
                store: Some(store.path.clone()),
            };
            draft.push(
                "build references of a node that is gone lead nowhere",
                action,
            );
        }
    }
}

fn remove_orphan(draft: &mut Draft, item: &Parked) {
    let (Some(volume), Some(archive)): (Option<VolumePlace>, _) =
        (item.volume.clone(), item.archive.clone())
    else {
        return;
    };
    let why = "nothing is removed before its archive was read back";
    let verified_by = draft.push(
        why,
        Action::VerifyArchive {
            archive: archive.clone(),
        },
    );
    draft.push(
        "no builder names it, and its archive is proven and kept",
        Action::RemoveVolume {
            volume,
            archive,
            verified_by,
        },
    );
}
