//! The executor, model-checked: breadth-first over (journal, fake world) with steps, crashes, errors, foreign changes,
//! resume and rollback in any order. After each move the invariants hold and an end can be reached.
//!
//! Shows R1.4.1, R1.4.2 and, for removals, R1.3.5 and R2.2.2 against the fake; the ladder shows the same on a real engine.
#![expect(
    clippy::unwrap_used,
    clippy::similar_names,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "a test fails by panicking and tells how far it searched; a plan is as long as it is"
)]

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use rekit_core::{
    by_hand::by_hand,
    check::{CheckedPlan, check},
    criteria::{Criterion, JudgedNode, Yardstick},
    engine_cache::{EnginePlace, Layers, RunningContainer},
    event::Event,
    folders::{CacheFolder, FolderContent},
    mounts::{ArchivedMount, CacheMount, MountOptions},
    name::{Digest, HostId, HostPath},
    next::{Entry, RunEnd, RunState, Turn},
    plan::{Plan, Purpose},
    record::{NodeEdit, RecordEdit},
    socket::DeadSocket,
    standalone::{Launch, ProcessIdentity, StandalonePlace},
    step::{
        Action, BootState, BuildPlace, Claim, DaemonPlace, FileState, Identity, NodePlace,
        StateSource, Step, StepId, VolumePlace,
    },
    undo::{Outcome, Undo},
};
use rekit_run::{
    executor::{DriveEnd, DriveError, Run},
    journal::{JournalError, MemoryJournal},
    world::fake::{FakeArchive, FakeDaemon, FakeEngine, FakeWorld, Fault},
};

const RECORD: &[u8] =
    br#"{"Name":"team","Driver":"docker-container","Nodes":[{"Name":"team0","Endpoint":"unix:///a"}],"Dynamic":false}"#;
/// What somebody else writes in its place.
const THEIRS: &[u8] = br#"{"Name":"team"}"#;
/// Changing operations in the longest step, and one more.
const OPERATIONS: u32 = 7;

/// Runs a future that never waits for anything but the fake world.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("BUG: the fake world made somebody wait"),
    }
}

fn name<T: std::str::FromStr<Err = rekit_core::name::NameError>>(text: &str) -> T {
    text.parse().unwrap()
}

fn path(text: &str) -> HostPath {
    HostPath::from(text)
}

/// A machine with one warm builder, a record cut in half, leftovers, and things that are nobody's business.
fn machine() -> FakeWorld {
    let mut world = FakeWorld::default();
    let host: HostId = name("unix:///a");
    world.images.insert((host.clone(), name("image")));
    world.add_volume(
        &host,
        &name("buildx_buildkit_team0_state"),
        Some("warm"),
        [].into(),
    );
    world.add_container(
        &host,
        &name("buildx_buildkit_team0"),
        &name("buildx_buildkit_team0_state"),
        true,
        [].into(),
    );
    world.add_volume(&host, &name("foreign"), Some("theirs"), [].into());
    world.add_container(&host, &name("foreign"), &name("foreign"), true, [].into());
    world
        .files
        .insert(path("/s/instances/team"), (RECORD.to_vec(), 0o600));
    world
        .files
        .insert(path("/s/instances/cut"), (b"{".to_vec(), 0o600));
    world
        .files
        .insert(path("/s/current"), (b"gone".to_vec(), 0o600));
    world
        .files
        .insert(path("/home/foreign"), (b"theirs".to_vec(), 0o644));
    world.trees.insert(path("/s/refs/old"), b"tree".to_vec());
    let socket = Some(dead_socket());
    world.sockets.insert(path("/run/dead.sock"), socket);
    world.sockets.insert(path("/run/alive.sock"), None);
    world
}

fn dead_socket() -> DeadSocket {
    DeadSocket {
        made: jiff::Timestamp::UNIX_EPOCH,
        mode: 0o660,
        owner: 0,
        group: 0,
    }
}

fn node(world: &FakeWorld, node: &str) -> NodePlace {
    let container = format!("buildx_buildkit_{node}");
    let found = &world.containers[&(name("unix:///a"), name(&container))];
    NodePlace {
        host: name("unix:///a"),
        container: name(&container),
        identity: Identity::Id {
            id: found.facts.id.clone(),
        },
        volume: found.volume.clone(),
    }
}

fn volume(world: &FakeWorld, volume: &str) -> VolumePlace {
    let found = &world.volumes[&(name("unix:///a"), name(volume))];
    VolumePlace {
        host: name("unix:///a"),
        volume: name(volume),
        created_at: found.facts.created_at.clone(),
    }
}

fn plan(purpose: Purpose, actions: Vec<Action>) -> CheckedPlan {
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
        schema: Plan::SCHEMA.to_owned(),
        version: Plan::VERSION,
        run: name(&purpose.to_string()),
        purpose,
        made: jiff::Timestamp::UNIX_EPOCH,
        home: path("/home/rekit"),
        archives: path("/h/archives"),
        from_generation: 0,
        to_generation: 1,
        steps,
        choices: vec![],
        left_out: vec![],
        interruptions: vec![],
        probation_days: Plan::usual_probation(),
        decided_by_hand: false,
    };
    check(plan).unwrap()
}

