//! Plans the end of the probation: parked nodes and volumes go, after the archives of all were read back once more.

use crate::{
    draft::{Draft, Ground, volume_place},
    history::Parked,
    name::{ArchiveId, NodeName},
    plan::{Plan, Purpose},
    step::{Action, NodePlace, StepId, VolumePlace},
};

/// Plans to remove what is parked, except nodes of the generation in force.
///
/// Every archive is proven before the first removal, so that a damaged one ends the run with nothing removed.
pub fn plan(ground: &Ground<'_>, parked: &[Parked]) -> Plan {
    let mut draft = Draft::new(ground, Purpose::Finalize, ground.generation);
    let proven: Vec<_> = parked
        .iter()
        .filter_map(|item| match &item.node {
            Some(node) => prove_node(ground, &mut draft, item, node),
            None => prove_orphan(&mut draft, item),
        })
        .collect();
    for item in proven {
        remove(ground, &mut draft, item);
    }
    draft.finish()
}

/// What may go: a node, its state volume with the proof of its archive, or both.
struct Proven<'a> {
    node: Option<&'a NodePlace>,
    volume: Option<(VolumePlace, ArchiveId, StepId)>,
}

fn prove_node<'a>(
    ground: &Ground<'_>,
    draft: &mut Draft,
    item: &Parked,
    node: &'a NodePlace,
) -> Option<Proven<'a>> {
    let left_out = match ground.container(&node.host, &node.container) {
        None => Some("it is gone already"),
        Some(container) if container.status == "running" => {
            Some("somebody started it again; stop it first, or leave it")
        }
        Some(_) => None,
    };
    if let Some(why) = left_out {
        draft.leave_out(format!("container {}", node.container), why);
        return None;
    }
    let owner = NodeName::of_container(node.container.as_str());
    let present = owner.and_then(|owner| ground.volume(&node.host, &owner));
    let volume = present.map(|volume| {
        let volume = volume_place(&node.host, volume);
        let (archive, proof) = match &item.archive {
            Some(archive) => (archive.clone(), verify(draft, archive)),
            None => draft.archive_state(volume.clone(), None),
        };
        (volume, archive, proof)
    });
    Some(Proven {
        node: Some(node),
        volume,
    })
}

fn prove_orphan(draft: &mut Draft, item: &Parked) -> Option<Proven<'static>> {
    let (volume, archive) = (item.volume.clone()?, item.archive.clone()?);
    let proof = verify(draft, &archive);
    Some(Proven {
        node: None,
        volume: Some((volume, archive, proof)),
    })
}

fn verify(draft: &mut Draft, archive: &ArchiveId) -> StepId {
    let archive = archive.clone();
    let why = "nothing is removed before every archive was read back";
    draft.push(why, Action::VerifyArchive { archive })
}

fn remove(ground: &Ground<'_>, draft: &mut Draft, item: Proven<'_>) {
    if let Some(node) = item.node {
        let action = Action::RemoveContainer { node: node.clone() };
        draft.push("the probation is over", action);
    }
    if let Some((volume, archive, verified_by)) = item.volume {
        let why = match item.node {
            Some(_) => "its archive is proven and kept",
            None => "no builder names it, and its archive is proven and kept",
        };
        draft.push(
            why,
            Action::RemoveVolume {
                volume,
                archive,
                verified_by,
            },
        );
    }
    let owner = item
        .node
        .and_then(|node| NodeName::of_container(node.container.as_str()));
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
