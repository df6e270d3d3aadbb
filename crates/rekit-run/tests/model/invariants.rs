//! What holds at every point of a search, and at its ends.

use crate::{
    search::{Point, decided},
    world::{THEIRS, name, path},
};
use rekit_core::{by_hand::by_hand, check::CheckedPlan, next::RunEnd};
use rekit_run::{executor::DriveEnd, world::fake::FakeWorld};

/// The world without what differs from run to run: ids, times, archives, faults.
pub(crate) fn shape(world: &FakeWorld) -> impl PartialEq + std::fmt::Debug + use<> {
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
pub(crate) fn check_invariants(start: &FakeWorld, point: &Point) {
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
pub(crate) fn check_daemons(start: &FakeWorld, world: &FakeWorld) {
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
pub(crate) fn check_end(plan: &CheckedPlan, start: &FakeWorld, point: &Point) {
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
