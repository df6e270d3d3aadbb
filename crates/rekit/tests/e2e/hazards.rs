//! What may happen to a machine in the middle of a run: the engine dies, a daemon is killed, the socket is away, a disk is full, somebody
//! closes the lid or the terminal. The run ends done or as it was before, by itself or by one more command.

use crate::support::{Answer, Begun, Machine, World, differences, until};
use rekit_core::next::{RunEnd, Stage};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

const REINSTALL: &[&str] = &["reinstall", "--yes"];
const ROLLBACK: &[&str] = &["rollback", "--yes"];

#[test]
fn an_engine_that_dies_and_comes_back_costs_at_most_the_run() {
    let machine = Machine::quick();
    let image = machine.export();
    let before = machine.world();
    for kind in ["boot-node", "drain", "archive-state", "validate"] {
        let run = reinstall_until(&machine, kind);
        let engine = machine.lab.engine_pid().unwrap();
        signal("-KILL", engine);
        thread::sleep(Duration::from_millis(500));
        // The dead engine is a child of this process, which has not looked after it: its number is still taken.
        fs::remove_file(machine.lab.root().join("engine/pid")).unwrap();
        machine.lab.start_engine().unwrap();
        settle(&machine, &run.end());
        revive(&machine);
        let mut found = against(&machine, &before);
        // The restart itself gave others' containers new endpoints and their programs another start.
        found.retain(|line| !line.starts_with("changed: engine/"));
        assert!(found.is_empty(), "{kind}\n{}", found.join("\n"));
    }
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn a_daemon_that_is_killed_costs_at_most_the_run() {
    let machine = Machine::quick();
    let image = machine.export();
    let before = machine.world();
    // As the kernel does when memory runs out: to the new node, then to the old one.
    for (kind, is_new) in [("probe-node", true), ("drain", false)] {
        let run = reinstall_until(&machine, kind);
        signal("-KILL", main_process(&machine, is_new));
        settle(&machine, &run.end());
        assert_as_before(&machine, &before, kind);
    }
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn a_socket_that_is_away_for_a_while_costs_at_most_the_run() {
    let machine = Machine::quick();
    let before = machine.world();
    let (socket, away) = (machine.lab.socket(), machine.lab.root().join("away"));
    for kind in ["probe-node", "drain", "park"] {
        let run = reinstall_until(&machine, kind);
        fs::rename(&socket, &away).unwrap();
        thread::sleep(Duration::from_millis(1_500));
        fs::rename(&away, &socket).unwrap();
        settle(&machine, &run.end());
        assert_as_before(&machine, &before, kind);
    }
}

#[test]
fn a_disk_that_runs_full_in_the_middle_takes_the_run_back() {
    let machine = Machine::quick();
    let image = machine.export();
    let before = machine.world();
    let home = machine.home();
    fs::create_dir_all(home.join("archives")).unwrap();
    for (place, kind) in [
        (machine.lab.buildx_config(), "boot-node"),
        (home.clone(), "stop-node"),
        (home.join("archives"), "stop-node"),
    ] {
        let disk = Disk::at(&machine, &place, "64m");
        let run = reinstall_until(&machine, kind);
        disk.fill();
        let answer = run.end();
        assert!(matches!(answer.code, Some(4 | 5)), "{kind}\n{answer}");
        let full = format!("{} full at {kind}", place.display());
        let found = differences(&before, &machine.world());
        let found: Vec<_> = found
            .iter()
            .filter(|line| !line.contains("/full"))
            .collect();
        assert!(found.is_empty(), "{full}\n{found:#?}\n{answer}");
        drop(disk);
    }
    assert_as_before(&machine, &before, "afterwards");
    machine.rekit(REINSTALL).good();
    machine.rekit(ROLLBACK).good();
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn a_disk_of_the_states_that_runs_full_costs_at_most_the_run() {
    let machine = Machine::quick();
    let image = machine.export();
    machine.lab.stop_engine().unwrap();
    let data = machine.lab.root().join("engine/data");
    let disk = Disk::at(&machine, &data, "1g");
    machine.lab.start_engine().unwrap();
    revive(&machine);
    let before = machine.world();
    for kind in ["boot-node", "validate"] {
        let run = reinstall_until(&machine, kind);
        disk.fill();
        let answer = run.end();
        assert_ne!(answer.code, Some(0), "the disk was not full\n{answer}");
        disk.free();
        settle(&machine, &answer);
        assert_as_before(&machine, &before, kind);
    }
    machine.export().is_warm_twin_of(&image);
}

#[test]
fn a_trial_that_is_broken_off_leaves_no_image() {
    let machine = Machine::quick();
    let before = machine.world();
    let run = machine.begin(REINSTALL);
    // The baseline builds with Compose, which loads an image that is there for a moment only.
    let list = ["images", "--quiet", "rekit-probe"];
    until("an image of a trial", || {
        !machine.docker(&list).good().stdout.is_empty()
    });
    drop(run); // It is killed.
    machine.rekit(ROLLBACK).good();
    assert_as_before(&machine, &before, "broken off in a trial");
}

#[test]
fn a_laptop_that_sleeps_and_a_terminal_that_closes_only_stop_the_run() {
    let machine = Machine::quick();
    let before = machine.world();
    let run = reinstall_until(&machine, "archive-state");
    signal("-STOP", run.pid());
    thread::sleep(Duration::from_secs(4));
    signal("-CONT", run.pid());
    run.end().good();
    machine.rekit(ROLLBACK).good();
    assert_as_before(&machine, &before, "sleep");

    for name in ["-HUP", "-TERM", "-INT"] {
        let run = reinstall_until(&machine, "drain");
        signal(name, run.pid());
        let answer = run.end().ends_with(130);
        answer.says("is open");
        machine.rekit(&["status"]).ends_with(3);
        machine.rekit(ROLLBACK).good();
        assert_as_before(&machine, &before, name);
    }
    // Whoever wants a run to outlive the terminal says so, as with any program.
    let nohup = machine.command("nohup", &[&["rekit"], REINSTALL].concat());
    let run = begun_until(&machine, nohup, "drain");
    signal("-HUP", run.pid());
    run.end().good();
}

/// Starts a reinstall and returns once a step of this kind has begun.
fn reinstall_until(machine: &Machine, kind: &str) -> Begun {
    begun_until(machine, machine.command("rekit", REINSTALL), kind)
}

/// Starts what begins a run and returns once a step of this kind has begun.
fn begun_until(machine: &Machine, command: Command, kind: &str) -> Begun {
    let runs = machine.runs().len();
    let run = Machine::begin_command(command);
    until(kind, || {
        let all = machine.runs();
        let Some(run) = all.get(runs) else {
            return false;
        };
        let state = run.state();
        let mut steps = run.plan.steps.iter().filter(|it| it.action.kind() == kind);
        steps.any(|step| state.stage(step.id) != &Stage::Pending)
    });
    run
}

/// Brings a run to an end, with one more command where it needs one; goes back where it went to its end.
fn settle(machine: &Machine, answer: &Answer) {
    assert!(matches!(answer.code, Some(0 | 1 | 4 | 5)), "{answer}");
    let ended = || machine.runs().last().unwrap().state().ended();
    if !matches!(ended(), Some(RunEnd::Done | RunEnd::RolledBack)) {
        machine.rekit(&["resume", "--yes"]);
    }
    match ended() {
        Some(RunEnd::Done) => {
            machine.rekit(ROLLBACK).good();
        }
        Some(RunEnd::RolledBack) => {}
        open => panic!("{open:?} after a resume; rekit said\n{answer}"),
    }
}

/// Starts what an engine does not start again by itself, and waits for the builder's daemon.
fn revive(machine: &Machine) {
    let script = "docker ps -aq --filter status=exited --format '{{.Names}}' | grep -v buildx_ | xargs -r docker start > /dev/null
                  timeout 60 sh -c 'until docker exec buildx_buildkit_team0 buildctl debug workers > /dev/null 2>&1; do sleep 0.2; done'";
    Answer::of(&mut machine.command("sh", &["-c", script])).good();
}

/// Returns what is other than before, but for nodes that a rollback left: those are parked.
fn against(machine: &Machine, before: &World) -> Vec<String> {
    let mut found = differences(before, &machine.world());
    found.retain(|line| !(line.starts_with("new: ") && line.contains("0-g")));
    found
}

#[track_caller]
fn assert_as_before(machine: &Machine, before: &World, when: &str) {
    let found = against(machine, before);
    assert!(found.is_empty(), "{when}\n{}", found.join("\n"));
}

/// The first process of a node of the builder that is renewed first.
fn main_process(machine: &Machine, is_new: bool) -> u32 {
    let names = machine
        .docker(&["ps", "--format", "{{.Names}}"])
        .good()
        .stdout;
    let mut names = names.lines();
    let name = names.find(|name| {
        let node = name.strip_prefix("buildx_buildkit_ci0");
        node.is_some_and(|rest| rest.starts_with("-g") == is_new)
    });
    let format = ["inspect", "--format", "{{.State.Pid}}", name.unwrap()];
    machine
        .docker(&format)
        .good()
        .stdout
        .trim()
        .parse()
        .unwrap()
}

fn signal(name: &str, pid: u32) {
    let pid = pid.to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    assert!(sent.unwrap().success(), "{name} {pid}");
}

/// A small disk in the place of a folder, with the folder's content.
struct Disk {
    place: PathBuf,
    beside: PathBuf,
}

impl Disk {
    fn at(machine: &Machine, place: &Path, size: &str) -> Self {
        let beside = machine.lab.root().join("beside");
        let disk = Self {
            place: place.to_owned(),
            beside,
        };
        let script = r#"cp -a "$1" "$2" && mount -t tmpfs -o size="$3",mode=0700 tmpfs "$1" && cp -a "$2/." "$1""#;
        disk.shell(script, size);
        disk
    }

    /// Leaves no room on it.
    fn fill(&self) {
        // Something mounted above would lead to the machine's own disk.
        let script =
            r#"[ "$(stat -f -c %T "$1")" = tmpfs ]; head -c 2G /dev/zero > "$1/full" || true"#;
        self.shell(script, "");
    }

    /// Makes room again.
    fn free(&self) {
        fs::remove_file(self.place.join("full")).unwrap();
    }

    fn shell(&self, script: &str, size: &str) {
        let mut command = Command::new("sh");
        command.args(["-euc", script, "sh"]);
        command.arg(&self.place).arg(&self.beside).arg(size);
        Answer::of(&mut command).good();
    }
}

impl Drop for Disk {
    /// The folder comes back with what is on the disk now.
    fn drop(&mut self) {
        let script = r#"rm -rf "$2" "$1/full"; cp -a "$1" "$2"; umount -l "$1"; cp -a "$2/." "$1"; rm -rf "$2""#;
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]);
        drop(command.arg(&self.place).arg(&self.beside).status());
    }
}