fn reinstall(world: &FakeWorld) -> CheckedPlan {
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

fn finalize(world: &FakeWorld) -> CheckedPlan {
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
fn clean(world: &FakeWorld) -> CheckedPlan {
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
fn restore(world: &FakeWorld) -> CheckedPlan {
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
fn keep_cache(world: &FakeWorld) -> CheckedPlan {
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
fn judged(world: &FakeWorld) -> CheckedPlan {
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
fn by_hand_alone(plan: &CheckedPlan) -> CheckedPlan {
    check(Plan {
        decided_by_hand: true,
        ..plan.plan().clone()
    })
    .unwrap()
}

/// Goes back after [`finalize`]: the state comes from its archive, the new node is parked.
fn rollback(world: &FakeWorld, journal: &MemoryJournal) -> CheckedPlan {
    let new = node(world, "team0-g1");
    let record = path("/s/instances/team");
    let blob = |id: &[u8]| rekit_core::name::BlobId::of(id);
    assert!(journal.blobs.contains_key(&blob(RECORD)));
    plan(
        Purpose::Rollback,
        vec![
            Action::RestoreVolume {
                host: name("unix:///a"),
                volume: name("buildx_buildkit_team0_state"),
                archive: name("team0"),
                options: blob(b""),
            },
            Action::RecreateContainer {
                host: name("unix:///a"),
                container: name("buildx_buildkit_team0"),
                description: blob(b"buildx_buildkit_team0_state no"),
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

/// One point of the search.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Point {
    journal: MemoryJournal,
    world: FakeWorld,
    /// Crashes, errors and requests that may still come.
    faults: u8,
    /// Whether somebody else changed the world.
    moved: bool,
    /// What the executor does wrong.
    slip: Option<Slip>,
}

/// What an executor could do wrong. Each must be found by the search, or the search is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Slip {
    /// It does not write down that a step begins, with its undo.
    LosesStarted,
    /// It does not write down that a step is done.
    LosesFinished,
    /// It does not write down that a step is taken back.
    LosesUndone,
    /// It prepares the undo of a step anew that had begun, and the later one stands.
    PreparesTwice,
    /// It does not see that somebody else changed the record.
    IgnoresGuards,
}

impl Point {
    fn state(&self, plan: &CheckedPlan) -> RunState {
        RunState::replay(plan.plan().steps.len(), &self.journal.entries)
    }

    fn at(world: FakeWorld, faults: u8) -> Self {
        Self {
            journal: MemoryJournal::default(),
            world,
            faults,
            moved: false,
            slip: None,
        }
    }

    /// Does one thing, as a fresh process would: nothing is known but journal and world.
    fn advance(&mut self, plan: &CheckedPlan) -> Result<Option<DriveEnd>, DriveError> {
        let last = self.journal.entries.last();
        let has_begun = matches!(last, Some(Entry::Started { .. }));
        if self.slip == Some(Slip::PreparesTwice) && has_begun {
            self.journal.entries.pop();
            self.advance_once(plan)?;
        }
        let before = self.journal.entries.len();
        let mut end = self.advance_once(plan);
        let has_begun = matches!(
            self.journal.entries.get(before),
            Some(Entry::Started { .. })
        );
        if self.slip == Some(Slip::LosesStarted) && has_begun {
            // It goes on as if the entry were on the disk.
            end = self.advance_once(plan);
            self.journal.entries.remove(before);
            return end;
        }
        let is_lost = |entry: &Entry| match self.slip {
            Some(Slip::LosesFinished) => matches!(entry, Entry::Finished { .. }),
            Some(Slip::LosesUndone) => matches!(entry, Entry::Undone { .. }),
            _ => false,
        };
        if self.journal.entries.last().is_some_and(is_lost) {
            self.journal.entries.truncate(before);
        }
        end
    }

    fn advance_once(&mut self, plan: &CheckedPlan) -> Result<Option<DriveEnd>, DriveError> {
        let entries = self.journal.entries.clone();
        let mut run = Run::new(plan, &entries, &|_: Event| {}, &|| false);
        now(run.advance(&mut self.world, &mut self.journal))
    }
}

/// The world without what differs from run to run: ids, times, archives, faults.
fn shape(world: &FakeWorld) -> impl PartialEq + std::fmt::Debug + use<> {
    let containers: Vec<_> = world
        .containers
        .iter()
        .map(|((_, name), container)| {
            (
                name.clone(),
                container.facts.running,
                container.facts.restart_policy.clone(),
                container.volume.clone(),
            )
        })
        .collect();
    let volumes: Vec<_> = world
        .volumes
        .iter()
        .map(|((_, name), volume)| (name.clone(), volume.content.clone()))
        .collect();
    let files: Vec<_> = world
        .files
        .iter()
        .map(|(path, file)| (path.clone(), file.clone()))
        .collect();
    let daemons: Vec<_> = world
        .daemons
        .iter()
        .map(|(root, daemon)| (root.clone(), daemon.process.is_some()))
        .collect();
    (
        containers,
        volumes,
        files,
        world.trees.clone(),
        world.sockets.clone(),
        world.mounts.clone(),
        world.engines.clone(),
        daemons,
    )
}

/// Nothing is lost, nothing foreign is touched, builds find a daemon, and the journal came first.
fn check_invariants(start: &FakeWorld, point: &Point) {
    let world = &point.world;
    let warm = world
        .volumes
        .values()
        .any(|volume| volume.content.as_deref() == Some("warm"));
    let saved = world
        .archives
        .values()
        .any(|archive| archive.whole && !archive.damaged && archive.content == "warm");
    assert!(warm || saved, "the cache is lost");
    check_daemons(start, world);
    let foreign = (name("unix:///a"), name("foreign"));
    assert!(
        world.containers[&foreign].facts.running,
        "a foreign container was touched"
    );
    assert_eq!(
        world.files[&path("/home/foreign")].0,
        b"theirs",
        "a foreign file was touched"
    );
    assert_eq!(
        world.sockets.get(&path("/run/alive.sock")),
        Some(&None),
        "a socket with a listener was touched"
    );
    if !point.moved {
        if let Some((record, _)) = world.files.get(&path("/s/instances/team")) {
            let record = String::from_utf8_lossy(record);
            let nodes = ["team0-g2", "team0-g1", "team0"];
            let named = nodes.into_iter().find(|node| record.contains(node));
            let container = format!("buildx_buildkit_{}", named.unwrap());
            assert!(
                world
                    .containers
                    .contains_key(&(name("unix:///a"), name(&container))),
                "the record names a node that is not there"
            );
        }
        if shape(world) != shape(start) {
            assert!(
                !point.journal.entries.is_empty(),
                "the world changed before the journal knew"
            );
        }
    }
}

/// The states of standalone daemons are somewhere, or in a whole archive, and nobody else's daemon was ended.
fn check_daemons(start: &FakeWorld, world: &FakeWorld) {
    for state in start
        .daemons
        .keys()
        .filter_map(|root| start.trees.get(root))
    {
        let lies = world.trees.values().any(|tree| tree == state);
        let saved = world.archives.values().any(|archive| {
            archive.whole && !archive.damaged && archive.content.as_bytes() == state
        });
        assert!(lies || saved, "the state of a daemon is lost");
    }
    let other = path("/other");
    assert_eq!(
        world.daemons.get(&other),
        start.daemons.get(&other),
        "a foreign daemon was touched"
    );
}

/// From any point an end is reached without more faults; a world rolled back is the world before.
fn check_end(plan: &CheckedPlan, start: &FakeWorld, point: &Point) {
    let mut point = point.clone();
    point.world.fault = None;
    point.journal.fuel = None;
    let is_theirs = |world: &FakeWorld| {
        let record = world.files.get(&path("/s/instances/team"));
        record.is_some_and(|(bytes, _)| bytes == THEIRS)
    };
    let was_theirs = is_theirs(&point.world);
    for _ in 0..200 {
        let end = point.advance(plan).unwrap();
        assert!(
            !was_theirs || is_theirs(&point.world),
            "somebody else's record was overwritten"
        );
        match end {
            Some(DriveEnd::Ended(RunEnd::Done)) => return,
            Some(DriveEnd::Ended(RunEnd::RolledBack)) => {
                if !point.moved {
                    assert_eq!(
                        shape(&point.world),
                        shape(start),
                        "rolled back, and yet not as before"
                    );
                }
                return;
            }
            Some(DriveEnd::Ended(RunEnd::Stuck)) => {
                assert!(
                    point.moved,
                    "stuck, though nobody else changed anything: {:?}",
                    point.journal.entries
                );
                let commands: Vec<_> = point
                    .state(plan)
                    .undos()
                    .iter()
                    .flat_map(|(_, undo)| by_hand(undo, plan.plan()).commands)
                    .collect();
                assert!(!commands.is_empty(), "stuck, and nothing to tell a person");
                return;
            }
            Some(DriveEnd::Interrupted) => panic!("nobody interrupted"),
            Some(DriveEnd::Held) => {
                let [accepted, taken_back] = decided(plan, &point);
                check_end(plan, start, &taken_back);
                point = accepted;
            }
            None => {}
        }
    }
    panic!("no end after 200 moves: {:?}", point.journal.entries);
}

/// What a person may decide where a run stands still.
fn decided(plan: &CheckedPlan, point: &Point) -> [Point; 2] {
    let (step, _) = point.state(plan).held().cloned().unwrap();
    let asked = Entry::Turned {
        why: Turn::Asked {},
    };
    [Entry::Accepted { step }, asked].map(|entry| {
        let mut next = point.clone();
        next.journal.entries.push(entry);
        next
    })
}

/// What somebody else may do at any moment.
fn foreign_moves(point: &Point) -> Vec<Point> {
    let host: HostId = name("unix:///a");
    let mut moves = Vec::new();
    let mut moved = |change: &dyn Fn(&mut FakeWorld) -> bool| {
        let mut next = point.clone();
        next.moved = true;
        if change(&mut next.world) {
            moves.push(next);
        }
    };
    for container in ["buildx_buildkit_team0", "buildx_buildkit_team0-g1"] {
        let key = (host.clone(), name(container));
        moved(&|world| {
            world
                .containers
                .get_mut(&key)
                .is_some_and(|found| !std::mem::replace(&mut found.facts.running, true))
        });
        moved(&|world| world.containers.contains_key(&key) && world.busy.insert(key.clone()));
    }
    moved(&|world| {
        world
            .containers
            .remove(&(host.clone(), name("buildx_buildkit_team0-g1")))
            .is_some()
    });
    moved(&|world| {
        let record = path("/s/instances/team");
        let theirs = (THEIRS.to_vec(), 0o600);
        let Some(old) = world.files.insert(record.clone(), theirs) else {
            return false;
        };
        if point.slip == Some(Slip::IgnoresGuards) {
            world.hidden.entry(record).or_insert(old);
        }
        true
    });
    moved(&|world| {
        let intact = world
            .volumes
            .values()
            .any(|volume| volume.content.as_deref() == Some("warm"));
        let archive = world.archives.get_mut(&name("team0"));
        intact && archive.is_some_and(|archive| !std::mem::replace(&mut archive.damaged, true))
    });
    moved(&|world| {
        // Somebody starts the daemon anew: it is another process.
        let daemon = world.daemons.get_mut(&path("/var/b"));
        daemon.is_some_and(|daemon| {
            let other = ProcessIdentity { pid: 9, started: 9 };
            daemon.process.replace(other) != Some(other)
        })
    });
    moved(&|world| {
        let daemon = world.daemons.get_mut(&path("/var/b"));
        daemon.is_some_and(|daemon| {
            daemon.process.is_some() && !std::mem::replace(&mut daemon.busy, true)
        })
    });
    moves
}

/// Every point that one move leads to.
fn moves(plan: &CheckedPlan, point: &Point) -> Vec<Point> {
    let mut next = Vec::new();
    let mut plain = point.clone();
    plain.advance(plan).unwrap();
    next.push(plain);
    if point.state(plan).held().is_some() {
        next.extend(decided(plan, point));
    }
    if point.faults == 0 {
        return next;
    }
    for operations in 0..OPERATIONS {
        for fault in [Fault::CrashAfter(operations), Fault::FailAfter(operations)] {
            let mut faulty = point.clone();
            faulty.faults -= 1;
            faulty.world.fault = Some(fault);
            let end = faulty.advance(plan);
            let happened = faulty.world.fault.is_none() || matches!(end, Err(DriveError::Crashed));
            faulty.world.fault = None;
            if happened {
                next.push(faulty);
            }
        }
    }
    let mut unwritten = point.clone();
    unwritten.faults -= 1;
    unwritten.journal.fuel = Some(0);
    if matches!(
        unwritten.advance(plan),
        Err(DriveError::Journal(JournalError::Crashed))
    ) {
        unwritten.journal.fuel = None;
        next.push(unwritten);
    }
    if point.state(plan).ended().is_none() && point.state(plan).turned().is_none() {
        let mut asked = point.clone();
        asked.faults -= 1;
        asked.journal.entries.push(Entry::Turned {
            why: Turn::Asked {},
        });
        next.push(asked);
    }
    for mut moved in foreign_moves(point) {
        moved.faults -= 1;
        next.push(moved);
    }
    next
}

/// Searches all points within `faults` faults; returns how many there are and the world of a run without any.
fn search(
    plan: &CheckedPlan,
    start: &FakeWorld,
    blobs: &MemoryJournal,
    faults: u8,
) -> (usize, Point) {
    search_with(plan, start, blobs, (faults, None))
}

/// The same with an executor that does something wrong.
fn search_with(
    plan: &CheckedPlan,
    start: &FakeWorld,
    blobs: &MemoryJournal,
    (faults, slip): (u8, Option<Slip>),
) -> (usize, Point) {
    let journal = MemoryJournal {
        blobs: blobs.blobs.clone(),
        ..MemoryJournal::default()
    };
    let first = Point {
        journal,
        slip,
        ..Point::at(start.clone(), faults)
    };
    let mut seen = HashSet::from([first.clone()]);
    let mut queue = VecDeque::from([first]);
    let mut done = None;
    while let Some(point) = queue.pop_front() {
        check_invariants(start, &point);
        check_end(plan, start, &point);
        let ended = point.state(plan).ended();
        if ended == Some(RunEnd::Done) && point.faults == faults {
            done = Some(point.clone());
        }
        if ended.is_some() {
            continue;
        }
        for next in moves(plan, &point) {
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    (seen.len(), done.expect("a run without faults ends"))
}

#[test]
fn r1_4_1_every_reinstall_ends_forward_or_as_before() {
    let start = machine();
    let (states, done) = search(&reinstall(&start), &start, &MemoryJournal::default(), 2);
    println!("reinstall: {states} states");
    assert!(
        states > 5_000,
        "the search is too small to mean anything: {states}"
    );
    let after = &done.world;
    assert_eq!(after.files[&path("/s/current")].0, b"team");
    assert!(!after.files.contains_key(&path("/s/instances/cut")));
    let old = &after.containers[&(name("unix:///a"), name("buildx_buildkit_team0"))];
    assert!(
        !old.facts.running && old.facts.restart_policy == "no",
        "the old node is parked"
    );
}

/// Renews a builder of two nodes; a third one, which does not answer, stays in its record.
fn two_nodes(world: &FakeWorld) -> CheckedPlan {
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

/// The machine with a second node of the builder, on which a build runs.
fn machine_of_two_nodes() -> FakeWorld {
    let mut world = machine();
    let host: HostId = name("unix:///a");
    let (container, volume) = (
        name("buildx_buildkit_team1"),
        name("buildx_buildkit_team1_state"),
    );
    world.add_volume(&host, &volume, Some("warm"), [].into());
    world.add_container(&host, &container, &volume, true, [].into());
    world.busy.insert((host, container));
    let record = br#"{"Name":"team","Nodes":[{"Name":"team0"},{"Name":"silent","Endpoint":"tcp://gone"},{"Name":"team1"}]}"#;
    world
        .files
        .insert(path("/s/instances/team"), (record.to_vec(), 0o600));
    world
}

#[test]
fn every_reinstall_of_two_nodes_ends_with_both_renewed_or_as_before() {
    let start = machine_of_two_nodes();
    let (states, done) = search(&two_nodes(&start), &start, &MemoryJournal::default(), 2);
    println!("two nodes: {states} states");
    let record = String::from_utf8_lossy(&done.world.files[&path("/s/instances/team")].0);
    let kept =
        r#"{"Name":"team0-g1"},{"Name":"silent","Endpoint":"tcp://gone"},{"Name":"team1-g1"}"#;
    assert!(record.contains(kept), "{record}");
    let cut = done.state(&two_nodes(&start));
    assert!(
        matches!(cut.outcome(StepId(11)), Some(Outcome::Drained { cut, .. }) if cut.len() == 1),
        "{:?}",
        cut.outcome(StepId(11))
    );
}

#[test]
fn r2_1_4_a_build_on_a_node_that_is_to_stop_takes_the_run_back() {
    let start = machine();
    let reinstall = reinstall(&start);
    let mut point = Point::at(start.clone(), 0);
    let stop = StepId(7);
    while point.state(&reinstall).next() != rekit_core::next::Do::Observe(stop) {
        point.advance(&reinstall).unwrap();
    }
    let old = (name("unix:///a"), name("buildx_buildkit_team0"));
    point.world.busy.insert(old.clone());
    let end = std::iter::repeat_with(|| point.advance(&reinstall).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert!(point.world.containers[&old].facts.running);
    assert_eq!(shape(&point.world), shape(&start));
}

#[test]
fn r1_3_5_and_r2_2_2_nothing_is_removed_before_its_archive_was_read_back() {
    let start = machine();
    let (_, parked) = search(&reinstall(&start), &start, &MemoryJournal::default(), 0);
    let (states, done) = search(&finalize(&parked.world), &parked.world, &parked.journal, 2);
    println!("finalize: {states} states");
    assert!(
        !done
            .world
            .volumes
            .contains_key(&(name("unix:///a"), name("buildx_buildkit_team0_state")))
    );
    let (states, back) = search(
        &rollback(&done.world, &done.journal),
        &done.world,
        &done.journal,
        2,
    );
    println!("rollback: {states} states");
    let old = &back.world.volumes[&(name("unix:///a"), name("buildx_buildkit_team0_state"))];
    assert_eq!(old.content.as_deref(), Some("warm"));
    assert_eq!(back.world.files[&path("/s/instances/team")].0, RECORD);
}

#[test]
fn r2_3_1_every_clean_ends_with_the_cache_in_its_archive_or_as_before() {
    let start = machine();
    let (states, done) = search(&clean(&start), &start, &MemoryJournal::default(), 2);
    println!("clean: {states} states");
    assert!(!done.world.files.contains_key(&path("/s/instances/team")));
    let left = done.world.volumes.keys().map(|(_, volume)| volume.as_str());
    assert_eq!(left.collect::<Vec<_>>(), ["foreign"]);
}

#[test]
fn every_restore_ends_warm_or_as_before() {
    let start = machine();
    let (_, parked) = search(&reinstall(&start), &start, &MemoryJournal::default(), 0);
    let (_, done) = search(&finalize(&parked.world), &parked.world, &parked.journal, 0);
    let (states, back) = search(&restore(&done.world), &done.world, &done.journal, 2);
    println!("restore: {states} states");
    let new = &back.world.volumes[&(name("unix:///a"), name("buildx_buildkit_team0-g2_state"))];
    assert_eq!(new.content.as_deref(), Some("warm"));
}

#[test]
fn every_import_of_cache_mounts_ends_complete_or_as_before() {
    let mut start = machine();
    let at = |builder: &str, id: &str| (builder.to_owned(), id.to_owned());
    for (builder, id, content) in [
        ("default", "/one", "1"),
        ("default", "/two", "2"),
        ("team", "/other", "theirs"),
    ] {
        start.mounts.insert(at(builder, id), content.to_owned());
    }
    let mounts = ["/one", "/two"].map(|id| CacheMount {
        id: id.to_owned(),
        options: MountOptions::default(),
        dockerfile: None,
    });
    let place = |builder: &str| BuildPlace {
        store: Some(path("/s")),
        builder: builder.to_owned(),
        daemon: None,
    };
    let archived = mounts.clone().map(|mount| ArchivedMount {
        tree: mount.id.clone(),
        digest: Digest::of(b""),
        mount,
    });
    let moved = plan(
        Purpose::Restore,
        vec![
            Action::ExportMounts {
                archive: name("mounts"),
                place: place("default"),
                mounts: mounts.into(),
            },
            Action::VerifyArchive {
                archive: name("mounts"),
            },
            Action::ImportMounts {
                source: StateSource {
                    archive: path("/h/archives/mounts"),
                    identity: Digest::of(b"1 2"),
                },
                place: place("team"),
                mounts: archived.into(),
            },
        ],
    );
    let (states, done) = search(&moved, &start, &MemoryJournal::default(), 2);
    println!("mounts: {states} states");
    assert_eq!(done.world.mounts[&at("team", "/two")], "2");
    // One that holds something else is not mixed, and what was added before it goes again.
    start.mounts.insert(at("team", "/two"), "theirs".to_owned());
    let mut point = Point::at(start.clone(), 0);
    let end = std::iter::repeat_with(|| point.advance(&moved).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert_eq!(point.world.mounts, start.mounts);
}

#[test]
fn every_restore_of_a_folder_or_a_file_ends_complete_or_as_before() {
    let mut start = machine();
    start.trees.insert(path("/var/cache"), b"exported".to_vec());
    start.trees.insert(path("/var/empty"), Vec::new());
    let folder = |at: &str| CacheFolder {
        path: path(at),
        holds: FolderContent::Export,
    };
    let source = StateSource {
        archive: path("/h/archives/folder"),
        identity: Digest::of(b"exported"),
    };
    let restored = |at: &str| Action::RestoreFolder {
        source: source.clone(),
        folder: folder(at),
    };
    let moved = plan(
        Purpose::Restore,
        vec![
            Action::ArchiveFolder {
                archive: name("folder"),
                folder: folder("/var/cache"),
            },
            Action::VerifyArchive {
                archive: name("folder"),
            },
            restored("/var/new"),
            restored("/var/empty"),
            Action::BringFile {
                source: source.clone(),
                path: path("/s/lost"),
                store: Some(path("/s")),
                before: FileState::Absent {},
                content: Digest::of(b"exported"),
                mode: 0o600,
            },
        ],
    );
    let (states, done) = search(&moved, &start, &MemoryJournal::default(), 2);
    println!("folders: {states} states");
    for at in ["/var/new", "/var/empty"] {
        assert_eq!(done.world.trees[&path(at)], b"exported");
    }
    assert_eq!(done.world.files[&path("/s/lost")].0, b"exported");
    // What lies there is never mixed, and what was filled before is empty again.
    start.trees.insert(path("/var/empty"), b"theirs".to_vec());
    let mut point = Point::at(start.clone(), 0);
    let end = std::iter::repeat_with(|| point.advance(&moved).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert_eq!(point.world.trees, start.trees);
}

#[test]
fn every_restore_of_an_engines_cache_ends_with_the_engine_at_work() {
    let mut start = machine();
    let host: HostId = name("unix:///b");
    start.add_volume(&host, &name("guest"), Some("guest"), [].into());
    start.add_container(&host, &name("guest"), &name("guest"), true, [].into());
    let new = FakeEngine {
        runs: true,
        cache: Some("new".to_owned()),
    };
    start.engines.insert(host.clone(), new);
    let archived = FakeArchive {
        whole: true,
        content: "archived".to_owned(),
        damaged: false,
    };
    start.archives.insert(name("engine"), archived);
    let guest = &start.containers[&(host.clone(), name("guest"))];
    let engine = EnginePlace {
        host: host.clone(),
        version: "1.0".to_owned(),
        data_root: path("/d"),
        layers: Layers::Containerd {},
        bytes: 0,
        stop: "stop".to_owned(),
        start: "start".to_owned(),
        running: vec![RunningContainer {
            id: guest.facts.id.clone(),
            name: name("guest"),
        }],
    };
    let restored = plan(
        Purpose::Restore,
        vec![
            Action::StopEngine {
                engine: engine.clone(),
                limit_seconds: 2,
                cut: false,
            },
            Action::ArchiveEngine {
                archive: name("before"),
                engine: engine.clone(),
            },
            Action::VerifyArchive {
                archive: name("before"),
            },
            Action::RestoreEngine {
                source: StateSource {
                    archive: path("/h/archives/engine"),
                    identity: Digest::of(b"archived"),
                },
                engine: engine.clone(),
                before: name("before"),
                verified_by: StepId(3),
            },
            Action::StartEngine { engine },
        ],
    );
    let (states, done) = search(&restored, &start, &MemoryJournal::default(), 2);
    println!("engine: {states} states");
    let engine = &done.world.engines[&host];
    assert!(engine.runs, "the engine stands");
    assert_eq!(engine.cache.as_deref(), Some("archived"));
    assert!(done.world.containers[&(host, name("guest"))].facts.running);
}

/// A machine with a standalone daemon, and another one that is nobody's business.
fn machine_with_daemon() -> FakeWorld {
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

fn standalone() -> StandalonePlace {
    StandalonePlace {
        root: path("/var/b"),
        address: "unix:///run/b.sock".to_owned(),
        client: None,
        service: None,
    }
}

fn state_of(root: &str, archive: &str) -> [Action; 2] {
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

fn stop_daemon(world: &FakeWorld) -> Action {
    Action::StopDaemon {
        daemon: standalone(),
        process: world.process_on(&path("/var/b")).unwrap(),
        limit_seconds: 2,
        cut: false,
    }
}

/// Renews a standalone daemon in place.
fn renew_in_place(world: &FakeWorld) -> CheckedPlan {
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
fn renew_back(world: &FakeWorld) -> CheckedPlan {
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
fn finalize_state() -> CheckedPlan {
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

#[test]
fn r2_1_2_every_renewal_of_a_daemon_in_place_ends_forward_or_as_before() {
    let start = machine_with_daemon();
    let none = MemoryJournal::default();
    let (states, done) = search(&renew_in_place(&start), &start, &none, 2);
    println!("in place: {states} states");
    let tree = |point: &Point, at: &str| point.world.trees.get(&path(at)).cloned();
    assert_eq!(tree(&done, "/var/b").unwrap(), b"fresh");
    assert_eq!(tree(&done, "/var/b.rekit-g0").unwrap(), b"built");
    assert!(done.world.process_on(&path("/var/b")).is_some());

    let (states, back) = search(&renew_back(&done.world), &done.world, &done.journal, 2);
    println!("in place, back: {states} states");
    assert_eq!(tree(&back, "/var/b").unwrap(), b"built");
    assert_eq!(tree(&back, "/var/b.rekit-g1").unwrap(), b"fresh");
    assert!(back.world.process_on(&path("/var/b")).is_some());

    let (states, over) = search(&finalize_state(), &done.world, &done.journal, 2);
    println!("in place, finalize: {states} states");
    assert_eq!(tree(&over, "/var/b.rekit-g0"), None);
    let mut damaged = done.world.clone();
    let archive = damaged.archives.get_mut(&name("stopped")).unwrap();
    archive.damaged = true;
    let mut point = Point::at(damaged, 0);
    let plan = finalize_state();
    let end = std::iter::repeat_with(|| point.advance(&plan).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert_eq!(tree(&point, "/var/b.rekit-g0").unwrap(), b"built");
}

#[test]
fn r2_1_4_a_daemon_with_a_build_that_does_not_end_is_left_alone() {
    let mut start = machine_with_daemon();
    start.daemons.get_mut(&path("/var/b")).unwrap().busy = true;
    let plan = renew_in_place(&start);
    let mut point = Point::at(start.clone(), 0);
    let end = std::iter::repeat_with(|| point.advance(&plan).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert!(matches!(
        point.state(&plan).turned(),
        Some(Turn::Refused { .. })
    ));
    assert!(point.world.daemons == start.daemons, "it was ended");
}

#[test]
fn every_reinstall_that_keeps_the_cache_ends_warm_or_as_before() {
    let start = machine();
    let (states, done) = search(&keep_cache(&start), &start, &MemoryJournal::default(), 2);
    println!("keep cache: {states} states");
    let new = &done.world.volumes[&(name("unix:///a"), name("buildx_buildkit_team0-g1_state"))];
    assert_eq!(new.content.as_deref(), Some("warm"));
}

#[test]
fn r1_4_5_every_judged_reinstall_ends_forward_or_as_before() {
    let start = machine();
    let plan = judged(&start);
    for plan in [&plan, &by_hand_alone(&plan)] {
        let (states, done) = search(plan, &start, &MemoryJournal::default(), 2);
        println!("judged: {states} states");
        assert!(done.state(plan).held().is_none());
    }
}

#[test]
fn r1_4_5_a_criterion_that_fails_turns_the_run_or_a_person_decides() {
    let mut start = machine();
    start.unfit.insert(name("buildx_buildkit_team0-g1"));
    let plan = judged(&start);
    let first = Point::at(start.clone(), 2);
    let end = |plan: &CheckedPlan, point: &mut Point| {
        std::iter::repeat_with(|| point.advance(plan).unwrap()).find_map(|end| end)
    };
    let mut alone = first.clone();
    let rolled_back = Some(DriveEnd::Ended(RunEnd::RolledBack));
    assert_eq!(end(&plan, &mut alone), rolled_back);
    let Some(Turn::Criterion { step, failed }) = alone.state(&plan).turned().cloned() else {
        panic!("{:?}", alone.journal.entries)
    };
    assert_eq!(step, StepId(3), "before the switch");
    assert_eq!(failed.criterion, Criterion::HealthyBuilder);
    assert_eq!(shape(&alone.world), shape(&start));

    let plan = by_hand_alone(&plan);
    let mut held = first.clone();
    assert_eq!(end(&plan, &mut held), Some(DriveEnd::Held));
    assert_eq!(
        end(&plan, &mut held),
        Some(DriveEnd::Held),
        "it stands still"
    );
    let [mut accepted, mut taken_back] = decided(&plan, &held);
    assert_eq!(end(&plan, &mut taken_back), rolled_back);
    assert_eq!(shape(&taken_back.world), shape(&start));
    // It is asked again at the end, which is another decision.
    assert_eq!(end(&plan, &mut accepted), Some(DriveEnd::Held));
    assert_eq!(accepted.state(&plan).held().unwrap().0, StepId(5));
    let [mut done, mut taken_back] = decided(&plan, &accepted);
    assert_eq!(end(&plan, &mut taken_back), rolled_back);
    assert_eq!(shape(&taken_back.world), shape(&start));
    assert_eq!(end(&plan, &mut done), Some(DriveEnd::Ended(RunEnd::Done)));
    // From every point that faults lead to, whatever is decided, an end is reached.
    let mut seen = HashSet::from([first.clone()]);
    let mut queue = VecDeque::from([first]);
    while let Some(point) = queue.pop_front() {
        check_invariants(&start, &point);
        check_end(&plan, &start, &point);
        if point.state(&plan).ended().is_none() {
            let next = moves(&plan, &point);
            queue.extend(next.into_iter().filter(|next| seen.insert(next.clone())));
        }
    }
    println!("held: {} states", seen.len());
}

#[test]
fn a_damaged_archive_stops_the_removal_with_the_old_node_as_it_was() {
    let start = machine();
    let (_, parked) = search(&reinstall(&start), &start, &MemoryJournal::default(), 0);
    let mut world = parked.world.clone();
    world.archives.get_mut(&name("team0")).unwrap().damaged = true;
    let plan = finalize(&world);
    let mut point = Point::at(world.clone(), 0);
    let end = std::iter::repeat_with(|| point.advance(&plan).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert!(matches!(
        point.state(&plan).turned(),
        Some(Turn::Refused { .. })
    ));
    assert_eq!(shape(&point.world), shape(&world));
}

#[test]
fn an_executor_that_does_anything_wrong_is_caught() {
    let start = machine();
    let plan = reinstall(&start);
    let blobs = MemoryJournal::default();
    for slip in [
        Slip::LosesStarted,
        Slip::LosesFinished,
        Slip::LosesUndone,
        Slip::PreparesTwice,
        Slip::IgnoresGuards,
    ] {
        let found = std::panic::catch_unwind(|| {
            search_with(&plan, &start, &blobs, (2, Some(slip)));
        });
        let why = found.expect_err(&format!("{slip:?} was not found"));
        let text = why.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| why.downcast_ref::<&str>().copied());
        let text: String = text.unwrap_or_default().chars().take(60).collect();
        println!("{slip:?}: {text}");
    }
}

#[test]
fn the_first_undo_stands() {
    let start = machine();
    let plan = reinstall(&start);
    let mut point = Point::at(start, 0);
    while !matches!(point.advance(&plan).unwrap(), Some(DriveEnd::Ended(_))) {}
    let started =
        |entry: &&Entry| matches!(entry, Entry::Started { step, .. } if *step == StepId(5));
    let again = Entry::Started {
        step: StepId(5),
        undo: Undo::Nothing {},
    };
    let first = point.journal.entries.iter().find(started).cloned().unwrap();
    let mut state = RunState::replay(14, [&first]);
    state.enter(&again);
    assert_eq!(state, RunState::replay(14, [&first]));
}
