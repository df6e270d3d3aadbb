//! Standalone daemons renewed in place: ended when no build runs, started as they ran, as warm as before whichever way back is taken.

use crate::{
    rollback::follow_sheet,
    support::{Answer, Machine, differences, until},
};
use rekit_core::step::Action;
use rekit_lab::{Standalone, StandaloneOptions};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
};

const REINSTALL: &[&str] = &["reinstall", "--yes"];
const ROLLBACK: &[&str] = &["rollback", "--yes"];
const RESUME: &[&str] = &["resume", "--yes"];

/// Starts a daemon as somebody does by hand, and makes the builder `far` of it.
fn by_hand(machine: &Machine) -> Standalone {
    let daemon = unnamed(machine);
    machine.remote("far", daemon.address(), &[]);
    daemon
}

/// Starts a daemon that nothing names.
fn unnamed(machine: &Machine) -> Standalone {
    let options = StandaloneOptions {
        plain: true,
        ..StandaloneOptions::default()
    };
    machine.lab.standalone_buildkitd(&options).unwrap()
}

/// Starts a machine whose goal asks for no more waiting than is needed, and for builds of `limit` seconds.
fn quick_machine(limit: u32) -> Machine {
    let machine = Machine::small();
    let goal = machine.lab.home().join("project/rekit.toml");
    let text = format!("[drain]\ngrace-seconds = 1\nlimit-seconds = {limit}\n");
    fs::write(goal, text).unwrap();
    machine
}

/// How a process was started: what must be the same when it is started again.
type Start = BTreeMap<&'static str, String>;

fn start_of(pid: u32) -> Start {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let read = |name: &str| {
        let content = fs::read(proc.join(name)).unwrap();
        String::from_utf8_lossy(&content).replace('\0', "\n")
    };
    let lines = |name: &str, wanted: &[&str]| {
        let text = read(name);
        let is_wanted = |line: &&str| wanted.iter().any(|name| line.starts_with(name));
        let mut lines: Vec<_> = text.lines().filter(is_wanted).map(str::to_owned).collect();
        lines.sort();
        lines.join("\n")
    };
    let folder = fs::read_link(proc.join("cwd")).unwrap();
    BTreeMap::from([
        ("arguments", read("cmdline")),
        ("environment", lines("environ", &[""])),
        (
            "account",
            lines("status", &["Uid:", "Gid:", "Groups:", "Umask:"]),
        ),
        ("limits", lines("limits", &["Max open files"])),
        ("folder", folder.display().to_string()),
        (
            "output",
            fs::read_link(proc.join("fd/2"))
                .unwrap()
                .display()
                .to_string(),
        ),
    ])
}

/// Returns where the state of a generation is parked.
fn parked(daemon: &Standalone, generation: u32) -> PathBuf {
    PathBuf::from(format!("{}.rekit-g{generation}", daemon.root().display()))
}

/// Returns for how many milliseconds nobody answered, as a run told.
fn silence(answer: &Answer) -> u64 {
    let told = answer.json();
    let line = told["interrupted"][0].as_str().unwrap().to_owned();
    let words: Vec<_> = line.split(' ').collect();
    words[words.len() - 2].parse().unwrap()
}

/// Applies something and tells what it did as data.
fn told(machine: &Machine, arguments: &[&str]) -> Answer {
    machine
        .rekit(&[arguments, &["--format", "json"]].concat())
        .good()
}

