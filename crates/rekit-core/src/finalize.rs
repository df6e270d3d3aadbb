//! Plans the end of the probation: every archive is read back once more, and only then the first parked thing goes.

mod states;

use crate::{
    draft::{Draft, Ground, volume_place},
    history::Parked,
    name::{ArchiveId, NodeName},
    plan::{Plan, Purpose},
    reinstall::claims,
    step::{Action, NodePlace, StepId, VolumePlace},
};

/// A parked thing whose archive is proven by an earlier step.
struct Removal<'a> {
    node: Option<&'a NodePlace>,
    volume: Option<(VolumePlace, ArchiveId, StepId)>,
}

/// Plans to remove what is parked, except nodes of the generation in force.
pub fn plan(ground: &Ground<'_>, parked: &[Parked]) -> Plan {
    let mut draft = Draft::new(ground, Purpose::Finalize, ground.generation);
    let proven: Vec<_> = parked
        .iter()
        .filter_map(|item| prove(ground, &mut draft, item))
        .collect();
    let states: Vec<_> = parked
        .iter()
        .filter_map(|item| states::prove(ground, &mut draft, item))
        .collect();
    for removal in proven {
        remove(ground, &mut draft, removal);
    }
    for removal in states {
        states::remove(&mut draft, removal);
    }
    draft.finish()
}

/// Adds the proof of an item's archive; `None` for what is gone already, or is not to go.
fn prove<'a>(ground: &Ground<'_>, draft: &mut Draft, item: &'a Parked) -> Option<Removal<'a>> {
    let Some(node) = &item.node else {
        let (volume, archive) = (item.volume.clone()?, item.archive.clone()?);
        let proof = read_back(draft, &archive);
        return Some(Removal {
            node: None,
            volume: Some((volume, archive, proof)),
        });
    };
    let Some(container) = ground.container(&node.host, &node.container) else {
        draft.leave_out(
            format!("container {}", node.container),
            "it is gone already",
        );
        return None;
    };
    if container.status == "running" {
        let why = "somebody started it again; stop it first, or leave it";
        draft.leave_out(format!("container {}", node.container), why);
        return None;
    }
    if let Some(claimed) = claims::claim(ground.inventory, &node.host, &node.container, None) {
        let why = format!(
            "builder {} of store {} names it: whoever builds there relies on it",
            claimed.builder, claimed.store
        );
        draft.leave_out(format!("container {}", node.container), why);
        return None;
    }
    let owner = NodeName::of_container(node.container.as_str());
    let present = owner.and_then(|owner| ground.volume(&node.host, &owner));
    let volume = present.map(|volume| volume_place(&node.host, volume));
    let volume = volume.map(|volume| {
        let Some(archive) = &item.archive else {
            let (archive, proof) = draft.archive_state(volume.clone(), None);
            return (volume, archive, proof);
        };
        (volume, archive.clone(), read_back(draft, archive))
    });
    Some(Removal {
        node: Some(node),
        volume,
    })
}

fn read_back(draft: &mut Draft, archive: &ArchiveId) -> StepId {
    let archive = archive.clone();
    let why = "nothing is removed before its archive was read back";
    draft.push(why, Action::VerifyArchive { archive })
}

fn remove(ground: &Ground<'_>, draft: &mut Draft, removal: Removal<'_>) {
    if let Some(node) = removal.node {
        let node = node.clone();
        draft.push("the probation is over", Action::RemoveContainer { node });
    }
    if let Some((volume, archive, verified_by)) = removal.volume {
        let action = Action::RemoveVolume {
            volume,
            archive,
            verified_by,
        };
        draft.push("its archive is proven and kept", action);
    }
    let name = removal.node.map(|node| node.container.as_str());
    if let Some(owner) = name.and_then(NodeName::of_container) {
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
