//! The way back over steps on standalone daemons: the present one is ended and its state parked, the old state comes back by a rename.

use super::WayBack;
use crate::{
    name::{BlobId, HostPath},
    reinstall::{platforms_on, prove_daemon, running_on},
    standalone::{Launch, StandalonePlace, parked_place},
    step::{Action, StateSource},
};

impl WayBack<'_> {
    pub(super) fn stop_daemon(&mut self, daemon: &StandalonePlace) {
        let Some(process) = running_on(self.ground.inventory, &daemon.root) else {
            return;
        };
        self.draft.interrupt(format!(
            "daemon at {}: nobody answers there from its end to its new start, usually for a few seconds",
            daemon.address
        ));
        let action = self.patience.stop_daemon(daemon, process);
        self.draft.push(
            "no running build is cut, and its databases are closed",
            action,
        );
    }

    /// What the daemon built since is parked, not removed: going forward again is as warm as going back.
    pub(super) fn unpark_state(&mut self, parked: &HostPath, root: &HostPath, renewed: bool) {
        if renewed {
            self.park_state(root, &parked_place(root, self.ground.generation));
        }
        self.draft.push(
            "the state of that generation comes back, warm",
            Action::UnparkState {
                parked: parked.clone(),
                root: root.clone(),
            },
        );
    }

    pub(super) fn park_state(&mut self, root: &HostPath, parked: &HostPath) {
        self.draft.push(
            "it stays, as warm as it is, until `rekit finalize`",
            Action::ParkState {
                root: root.clone(),
                parked: parked.clone(),
                renew: false,
            },
        );
    }

    pub(super) fn start_daemon(&mut self, daemon: &StandalonePlace, script: Option<&BlobId>) {
        let launch = match script {
            Some(script) => Launch::AsKept {
                script: script.clone(),
            },
            None => Launch::Service {},
        };
        let platforms = platforms_on(self.ground.inventory, &daemon.root);
        prove_daemon(&mut self.draft, daemon.clone(), launch, platforms);
    }

    pub(super) fn restore_state(&mut self, folder: &HostPath, source: &StateSource) {
        let action = Action::RestoreFolder {
            source: source.clone(),
            folder: crate::folders::CacheFolder {
                path: folder.clone(),
                holds: crate::folders::FolderContent::State,
            },
        };
        self.draft
            .push("its cache comes back from the archive", action);
    }
}
