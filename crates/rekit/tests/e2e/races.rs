//! Who works at the same time: a second rekit, buildx at any moment, a container that bears a name like ours. Issue 5, test D.

use crate::support::{Answer, Machine, Seen, differences, until};
use rekit_core::next::RunEnd;
use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const TEAM: &str = "buildx_buildkit_team0";
const REINSTALL: &[&str] = &["reinstall", "--yes"];
/// How long somebody holds buildx's lock.
const HELD: Duration = Duration::from_secs(5);

fn assert_all_good(seen: &[Seen]) {
    for client in seen {
        assert!(client.bad.is_empty(), "{}", client.bad.join("\n"));
        assert!(client.good > 0);
    }
}

#[test]
fn of_two_rekits_exactly_one_works_whatever_their_homes() {
    let machine = Machine::small();
    machine.drains("grace-seconds = 1");
    let stale = machine.copy_of_store("stale");
    let held = machine.held_build(&stale, "team", TEAM, "two");
    let first = machine.begin(REINSTALL);
    until("the first waits for the build", || {
        let status = machine.rekit(&["status", "--format", "json"]).json();
        let step = &status["open_run"]["under_way"];
        step["kind"] == "drain" && step["subject"].as_str().unwrap().contains(TEAM)
    });

    let other = machine.lab.root().join("tmp/other-home");
    let elsewhere = |arguments: &[&str]| {
        Answer::of(
            machine
                .command("rekit", arguments)
                .env("REKIT_HOME", &other),
        )
    };
    let before = machine.containers();
    for verb in [REINSTALL, &["clean", "--yes"]] {
        let second = machine.rekit(verb).refused();
        assert_eq!(second.code, Some(4));
        second.says("another rekit is at work in ");
        let second = elsewhere(verb).refused();
        assert_eq!(second.code, Some(4));
        let second = second.says("another rekit is at work on the store ");
        second.says("`rekit` (process ");
    }
    let status = elsewhere(&["status", "--format", "json"]).json();
    assert_eq!(status["at_work"], true, "{status:#}");
    assert!(
        !other.join("journal.db").exists(),
        "the second began no run"
    );
    assert!(differences(&before, &machine.containers()).is_empty());

    machine.open_gate(&stale, "team", "two");
    held.end().good();
    first.end().good();
    assert_eq!(
        machine.runs().pop().unwrap().state().ended(),
        Some(RunEnd::Done)
    );
    // It has ended, and its lock with it.
    elsewhere(&["backup", "create", "team", "--yes"]).good();
}

#[test]
fn a_lock_of_a_rekit_that_was_killed_is_nobodys() {
    let machine = Machine::small();
    machine.drains("grace-seconds = 1");
    let boot = machine.step("boot-node", "team0-g1");
    machine.reinstall_killed_at(boot, "started");
    let other = machine.lab.root().join("tmp/other-home");
    let mut backup = machine.command("rekit", &["backup", "create", "team", "--yes"]);
    Answer::of(backup.env("REKIT_HOME", other)).good();
    machine.rekit(&["rollback", "--yes"]).good();
}

#[test]
fn who_holds_buildxs_lock_only_delays_the_run() {
    let machine = Machine::small();
    machine.drains("grace-seconds = 1");
    let rewrite = machine.step("rewrite-record", "\"builder\":\"team\"");
    machine.reinstall_killed_at(rewrite, "started");
    let record = fs::read(machine.record("team")).unwrap();
    let lock = machine.lab.buildx_config().join(".lock");
    let seconds = HELD.as_secs().to_string();
    let mut holder = machine
        .command("flock", &[&lock.display().to_string(), "sleep", &seconds])
        .spawn()
        .unwrap();
    until("the lock is held", || {
        fs::File::open(&lock).unwrap().try_lock().is_err()
    });
    let began = Instant::now();
    let resume = machine.begin(&["resume", "--yes"]);
    while holder.try_wait().unwrap().is_none() {
        let now = fs::read(machine.record("team")).unwrap();
        // The holder may end between the two looks: then this was the last.
        assert!(now == record || holder.try_wait().unwrap().is_some());
        thread::sleep(Duration::from_millis(20));
    }
    resume.end().good();
    // The look that saw it held took a part of the five seconds.
    assert!(began.elapsed() + Duration::from_secs(1) >= HELD);
    assert_ne!(fs::read(machine.record("team")).unwrap(), record);
}

/// What people and programs do with buildx all day; each must end well, whatever rekit does meanwhile.
const DAILY: [&[&str]; 10] = [
    &["ls"],
    &["inspect", "team"],
    &["du", "--builder", "team"],
    &["create", "--name", "passing", "--node", "passing0"],
    &[
        "prune",
        "--builder",
        "team",
        "--force",
        "--filter",
        "until=240h",
    ],
    &["history", "ls", "--builder", "team"],
    &["use", "team"],
    &["rm", "passing"],
    &["version"],
    &["inspect", "default"],
];

