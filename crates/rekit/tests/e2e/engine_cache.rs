//! The cache inside an engine, whole, for both image stores: archived, wiped, brought back, used.

use crate::support::{Answer, Export, Machine};
use rekit_lab::{ImageStore, modes::CacheSize};
use std::{fs, path::Path};

#[test]
fn r1_3_1_the_cache_inside_an_engine_comes_back_whole_with_a_graph_driver() {
    round_trip(ImageStore::Graphdriver, &["buildkit", "overlay2", "image"]);
}

#[test]
fn r1_3_1_the_cache_inside_an_engine_comes_back_whole_with_containerd() {
    round_trip(ImageStore::Containerd, &["buildkit", "containerd"]);
}

fn round_trip(store: ImageStore, parts: &[&str]) {
    let machine = Machine::of(store, CacheSize::Small);
    empty_of_builders(&machine);
    let image = image(&machine);
    machine
        .docker(&[
            "run",
            "--detach",
            "--stop-signal=KILL",
            "--name",
            "guest",
            "team/app:kept",
            "sleep",
            "1000",
        ])
        .good();
    let before = machine.inventory();
    let told = create(&machine, &[]).good();
    assert!(
        told.text().contains("guest"),
        "what stops is said beforehand: {told}"
    );
    let archive = told.stdout.lines().last().unwrap().to_owned();
    let runs = machine
        .docker(&["inspect", "-f", "{{.State.Running}}", "guest"])
        .good();
    assert_eq!(runs.stdout.trim(), "true", "what ran runs again");
    machine.rekit(&["backup", "verify", &archive]).good();
    machine.export_of("default").is_warm_twin_of(&image);
    assert_eq!(machine.inventory().hosts[0].id, before.hosts[0].id);

    // Little is new, and the second archive is small.
    let more = [
        "--builder=default",
        "--output=type=cacheonly",
        "--platform=linux/arm64",
    ];
    machine.build("hello", &more).good();
    let second = create(&machine, &[]).good();
    let second = second.stdout.lines().last().unwrap().to_owned();
    let (first, second) = (own_bytes(&archive), own_bytes(&second));
    assert!(second * 100 <= first * 15, "{second} of {first} bytes");

    // What lies there is never mixed with, or lost.
    restore(&machine, &archive).refused().says("1 container(s)");
    wipe(&machine, parts);
    assert_ne!(
        machine.export_of("default").differs_from(&image),
        Vec::<String>::new()
    );
    wipe(&machine, parts);
    restore(&machine, &archive).good();
    machine.export_of("default").is_warm_twin_of(&image);
    let greets = machine.docker(&["run", "--rm", "team/app:kept"]).good();
    assert!(greets.stdout.contains("the team greets you"), "{greets}");
}

#[test]
fn an_engine_runs_again_whatever_happens_to_the_run_that_stopped_it() {
    let machine = Machine::of(ImageStore::Graphdriver, CacheSize::Small);
    empty_of_builders(&machine);
    let image = image(&machine);
    let archive = create(&machine, &[])
        .good()
        .stdout
        .lines()
        .last()
        .unwrap()
        .to_owned();
    // Nobody says how, and no unit does.
    machine
        .rekit(&["backup", "create", "--engine-cache", "--yes"])
        .ends_with(2)
        .says("--stop-engine");
    // Killed while the engine is stopped; then back, or on.
    let points = [
        ("1:effect", "rollback"),
        ("1:effect", "resume"),
        ("2:started", "resume"),
        ("2:effect", "rollback"),
        ("3:started", "rollback"),
        ("3:effect", "resume"),
    ];
    for (point, end) in points {
        let killed = create_killed_at(&machine, point);
        assert_eq!(killed.signal, Some(9), "{point}: {killed}");
        machine.rekit(&[end, "--yes"]).good();
        machine.docker(&["version"]).good();
    }
    machine.export_of("default").is_warm_twin_of(&image);
    // An engine that does not come back fails the run, and the undo tries it again.
    wipe(&machine, &["buildkit", "overlay2", "image"]);
    let (stop, start) = machine.lab.engine_commands().unwrap();
    let broken = format!(
        "exec 9>>/tmp/$$; [ -e {0} ] && {start} || {{ touch {0}; exit 7; }}",
        machine.lab.root().join("tried").display()
    );
    machine
        .rekit(&[
            "backup",
            "restore",
            &archive,
            "--yes",
            "--stop-engine",
            &stop,
            "--start-engine",
            &broken,
        ])
        .ends_with(5)
        .says("failed");
    machine.docker(&["version"]).good();
    // Its cache is as it was before: empty, and not the archived one half way.
    assert_ne!(
        machine.export_of("default").differs_from(&image),
        Vec::<String>::new()
    );
}