#[test]
fn r2_1_2_r6_2_5_a_daemon_started_by_hand_is_renewed_in_place_and_goes_back_warm() {
    let machine = quick_machine(60);
    let daemon = by_hand(&machine);
    let other = unnamed(&machine);
    let image = machine.export_of("far");
    let foreign = machine.foreign();
    let (first, theirs) = (daemon.pid().unwrap(), other.pid().unwrap());
    let (start, owner) = (start_of(first), daemon.root().metadata().unwrap());
    let plan = machine.plan();
    let announced = plan["interruptions"].to_string();
    assert!(announced.contains(daemon.address()), "{announced}");

    let away = silence(&told(&machine, REINSTALL));
    assert!((1..10_000).contains(&away), "{away} ms");
    let second = daemon.pid().unwrap();
    assert_ne!(first, second);
    assert_eq!(start_of(second), start);
    let fresh = daemon.root().metadata().unwrap();
    assert_eq!(
        (fresh.uid(), fresh.gid(), fresh.mode()),
        (owner.uid(), owner.gid(), owner.mode())
    );
    assert!(parked(&daemon, 0).join("cache.db").exists());
    let new = machine.export_of("far");
    assert!(!new.differs_from(&image).is_empty(), "it began empty");

    let back = silence(&told(&machine, ROLLBACK));
    machine.export_of("far").is_warm_twin_of(&image);
    assert_eq!(start_of(daemon.pid().unwrap()), start);
    assert!(!parked(&daemon, 0).exists() && parked(&daemon, 1).exists());
    // And forward again, as warm as it was left.
    told(&machine, &["rollback", "1", "--yes"]);
    machine.export_of("far").is_warm_twin_of(&new);

    assert_eq!(
        other.pid(),
        Some(theirs),
        "nothing names it, and it was ended"
    );
    let lost = differences(&foreign, &machine.foreign());
    assert!(
        !lost.iter().any(|line| line.starts_with("changed")),
        "{lost:#?}"
    );
    let told = machine.rekit(&["plan"]).good();
    told.says("only its process is known");
    assert!((1..10_000).contains(&back), "{back} ms");
}

#[test]
fn r2_3_1_a_parked_state_goes_after_its_archive_was_read_back_and_comes_back_warm() {
    let machine = quick_machine(60);
    let daemon = by_hand(&machine);
    let image = machine.export_of("far");
    machine.rekit(REINSTALL).good();
    machine.rekit(&["status"]).good().says(".rekit-g0");
    machine.rekit(&["finalize", "--yes"]).good();
    assert!(!parked(&daemon, 0).exists());
    machine.rekit(ROLLBACK).good();
    machine.export_of("far").is_warm_twin_of(&image);
}

#[test]
fn r1_4_1_the_sheet_brings_a_daemon_back_with_a_shell_alone() {
    let machine = quick_machine(60);
    let daemon = by_hand(&machine);
    let image = machine.export_of("far");
    let buildctl = machine.lab.buildctl(daemon.version()).unwrap();
    fs::copy(buildctl, machine.lab.root().join("bin/buildctl")).unwrap();
    let start = start_of(daemon.pid().unwrap());
    machine.rekit(REINSTALL).good();
    machine.rekit(&["finalize", "--yes"]).good();
    let mut runs = machine.runs();
    while let Some(run) = runs.pop() {
        follow_sheet(&machine, &run.plan.run);
    }
    assert_eq!(start_of(daemon.pid().unwrap()), start);
    assert!(!parked(&daemon, 0).exists());
    machine.export_of("far").is_warm_twin_of(&image);
}

#[test]
fn r2_1_4_a_build_on_a_standalone_daemon_is_waited_for_and_never_cut() {
    let machine = quick_machine(3);
    let daemon = by_hand(&machine);
    let first = daemon.pid().unwrap();
    thread::scope(|scope| {
        let build = scope.spawn(|| endless_build(&machine));
        let endless = until_it_runs(&machine);
        let plan = machine.rekit(&["plan"]);
        let answer = machine.rekit(REINSTALL);
        let (is_over, now) = (build.is_finished(), daemon.pid());
        end(endless);
        build.join().unwrap().good();
        let place = machine.lab.root().join("tmp/endless");
        let told = format!("of {}", place.display());
        plan.good().says(&told).says("never cut");
        answer
            .ends_with(4)
            .says("still run on the daemon")
            .says(&told);
        assert!(!is_over, "the build was cut");
        assert_eq!(now, Some(first), "it was ended under a build");
    });
    assert!(!parked(&daemon, 0).exists());

    let goal = machine.lab.home().join("project/rekit.toml");
    fs::write(goal, "[drain]\ngrace-seconds = 1\nlimit-seconds = 600\n").unwrap();
    thread::scope(|scope| {
        let build = scope.spawn(|| endless_build(&machine));
        let endless = until_it_runs(&machine);
        let run = scope.spawn(|| machine.rekit(REINSTALL));
        let waits = || {
            let runs = machine.runs();
            let run = runs.last().filter(|run| run.is_open());
            run.is_some_and(|run| {
                run.entries.iter().any(|(_, entry)| {
                    let text = serde_json::to_string(entry).unwrap();
                    text.contains("\"started\"") && text.contains("start-daemon")
                })
            })
        };
        until("the run waits for the build", || {
            waits() || run.is_finished()
        });
        let is_over = build.is_finished();
        end(endless);
        build.join().unwrap().good();
        run.join().unwrap().good();
        assert!(!is_over, "the build was cut");
    });
    assert_ne!(daemon.pid(), Some(first));
}

