//! A machine with standalone daemons, and the plans that renew one in place.

use crate::{
    plans::plan,
    world::{machine, name, path},
};
use rekit_core::{
    check::CheckedPlan,
    folders::{CacheFolder, FolderContent},
    plan::Purpose,
    standalone::{Launch, ProcessIdentity, StandalonePlace},
    step::{Action, StepId},
};
use rekit_run::world::fake::{FakeDaemon, FakeWorld};

/// A machine with a standalone daemon, and another one that is nobody's business.
pub(crate) fn machine_with_daemon() -> FakeWorld {
    let mut world = machine();
    for (root, state, pid) in [("/var/b", "built", 7), ("/other", "theirs", 8)] {
        let process = Some(ProcessIdentity { pid, started: 1 });
        let busy = false;
        world
            .daemons
            .insert(path(root), FakeDaemon { process, busy });
        world.trees.insert(path(root), state.as_bytes().to_vec());
    }
    world
}

pub(crate) fn standalone() -> StandalonePlace {
    StandalonePlace {
        root: path("/var/b"),
        address: "unix:///run/b.sock".to_owned(),
        client: None,
        service: None,
    }
}

pub(crate) fn state_of(root: &str, archive: &str) -> [Action; 2] {
    let folder = CacheFolder {
        path: path(root),
        holds: FolderContent::State,
    };
    [
        Action::ArchiveFolder {
            archive: name(archive),
            folder,
        },
        Action::VerifyArchive {
            archive: name(archive),
        },
    ]
}

pub(crate) fn stop_daemon(world: &FakeWorld) -> Action {
    Action::StopDaemon {
        daemon: standalone(),
        process: world.process_on(&path("/var/b")).unwrap(),
        limit_seconds: 2,
        cut: false,
    }
}

/// Renews a standalone daemon in place.
pub(crate) fn renew_in_place(world: &FakeWorld) -> CheckedPlan {
    let [live, proof] = state_of("/var/b", "live");
    let [stopped, last] = state_of("/var/b.rekit-g0", "stopped");
    plan(
        Purpose::Reinstall,
        vec![
            live,
            proof,
            stop_daemon(world),
            Action::ParkState {
                root: path("/var/b"),
                parked: path("/var/b.rekit-g0"),
                renew: true,
            },
            Action::StartDaemon {
                daemon: standalone(),
                launch: Launch::AsStopped { step: StepId(3) },
            },
            Action::ProbeDaemon {
                daemon: standalone(),
                platforms: vec![name("linux/amd64")],
            },
            stopped,
            last,
        ],
    )
}

/// Goes back after [`renew_in_place`]: the new state is parked, the old one comes back.
pub(crate) fn renew_back(world: &FakeWorld) -> CheckedPlan {
    plan(
        Purpose::Rollback,
        vec![
            stop_daemon(world),
            Action::ParkState {
                root: path("/var/b"),
                parked: path("/var/b.rekit-g1"),
                renew: false,
            },
            Action::UnparkState {
                parked: path("/var/b.rekit-g0"),
                root: path("/var/b"),
            },
            Action::StartDaemon {
                daemon: standalone(),
                launch: Launch::AsKept {
                    script: rekit_core::name::BlobId::of(b"start"),
                },
            },
        ],
    )
}

/// Removes what [`renew_in_place`] parked.
pub(crate) fn finalize_state() -> CheckedPlan {
    plan(
        Purpose::Finalize,
        vec![
            Action::VerifyArchive {
                archive: name("stopped"),
            },
            Action::RemoveState {
                folder: path("/var/b.rekit-g0"),
                archive: name("stopped"),
                verified_by: StepId(1),
            },
        ],
    )
}
