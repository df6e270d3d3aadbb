//! Generations: listed, compared, returned to, and a person is reminded when the probation is over.

use crate::support::Machine;
use serde_json::Value;
use std::fs;

#[test]
fn r1_4_4_generations_are_compared_and_the_end_of_the_probation_only_reminds() {
    let machine = Machine::quick();
    let goal = machine.lab.home().join("project/rekit.toml");
    machine
        .rekit(&["generations", "diff"])
        .ends_with(2)
        .says("no generation before");
    machine.rekit(&["reinstall", "--yes"]).good();
    let text = machine.rekit(&["status"]).good();
    text.says("Its probation lasts until");
    let parked = machine.objects();

    fs::write(goal, "[probation]\ndays = 0\n").unwrap();
    machine.rekit(&["reinstall", "--yes"]).good();
    let found = diff(&machine, &[]);
    assert_eq!((&found["from"], &found["to"]), (&1.into(), &2.into()));
    assert_eq!(nodes(&found, "from"), ["team0-g1"]);
    assert_eq!(nodes(&found, "to"), ["team0-g2"]);
    let found = diff(&machine, &["0", "2"]);
    assert_eq!(nodes(&found, "from"), ["team0"]);
    let files = found["files"].as_array().unwrap();
    assert!(!files.is_empty(), "the first run mended more than builders");
    machine
        .rekit(&["generations", "diff", "7"])
        .ends_with(2)
        .says("7 never was in force");

    for verb in ["status", "generations"] {
        let reminded = machine.rekit(&[verb]).good();
        reminded.says("The probation of generation 2 ended on");
    }
    let quiet = machine
        .rekit(&["generations", "--format", "json", "--quiet"])
        .good();
    assert_eq!(quiet.stderr, "");
    assert!(
        machine.objects().is_superset(&parked),
        "nothing goes by itself"
    );

    machine.rekit(&["rollback", "0", "--yes"]).good();
    let found = diff(&machine, &["0"]);
    assert_eq!(found["builders"].as_array().unwrap().len(), 0, "{found:#}");
    let found = diff(&machine, &["2", "0"]);
    assert_eq!(nodes(&found, "to"), ["team0"]);
}

fn diff(machine: &Machine, generations: &[&str]) -> Value {
    let arguments = [&["generations", "diff", "--format", "json"], generations].concat();
    machine.rekit(&arguments).good().json()
}

/// Returns the nodes of the team's builder on one side.
fn nodes(found: &Value, side: &str) -> Vec<String> {
    let builders = found["builders"].as_array().unwrap();
    let team = builders.iter().find(|builder| builder["builder"] == "team");
    let team = team.unwrap_or_else(|| panic!("no `team` in {found:#}"));
    let nodes = team[side]["nodes"].as_array().unwrap();
    let names = nodes.iter().map(|node| node["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}
