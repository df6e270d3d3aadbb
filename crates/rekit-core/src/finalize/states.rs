//! Parked states of standalone daemons go like parked volumes: each after its archive was read back.

use super::read_back;
use crate::{
    draft::{Draft, Ground},
    history::Parked,
    name::{ArchiveId, HostPath},
    reinstall::{archive_state_folder, running_on},
    step::{Action, StepId},
};

/// A parked state whose archive is proven by an earlier step.
pub(super) struct Removal {
    folder: HostPath,
    archive: ArchiveId,
    proof: StepId,
}

/// Adds the proof of a parked state's archive, which is made where there is none.
pub(super) fn prove(ground: &Ground<'_>, draft: &mut Draft, item: &Parked) -> Option<Removal> {
    let folder = item.folder.clone()?;
    if running_on(ground.inventory, &folder).is_some() {
        let why = "a daemon works on it; stop it first, or leave it";
        draft.leave_out(format!("state {folder}"), why);
        return None;
    }
    let (archive, proof) = if let Some(archive) = &item.archive {
        (archive.clone(), read_back(draft, archive))
    } else {
        let why = "nothing is removed that was not archived first";
        archive_state_folder(draft, &folder, why)
    };
    Some(Removal {
        folder,
        archive,
        proof,
    })
}

pub(super) fn remove(draft: &mut Draft, removal: Removal) {
    let action = Action::RemoveState {
        folder: removal.folder,
        archive: removal.archive,
        verified_by: removal.proof,
    };
    draft.push("its archive is proven and kept", action);
}
