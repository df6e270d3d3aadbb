//! A user without root, in the group that may use the engine: the whole run works, and what needs root is named before anything changes.

use crate::support::{Answer, Machine, differences};
use std::{fs, os::unix::fs::MetadataExt, path::Path};

#[test]
fn without_root_the_run_works_and_what_needs_root_is_named_first() {
    let machine = Machine::quick().lent_to_user();
    let config = machine.lab.home().join(&machine.planted.invalid_config);
    let folder = config.parent().unwrap().display().to_string();
    Answer::of(machine.lab.command("chown").args(["-R", "0:0", &folder])).good();
    let (image, before, text) = (
        machine.export(),
        machine.foreign(),
        fs::read(&config).unwrap(),
    );

    machine.rekit(&["doctor"]).ends_with(3);
    let plan = machine.plan();
    let left_out = plan["left_out"].as_array().unwrap();
    let named = left_out.iter().any(|entry| {
        let has =
            |key: &str, part: &str| entry[key].as_str().is_some_and(|text| text.contains(part));
        has("what", "buildkitd.toml") && has("why", "root")
    });
    assert!(named, "{left_out:#?}");

    machine.rekit(&["reinstall", "--yes"]).good();
    assert_eq!(
        fs::read(&config).unwrap(),
        text,
        "what needs root stays as it is"
    );
    assert_eq!(machine.docker(&["buildx", "ls"]).good().stderr, "");
    for platform in ["linux/amd64", "linux/arm64"] {
        machine
            .build(
                "hello",
                &[
                    "--builder",
                    "team",
                    "--platform",
                    platform,
                    "--output=type=cacheonly",
                ],
            )
            .good();
    }
    let found = differences(&before, &machine.foreign());
    assert!(found.is_empty(), "\n{}", found.join("\n"));

    machine.rekit(&["finalize", "--yes"]).good();
    machine.rekit(&["rollback", "--yes"]).good();
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn root_goes_on_with_a_run_of_another_account_and_locks_it_out_of_nothing() {
    let machine = Machine::quick().lent_to_user();
    let (image, before) = (machine.export(), machine.world());
    let steps = machine.plan()["steps"].as_array().unwrap().len();
    let point = format!("{}:effect", steps / 2);
    let killed = machine.rekit_killed_at(&point, &["reinstall", "--yes"]);
    assert_eq!(killed.signal, Some(9), "{killed}");
    let as_root = |arguments: &[&str]| {
        let mut command = machine.lab.command("rekit");
        Answer::of(command.args(arguments))
    };
    as_root(&["status"]).ends_with(3);
    as_root(&["resume", "--yes"]).good();
    for place in [machine.home(), machine.lab.buildx_config()] {
        assert_eq!(of_root(&place), Vec::<String>::new());
    }
    machine.rekit(&["status"]).good();
    machine.rekit(&["rollback", "--yes"]).good();
    let mut found = differences(&before, &machine.world());
    found.retain(|line| !(line.starts_with("new: ") && line.contains("0-g1")));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    machine.export().is_warm_twin_of(&image);
}

/// Returns what below a folder belongs to root.
fn of_root(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let status = path.symlink_metadata().unwrap();
        if status.uid() == 0 {
            found.push(path.display().to_string());
        }
        if status.is_dir() {
            found.extend(of_root(&path));
        }
    }
    found
}
