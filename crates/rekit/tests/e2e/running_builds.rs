//! Builds that run when a reinstall comes to their node: shown, waited for, never cut without a word. Issue 5, test J.

use crate::support::{Answer, Machine, World, differences, until};
use rekit_core::{step::Action, undo::Outcome};
use serde_json::Value;
use std::fs;

const TEAM: &str = "buildx_buildkit_team0";
const REINSTALL: &[&str] = &["reinstall", "--yes"];

/// Returns the manifest of the archive that the last run made of the team's old state.
fn manifest_of_team(machine: &Machine) -> Value {
    let runs = machine.runs();
    let steps = runs.last().unwrap().plan.steps.clone();
    let archive = steps.iter().find_map(|step| match &step.action {
        Action::ArchiveState {
            archive, volume, ..
        } if volume.volume.as_str() == "buildx_buildkit_team0_state" => Some(archive.to_string()),
        _ => None,
    });
    let place = machine.home().join("archives").join(archive.unwrap());
    serde_json::from_slice(&fs::read(place.join("manifest.json")).unwrap()).unwrap()
}

/// Returns what each stop and each drain of the team's node came to in the last run.
fn outcomes_of_team(machine: &Machine) -> Vec<Outcome> {
    let run = machine.runs().pop().unwrap();
    let state = run.state();
    let steps = run.plan.steps.iter().filter(|step| match &step.action {
        Action::Drain { node, .. } | Action::StopNode { node, .. } => {
            node.container.as_str() == TEAM
        }
        _ => false,
    });
    steps
        .filter_map(|step| state.outcome(step.id).cloned())
        .collect()
}

/// Sends a signal to a node's daemon.
fn signal(machine: &Machine, container: &str, signal: &str) {
    let answer = machine
        .docker(&["top", container, "-eo", "pid,comm"])
        .good();
    let mut lines = answer.stdout.lines();
    let line = lines.find(|line| line.ends_with("buildkitd")).unwrap();
    let pid = line.split_whitespace().next().unwrap();
    let mut kill = machine.lab.command("kill");
    Answer::of(kill.args([signal, pid])).good();
}

fn is_running(machine: &Machine, container: &str) -> bool {
    let format = ["inspect", "--format", "{{.State.Running}}", container];
    machine.docker(&format).stdout.trim() == "true"
}

