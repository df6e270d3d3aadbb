//! Two stores that name the same nodes: neither loses its builder to the other's reinstall. Issue 5, test D.

use crate::support::{Answer, Machine, differences};
use jiff::Timestamp;
use rekit_core::{next::Entry, step::Action};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

const TEAM: &str = "buildx_buildkit_team0";
/// What a client says that meets a daemon on its way out, or the container just without it.
const TURNED_AWAY: &[&str] = &["listing workers", "failed to dial gRPC", "is not running"];

#[test]
fn a_builder_that_a_known_store_names_too_is_left_as_it_is() {
    let machine = Machine::small();
    // Both are known to a rekit that is called with the second: the account's own store is looked at as well.
    let second = machine.copy_of_store("second");
    let with_second = |arguments: &[&str]| {
        Answer::of(
            machine
                .command("rekit", arguments)
                .env("BUILDX_CONFIG", &second),
        )
    };
    let why = format!(
        "its node team0 is named by builder team of another store too, {}",
        machine.lab.buildx_config().display()
    );
    let before = machine.containers();
    let record = fs::read(machine.record("team")).unwrap();
    for verb in ["reinstall", "clean"] {
        with_second(&[verb, "--yes"]).good().says(&why);
        let after = machine.containers();
        let key = format!("container {TEAM}");
        assert_eq!(after[&key], before[&key], "after {verb}");
        assert_eq!(fs::read(machine.record("team")).unwrap(), record);
        assert_eq!(fs::read(second.join("instances/team")).unwrap(), record);
        machine.build_with(&second, "team").good();
    }
    // What is parked is kept as long as a store names it.
    fs::remove_file(second.join("instances/team")).unwrap();
    machine.rekit(&["reinstall", "--yes"]).good();
    fs::write(second.join("instances/team"), &record).unwrap();
    let finalized = with_second(&["finalize", "--yes"]).good();
    finalized.says("whoever builds there relies on it");
    assert!(
        machine
            .containers()
            .contains_key(&format!("container {TEAM}"))
    );
}

#[test]
fn a_store_that_nobody_knows_of_keeps_its_builder_as_its_client_halts_the_run() {
    let machine = Machine::small();
    machine.drains("grace-seconds = 1");
    let second = machine.copy_of_store("second");
    let before = machine.containers();
    let is_over = AtomicBool::new(false);
    let builds = thread::scope(|scope| {
        // Two, so that the run does not pass between two builds of one.
        let clients = [(); 2].map(|()| scope.spawn(|| build_until(&machine, &second, &is_over)));
        let refused = machine.rekit(&["reinstall", "--yes"]);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(refused.refused().code, Some(4));
        let builds = clients.into_iter().flat_map(|it| it.join().unwrap());
        builds.collect::<Vec<_>>()
    });
    assert!(
        builds.iter().any(|it| it.answer.code == Some(0)),
        "{builds:?}"
    );
    // Who comes while the old daemon ends is turned away: of a store that nobody knows, nothing tells that he will come. No build is cut.
    let end = end_of_the_old_node(&machine);
    for build in builds.iter().filter(|it| it.answer.code != Some(0)) {
        let said = &build.answer.stderr;
        assert!(!said.contains("#1 "), "was cut: {build:?}");
        assert!(TURNED_AWAY.iter().any(|it| said.contains(it)), "{build:?}");
        let met = end.is_some_and(|end| build.began <= end.1 && end.0 <= build.ended);
        assert!(met, "failed at another time than {end:?}: {build:?}");
    }
    assert_eq!(
        differences(&before, &machine.containers()),
        Vec::<String>::new()
    );
    machine.build_with(&second, "team").good();
    machine
        .build_with(&machine.lab.buildx_config(), "team")
        .good();
}

/// Returns when the run began to end the old node, and when that was over; nothing where it was halted before.
fn end_of_the_old_node(machine: &Machine) -> Option<(Timestamp, Timestamp)> {
    let runs = machine.runs();
    let run = runs.last().unwrap();
    let mut steps = run.plan.steps.iter();
    let stop = steps.find(
        |it| matches!(&it.action, Action::StopNode { node, .. } if node.container.as_str() == TEAM),
    );
    let stop = stop.unwrap().id;
    let is_begun = |entry: &Entry| matches!(entry, Entry::Started { step, .. } if *step == stop);
    let entries = run.entries.iter();
    let mut times = entries
        .skip_while(|(_, entry)| !is_begun(entry))
        .map(|(time, _)| *time);
    Some((times.next()?, times.next()?))
}

/// A build, and when it was.
#[derive(Debug)]
struct Timed {
    began: Timestamp,
    ended: Timestamp,
    answer: Answer,
}

/// Builds again and again, never the same.
fn build_until(machine: &Machine, store: &Path, is_over: &AtomicBool) -> Vec<Timed> {
    let mut builds = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        builds.push(Timed {
            began: Timestamp::now(),
            answer: machine.build_with(store, "team"),
            ended: Timestamp::now(),
        });
    }
    builds
}