/// Builds on `far` until somebody ends it.
fn endless_build(machine: &Machine) -> Answer {
    let folder = machine.lab.root().join("tmp/endless");
    fs::create_dir_all(&folder).unwrap();
    let busybox = machine.lab.home().join("project/base/amd64/bin/busybox");
    fs::copy(busybox, folder.join("busybox")).unwrap();
    let script = "trap 'exit 0' TERM; /bin/busybox sleep 1000 & wait";
    let text = format!(
        "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"{script}\", \"{}\"]\n",
        machine.lab.name()
    );
    fs::write(folder.join("Dockerfile"), text).unwrap();
    let place = folder.display().to_string();
    let words = ["buildx", "build", "--builder", "far", "--no-cache"];
    machine.docker(
        &[
            &words[..],
            &["--progress=plain", "--output=type=cacheonly", &place],
        ]
        .concat(),
    )
}

/// Waits for the shell of the endless build and returns its process.
fn until_it_runs(machine: &Machine) -> u32 {
    let end = format!("wait\0{}\0", machine.lab.name());
    let mut found = None;
    until("the build runs", || {
        let processes = fs::read_dir("/proc").unwrap();
        let mut numbers =
            processes.filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse().ok());
        found = numbers.find(|pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"/bin/busybox\0sh\0") && line.ends_with(end.as_bytes())
        });
        found.is_some()
    });
    found.unwrap()
}

/// Ends the shell of the endless build, which succeeds then.
fn end(shell: u32) {
    let mut kill = std::process::Command::new("kill");
    Answer::of(kill.args(["-TERM", &shell.to_string()])).good();
}

#[test]
fn r6_2_5_under_a_building_client_only_builds_that_begin_meanwhile_fail() {
    let machine = quick_machine(120);
    let daemon = by_hand(&machine);
    let first = daemon.pid();
    let (answer, seen) = machine.while_building("far", 2, || told(&machine, REINSTALL));
    assert_ne!(daemon.pid(), first);
    let away = silence(&answer);
    for client in &seen {
        assert!(client.good > 3, "{client:?}");
    }
    for why in seen.iter().flat_map(|client| &client.bad) {
        let refused = [
            "no such file",
            "connection refused",
            "failed to list workers",
            "closing transport",
            "error reading from server",
            "Unavailable",
        ];
        assert!(refused.iter().any(|words| why.contains(words)), "{why}");
        assert!(!why.contains("#1 "), "a build that ran was cut: {why}");
    }
    assert!((1..10_000).contains(&away), "{away} ms");
}

/// Kinds of steps on standalone daemons.
fn is_of_daemon(action: &Action) -> bool {
    matches!(
        action,
        Action::StopDaemon { .. }
            | Action::StartDaemon { .. }
            | Action::ProbeDaemon { .. }
            | Action::ParkState { .. }
            | Action::UnparkState { .. }
            | Action::RemoveState { .. }
            | Action::ArchiveFolder { .. }
    )
}

/// Returns the steps on daemons of the open run.
fn steps(machine: &Machine) -> Vec<u32> {
    let runs = machine.runs();
    let run = runs
        .last()
        .filter(|run| run.is_open())
        .expect("an open run");
    let steps = run.plan.steps.iter();
    let own = steps.filter(|step| is_of_daemon(&step.action));
    own.map(|step| step.id.0).collect()
}

/// Runs rekit and asserts that it ended itself at the point.
#[track_caller]
fn kill(machine: &Machine, point: &str, arguments: &[&str]) {
    let answer = machine.rekit_killed_at(point, arguments);
    assert_eq!(answer.signal, Some(9), "{point} did not fire\n{answer}");
}

