//! The criteria on a real engine: each failed alone turns the run by itself, or leaves it standing for a person; what is no loss does neither.

use crate::support::{Answer, Machine, World, differences};
use rekit_core::{
    criteria::{Criterion, Decision, FailedCriterion, Found, Trial},
    next::{Entry, RunEnd, Turn},
    undo::Outcome,
};
use rekit_run::journal::StoredRun;
use std::{fs, os::unix::fs::PermissionsExt};

/// The image that every node is made of.
const IMAGE: &str = "moby/buildkit:buildx-stable-1";
/// One platform, and no more waiting than is needed.
const QUICK: &str = "[builder]\nplatforms = [\"linux/amd64\"]\n[drain]\ngrace-seconds = 1\n";

#[test]
fn r1_4_5_a_daemon_that_does_not_start_takes_the_run_back() {
    let machine = machine(QUICK);
    spoil(&machine, &["ENTRYPOINT [\"/bin/false\"]"], None);
    let before = machine.world();
    falls_back(&machine, &before, Criterion::DaemonStarts, "boot-node");
    stands_still(&machine, Criterion::DaemonStarts, "boot-node");
    // Nothing can be accepted here: going on is trying again, as often as a person likes.
    machine.rekit(&["resume", "--yes"]).ends_with(3);
    machine.rekit(&["rollback", "--yes"]).good();
    assert_as_before(&machine, &before);
    stands_still(&machine, Criterion::DaemonStarts, "boot-node");
    machine.docker(&["tag", "sound", IMAGE]).good();
    machine.rekit(&["resume", "--yes"]).good();
    builds(&machine);
}

#[test]
fn r1_4_5_a_node_that_builds_nothing_takes_the_run_back() {
    let machine = machine(QUICK);
    spoil(&machine, &[], Some("exit 1"));
    let before = machine.world();
    falls_back(&machine, &before, Criterion::HealthyBuilder, "probe-node");
    stands_still(&machine, Criterion::HealthyBuilder, "probe-node");
    machine.rekit(&["rollback", "--yes"]).good();
    assert_as_before(&machine, &before);
}

#[test]
fn r1_4_5_a_build_that_passed_before_and_fails_takes_the_run_back() {
    let machine = machine("[drain]\ngrace-seconds = 1\n");
    // The machine byte of a program for arm64.
    let refuse = r#"
bundle=; last=
for word in "$@"; do [ "$last" = --bundle ] && bundle=$word; last=$word; done
for program in "$bundle"/rootfs/probe-*; do
  [ -e "$program" ] && dd if="$program" bs=1 skip=18 count=1 2> /dev/null | od -t x1 | grep -q b7 && exit 1
done
"#;
    spoil(&machine, &[], Some(refuse));
    let before = machine.world();
    let failed = falls_back(&machine, &before, Criterion::BuildsPass, "probe-node");
    assert!(failed.measure.contains("linux/arm64"), "{failed}");
    stands_still(&machine, Criterion::BuildsPass, "probe-node");
    machine.rekit(&["rollback", "--yes"]).good();
    assert_as_before(&machine, &before);
}

#[test]
fn r1_4_5_builds_that_are_slower_than_agreed_take_the_run_back() {
    let machine = machine(QUICK);
    let slow = "case \" $* \" in *' run '*) sleep 2 ;; esac";
    spoil(&machine, &[], Some(slow));
    let before = machine.world();
    let failed = falls_back(&machine, &before, Criterion::Speed, "probe-node");
    assert!(failed.measure.contains("a cold build takes"), "{failed}");
    assert!(failed.limit.contains("before × 2.00 + 1.00 s"), "{failed}");
    stands_still(&machine, Criterion::Speed, "probe-node");
    // A person takes the slower node: the builds there are slow at the end too, and that is asked again.
    machine.rekit(&["resume", "--yes"]).ends_with(3);
    assert_eq!(standing(&machine, "validate").criterion, Criterion::Speed);
    machine
        .rekit(&["resume", "--yes"])
        .good()
        .says("accepted: speed: ");
    builds(&machine);
    // The same is no failure where it was agreed.
    machine.rekit(&["rollback", "--yes"]).good();
    let agreed = format!("{QUICK}[criteria]\nslower-factor = 1\nslack-ms = 120000\n");
    goal(&machine, &agreed);
    machine.rekit(&["reinstall", "--yes"]).good();
}

#[test]
fn r1_4_5_an_integration_that_is_lost_takes_the_run_back() {
    let machine = machine(QUICK);
    break_compose(
        &machine,
        "grep -qs team0-g1 \"$BUILDX_CONFIG/instances/team\"",
    );
    let before = machine.world();
    let failed = falls_back(&machine, &before, Criterion::Integration, "validate");
    assert!(failed.measure.contains("docker compose build"), "{failed}");
    stands_still(&machine, Criterion::Integration, "validate");
    machine
        .rekit(&["resume", "--yes"])
        .good()
        .says("accepted: integration: ");
    builds(&machine);
    let run = last_run(&machine);
    assert_eq!(run.state().ended(), Some(RunEnd::Done));
}

