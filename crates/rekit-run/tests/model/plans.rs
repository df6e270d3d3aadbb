//! Plans of each shape that rekit makes.

use crate::world::{RECORD, dead_socket, name, node, path, volume};
use rekit_core::{
    check::{CheckedPlan, check},
    criteria::{JudgedNode, Yardstick},
    name::{BlobId, ContainerName, VolumeName},
    next::Entry,
    plan::{Plan, Purpose},
    record::{NodeEdit, RecordEdit},
    step::{Action, BootState, Claim, DaemonPlace, FileState, StateSource, Step, StepId},
    undo::Undo,
};
use rekit_run::{journal::MemoryJournal, world::fake::FakeWorld};

pub(crate) fn plan(purpose: Purpose, actions: Vec<Action>) -> CheckedPlan {
    let steps = actions
        .into_iter()
        .zip(1..)
        .map(|(action, id)| Step {
            id: StepId(id),
            why: String::new(),
            action,
        })
        .collect();
    let plan = Plan {
        archives: path("/h/archives"),
        to_generation: 1,
        steps,
        ..Plan::new(
            name(&purpose.to_string()),
            purpose,
            jiff::Timestamp::UNIX_EPOCH,
            path("/home/rekit"),
        )
    };
    check(plan).unwrap()
}

pub(crate) fn reinstall(world: &FakeWorld) -> CheckedPlan {
    let old = node(world, "team0");
    let store = path("/s");
    let edit = RecordEdit {
        builder: name("team"),
        nodes: vec![NodeEdit {
            name: name("team0-g1"),
            replaces: Some(name("team0")),
            endpoint: None,
            settings: None,
        }],
    };
    let record = path("/s/instances/team");
    let before = world.state(&record);
    plan(
        Purpose::Reinstall,
        vec![
            Action::SaveConfiguration {
                archive: name("configuration"),
                paths: vec![store.clone()],
            },
            Action::VerifyArchive {
                archive: name("configuration"),
            },
            Action::BootNode {
                host: name("unix:///a"),
                node: name("team0-g1"),
                image: name("image"),
                record: record.clone(),
                before: before.clone(),
                edit: edit.clone(),
                state: None,
            },
            Action::ProbeNode {
                host: name("unix:///a"),
                container: name("buildx_buildkit_team0-g1"),
                platforms: vec![name("linux/amd64")],
                judged: None,
            },
            Action::RewriteRecord {
                store: store.clone(),
                record,
                before,
                edit,
            },
            Action::Drain {
                node: old.clone(),
                grace_seconds: 5,
                limit_seconds: 2,
                cut: false,
            },
            Action::StopNode {
                node: old.clone(),
                timeout_seconds: 9,
            },
            Action::ArchiveState {
                archive: name("team0"),
                volume: volume(world, "buildx_buildkit_team0_state"),
                container: Some(old.container.clone()),
            },
            Action::VerifyArchive {
                archive: name("team0"),
            },
            Action::Park { node: old },
            Action::RemoveFile {
                path: path("/s/instances/cut"),
                store: Some(store.clone()),
                before: world.state(&path("/s/instances/cut")),
            },
            Action::RemoveTree {
                path: path("/s/refs/old"),
                store: Some(store.clone()),
            },
            Action::RemoveSocket {
                path: path("/run/dead.sock"),
                socket: dead_socket(),
            },
            Action::WriteFile {
                path: path("/s/current"),
                store: Some(store.clone()),
                before: world.state(&path("/s/current")),
                mode: 0o600,
                content: "team".to_owned(),
            },
            Action::Validate {
                store,
                builders: vec![],
                judged: None,
            },
        ],
    )
}

pub(crate) fn finalize(world: &FakeWorld) -> CheckedPlan {
    plan(
        Purpose::Finalize,
        vec![
            Action::VerifyArchive {
                archive: name("team0"),
            },
            Action::RemoveContainer {
                node: node(world, "team0"),
            },
            Action::RemoveVolume {
                volume: volume(world, "buildx_buildkit_team0_state"),
                archive: name("team0"),
                verified_by: StepId(1),
            },
        ],
    )
}

/// Removes the builder: its record first, its state after the archive was read back.
pub(crate) fn clean(world: &FakeWorld) -> CheckedPlan {
    let node = node(world, "team0");
    let record = path("/s/instances/team");
    let state = volume(world, "buildx_buildkit_team0_state");
    plan(
        Purpose::Clean,
        vec![
            Action::RemoveFile {
                before: world.state(&record),
                path: record,
                store: Some(path("/s")),
            },
            Action::Drain {
                node: node.clone(),
                grace_seconds: 5,
                limit_seconds: 2,
                cut: false,
            },
            Action::StopNode {
                node: node.clone(),
                timeout_seconds: 9,
            },
            Action::ArchiveState {
                archive: name("team0"),
                volume: state.clone(),
                container: Some(node.container.clone()),
            },
            Action::VerifyArchive {
                archive: name("team0"),
            },
            Action::RemoveContainer { node },
            Action::RemoveVolume {
                volume: state,
                archive: name("team0"),
                verified_by: StepId(5),
            },
        ],
    )
}