#[test]
fn r2_1_4_a_build_that_outlasts_the_limit_succeeds_and_the_run_is_taken_back() {
    let machine = Machine::small();
    machine.drains("grace-seconds = 1\nlimit-seconds = 3");
    let image = machine.export();
    let store = machine.lab.buildx_config();
    let held = machine.held_build(&store, "team", TEAM, "outlasts");
    let (before, surroundings) = (machine.world(), machine.everything_else());

    let of = format!("of {}", machine.gate_folder().display());
    let plan = machine.rekit(&["plan"]).good().says("Interrupted");
    let announced = machine.plan()["interruptions"][0].to_string();
    for part in [
        "(target held, ",
        &of,
        ", by root, since 20",
        "and never cut: the run takes itself back before",
    ] {
        assert!(announced.contains(part), "no `{part}` in {announced}");
    }
    let refused = machine.rekit(REINSTALL).refused();
    let refused = refused.says("build(s) still run on buildx_buildkit_team0 after 3 s");
    // Once while it is waited for, once in the end.
    assert!(refused.text().matches(&of).count() >= 2, "{refused}");
    assert!(
        refused.text().contains("of 3 s for 1 build on"),
        "{refused}"
    );
    assert_eq!(refused.code, Some(4));
    for said in [&plan, &refused] {
        assert!(!said.text().contains("hunter2"), "{said}");
    }
    assert_eq!(differences(&before, &machine.world()), Vec::<String>::new());
    assert_eq!(
        differences(&surroundings, &machine.everything_else()),
        Vec::<String>::new()
    );

    machine.open_gate(&store, "team", "outlasts");
    held.end().good();
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn r2_1_4_status_shows_the_builds_that_a_run_waits_for() {
    let machine = Machine::small();
    machine.drains("grace-seconds = 1");
    let stale = machine.copy_of_store("stale");
    let held = machine.held_build(&stale, "team", TEAM, "waits");
    let reinstall = machine.begin(REINSTALL);
    // The build on the node that is waited for.
    let shown = |status: &Value| {
        let under_way = &status["open_run"]["under_way"];
        let drains = under_way["kind"] == "drain" && under_way["subject"].as_str()?.contains(TEAM);
        let nodes = status["running"].as_array()?;
        let old = nodes.iter().find(|node| node["container"] == TEAM)?;
        let build = old["builds"]["known"].as_array()?.first().cloned();
        build.filter(|_| drains)
    };
    until("the run has begun", || machine.is_at_work());
    let mut build = None;
    until("the drain of the team's node", || {
        let status = machine.rekit(&["status", "--format", "json"]).json();
        assert_eq!(status["schema"], "rekit/status");
        build = shown(&status);
        build.is_some()
    });
    let build = build.unwrap();
    assert_eq!(build["target"], "held");
    assert!(build["since"].is_string(), "{build:#}");
    let said = machine.rekit(&["status"]).says("Builds that run now");
    let said = said.says("build ").says("target held");
    assert!(!said.text().contains("hunter2"), "{said}");
    assert!(!build.to_string().contains("hunter2"), "{build:#}");
    machine.open_gate(&stale, "team", "waits");
    held.end().good();
    reinstall.end().good();
}

#[test]
fn r2_1_4_with_the_flag_a_build_is_cut_after_the_limit_and_that_is_said() {
    let machine = Machine::small();
    machine.drains("grace-seconds = 1\nlimit-seconds = 2");
    let store = machine.lab.buildx_config();
    let held = machine.held_build(&store, "team", TEAM, "cut");
    let cutting = ["reinstall", "--yes", "--cut-running-builds"];
    let answer = machine.rekit(&cutting).good();
    let of = format!("of {}", machine.gate_folder().display());
    let answer = answer.says("1 build cut: build ").says(&of);
    let answer = answer.says("Cut, as you allowed (`--cut-running-builds`)");
    assert!(!answer.text().contains("hunter2"), "{answer}");
    let build = held.end();
    assert_ne!(build.code, Some(0), "{build}");

    let [
        Outcome::Drained {
            waited_seconds,
            cut,
        },
        Outcome::Stopped { clean, .. },
    ] = &outcomes_of_team(&machine)[..]
    else {
        panic!("{:?}", outcomes_of_team(&machine))
    };
    assert!(*waited_seconds >= 3, "cut before the limit");
    assert!(cut.len() == 1 && cut[0].contains("target held"), "{cut:?}");
    // The build is cut, not the daemon: what it leaves is whole.
    assert!(*clean);
    assert_eq!(manifest_of_team(&machine)["consistency"], "clean-stop");
}

#[test]
fn r2_1_5_a_daemon_that_does_not_end_is_not_killed_and_blocks_the_run() {
    let machine = Machine::small();
    machine.drains("grace-seconds = 1\nstop-seconds = 3");
    let image = machine.export();
    let before = machine.world();

    // One that does not answer: whether it builds cannot be told.
    signal(&machine, TEAM, "-STOP");
    let refused = machine.rekit(REINSTALL).refused();
    refused.says("whether builds run on `buildx_buildkit_team0` cannot be told");
    signal(&machine, TEAM, "-CONT");
    assert_eq!(differences(&before, &machine.world()), Vec::<String>::new());

    // One that hangs once its builds are over.
    machine.reinstall_killed_at(machine.step("drain", TEAM), "finished");
    signal(&machine, TEAM, "-STOP");
    let refused = machine.rekit(&["resume", "--yes"]).refused();
    let refused = refused.says("was asked to end 3 s ago and still runs. It was not killed");
    assert_eq!(refused.code, Some(4));
    assert!(is_running(&machine, TEAM));
    let stops = outcomes_of_team(&machine);
    assert!(
        !stops.iter().any(|it| matches!(it, Outcome::Stopped { .. })),
        "{stops:?}"
    );
    // It ends now, as it was asked to; the next build starts it.
    signal(&machine, TEAM, "-CONT");
    machine.export().is_warm_twin_of(&image);
    let mut found = differences(&before, &machine.world());
    found.retain(|line| !line.contains("/refs/"));
    assert!(found.is_empty(), "\n{}", found.join("\n"));

    // Killed by a person: its archive says of what it is.
    machine.docker(&["kill", TEAM]).good();
    machine.rekit(REINSTALL).good();
    assert_eq!(
        manifest_of_team(&machine)["consistency"],
        "crash-consistent"
    );
}

#[test]
fn r2_1_4_a_build_that_starts_on_the_old_node_after_the_grace_halts_the_run() {
    let machine = Machine::small();
    machine.drains("grace-seconds = 1");
    let image = machine.export();
    let stale = machine.copy_of_store("stale");
    let before = machine.world();
    let stop = machine.step("stop-node", TEAM);
    let park = machine.step("park", TEAM);
    // After the stop; after the proof of the archive, directly before the park.
    for step in [stop, park - 1] {
        machine.reinstall_killed_at(step, "finished");
        assert!(!is_running(&machine, TEAM));
        machine.build_with(&stale, "team").good();
        assert!(is_running(&machine, TEAM), "buildx starts the old node");
        let halted = machine.rekit(&["resume", "--yes"]).refused();
        let halted = halted.says("container `buildx_buildkit_team0` was started again");
        assert_eq!(halted.code, Some(4));
        assert_halted(&machine, &before);
    }
    // While it builds, before the stop: the run never comes to it.
    let drain = machine.step("drain", TEAM);
    machine.reinstall_killed_at(drain, "finished");
    let held = machine.held_build(&stale, "team", TEAM, "late");
    let halted = machine.rekit(&["resume", "--yes"]).refused();
    halted.says("a build began on `buildx_buildkit_team0` since: build ");
    assert_halted(&machine, &before);
    machine.open_gate(&stale, "team", "late");
    held.end().good();
    machine.export().is_warm_twin_of(&image);
}

#[track_caller]
fn assert_halted(machine: &Machine, before: &World) {
    let found = differences(before, &machine.world());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    let record = fs::read_to_string(machine.record("team")).unwrap();
    assert!(record.contains("\"team0\""), "{record}");
}