/// Begins a run, which is killed and resumed at every point of its steps on daemons; returns how many points there were.
fn climb(machine: &Machine, first: &[&str]) -> usize {
    kill(machine, "1:started", first);
    let mut points = 0;
    for step in steps(machine) {
        for at in ["started", "effect", "finished"] {
            kill(machine, &format!("{step}:{at}"), RESUME);
            points += 1;
        }
    }
    machine.rekit(RESUME).good();
    points
}

#[test]
fn a_renewal_in_place_killed_at_every_point_ends_as_if_never_killed() {
    let machine = quick_machine(60);
    let daemon = by_hand(&machine);
    let image = machine.export_of("far");
    let start = start_of(daemon.pid().unwrap());
    assert_eq!(climb(&machine, REINSTALL), 18);
    assert_eq!(start_of(daemon.pid().unwrap()), start);
    assert!(parked(&daemon, 0).join("cache.db").exists());
    let new = machine.export_of("far");
    assert!(!new.differs_from(&image).is_empty(), "it began empty");

    assert_eq!(climb(&machine, ROLLBACK), 15);
    assert_eq!(start_of(daemon.pid().unwrap()), start);
    machine.export_of("far").is_warm_twin_of(&image);
}

#[test]
fn a_renewal_in_place_taken_back_from_anywhere_leaves_the_daemon_as_it_was() {
    let machine = quick_machine(60);
    let daemon = by_hand(&machine);
    let image = machine.export_of("far");
    let start = start_of(daemon.pid().unwrap());
    let before = machine.world();
    kill(&machine, "1:started", REINSTALL);
    let own = steps(&machine);
    // From behind the last of them, killed at every point of the way back.
    kill(
        &machine,
        &format!("{}:finished", own[own.len() - 1]),
        RESUME,
    );
    for step in own.iter().rev() {
        for at in ["undo", "undone"] {
            let point = format!("{step}:{at}");
            let answer = machine.rekit_killed_at(&point, ROLLBACK);
            assert_eq!(answer.signal, Some(9), "{point} did not fire\n{answer}");
        }
    }
    machine.rekit(ROLLBACK).good();
    as_it_was(&machine, &daemon, &start);
    assert_eq!(differences(&before, &machine.world()), Vec::<String>::new());
    machine.export_of("far").is_warm_twin_of(&image);

    for (step, at) in [(1, "started"), (1, "effect"), (2, "effect"), (3, "effect")] {
        kill(&machine, &format!("{}:{at}", own[step]), REINSTALL);
        machine.rekit(ROLLBACK).good();
        as_it_was(&machine, &daemon, &start);
        machine.export_of("far").is_warm_twin_of(&image);
    }
}

#[track_caller]
fn as_it_was(machine: &Machine, daemon: &Standalone, start: &Start) {
    assert_eq!(&start_of(daemon.pid().unwrap()), start);
    assert!(!parked(daemon, 0).exists(), "a state is still parked");
    assert!(machine.rekit(&["status"]).good().code == Some(0));
}

#[test]
fn r2_1_2_a_rootless_daemon_is_renewed_in_place_by_its_own_account() {
    let machine = quick_machine(60);
    let options = StandaloneOptions {
        rootless: true,
        plain: true,
        ..StandaloneOptions::default()
    };
    let daemon = machine.lab.standalone_buildkitd(&options).unwrap();
    machine.remote("far", daemon.address(), &[]);
    let image = machine.export_of("far");
    let machine = machine.lent_to_user();
    // The machine of this account has its subordinate ids, as its daemon sees them.
    let inside = |arguments: &[&str]| {
        let mounts = format!("--mount=/proc/{}/ns/mnt", top(daemon.pid().unwrap()));
        let mut command = machine.lab.command("nsenter");
        command.args([mounts.as_str(), "setpriv", "--reuid=65534", "--regid=65534"]);
        Answer::of(command.args(["--clear-groups", "rekit"]).args(arguments))
    };
    // Its folder and its log are root's in the lab, which its account could not use again; its program was called by its name alone.
    let start = || {
        let mut start = start_of(top(daemon.pid().unwrap()));
        start.retain(|name, _| !["folder", "output"].contains(name));
        let arguments = start.remove("arguments").unwrap();
        let (program, rest) = arguments.split_once('\n').unwrap();
        assert!(program.ends_with("rootlesskit"), "{program}");
        start.insert("arguments", rest.to_owned());
        start
    };
    let (first, before) = (daemon.pid(), start());
    inside(REINSTALL).good();
    assert_ne!(daemon.pid(), first);
    assert_eq!(start(), before);
    assert!(!machine.export_of("far").differs_from(&image).is_empty());
    inside(ROLLBACK).good();
    machine.export_of("far").is_warm_twin_of(&image);
    inside(&["finalize", "--yes"]).good();
    assert!(!parked(&daemon, 1).exists());
    inside(&["rollback", "1", "--yes"]).good();
}

