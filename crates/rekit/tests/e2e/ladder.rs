//! The ladder: real runs killed before and after every effect and every journal write, each time resumed to the next point. CI takes one
//! point of each step; `scripts/campaign ladder` takes all.

use crate::support::{Machine, differences, remnants, set_by};

/// The points of a step on the way forward, in their order.
const FORWARD: [&str; 3] = ["started", "effect", "finished"];
/// The points of a step that is taken back.
const BACKWARD: [&str; 2] = ["undo", "undone"];
const RESUME: &[&str] = &["resume", "--yes"];
const ROLLBACK: &[&str] = &["rollback", "--yes"];
const REINSTALL: &[&str] = &["reinstall", "--yes"];

#[test]
fn a_reinstall_and_its_rollback_killed_in_every_step_end_as_if_never_killed() {
    let machine = Machine::quick();
    let image = machine.export();
    let before = machine.world();
    let steps = machine.plan()["steps"].as_array().unwrap().len();

    assert_eq!(climb(&machine, REINSTALL), steps);
    let foreign = machine.foreign();
    let lost = differences(&before, &foreign);
    assert!(
        !lost.iter().any(|line| line.starts_with("changed")),
        "{lost:#?}"
    );
    let parked = remnants(&machine.inventory());
    assert!(
        parked.len() == 5 && parked.iter().all(|name| name.contains("buildx_buildkit_")),
        "{parked:?}"
    );

    climb(&machine, ROLLBACK);
    let mut found = differences(&before, &machine.world());
    found.retain(|line| !(line.starts_with("new: ") && line.contains("0-g1")));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn an_open_run_taken_back_from_anywhere_leaves_the_world_as_it_was() {
    let machine = Machine::quick();
    let image = machine.export();
    let before = machine.world();
    let steps = machine.plan()["steps"].as_array().unwrap().len();

    kill(&machine, steps, "finished", REINSTALL);
    for step in (1..=steps).rev() {
        for at in points(&BACKWARD, step) {
            kill(&machine, step, at, ROLLBACK);
        }
    }
    machine.rekit(ROLLBACK).good();
    assert_eq!(differences(&before, &machine.world()), Vec::<String>::new());

    let turns = if takes_all() { 8 } else { 3 };
    for number in 1..=turns {
        let (step, at) = (number * steps / turns, FORWARD[number % FORWARD.len()]);
        kill(&machine, step, at, REINSTALL);
        machine.rekit(ROLLBACK).good();
        let found = differences(&before, &machine.world());
        assert!(found.is_empty(), "after {step}:{at}\n{}", found.join("\n"));
    }
    machine.export().is_warm_twin_of(&image);
}

/// Runs rekit with `first`, then resumes it, killed at every point of every step; returns the number of steps.
fn climb(machine: &Machine, first: &[&str]) -> usize {
    let runs = machine.runs().len();
    let (mut arguments, mut step, mut steps) = (first, 1, 1);
    while step <= steps {
        for at in points(&FORWARD, step) {
            kill(machine, step, at, arguments);
            arguments = RESUME;
        }
        let open = machine.runs();
        assert_eq!(open.len(), runs + 1, "resuming goes on with the same run");
        steps = open[runs].plan.steps.len();
        step += 1;
    }
    machine.rekit(RESUME).good();
    steps
}

/// Returns the points of a step at which a run is killed: in CI one of them in turn, in the campaign all.
fn points(all: &[&'static str], step: usize) -> Vec<&'static str> {
    if takes_all() {
        all.to_vec()
    } else {
        vec![all[step % all.len()]]
    }
}

fn takes_all() -> bool {
    set_by("LADDER", 1) > 1
}

/// Runs rekit and asserts that it ended itself at the point.
#[track_caller]
fn kill(machine: &Machine, step: usize, at: &str, arguments: &[&str]) {
    let point = format!("{step}:{at}");
    let answer = machine.rekit_killed_at(&point, arguments);
    assert_eq!(answer.signal, Some(9), "{point} did not fire\n{answer}");
}