#[test]
fn r1_4_5_a_cold_new_cache_and_what_failed_before_are_no_loss() {
    let machine = machine(QUICK);
    break_compose(&machine, "true");
    let warm = team(&machine);
    assert_eq!(
        warm.cold_steps(),
        Vec::<String>::new(),
        "the old cache is warm"
    );
    machine
        .rekit(&["reinstall", "--yes"])
        .good()
        .says("docker compose build fails, as it did before");
    let decision = decision(&last_run(&machine));
    assert!(decision.failed().is_none(), "{decision:?}");
    let speed = decision
        .verdicts
        .iter()
        .find(|verdict| verdict.criterion == Criterion::Speed);
    assert_eq!(speed.unwrap().measure, "2 of 2 builds compared");
    let cold = team(&machine).cold_steps();
    assert!(cold.len() > 5, "the new cache is cold: {cold:?}");
}

#[test]
fn r1_4_5_the_baseline_starts_no_builder_and_tells_why_one_cannot_build() {
    let machine = machine(QUICK);
    machine
        .docker(&["stop", "--time", "60", "buildx_buildkit_team0"])
        .good();
    let before = machine.world();
    let answer = machine.rekit_killed_at("1:finished", &["reinstall", "--yes"]);
    assert_eq!(answer.signal, Some(9), "{answer}");
    assert_as_before(&machine, &before);
    let state = last_run(&machine).state();
    let Some(Outcome::Baseline { measures }) = state.outcome(rekit_core::step::StepId(1)) else {
        panic!("{state:?}")
    };
    for measure in measures {
        let fails = matches!(measure.found, Found::Fails { .. });
        assert_eq!(fails, measure.builder == "team", "{measure:?}");
    }
    assert!(measures.iter().any(|it| it.trial == Trial::Compose {}));
    // Such a builder has nothing to lose, and gets a node that builds.
    machine.rekit(&["resume", "--yes"]).good();
    builds(&machine);
}

#[test]
fn r1_4_3_r1_4_4_the_sheet_says_what_decides_when_and_where_going_back_can_fail() {
    let machine = machine(QUICK);
    let plan = machine.rekit(&["plan"]).good().says("Decided on the way");
    for criterion in [
        "daemon-starts",
        "healthy-builder",
        "builds-pass",
        "speed",
        "integration",
    ] {
        assert!(plan.text().contains(criterion), "{plan}");
    }
    machine.rekit(&["reinstall", "--yes"]).good();
    let run = last_run(&machine);
    let place = |ending| {
        let name = format!("rollback/{}.{ending}", run.plan.run);
        fs::read_to_string(machine.home().join(name)).unwrap()
    };
    let (text, page) = (place("md"), place("html"));
    let points = text.split("## Decision points").nth(1).unwrap();
    let points = points.split("\n## ").next().unwrap();
    let decided = decision(&run).at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for needed in [
        decided.as_str(),
        "| integration |",
        "× 2.00 + 1.00 s",
        "holds: ",
    ] {
        assert!(points.contains(needed), "no {needed} in\n{points}");
    }
    let steps: Vec<_> = text
        .split("\n## ")
        .filter(|part| part.contains("Take back step"))
        .collect();
    assert!(!steps.is_empty());
    for step in steps {
        let pitfalls = step.split("Where it can fail:").nth(1).unwrap_or_default();
        assert!(pitfalls.contains("\n- "), "{step}");
    }
    let escaped = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    for block in text.split("```sh\n").skip(1) {
        let commands = block.split("```").next().unwrap();
        let shown = page.contains(&escaped(commands))
            || page.contains(&escaped(commands).replace('"', "&quot;"));
        assert!(shown, "the page lacks\n{commands}");
    }
    assert!(page.contains("<table>") && !page.contains("<script"));
}

/// Starts the machine with the builder `team` alone, and a goal.
fn machine(text: &str) -> Machine {
    let machine = Machine::small();
    machine
        .docker(&["rm", "--force", "--volumes", "buildx_buildkit_ci0"])
        .good();
    machine
        .docker(&["volume", "rm", "buildx_buildkit_ci0_state"])
        .good();
    fs::remove_file(machine.record("ci")).unwrap();
    goal(&machine, text);
    machine
}

fn goal(machine: &Machine, text: &str) {
    fs::write(machine.lab.home().join("project/rekit.toml"), text).unwrap();
}

