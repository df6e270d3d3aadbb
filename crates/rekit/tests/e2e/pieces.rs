//! The smaller pieces of the run: `clean`, `install`, `doctor --fix`, and a backup that is brought back into a builder.

use crate::support::{Answer, Machine, differences, remnants};
use serde_json::Value;

#[test]
fn r2_2_5_r2_3_1_r2_3_5_clean_removes_all_of_buildkits_and_install_begins_anew() {
    let machine = Machine::quick();
    let image = machine.export();
    let (before, foreign) = (machine.world(), machine.foreign());
    let cleaned = changed(&machine, &["clean", "--yes"]);
    assert_eq!(cleaned["changed"], true);
    assert!(machine.objects().is_empty(), "{:?}", machine.objects());
    assert!(differences(&foreign, &machine.foreign()).is_empty());
    let inventory = machine.inventory();
    assert!(inventory.stores[0].builders.is_empty());
    let left: Vec<_> = remnants(&inventory)
        .into_iter()
        .filter(|name| !name.starts_with("context "))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(changed(&machine, &["clean", "--yes"])["changed"], false);

    let installed = changed(&machine, &["install", "--yes"]);
    assert_eq!(installed["changed"], true);
    assert_eq!(changed(&machine, &["install", "--yes"])["changed"], false);
    for platform in ["linux/amd64", "linux/arm64"] {
        let options = ["--builder=multiplatform", "--platform", platform];
        let output = ["--output=type=cacheonly"];
        machine
            .build("hello", &[&options[..], &output].concat())
            .good();
    }

    machine.rekit(&["rollback", "0", "--yes"]).good();
    let mut found = differences(&before, &machine.world());
    // The new node is parked, and buildx wrote down what was built on it.
    found
        .retain(|line| !line.contains("multiplatform0-g") && !line.ends_with("refs/multiplatform"));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn clean_of_one_builder_leaves_the_others() {
    let machine = Machine::quick();
    machine.rekit(&["clean", "nobody"]).ends_with(2);
    let before = machine.world();
    machine.rekit(&["clean", "team", "--yes"]).good();
    let found = differences(&before, &machine.world());
    assert!(
        found
            .iter()
            .any(|line| line == "gone: volume buildx_buildkit_team0_state"),
        "{found:?}"
    );
    let other = found.iter().filter(|line| {
        !line.contains("team") && !line.contains("/current") && !line.contains("/defaults/")
    });
    let other: Vec<_> = other.collect();
    assert!(other.is_empty(), "{other:?}");
    machine.rekit(&["rollback", "--yes"]).good();
    let found = differences(&before, &machine.world());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn r2_3_5_clean_leaves_a_container_that_only_bears_a_nodes_name() {
    let machine = Machine::quick();
    let create = ["buildx", "create", "--name", "web", "--node", "web0"];
    machine.docker(&create).good();
    let (name, volume) = ("buildx_buildkit_web0", "buildx_buildkit_web0_state:/data");
    let image = "moby/buildkit:buildx-stable-1";
    let run = ["run", "-d", "--name", name, "-v", volume, "--entrypoint"];
    machine
        .docker(&[&run[..], &["sleep", image, "1000"]].concat())
        .good();
    let before = machine.world();
    machine.rekit(&["clean", "web", "--yes"]).good();
    let found = differences(&before, &machine.world());
    assert!(!machine.record("web").exists());
    let other = found.iter().filter(|line| {
        !line.contains("/instances/web") && !line.contains("/current") && !line.contains("/refs/")
    });
    let other: Vec<_> = other.collect();
    assert!(other.is_empty(), "{other:?}");
}

#[test]
fn a_clean_killed_between_the_removals_is_taken_back() {
    let machine = Machine::quick();
    let image = machine.export();
    let before = machine.world();
    // Step 8 removes the container, step 9 the volume.
    let killed = machine.rekit_killed_at("8:finished", &["clean", "team", "--yes"]);
    assert_eq!(killed.signal, Some(9), "{killed}");
    let gone = differences(&before, &machine.world());
    let container = "gone: container buildx_buildkit_team0";
    assert!(gone.iter().any(|line| line == container), "{gone:?}");
    machine.rekit(&["rollback", "--yes"]).good();
    let found = differences(&before, &machine.world());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn doctor_fix_mends_what_needs_no_new_node_and_names_the_rest() {
    let machine = Machine::quick();
    let codes = |answer: &Answer| -> Vec<String> {
        let findings = answer.json()["findings"].clone();
        let code = |finding: &Value| finding["code"].as_str().unwrap().to_owned();
        findings.as_array().unwrap().iter().map(code).collect()
    };
    let look = ["doctor", "--format", "json"];
    let (before, sick) = (machine.world(), codes(&machine.rekit(&look)));
    machine.rekit(&["doctor", "--fix", "--yes"]).ends_with(3);
    let left = codes(&machine.rekit(&look));
    assert!(left.len() < sick.len(), "{sick:?}\n{left:?}");
    let context = machine.docker(&["context", "inspect", &machine.planted.ghost_context]);
    assert_ne!(context.code, Some(0), "{context}");
    let running = machine.containers();
    assert!(running["container buildx_buildkit_team0"].contains("running=true"));
    assert_eq!(
        changed_with(&machine, &["doctor", "--fix", "--yes"], 3)["changed"],
        false
    );
    machine.rekit(&["rollback", "--yes"]).good();
    let found = differences(&before, &machine.world());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_backup_on_another_disk_comes_back_warm_into_any_builder() {
    let machine = Machine::quick();
    let image = machine.export();
    let disk = machine.lab.root().join("tmp/disk").display().to_string();
    let made = machine
        .rekit(&["backup", "create", "team", "--to", &disk, "--yes"])
        .good();
    let archive = made.stdout.lines().last().unwrap().to_owned();
    assert!(archive.starts_with(&disk), "{archive}");
    machine.rekit(&["backup", "verify", &archive]).good();

    machine
        .rekit(&["backup", "restore", &archive, "--builder", "copy", "--yes"])
        .good();
    machine.export_of("copy").is_warm_twin_of(&image);
    machine.rekit(&["rollback", "--yes"]).good();
    assert!(!machine.record("copy").exists());

    machine.rekit(&["clean", "team", "--yes"]).good();
    machine
        .rekit(&["backup", "restore", &archive, "--yes"])
        .ends_with(2)
        .says("--builder NAME");
    machine.rekit(&["rollback", "--yes"]).good();
    machine
        .rekit(&["backup", "restore", &archive, "--yes"])
        .good();
    machine.export().is_warm_twin_of(&image);

    let segment = first_segment(&archive);
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let before = machine.world();
    machine
        .rekit(&["backup", "restore", &archive, "--yes"])
        .refused();
    assert!(differences(&before, &machine.world()).is_empty());
}

/// Returns a segment of an archive.
fn first_segment(archive: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(archive).join("trees/state");
    let mut segments: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".tar.zst"))
        .collect();
    segments.sort();
    segments.remove(0)
}

/// Runs a changing verb and returns its document.
fn changed(machine: &Machine, arguments: &[&str]) -> Value {
    changed_with(machine, arguments, 0)
}

fn changed_with(machine: &Machine, arguments: &[&str], code: i32) -> Value {
    let all = [arguments, &["--format", "json"]].concat();
    machine.rekit(&all).ends_with(code).json()
}
