//! Follows what steps do to the states of standalone daemons.

use std::collections::BTreeMap;

use super::Parked;
use crate::{
    name::{ArchiveId, HostPath},
    plan::Plan,
    step::{Action, Step},
};

/// The states that are parked, each with its generation and the archive of it.
#[derive(Default)]
pub(super) struct States(BTreeMap<HostPath, (u32, Option<ArchiveId>)>);

impl States {
    pub(super) fn take_in(&mut self, step: &Step, plan: &Plan) {
        match &step.action {
            Action::ParkState { parked, .. } => {
                self.0.insert(parked.clone(), (plan.from_generation, None));
            }
            Action::ArchiveFolder { archive, folder } => {
                if let Some((_, known)) = self.0.get_mut(&folder.path) {
                    *known = Some(archive.clone());
                }
            }
            Action::UnparkState { parked, .. } => drop(self.0.remove(parked)),
            Action::RemoveState { folder, .. } => drop(self.0.remove(folder)),
            _ => {}
        }
    }

    pub(super) fn parked(self) -> impl Iterator<Item = Parked> {
        let states = self.0.into_iter();
        states.map(|(folder, (generation, archive))| Parked {
            node: None,
            volume: None,
            folder: Some(folder),
            archive,
            generation,
        })
    }
}
