//! A user without root, in the group that may use the engine: the whole run works, and what needs root is named before anything changes.

use crate::support::{Answer, Machine, differences};
use std::fs;

#[test]
fn without_root_the_run_works_and_what_needs_root_is_named_first() {
    let machine = Machine::small().lent_to_user();
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