/// Brings the archive of [`finalize`] back: a node on a copy of it takes the place of the present one.
pub(crate) fn restore(world: &FakeWorld) -> CheckedPlan {
    let record = path("/s/instances/team");
    let before = world.state(&record);
    let edit = RecordEdit {
        builder: name("team"),
        nodes: vec![NodeEdit {
            name: name("team0-g2"),
            replaces: Some(name("team0-g1")),
            endpoint: None,
            settings: None,
        }],
    };
    plan(
        Purpose::Restore,
        vec![
            Action::BootNode {
                host: name("unix:///a"),
                node: name("team0-g2"),
                image: name("image"),
                record: record.clone(),
                before: before.clone(),
                edit: edit.clone(),
                state: Some(BootState::Archived {
                    source: StateSource {
                        archive: path("/h/archives/team0"),
                        identity: rekit_core::name::Digest::of(b"team0"),
                    },
                }),
            },
            Action::ProbeNode {
                host: name("unix:///a"),
                container: name("buildx_buildkit_team0-g2"),
                platforms: vec![name("linux/amd64")],
                judged: None,
            },
            Action::RewriteRecord {
                store: path("/s"),
                record,
                before,
                edit,
            },
        ],
    )
}

/// A new node begins with a copy of the running one's state, and takes its place.
pub(crate) fn keep_cache(world: &FakeWorld) -> CheckedPlan {
    let record = path("/s/instances/team");
    let before = world.state(&record);
    let edit = RecordEdit {
        builder: name("team"),
        nodes: vec![NodeEdit {
            name: name("team0-g1"),
            replaces: Some(name("team0")),
            endpoint: None,
            settings: None,
        }],
    };
    plan(
        Purpose::Reinstall,
        vec![
            Action::CopyState {
                archive: name("live"),
                node: node(world, "team0"),
            },
            Action::VerifyArchive {
                archive: name("live"),
            },
            Action::BootNode {
                host: name("unix:///a"),
                node: name("team0-g1"),
                image: name("image"),
                record: record.clone(),
                before: before.clone(),
                edit: edit.clone(),
                state: Some(BootState::Copied {
                    archive: name("live"),
                    verified_by: StepId(2),
                }),
            },
            Action::ProbeNode {
                host: name("unix:///a"),
                container: name("buildx_buildkit_team0-g1"),
                platforms: vec![name("linux/amd64")],
                judged: None,
            },
            Action::RewriteRecord {
                store: path("/s"),
                record,
                before,
                edit,
            },
        ],
    )
}

/// A new node takes the place of the old one if it builds as that did.
pub(crate) fn judged(world: &FakeWorld) -> CheckedPlan {
    let record = path("/s/instances/team");
    let before = world.state(&record);
    let edit = RecordEdit {
        builder: name("team"),
        nodes: vec![NodeEdit {
            name: name("team0-g1"),
            replaces: Some(name("team0")),
            endpoint: None,
            settings: None,
        }],
    };
    let by = Yardstick {
        baseline: StepId(1),
        slower_percent: 200,
        slack_ms: 1000,
    };
    let claim = |container: &str| Claim {
        builder: "team".to_owned(),
        daemons: vec![DaemonPlace {
            host: name("unix:///a"),
            container: Some(name(container)),
        }],
        platforms: vec![name("linux/amd64")],
    };
    plan(
        Purpose::Reinstall,
        vec![
            Action::TakeBaseline {
                store: path("/s"),
                builders: vec![claim("buildx_buildkit_team0")],
            },
            Action::BootNode {
                host: name("unix:///a"),
                node: name("team0-g1"),
                image: name("image"),
                record: record.clone(),
                before: before.clone(),
                edit: edit.clone(),
                state: None,
            },
            Action::ProbeNode {
                host: name("unix:///a"),
                container: name("buildx_buildkit_team0-g1"),
                platforms: vec![name("linux/amd64")],
                judged: Some(JudgedNode {
                    builder: "team".to_owned(),
                    node: 1,
                    by: by.clone(),
                }),
            },
            Action::RewriteRecord {
                store: path("/s"),
                record,
                before,
                edit,
            },
            Action::Validate {
                store: path("/s"),
                builders: vec![claim("buildx_buildkit_team0-g1")],
                judged: Some(by),
            },
        ],
    )
}

