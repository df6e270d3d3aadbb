//! Bad input, and a world that does not play along: a clear error, a documented exit code, nothing changed.

use crate::{
    finalize::largest_file,
    support::{Answer, Machine, World, differences},
};
use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

#[test]
fn wrong_words_are_refused_and_nothing_changes() {
    let machine = Machine::small();
    let before = machine.world();
    let usage: &[&[&str]] = &[
        &["--bogus"],
        &["bogus"],
        &["reinstall", "--bogus"],
        &["rollback", "some", "--yes"],
    ];
    for words in usage {
        let answer = machine.rekit(words).ends_with(2);
        assert!(answer.stderr.starts_with("error:"), "{answer}");
        machine
            .rekit(&[words, &["--format", "json"][..]].concat())
            .ends_with(2)
            .json();
    }
    let refused: &[&[&str]] = &[
        &["backup", "create", "nobody"],
        &["backup", "restore", "/nowhere/archive", "--yes"],
        &["apply", "/nowhere/plan.json", "--yes"],
        &["rollback", "--yes"],
        &["rollback", "7", "--yes"],
    ];
    for words in refused {
        machine.rekit(words).refused();
        let answer = machine.rekit(&[words, &["--format", "json"][..]].concat());
        answer.json();
    }
    unchanged(&machine, &before);
}

#[test]
fn a_misspelt_key_of_the_goal_is_named_with_file_and_line() {
    let machine = Machine::small();
    let before = machine.world();
    let goal = machine.lab.home().join("project/rekit.toml");
    fs::write(&goal, "[cache]\nmax-usd = \"20GB\"\n").unwrap();
    let answer = machine
        .rekit(&["reinstall", "--yes"])
        .ends_with(2)
        .refused();
    answer.says("rekit.toml").says("line 2").says("max-usd");
    fs::remove_file(goal).unwrap();
    unchanged(&machine, &before);
}

#[test]
fn a_plan_changed_by_hand_is_refused() {
    let machine = Machine::small();
    let before = machine.world();
    let file = machine.lab.root().join("tmp/plan.json");
    let path = file.display().to_string();
    machine.rekit(&["plan", "--out", &path]).good();
    let plan = fs::read_to_string(&file).unwrap();
    let changes: [(&str, String); 4] = [
        ("cut short", plan[..plan.len() / 2].to_owned()),
        ("a key more", plan.replacen('{', "{\n  \"bogus\": 1,", 1)),
        (
            "somebody's volume",
            plan.replace("buildx_buildkit_team0_state", "shop-data"),
        ),
        (
            "somebody's container",
            plan.replace("buildx_buildkit_team0\"", "shop-db\""),
        ),
    ];
    for (what, text) in changes {
        assert_ne!(text, plan, "{what}");
        fs::write(&file, text).unwrap();
        machine.rekit(&["apply", &path, "--yes"]).refused();
    }
    unchanged(&machine, &before);
}

#[test]
fn a_plan_is_refused_when_the_world_moved_where_it_matters() {
    let machine = Machine::small();
    let path = machine
        .lab
        .root()
        .join("tmp/plan.json")
        .display()
        .to_string();
    machine.rekit(&["plan", "--out", &path]).good();
    let record = machine.record("team");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("blue", "green")).unwrap();
    let before = machine.world();
    machine
        .rekit(&["apply", &path, "--yes"])
        .ends_with(4)
        .refused();
    let found = differences(&before, &machine.world());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn r1_2_5_an_archive_cut_short_is_never_taken_for_whole() {
    let machine = Machine::small();
    let answer = machine.rekit(&["backup", "create", "team", "--yes"]).good();
    let archive = answer.stdout.lines().last().unwrap_or_default().to_owned();
    machine.rekit(&["backup", "verify", &archive]).good();
    let largest = largest_file(Path::new(&archive));
    let file = File::options().write(true).open(&largest).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let before = machine.world();
    machine
        .rekit(&["backup", "verify", &archive])
        .ends_with(4)
        .refused();
    let found = differences(&before, &machine.world());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_second_rekit_waits_outside_and_ctrl_c_leaves_a_run_that_can_be_resumed() {
    let machine = Machine::small();
    let mut command = machine.command("rekit", &["reinstall", "--yes"]);
    let first = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("the first rekit is at work", || machine.is_at_work());
    machine
        .rekit(&["reinstall", "--yes"])
        .ends_with(4)
        .refused()
        .says("another rekit");
    Answer::of(
        machine
            .lab
            .command("kill")
            .args(["-INT", &first.id().to_string()]),
    )
    .good();
    let answer = Answer::from(&command, &first.wait_with_output().unwrap()).ends_with(130);
    answer.says("state:").says("rekit resume");
    machine.rekit(&["resume", "--yes"]).good();
    let listing = machine.docker(&["buildx", "ls"]).good();
    assert_eq!(listing.stderr, "");
}

#[test]
fn a_full_disk_under_rekits_own_directory_leaves_the_world_as_it_was() {
    let machine = Machine::small();
    let before = machine.world();
    fs::create_dir_all(machine.home()).unwrap();
    let home = machine.home().display().to_string();
    Answer::of(
        machine
            .lab
            .command("mount")
            .args(["-t", "tmpfs", "-o", "size=6m", "tmpfs", &home]),
    )
    .good();
    let answer = machine.rekit(&["reinstall", "--yes"]);
    assert!(matches!(answer.code, Some(4 | 5)), "{answer}");
    let answer = answer.says("state:").says("next:");
    let found = differences(&before, &machine.world());
    assert!(found.is_empty(), "\n{}\n{answer}", found.join("\n"));
}

#[test]
fn r1_2_5_an_archive_that_does_not_yield_the_inventory_ends_the_run() {
    let machine = Machine::small();
    let killed = machine.rekit_killed_at("2:finished", &["reinstall", "--yes"]);
    assert_eq!(killed.signal, Some(9), "{killed}");
    let record = machine.record("team");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(
        &record,
        text.replace("\"Dynamic\":false", "\"Dynamic\":true"),
    )
    .unwrap();
    let before = machine.world();
    machine
        .rekit(&["resume", "--yes"])
        .refused()
        .says("builder `team` is another one in it");
    let found = differences(&before, &machine.world());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    let left = fs::read_dir(machine.home()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with(".tmp")),
        "{left:?}"
    );
}

