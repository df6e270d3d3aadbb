//! Two stores that name the same nodes: neither loses its builder to the other's reinstall. Issue 5, test D.

use crate::support::{Answer, Machine, differences};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

const TEAM: &str = "buildx_buildkit_team0";

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
        let client = scope.spawn(|| build_until(&machine, &second, &is_over));
        let refused = machine.rekit(&["reinstall", "--yes"]);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(refused.refused().code, Some(4));
        client.join().unwrap()
    });
    assert!(builds.iter().any(|it| it.code == Some(0)), "{builds:?}");
    // A build that begins in the second in which the old daemon ends fails: of a store that nobody knows, nothing tells that it will begin.
    let failed: Vec<_> = builds.iter().filter(|it| it.code != Some(0)).collect();
    // It meets the daemon on its way out, or the container just without it.
    let stopping = |build: &&Answer| {
        let said = &build.stderr;
        said.contains("listing workers") || said.contains("is not running")
    };
    assert!(
        failed.len() <= 2 && failed.iter().all(stopping),
        "{failed:?}"
    );
    assert_eq!(
        differences(&before, &machine.containers()),
        Vec::<String>::new()
    );
    machine.build_with(&second, "team").good();
    machine
        .build_with(&machine.lab.buildx_config(), "team")
        .good();
}

/// Builds again and again, never the same.
fn build_until(machine: &Machine, store: &Path, is_over: &AtomicBool) -> Vec<Answer> {
    let mut builds = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        builds.push(machine.build_with(store, "team"));
    }
    builds
}