/// Builds the team's image inside the engine, and keeps it there as an image too.
fn image(machine: &Machine) -> Export {
    let script = machine.lab.home().join("project/build.sh");
    let arguments = ["--builder", "default", "--load", "--tag", "team/app:kept"];
    Answer::of(&mut machine.command(&script.display().to_string(), &arguments)).good();
    machine.export_of("default")
}

/// Takes the containers of the planted machine away: their layers lie among the engine's.
fn empty_of_builders(machine: &Machine) {
    let listed = machine.docker(&["ps", "--all", "--quiet"]).good().stdout;
    let ids: Vec<&str> = listed.lines().collect();
    machine
        .docker(&[&["rm", "--force"][..], &ids].concat())
        .good();
}

fn create(machine: &Machine, more: &[&str]) -> Answer {
    Answer::of(&mut creation(machine, more))
}

fn create_killed_at(machine: &Machine, point: &str) -> Answer {
    Answer::of(creation(machine, &[]).env("REKIT_LAB_KILL", point))
}

fn creation(machine: &Machine, more: &[&str]) -> std::process::Command {
    let (stop, start) = machine.lab.engine_commands().unwrap();
    let fixed = [
        "backup",
        "create",
        "--engine-cache",
        "--yes",
        "--stop-engine",
        &stop,
        "--start-engine",
        &start,
    ];
    machine.command("rekit", &[&fixed[..], more].concat())
}

fn restore(machine: &Machine, archive: &str) -> Answer {
    let (stop, start) = machine.lab.engine_commands().unwrap();
    machine.rekit(&[
        "backup",
        "restore",
        archive,
        "--yes",
        "--stop-engine",
        &stop,
        "--start-engine",
        &start,
    ])
}

/// Makes the engine new: no container, no image, no cache.
fn wipe(machine: &Machine, parts: &[&str]) {
    let listed = machine.docker(&["ps", "--all", "--quiet"]).good().stdout;
    let ids: Vec<&str> = listed.lines().collect();
    if !ids.is_empty() {
        machine
            .docker(&[&["rm", "--force"][..], &ids].concat())
            .good();
    }
    machine.lab.stop_engine().unwrap();
    let root = machine.lab.data_root();
    for part in parts {
        fs::remove_dir_all(root.join(part)).unwrap();
    }
    drop(fs::remove_file(root.join("engine-id")));
    machine.lab.start_engine().unwrap();
}

/// Returns the bytes of an archive's segments that no earlier archive shares.
fn own_bytes(archive: &str) -> u64 {
    let bytes = fs::read(Path::new(archive).join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let home = Path::new(archive).parent().unwrap();
    let mut earlier = std::collections::BTreeSet::new();
    for entry in fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        let other = path.join("manifest.json");
        if path != Path::new(archive) && other.exists() && path < *Path::new(archive) {
            let other: serde_json::Value =
                serde_json::from_slice(&fs::read(other).unwrap()).unwrap();
            earlier.extend(segments(&other).into_iter().map(|(digest, _)| digest));
        }
    }
    let own = segments(&manifest)
        .into_iter()
        .filter(|(digest, _)| !earlier.contains(digest));
    own.map(|(_, bytes)| bytes).sum()
}

fn segments(manifest: &serde_json::Value) -> Vec<(String, u64)> {
    let trees = manifest["trees"].as_array().unwrap().iter();
    let segments = trees.flat_map(|tree| tree["segments"].as_array().unwrap());
    segments
        .map(|segment| {
            let digest = segment["sha256"].as_str().unwrap().to_owned();
            (digest, segment["packed_bytes"].as_u64().unwrap())
        })
        .collect()
}