#[test]
fn without_permission_nothing_is_begun() {
    let machine = Machine::small().lent_to_user();
    let home = machine.home();
    fs::create_dir_all(&home).unwrap();
    Answer::of(machine.lab.command("chown").arg("0:0").arg(&home)).good();
    let before = machine.world();
    machine
        .rekit(&["reinstall", "--yes"])
        .refused()
        .says("rekit");
    Answer::of(machine.lab.command("chown").arg("65534:65534").arg(&home)).good();
    Answer::of(
        machine
            .lab
            .command("chgrp")
            .arg("0")
            .arg(machine.lab.socket()),
    )
    .good();
    machine
        .rekit(&["reinstall", "--yes"])
        .refused()
        .says("permission denied")
        .says("usermod -aG docker");
    Answer::of(
        machine
            .lab
            .command("chgrp")
            .arg("65534")
            .arg(machine.lab.socket()),
    )
    .good();
    unchanged(&machine, &before);
}

#[track_caller]
fn unchanged(machine: &Machine, before: &World) {
    let found = differences(before, &machine.world());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    assert!(machine.runs().is_empty(), "a run was begun");
}

/// Waits for an event in another process.
fn until(event: &str, mut has_come: impl FnMut() -> bool) {
    let began = Instant::now();
    while !has_come() {
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "{event}: not within a minute"
        );
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Issue 4, test L: a disk with too little room is found before anything begins, and another one serves.
#[test]
fn r1_3_2_too_little_room_is_refused_before_anything_begins() {
    let machine = Machine::small();
    let small = machine.lab.root().join("tmp/small");
    std::fs::create_dir(&small).unwrap();
    let mounted = machine
        .lab
        .command("mount")
        .args(["-t", "tmpfs", "-o", "size=4m", "rekit-test"])
        .arg(&small)
        .status();
    assert!(mounted.unwrap().success());
    let before = machine.world();
    let place = small.display().to_string();
    let asked = [
        (
            "reinstall",
            machine.command("rekit", &["reinstall", "--yes"]),
        ),
        (
            "clean",
            machine.command("rekit", &["clean", "team", "--yes"]),
        ),
        (
            "backup",
            machine.command("rekit", &["backup", "create", "team", "--yes"]),
        ),
    ];
    for (verb, mut command) in asked {
        let answer = Answer::of(command.env("REKIT_HOME", &small));
        answer
            .ends_with(4)
            .says("has")
            .says("REKIT_HOME=")
            .says("prune");
        assert!(!small.join("journal").exists(), "{verb} began");
    }
    machine
        .rekit(&["backup", "create", "team", "--to", &place, "--yes"])
        .ends_with(4);
    let found = differences(&before, &machine.world());
    let unmounted = machine.lab.command("umount").arg(&small).status();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    assert!(unmounted.unwrap().success());
    machine
        .rekit(&["backup", "create", "team", "--to", &place, "--yes"])
        .good();
}
