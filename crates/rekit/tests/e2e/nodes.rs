//! A builder of two nodes on two engines: renewed whole, or in part where a person says so, never half by accident. Issue 5, test G.

use crate::support::{Answer, Machine, World, differences, until};
use rekit_lab::{Lab, LabOptions};
use serde_json::Value;
use std::fs;

const REINSTALL: &[&str] = &["reinstall", "--yes"];
const ROLLBACK: &[&str] = &["rollback", "--yes"];
const WITHOUT: &[&str] = &["reinstall", "--yes", "--without-node", "pair1"];

/// A machine with a builder `pair` whose second node lies on another engine.
struct Pair {
    machine: Machine,
    other: Lab,
}

impl Pair {
    fn new() -> Self {
        let machine = Machine::quick();
        // What is broken there goes first, so that only the pair is left to look at.
        machine.rekit(REINSTALL).good();
        let other = Lab::up(LabOptions::default()).unwrap();
        other.buildkit_image("0.32.2").unwrap();
        let endpoint = format!("unix://{}", other.socket().display());
        let create = ["buildx", "create", "--name", "pair", "--bootstrap"];
        machine
            .docker(&[&create[..], &["--node", "pair0"]].concat())
            .good();
        let append = ["--append", "--node", "pair1", "--platform", "linux/arm64"];
        machine
            .docker(&[&create[..], &append, &[&endpoint]].concat())
            .good();
        let pair = Self { machine, other };
        pair.build("linux/amd64,linux/arm64").good();
        pair
    }

    /// Builds for platforms that each node has one of.
    fn build(&self, platforms: &str) -> Answer {
        let fixed = ["--builder=pair", "--platform", platforms];
        let output = ["--output=type=cacheonly"];
        self.machine.build("hello", &[&fixed[..], &output].concat())
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&fs::read(self.machine.record("pair")).unwrap()).unwrap()
    }

    fn nodes(&self) -> Vec<String> {
        let record = self.record();
        let nodes = record["Nodes"].as_array().unwrap().iter();
        nodes
            .map(|node| node["Name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Returns the other engine's containers with their states.
    fn containers_there(&self) -> String {
        let format = "{{.Names}} {{.State}}";
        let mut list = self
            .other
            .docker(&["ps", "-a", "--format", format])
            .unwrap();
        let mut lines: Vec<_> = list.lines().collect();
        lines.sort_unstable();
        list = lines.join("\n");
        list
    }

    fn world(&self) -> World {
        let mut world = self.machine.world();
        world.insert("there".to_owned(), self.containers_there());
        world
    }
}

#[test]
fn both_nodes_of_a_builder_are_renewed_under_a_building_client_and_come_back() {
    let pair = Pair::new();
    let before = pair.world();
    let others = pair.machine.everything_else();
    let ((), seen) = pair.machine.while_building("pair", 1, || {
        pair.machine.rekit(REINSTALL).good();
    });
    assert!(seen[0].bad.is_empty() && seen[0].good > 0, "{seen:?}");
    assert_eq!(pair.nodes(), ["pair0-g2", "pair1-g2"]);
    assert_eq!(
        pair.containers_there(),
        "buildx_buildkit_pair1 exited\nbuildx_buildkit_pair1-g2 running"
    );
    pair.build("linux/amd64,linux/arm64").good();
    pair.machine.rekit(ROLLBACK).good();
    assert_eq!(pair.nodes(), ["pair0", "pair1"]);
    assert_eq!(
        pair.containers_there(),
        "buildx_buildkit_pair1 running\nbuildx_buildkit_pair1-g2 exited"
    );
    pair.build("linux/amd64,linux/arm64").good();
    assert_eq!(
        differences(&others, &pair.machine.everything_else()),
        Vec::<String>::new()
    );
    let mut found = differences(&before, &pair.world());
    found.retain(|line| !is_parked_or_reference(line));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// What a rollback keeps parked, and the references that clients left.
fn is_parked_or_reference(line: &str) -> bool {
    line.contains("-g2") || line.contains("/refs/")
}

#[test]
fn a_node_that_does_not_answer_is_a_choice_and_nothing_half_done() {
    let pair = Pair::new();
    let whole = pair.record();
    let text = fs::read_to_string(pair.machine.record("pair")).unwrap();
    pair.other.stop_engine().unwrap();
    let before = pair.machine.world();

    // Without a word: the builder is left as it is, and the plan says what may be chosen.
    let plan = pair.machine.rekit(&["plan"]).good();
    let plan = plan.says("does not answer, and half a builder is not renewed without a word");
    plan.says("`--without-node pair1`");
    let plan = pair.machine.plan();
    assert!(!plan["steps"].to_string().contains("pair"), "{plan:#}");
    let misuse = pair.machine.rekit(&["plan", "--without-node", "pair7"]);
    misuse.ends_with(2).says("no builder has a node `pair7`");

    // Killed here and there, resumed, or taken back: never half.
    let steps = pair
        .machine
        .rekit(&[&["plan", "--format", "json"], &WITHOUT[2..]].concat());
    let steps = steps.good().json()["steps"].as_array().unwrap().len();
    for number in 1..=3 {
        let point = format!(
            "{}:{}",
            number * steps / 3,
            ["started", "effect"][number % 2]
        );
        let killed = pair.machine.rekit_killed_at(&point, WITHOUT);
        assert_eq!(killed.signal, Some(9), "{point} did not fire\n{killed}");
        pair.machine.rekit(ROLLBACK).good();
        let found = differences(&before, &pair.machine.world());
        assert!(found.is_empty(), "after {point}\n{}", found.join("\n"));
    }

    let killed = pair
        .machine
        .rekit_killed_at(&format!("{}:effect", steps / 2), WITHOUT);
    assert_eq!(killed.signal, Some(9), "{killed}");
    pair.machine.rekit(&["resume", "--yes"]).good();
    assert_eq!(pair.nodes(), ["pair0-g2", "pair1"]);
    assert_eq!(pair.record()["Nodes"][1], whole["Nodes"][1]);
    let now = fs::read_to_string(pair.machine.record("pair")).unwrap();
    let kept = |text: &str| text[text.find("{\"Name\":\"pair1\"").unwrap()..].to_owned();
    assert_eq!(kept(&now), kept(&text), "byte for byte");
    // Without `--platform`: with it, buildx itself asks every node of a builder, and fails on one that does not answer.
    let build = ["--builder=pair", "--output=type=cacheonly"];
    pair.machine.build("hello", &build).good();

    pair.other.start_engine().unwrap();
    let ask = [
        "exec",
        "buildx_buildkit_pair1",
        "buildctl",
        "debug",
        "workers",
    ];
    until("the node there answers", || pair.other.docker(&ask).is_ok());
    pair.build("linux/amd64,linux/arm64").good();
    pair.machine.rekit(ROLLBACK).good();
    assert_eq!(pair.record(), whole);
    pair.build("linux/amd64,linux/arm64").good();
}
