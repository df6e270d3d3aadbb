//! A state is copied while its builder builds: no build fails, every copy is a warm and right one, and the daemon goes on whatever happens.

use crate::support::{Machine, Seen, differences};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

/// The main process of the team's node.
fn daemon(machine: &Machine) -> u32 {
    let format = ["inspect", "--format", "{{.State.Pid}}"];
    let answer = machine.docker(&[&format[..], &["buildx_buildkit_team0"]].concat());
    answer.good().stdout.trim().parse().unwrap()
}

/// Returns true if a process stands still.
fn stands_still(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with('T'))
}

/// Waits until the engine has started a killed daemon again: the more often it died, the longer that takes.
fn until_it_builds(machine: &Machine) {
    let begun = Instant::now();
    loop {
        machine.docker(&["start", "buildx_buildkit_team0"]);
        let build = machine.build("hello", &["--builder=team", "--output=type=cacheonly"]);
        if build.code == Some(0) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "{build}");
        thread::sleep(Duration::from_millis(500));
    }
}

fn backup(machine: &Machine) -> String {
    let answer = machine.rekit(&["backup", "create", "team", "--yes"]).good();
    answer.stdout.lines().last().unwrap().to_owned()
}

fn manifest(archive: &str) -> Value {
    let text = fs::read(Path::new(archive).join("manifest.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn assert_all_good(seen: &[Seen]) {
    for client in seen {
        assert!(client.bad.is_empty(), "{}", client.bad.join("\n"));
        assert!(client.good > 0);
    }
}

/// Issue 4, test A.
#[test]
fn r1_3_2_r2_1_4_twenty_copies_disturb_no_build_and_are_warm() {
    let machine = Machine::small();
    let image = machine.export();
    let (archives, seen) = machine.while_building("team", 2, || {
        let archives: Vec<_> = (0..20).map(|_| backup(&machine)).collect();
        archives
    });
    assert_all_good(&seen);
    for archive in &archives {
        let manifest = manifest(archive);
        assert_eq!(manifest["consistency"], "frozen");
        let tree = &manifest["trees"][0];
        assert!(tree["freeze"]["microseconds"].as_u64().unwrap() > 0);
        let databases = tree["databases"].as_array().unwrap();
        assert_eq!(databases.len(), 5);
        for database in databases {
            assert!(database["fault"].is_null(), "{archive}: {database}");
        }
    }
    for archive in &archives {
        let rehearsed = ["backup", "rehearse", archive, "--format", "json"];
        let document = machine.rekit(&rehearsed).good().json();
        assert_eq!(document["cache_hit"], true, "{document:#}");
    }
    // The first, one in the middle of the work, and the last.
    for archive in [&archives[0], &archives[10], &archives[19]] {
        machine
            .rekit(&["backup", "restore", archive, "--builder", "copy", "--yes"])
            .good();
        machine.export_of("copy").is_warm_twin_of(&image);
        machine.rekit(&["rollback", "--yes"]).good();
    }
}

/// Issue 4, test A: snapshots and blobs vanish between the passes.
#[test]
fn r1_3_2_a_copy_stands_a_cache_that_is_pruned_meanwhile() {
    let machine = Machine::small();
    let prune = ["buildx", "prune", "--builder", "team", "-af"];
    let (archives, seen) = machine.while_building("team", 1, || {
        thread::scope(|scope| {
            let pruning = scope.spawn(|| {
                for _ in 0..12 {
                    machine.docker(&prune).good();
                    thread::sleep(Duration::from_millis(150));
                }
            });
            let mut archives = Vec::new();
            while !pruning.is_finished() {
                archives.push(backup(&machine));
            }
            archives
        })
    });
    assert_all_good(&seen);
    let last = archives.last().unwrap();
    machine
        .rekit(&["backup", "restore", last, "--builder", "copy", "--yes"])
        .good();
    let fresh = machine.export_of("copy");
    machine.export_of("copy").is_warm_twin_of(&fresh);
}

/// Issue 4, test B.
#[test]
fn r2_1_4_a_daemon_goes_on_when_rekit_is_killed_while_it_stands_still() {
    let machine = Machine::small();
    let pid = daemon(&machine);
    for round in 0..20_u64 {
        let mut child = machine
            .command("rekit", &["backup", "create", "team", "--yes", "-q"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !stands_still(pid) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "never stood still"
            );
            thread::sleep(Duration::from_micros(100));
        }
        // Somewhere in the first milliseconds of the freeze.
        thread::sleep(Duration::from_micros(round * 250));
        child.kill().unwrap();
        let killed = Instant::now();
        while stands_still(pid) {
            assert!(
                killed.elapsed() < Duration::from_secs(2),
                "still stands still"
            );
            thread::sleep(Duration::from_micros(100));
        }
        child.wait().unwrap();
        machine.rekit(&["rollback", "--yes"]);
        let build = machine.build("hello", &["--builder=team", "--output=type=cacheonly"]);
        build.good();
    }
    let archive = backup(&machine);
    machine.rekit(&["backup", "verify", &archive]).good();
}

/// Issue 4, test A: the daemon dies while it stands still.
#[test]
fn r1_3_2_a_daemon_that_dies_while_it_stands_still_spoils_no_copy() {
    let machine = Machine::small();
    let image = machine.export();
    for _ in 0..3 {
        let pid = daemon(&machine);
        let mut child = machine
            .command("rekit", &["backup", "create", "team", "--yes", "-q"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !stands_still(pid) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "never stood still"
            );
            thread::sleep(Duration::from_micros(100));
        }
        let kill = machine
            .lab
            .command("kill")
            .args(["-9", &pid.to_string()])
            .status();
        assert!(kill.unwrap().success());
        let code = child.wait().unwrap().code().unwrap();
        until_it_builds(&machine);
        let archives = machine.home().join("archives");
        let list = machine
            .rekit(&["backup", "list", "--format", "json"])
            .good();
        if code == 0 {
            continue;
        }
        assert!(!list.text().contains(".partial"), "{list}");
        let partial = fs::read_dir(&archives).unwrap().any(|entry| {
            let name = entry.unwrap().file_name();
            name.to_string_lossy().ends_with(".partial")
        });
        assert!(!partial, "a copy that failed left something");
    }
    let archive = backup(&machine);
    machine
        .rekit(&["backup", "restore", &archive, "--builder", "copy", "--yes"])
        .good();
    machine.export_of("copy").is_warm_twin_of(&image);
}

/// Issue 4, test K.
#[test]
fn a_reinstall_that_keeps_the_cache_disturbs_no_build_and_is_warm_at_once() {
    let machine = Machine::small();
    let image = machine.export();
    let ((), seen) = machine.while_building("team", 1, || {
        machine
            .rekit(&["reinstall", "--keep-cache", "--yes"])
            .good();
    });
    assert_all_good(&seen);
    let containers = machine.containers();
    let new = containers
        .iter()
        .find(|(name, facts)| name.contains("team0-g") && facts.contains("running=true"));
    assert!(new.is_some(), "{containers:?}");
    // Its steps read a cache mount of the old node, too.
    machine.export().is_warm_twin_of(&image);
    machine.rekit(&["rollback", "--yes"]).good();
    machine.export().is_warm_twin_of(&image);
}

/// Issue 4, test K: no node begins with a state of which a database is damaged.
#[test]
fn a_damaged_database_is_no_state_to_begin_with() {
    let machine = Machine::small();
    machine.export();
    // A running daemon would find the damage by itself, and die of it.
    machine.docker(&["stop", "buildx_buildkit_team0"]).good();
    let state = machine.lab.volume("buildx_buildkit_team0_state").unwrap();
    let database = state.join("runc-overlayfs/metadata_v2.db");
    let mut bytes = fs::read(&database).unwrap();
    // All pages but the heads: whichever are in use.
    bytes[2 * 4096..].fill(0xa5);
    fs::write(&database, bytes).unwrap();
    let archive = backup(&machine);
    let before = machine.world();
    machine
        .rekit(&["backup", "restore", &archive, "--builder", "copy", "--yes"])
        .says("runc-overlayfs/metadata_v2.db` is damaged")
        .says("without `--keep-cache`");
    let found = differences(&before, &machine.world());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Issue 4, test G: there and back between two versions of BuildKit, and what does not fit.
#[test]
fn r1_3_5_a_state_serves_another_buildkit_if_that_finds_its_cache() {
    let machine = Machine::small();
    let image = machine.export();
    let (old, tag) = ("0.17.3", "moby/buildkit:v0.17.3");
    machine.lab.buildkit_image_as(old, tag).unwrap();
    let create = ["buildx", "create", "--bootstrap", "--name"];
    let option = format!("image={tag}");
    machine
        .docker(&[&create[..], &["old", "--driver-opt", &option]].concat())
        .good();
    let flags = "--oci-worker-snapshotter=native";
    machine
        .docker(&[&create[..], &["native", "--buildkitd-flags", flags]].concat())
        .good();
    let restore = |archive: &str, builder: &str| {
        machine.rekit(&["backup", "restore", archive, "--builder", builder, "--yes"])
    };

    let archive = backup(&machine);
    restore(&archive, "old").good();
    machine.export_of("old").is_warm_twin_of(&image);
    let made = machine.rekit(&["backup", "create", "old", "--yes"]).good();
    let archive_of_old = made.stdout.lines().last().unwrap().to_owned();
    restore(&archive_of_old, "new").good();
    machine.export_of("new").is_warm_twin_of(&image);

    let before = machine.containers();
    restore(&archive, "native").ends_with(4).says(
        "the layers are in snapshotter `overlayfs`, and the daemon uses snapshotter `native`",
    );
    assert_eq!(machine.containers(), before);
}