/// The same plan, in which a person decides where a criterion fails.
pub(crate) fn by_hand_alone(plan: &CheckedPlan) -> CheckedPlan {
    check(Plan {
        decided_by_hand: true,
        ..plan.plan().clone()
    })
    .unwrap()
}

/// Goes back after [`finalize`]: the state comes from its archive, the new node is parked.
pub(crate) fn rollback(world: &FakeWorld, journal: &MemoryJournal) -> CheckedPlan {
    let new = node(world, "team0-g1");
    let record = path("/s/instances/team");
    let blob = |id: &[u8]| BlobId::of(id);
    assert!(journal.blobs.contains_key(&blob(RECORD)));
    let state: VolumeName = name("buildx_buildkit_team0_state");
    let old: ContainerName = name("buildx_buildkit_team0");
    let kept = |wanted: &dyn Fn(&Undo) -> Option<BlobId>| {
        let undos = journal.entries.iter().filter_map(|entry| match entry {
            Entry::Started { undo, .. } => wanted(undo),
            _ => None,
        });
        undos.last().unwrap()
    };
    let options = kept(&|undo| match undo {
        Undo::RestoreVolume {
            volume, options, ..
        } if *volume == state => Some(options.clone()),
        _ => None,
    });
    let description = kept(&|undo| match undo {
        Undo::RecreateContainer {
            container,
            description,
            ..
        } if *container == old => Some(description.clone()),
        _ => None,
    });
    plan(
        Purpose::Rollback,
        vec![
            Action::RestoreVolume {
                host: name("unix:///a"),
                volume: name("buildx_buildkit_team0_state"),
                archive: name("team0"),
                options,
            },
            Action::RecreateContainer {
                host: name("unix:///a"),
                container: name("buildx_buildkit_team0"),
                description,
            },
            Action::RestoreFile {
                path: record.clone(),
                store: Some(path("/s")),
                before: world.state(&record),
                blob: Some(rekit_core::step::Kept {
                    blob: blob(RECORD),
                    mode: 0o600,
                }),
            },
            Action::RestoreFile {
                path: path("/s/instances/cut"),
                store: Some(path("/s")),
                before: FileState::Absent {},
                blob: Some(rekit_core::step::Kept {
                    blob: blob(b"{"),
                    mode: 0o600,
                }),
            },
            Action::RestoreTree {
                path: path("/s/refs/old"),
                store: Some(path("/s")),
                blob: blob(b"tree"),
            },
            Action::RestoreSocket {
                path: path("/run/dead.sock"),
                socket: dead_socket(),
            },
            Action::Drain {
                node: new.clone(),
                grace_seconds: 5,
                limit_seconds: 2,
                cut: false,
            },
            Action::StopNode {
                node: new.clone(),
                timeout_seconds: 9,
            },
            Action::Park { node: new },
        ],
    )
}

/// Renews a builder of two nodes; a third one, which does not answer, stays in its record.
pub(crate) fn two_nodes(world: &FakeWorld) -> CheckedPlan {
    let record = path("/s/instances/team");
    let before = world.state(&record);
    let successor = |old: &str, new: &str| NodeEdit {
        name: name(new),
        replaces: Some(name(old)),
        endpoint: None,
        settings: None,
    };
    let edit = RecordEdit {
        builder: name("team"),
        nodes: vec![
            successor("team0", "team0-g1"),
            successor("silent", "silent"),
            successor("team1", "team1-g1"),
        ],
    };
    let mut actions = Vec::new();
    for new in ["team0-g1", "team1-g1"] {
        actions.push(Action::BootNode {
            host: name("unix:///a"),
            node: name(new),
            image: name("image"),
            record: record.clone(),
            before: before.clone(),
            edit: edit.clone(),
            state: None,
        });
        actions.push(Action::ProbeNode {
            host: name("unix:///a"),
            container: name(&format!("buildx_buildkit_{new}")),
            platforms: vec![name("linux/amd64")],
            judged: None,
        });
    }
    actions.push(Action::RewriteRecord {
        store: path("/s"),
        record,
        before,
        edit,
    });
    for old in ["team0", "team1"] {
        let node = node(world, old);
        actions.extend([
            Action::Drain {
                node: node.clone(),
                grace_seconds: 5,
                limit_seconds: 2,
                cut: old == "team1",
            },
            Action::StopNode {
                node: node.clone(),
                timeout_seconds: 9,
            },
            Action::ArchiveState {
                archive: name(old),
                volume: volume(world, node.volume.as_str()),
                container: Some(node.container.clone()),
            },
            Action::VerifyArchive { archive: name(old) },
            Action::Park { node },
        ]);
    }
    plan(Purpose::Reinstall, actions)
}
