//! Going back: the store as it was to the byte, the old builder as warm as it was to the last attribute, what is the user's own untouched.

use crate::support::{Answer, Export, Machine, World, differences};
use rekit_core::name::RunId;
use rekit_lab::modes::CacheSize;
use std::fs;

#[test]
fn r1_2_1_r1_2_2_rollback_while_parked_brings_back_the_store_and_the_warm_cache() {
    let machine = Machine::quick();
    let (image, before) = reinstalled(&machine);
    went_back(&machine, &image, &before);
}

#[test]
fn r1_3_2_r2_3_1_rollback_after_finalize_brings_the_same_from_the_archive() {
    let machine = Machine::quick();
    let (image, before) = reinstalled(&machine);
    machine.rekit(&["finalize", "--yes"]).good();
    went_back(&machine, &image, &before);
}

#[test]
fn r1_3_2_a_cache_of_more_than_500_mb_comes_back_whole() {
    let machine = Machine::with(true, CacheSize::Full);
    assert!(
        machine.planted.state.bytes >= 500 << 20 && machine.planted.state.files >= 10_000,
        "{:?}",
        machine.planted.state
    );
    let (image, before) = reinstalled(&machine);
    machine.rekit(&["finalize", "--yes"]).good();
    went_back(&machine, &image, &before);
}

#[test]
fn a_naive_copy_is_told_apart() {
    let machine = Machine::quick();
    let image = machine.export();
    let node = "buildx_buildkit_team0";
    machine.docker(&["stop", "--time", "60", node]).good();
    let copy = machine
        .lab
        .root()
        .join("tmp/naive.tar")
        .display()
        .to_string();
    let shell = |script: &str| {
        Answer::of(
            machine
                .lab
                .command("sh")
                .args(["-euc", script, "sh", node, &copy]),
        )
        .good()
    };
    shell(r#"docker cp -a "$1:/var/lib/buildkit" - > "$2""#);
    let state = machine.lab.volume("buildx_buildkit_team0_state").unwrap();
    for entry in fs::read_dir(state).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    shell(r#"docker cp -a - "$1:/var/lib" < "$2""#);
    machine.docker(&["start", node]).good();
    // buildx does not wait for a daemon that docker has just started.
    let ready = r#"timeout 60 sh -c 'until docker exec "$1" buildctl debug workers; do sleep 0.2; done' sh "$1""#;
    shell(ready);
    let found = machine.export().differs_from(&image);
    assert!(
        found.iter().any(|line| line == "new: data/replaced/old"),
        "{found:#?}"
    );
}

#[test]
fn r1_4_1_a_generation_can_be_left_and_entered_again_and_again() {
    let machine = Machine::quick();
    let (image, before) = reinstalled(&machine);
    machine.rekit(&["rollback", "--yes"]).good();
    machine.rekit(&["rollback", "1", "--yes"]).good();
    let listing = machine.docker(&["buildx", "ls"]).good();
    assert_eq!(listing.stderr, "");
    machine.rekit(&["rollback", "0", "--yes"]).good();
    // The listing above made the activity files of the new builders, which are not compared; it wrote nothing else.
    assert_as_before(&machine, &before);
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn r1_4_1_r1_4_2_the_sheets_bring_all_back_with_a_shell_alone() {
    let machine = Machine::quick();
    let (image, before) = reinstalled(&machine);
    machine.rekit(&["finalize", "--yes"]).good();
    let mut runs = machine.runs();
    while let Some(run) = runs.pop() {
        follow_sheet(&machine, &run.plan.run);
    }
    assert_as_before(&machine, &before);
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn r1_4_2_a_step_of_the_sheet_stops_before_a_file_that_somebody_changed() {
    let machine = Machine::quick();
    reinstalled(&machine);
    let sheet = sheet(&machine, &machine.runs()[0].plan.run);
    let record = machine.record("team");
    let mine = fs::read_to_string(&record).unwrap() + "\n";
    fs::write(&record, &mine).unwrap();
    let named = record.display().to_string();
    let block = blocks(&sheet)
        .into_iter()
        .find(|block| block.contains("install") && block.contains(&named))
        .unwrap_or_else(|| panic!("no step brings {named} back in\n{sheet}"));
    let answer = shell(&machine, &block);
    assert_ne!(answer.code, Some(0), "{answer}");
    answer.says("STOP");
    assert_eq!(fs::read_to_string(&record).unwrap(), mine);
}

/// Does what a person does with a run's sheet: each step, then its proof, from the top to the bottom.
pub(crate) fn follow_sheet(machine: &Machine, run: &RunId) {
    let sheet = sheet(machine, run);
    let steps = sheet.split("## At the end").next().unwrap();
    let blocks = blocks(steps);
    assert!(!blocks.is_empty(), "{sheet}");
    for block in blocks {
        shell(machine, &block).good();
    }
}

/// Returns a run's rollback sheet.
fn sheet(machine: &Machine, run: &RunId) -> String {
    let path = machine.home().join("rollback").join(format!("{run}.md"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the shell commands of a sheet, block by block.
fn blocks(sheet: &str) -> Vec<String> {
    let parts = sheet.split("```sh\n").skip(1);
    parts
        .map(|part| part.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// Runs commands in a shell on the machine where rekit is not to be found.
fn shell(machine: &Machine, script: &str) -> Answer {
    let script = format!("rekit() {{ exit 99; }}\n{script}");
    Answer::of(&mut machine.command("sh", &["-euc", &script]))
}

/// Reinstalls; returns the team's image and the world as they were before.
fn reinstalled(machine: &Machine) -> (Export, World) {
    let image = machine.export();
    let before = machine.world();
    machine.rekit(&["reinstall", "--yes"]).good();
    (image, before)
}

/// Goes back past a builder that the user made meanwhile, and proves all.
fn went_back(machine: &Machine, image: &Export, before: &World) {
    machine
        .docker(&[
            "buildx",
            "create",
            "--name",
            "mine",
            "--node",
            "mine0",
            "--bootstrap",
        ])
        .good();
    let record = fs::read(machine.record("mine")).unwrap();
    machine.rekit(&["rollback", "--yes"]).good();
    assert_as_before(machine, before);
    machine.export().is_warm_twin_of(image);
    assert_eq!(fs::read(machine.record("mine")).unwrap(), record);
    machine
        .build(
            "hello",
            &["--builder", "mine", "--output", "type=cacheonly"],
        )
        .good();
}

/// Fails if anything is gone or different, or new and neither the user's own nor parked. To be called before any buildx command.
fn assert_as_before(machine: &Machine, before: &World) {
    let world = machine.world();
    let parked = world
        .iter()
        .filter(|(name, facts)| name.contains("0-g1") && !facts.contains("running=true"));
    let parked: Vec<_> = parked.map(|(name, _)| name.clone()).collect();
    let expected = |line: &String| {
        line.strip_prefix("new: ")
            .is_some_and(|name| name.contains("mine") || parked.iter().any(|parked| parked == name))
    };
    let mut found = differences(before, &world);
    found.retain(|line| !expected(line));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}