#[test]
fn buildx_in_a_loop_never_fails_while_a_reinstall_runs() {
    let machine = Machine::small();
    // The first puts together what is broken there: buildx itself cannot list builders before.
    machine.rekit(REINSTALL).good();
    let surroundings = machine.everything_else();
    let is_over = AtomicBool::new(false);
    let (failed, seen) = thread::scope(|scope| {
        let daily = scope.spawn(|| {
            let mut failed = Vec::new();
            let mut rounds = 0;
            while !is_over.load(Ordering::Relaxed) {
                for words in DAILY {
                    let answer = machine.docker(&[&["buildx"], words].concat());
                    if answer.code != Some(0) {
                        failed.push(answer.to_string());
                    }
                }
                rounds += 1;
            }
            assert!(rounds > 0);
            failed
        });
        let work = || {
            let done = machine.rekit(REINSTALL);
            is_over.store(true, Ordering::Relaxed);
            done.good();
        };
        let ((), seen) = machine.while_building("team", 1, work);
        (daily.join().unwrap(), seen)
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_all_good(&seen);
    let found = differences(&surroundings, &machine.everything_else());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn buildx_that_changes_what_a_run_relies_on_stops_it_cleanly() {
    let machine = Machine::small();
    machine.rekit(REINSTALL).good();
    machine.drains("grace-seconds = 1");
    let image = machine.export();
    // Spelt otherwise: buildx refuses a second node with the same words.
    let endpoint = format!("unix:///{}", machine.lab.socket().display());
    let append = ["create", "--append", "--name", "team", "--node", "team1"];
    let append = [&append[..], &[&endpoint]].concat();
    let leave = ["create", "--name", "team", "--node", "team1", "--leave"];
    let changes: [(&str, &str, &[&str]); 4] = [
        ("boot-node", "started", &append),
        ("boot-node", "finished", &leave),
        ("probe-node", "finished", &append),
        ("rewrite-record", "started", &leave),
    ];
    for (kind, at, change) in changes {
        // Anew each time: a node that was appended is renewed too.
        machine.reinstall_killed_at(machine.step(kind, "team0-g2"), at);
        machine.docker(&[&["buildx"], change].concat()).good();
        let record = fs::read(machine.record("team")).unwrap();
        let refused = machine.rekit(&["resume", "--yes"]).refused();
        assert_eq!(refused.code, Some(4), "{refused}");
        refused.says("instances/team` was changed by somebody else");
        assert_eq!(
            fs::read(machine.record("team")).unwrap(),
            record,
            "what buildx wrote stays"
        );
        assert!(
            !machine
                .objects()
                .iter()
                .any(|name| name.contains("team0-g2")),
            "{:?}",
            machine.objects()
        );
    }
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn a_selection_that_changes_meanwhile_is_the_users() {
    let machine = Machine::small();
    machine.drains("grace-seconds = 1");
    let select = machine.step("write-file", "current");
    machine.reinstall_killed_at(select, "started");
    machine.docker(&["buildx", "use", "team"]).good();
    let current = machine.lab.buildx_config().join("current");
    let chosen = fs::read_to_string(&current).unwrap();
    let refused = machine.rekit(&["resume", "--yes"]).refused();
    assert_eq!(refused.code, Some(4), "{refused}");
    assert_eq!(fs::read_to_string(&current).unwrap(), chosen);
}

#[test]
fn a_container_that_only_bears_such_a_name_is_never_touched() {
    let machine = Machine::small();
    let name = "buildx_buildkit_x0";
    let run = ["run", "-d", "--name", name, "--volume", "x-data:/data"];
    let work = [
        "shop/db:1",
        "sh",
        "-c",
        "echo mine > /data/x; exec sleep 100000",
    ];
    machine.docker(&[&run[..], &work].concat()).good();
    let format = "{{.Id}} {{.State.StartedAt}} {{.State.Pid}} {{.State.Running}} {{.HostConfig.RestartPolicy.Name}}";
    let look = || {
        let inspect = ["inspect", "--format", format, name];
        machine.docker(&inspect).good().stdout
    };
    let (before, surroundings) = (look(), machine.everything_else());
    for verb in ["reinstall", "finalize", "clean", "rollback"] {
        machine.rekit(&[verb, "--yes"]).good();
        assert_eq!(look(), before, "after {verb}");
        let found = differences(&surroundings, &machine.everything_else());
        assert!(found.is_empty(), "after {verb}\n{}", found.join("\n"));
    }
}