/// Returns the outer process of a daemon in a user namespace.
fn top(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(") ").next().unwrap();
    let parent: u32 = fields.split(' ').nth(1).unwrap().parse().unwrap();
    let program = fs::read_link(format!("/proc/{parent}/exe")).unwrap_or_default();
    if program.file_name() == Some(Path::new("rootlesskit").as_os_str()) {
        return top(parent);
    }
    pid
}

#[test]
fn r2_1_2_a_service_of_systemd_is_renewed_in_place_by_its_manager() {
    let machine = quick_machine(60);
    let groups = || fs::read_to_string("/proc/1/cgroup").unwrap();
    let apart = groups();
    machine.lab.service_manager().unwrap();
    assert_eq!(
        groups(),
        apart,
        "the manager took the machine's processes over"
    );
    let folder = machine.lab.root().join("service");
    let root = folder.join("data");
    fs::create_dir_all(&root).unwrap();
    let address = format!("unix://{}/buildkitd.sock", folder.display());
    let buildctl = machine.lab.buildctl("0.32.2").unwrap();
    let units = machine.lab.home().join(".config/systemd/user");
    fs::create_dir_all(&units).unwrap();
    let unit = format!(
        "[Service]\nExecStart={}/buildkitd --root {} --addr {address} --oci-worker-binary /usr/sbin/runc --otel-socket-path {}/otel.sock\n",
        buildctl.parent().unwrap().display(),
        root.display(),
        folder.display()
    );
    fs::write(units.join("builds.service"), unit).unwrap();
    let systemctl = |words: &[&str]| {
        let mut command = machine.lab.command("systemctl");
        Answer::of(command.arg("--user").args(words)).good().stdout
    };
    systemctl(&["daemon-reload"]);
    systemctl(&["start", "builds.service"]);
    let main = || systemctl(&["show", "--property=MainPID", "--value", "builds.service"]);
    until("the service answers", || {
        let mut ask = std::process::Command::new(&buildctl);
        let ask = ask.args(["--addr", &address, "debug", "workers"]);
        ask.output().is_ok_and(|output| output.status.success())
    });
    machine.remote("far", &address, &[]);
    let image = machine.export_of("far");
    let first = main();
    let away = silence(&told(&machine, REINSTALL));
    assert_ne!(main(), first);
    assert!(systemctl(&["is-active", "builds.service"]).contains("active"));
    assert!(!machine.export_of("far").differs_from(&image).is_empty());
    let second = main();
    let back = silence(&told(&machine, ROLLBACK));
    assert_ne!(main(), second);
    machine.export_of("far").is_warm_twin_of(&image);
    assert!((1..10_000).contains(&away) && (1..10_000).contains(&back));
}

#[test]
fn a_refused_configuration_that_a_running_daemon_was_started_with_stays() {
    let machine = Machine::quick();
    let daemon = unnamed(&machine);
    let config = daemon.root().with_file_name("buildkitd.toml");
    assert!(config.is_file(), "{}", config.display());
    // Somebody is at work on it.
    fs::write(&config, "[worker.oci]\nmax-parallelism = \"many\"\n").unwrap();
    let shown = config.display().to_string();
    let plan = machine.plan();
    let mut actions = plan["steps"].as_array().unwrap().iter();
    let removal = actions.find(|step| {
        step["action"]["step"] == "remove-file" && step["action"]["path"] == shown.as_str()
    });
    assert_eq!(removal, None);
    let left = plan["left_out"].to_string();
    assert!(
        left.contains(&shown) && left.contains("a daemon runs"),
        "{left}"
    );
}