/// Makes the nodes to come of an image with other settings, and with a runc that does something first.
fn spoil(machine: &Machine, settings: &[&str], runc: Option<&str>) {
    let folder = machine.lab.root().join("tmp/spoilt");
    fs::create_dir_all(&folder).unwrap();
    machine.docker(&["tag", IMAGE, "sound"]).good();
    machine
        .docker(&["create", "--name", "spoilt", "sound"])
        .good();
    if let Some(first) = runc {
        let real = folder.join("runc").display().to_string();
        machine
            .docker(&["cp", "spoilt:/usr/bin/buildkit-runc", &real])
            .good();
        machine
            .docker(&["cp", &real, "spoilt:/usr/bin/real-runc"])
            .good();
        let script = folder.join("script");
        fs::write(
            &script,
            format!("#!/bin/sh\n{first}\nexec /usr/bin/real-runc \"$@\"\n"),
        )
        .unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let script = script.display().to_string();
        machine
            .docker(&["cp", &script, "spoilt:/usr/bin/buildkit-runc"])
            .good();
    }
    let changes: Vec<_> = settings.iter().flat_map(|it| ["--change", it]).collect();
    machine
        .docker(&[&["commit"], &changes[..], &["spoilt", IMAGE]].concat())
        .good();
    machine.docker(&["rm", "--volumes", "spoilt"]).good();
}

/// Puts a Compose in the place of the real one that fails where a condition holds.
fn break_compose(machine: &Machine, condition: &str) {
    let plugin = machine
        .lab
        .home()
        .join(".docker/cli-plugins/docker-compose");
    let real = machine.lab.root().join("tmp/real-compose");
    fs::rename(&plugin, &real).unwrap();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" != docker-cli-plugin-metadata ] && {condition}; then\n  echo 'this Compose is broken' >&2\n  exit 1\nfi\nexec {} \"$@\"\n",
        real.display()
    );
    fs::write(&plugin, script).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Reinstalls: the run takes itself back for this criterion alone, says so, and leaves the world as it was.
#[track_caller]
fn falls_back(
    machine: &Machine,
    before: &World,
    criterion: Criterion,
    kind: &str,
) -> FailedCriterion {
    let began = jiff::Timestamp::now();
    machine
        .rekit(&["reinstall", "--yes"])
        .ends_with(5)
        .says(&format!("criterion `{criterion}`"))
        .says("agreed: ");
    let run = last_run(machine);
    let Some(Turn::Criterion { step, failed }) = run.state().turned().cloned() else {
        panic!("{:?}", run.state().turned())
    };
    assert_eq!(failed.criterion, criterion, "{failed}");
    assert_eq!(kind_of(&run, step.0), kind, "{failed}");
    assert!(
        failed.measure.len() > 20 && failed.limit.len() > 20,
        "{failed}"
    );
    assert!(
        began < failed.at && failed.at < jiff::Timestamp::now(),
        "{failed}"
    );
    let sheet = format!("rollback/{}.md", run.plan.run);
    let sheet = fs::read_to_string(machine.home().join(sheet)).unwrap();
    assert!(
        sheet.contains(&format!(
            "The run was turned at step {step}: criterion `{criterion}`"
        )),
        "{sheet}"
    );
    assert_as_before(machine, before);
    failed
}

/// Reinstalls with a person to decide: the run stands still for this criterion.
#[track_caller]
fn stands_still(machine: &Machine, criterion: Criterion, kind: &str) {
    machine
        .rekit(&["reinstall", "--yes", "--no-auto-rollback"])
        .ends_with(3)
        .says("`rekit rollback`")
        .says("`rekit resume`");
    assert_eq!(standing(machine, kind).criterion, criterion);
    machine
        .rekit(&["status"])
        .ends_with(3)
        .says(&format!("criterion `{criterion}`"))
        .says("accepts what was measured");
}

/// Returns why the open run stands still, after a step of this kind.
#[track_caller]
fn standing(machine: &Machine, kind: &str) -> FailedCriterion {
    let run = last_run(machine);
    let state = run.state();
    let (step, failed) = state.held().unwrap_or_else(|| panic!("{state:?}"));
    assert_eq!(kind_of(&run, step.0), kind, "{failed}");
    assert!(matches!(run.entries.last(), Some((_, Entry::Held { .. }))));
    failed.clone()
}

fn last_run(machine: &Machine) -> StoredRun {
    machine.runs().pop().unwrap()
}

fn kind_of(run: &StoredRun, step: u32) -> &'static str {
    let mut steps = run.plan.steps.iter();
    steps
        .find(|known| known.id.0 == step)
        .unwrap()
        .action
        .kind()
}

/// Returns the last decision of a run.
#[track_caller]
fn decision(run: &StoredRun) -> Decision {
    let state = run.state();
    let steps = run.plan.steps.iter().rev();
    let mut decisions = steps.filter_map(|step| state.outcome(step.id)?.decision().cloned());
    decisions.next().unwrap()
}

/// Builds the team's image.
fn team(machine: &Machine) -> Answer {
    let script = machine
        .lab
        .home()
        .join("project/build.sh")
        .display()
        .to_string();
    let arguments = [
        "--builder",
        "team",
        "--progress=plain",
        "--output",
        "type=cacheonly",
    ];
    Answer::of(&mut machine.command(&script, &arguments)).good()
}

fn builds(machine: &Machine) {
    let arguments = [
        "--builder",
        "team",
        "--no-cache",
        "--output",
        "type=cacheonly",
    ];
    machine.build("hello", &arguments).good();
}

#[track_caller]
fn assert_as_before(machine: &Machine, before: &World) {
    let found = differences(before, &machine.world());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}
