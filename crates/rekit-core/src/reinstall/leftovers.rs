//! Temporary folders, files and sockets that BuildKit and buildx left.

use super::Reinstall;
use crate::{
    inventory::{Leftover, LeftoverKind},
    step::Action,
};

impl Reinstall<'_> {
    /// Removes what is left; a socket in a folder goes before its folder, in the order of the inventory.
    pub(super) fn sweep_leftovers(&mut self) {
        for leftover in &self.ground.inventory.leftovers {
            match &leftover.stays {
                Some(why) => self
                    .draft
                    .leave_out(leftover.path.to_string(), why.as_str()),
                None => self.sweep_leftover(leftover),
            }
        }
    }

    fn sweep_leftover(&mut self, leftover: &Leftover) {
        let (path, store) = (leftover.path.clone(), leftover.store.clone());
        let action = match (leftover.kind, &leftover.socket) {
            (LeftoverKind::Socket, Some(socket)) => Action::RemoveSocket {
                path,
                socket: socket.clone(),
            },
            (LeftoverKind::Socket, None) => return,
            (LeftoverKind::Folder, _) => Action::RemoveTree { path, store },
            (LeftoverKind::File, _) => Action::RemoveFile {
                before: self.ground.file(&path),
                path,
                store,
            },
        };
        let why = format!("{}; {}", leftover.origin, leftover.unused);
        self.draft.push(why, action);
    }
}
