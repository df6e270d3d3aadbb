//! Who builds where: what `rekit explain front-ends` says by rule is what every front end does, over many settings and two versions of buildx.

use crate::support::{Answer, bring_rekit};
use rekit_lab::{Lab, LabOptions};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const ALL: [&str; 8] = [
    "docker-build",
    "docker-builder-build",
    "docker-image-build",
    "docker-bake",
    "buildx-build",
    "buildx-bake",
    "compose-build",
    "dev-container",
];

/// A lab with the builders `sel` and `other`, and a context `ctx` that leads to the same engine.
struct Machine {
    lab: Lab,
}

impl Machine {
    fn with_buildx(version: &str) -> Self {
        let options = LabOptions {
            buildx: version.to_owned(),
            ..LabOptions::default()
        };
        let lab = Lab::up(options)
            .unwrap_or_else(|error| panic!("no lab: {error:#}\nRun scripts/setup as root."));
        bring_rekit(&lab);
        lab.buildkit_image("0.32.2").unwrap();
        for (name, option) in [
            ("sel", "default-load=false"),
            ("other", "default-load=true"),
        ] {
            let create = ["buildx", "create", "--bootstrap", "--name", name];
            lab.docker(&[&create[..], &["--driver-opt", option]].concat())
                .unwrap();
        }
        let endpoint = format!("host=unix://{}", lab.socket().display());
        lab.docker(&["context", "create", "ctx", "--docker", &endpoint])
            .unwrap();
        Self { lab }
    }

    fn write(&self, file: &str, content: &Value) {
        let path = self.lab.home().join(".docker").join(file);
        fs::write(path, content.to_string()).unwrap();
    }

    fn key(&self) -> String {
        format!("unix://{}", self.lab.socket().display())
    }

    /// Takes every selection away.
    fn reset(&self) {
        let store = self.lab.buildx_config();
        drop(fs::remove_file(store.join("current")));
        drop(fs::remove_dir_all(store.join("defaults")));
        self.write("config.json", &json!({}));
    }

    /// Runs rekit with further variables; `DOCKER_HOST=` unset where the value is empty.
    fn rekit(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Answer {
        let mut command = self.lab.command("rekit");
        command.args(["explain", "front-ends"]).args(arguments);
        set(&mut command, variables);
        Answer::of(&mut command)
    }

    /// Fails unless rule and trial say the same of all front ends; returns in one line what they say.
    #[track_caller]
    fn rule_is_trial(&self, what: &str, variables: &[(&str, &str)]) -> String {
        let before = selection(&self.lab.buildx_config());
        let answer = self.rekit(variables, &["--trial", "--format", "json"]);
        assert_eq!(answer.code, Some(0), "{what}: {answer}");
        let found = answer.json();
        let rows = found["rows"].as_array().unwrap();
        let names: Vec<_> = rows
            .iter()
            .map(|row| row["front_end"].as_str().unwrap())
            .collect();
        assert_eq!(names, ALL);
        for row in rows {
            let (choice, trial) = (&row["choice"], &row["trial"]);
            // Not only what rekit itself makes of the two.
            let builds = choice["kind"] != "nothing";
            assert_eq!(trial["built"], builds, "{what}: {row:#}");
            if builds {
                assert_eq!(trial["seen"]["kind"], choice["kind"], "{what}: {row:#}");
                assert_eq!(trial["seen"]["name"], choice["name"], "{what}: {row:#}");
                assert_eq!(trial["loaded"], row["loads"], "{what}: {row:#}");
            }
        }
        assert_eq!(
            selection(&self.lab.buildx_config()),
            before,
            "{what}: the selection moved"
        );
        let told = rows.iter().map(|row| {
            let choice = &row["choice"];
            choice["name"]
                .as_str()
                .unwrap_or(choice["kind"].as_str().unwrap())
                .to_owned()
        });
        told.collect::<Vec<_>>().join(" ")
    }
}

fn set(command: &mut Command, variables: &[(&str, &str)]) {
    for (name, value) in variables {
        if value.is_empty() {
            command.env_remove(name);
        } else {
            command.env(name, value);
        }
    }
}

/// What of a store a build may write to.
fn selection(store: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for part in [
        "current",
        "activity/sel",
        "activity/other",
        "activity/default",
    ] {
        found.push((
            part.to_owned(),
            fs::read(store.join(part)).unwrap_or_default(),
        ));
    }
    found
}

impl Machine {
    /// `expected` for all eight; for those that docker forwards and the rest; or one by one in the order of `ALL`.
    #[track_caller]
    fn check(&self, what: &str, variables: &[(&str, &str)], expected: &str) {
        let told = self.rule_is_trial(what, variables);
        let all: Vec<_> = match expected.split(' ').collect::<Vec<_>>()[..] {
            [one] => vec![one; 8],
            [docker, rest] => [vec![docker; 4], vec![rest; 4]].concat(),
            ref exact => exact.to_vec(),
        };
        assert_eq!(told, all.join(" "), "{what}");
    }

    fn use_sel(&self) {
        self.lab.docker(&["buildx", "use", "sel"]).unwrap();
    }

    fn current(&self, key: &str, global: bool) {
        let current = json!({"Key": key, "Name": "sel", "Global": global});
        self.write("buildx/current", &current);
    }

    /// Fails if a trial left an image.
    fn has_no_trace(&self) {
        let images = ["images", "--all", "--quiet", "rekit-probe"];
        assert_eq!(self.lab.docker(&images).unwrap(), "");
    }
}

/// What every team has met.
fn over_common_settings(machine: &Machine) {
    machine.check("nothing selected", &[], "default");
    machine.check("variable", &[("BUILDX_BUILDER", "sel")], "sel");
    machine.use_sel();
    machine.check("selected", &[], "default sel");
    let other = [("BUILDX_BUILDER", "other")];
    machine.check("selected, variable", &other, "other");
    machine.check(
        "no BuildKit",
        &[("DOCKER_BUILDKIT", "0")],
        "legacy legacy legacy default sel sel legacy sel",
    );
    machine.write("config.json", &json!({"aliases": {"builder": "buildx"}}));
    machine.check("selected, alias", &[], "sel");
    machine.check("alias, variable", &other, "other");
    machine.reset();
    machine.current("unix:///elsewhere.sock", false);
    machine.check("for another endpoint", &[], "default");
    // In a context, Compose's buildx sees its endpoint alone.
    machine.current("ctx", false);
    machine.check(
        "for a context",
        &IN_CONTEXT,
        "ctx ctx ctx ctx sel sel default sel",
    );
    let plugin = machine.lab.home().join(".docker/cli-plugins/docker-buildx");
    let aside = machine.lab.root().join("tmp/docker-buildx");
    machine.current(&machine.key(), false);
    fs::rename(&plugin, &aside).unwrap();
    machine.check(
        "no buildx",
        &[],
        "legacy legacy legacy nothing nothing nothing sel legacy",
    );
    fs::rename(aside, plugin).unwrap();
}

/// The lab's programs begin with `DOCKER_HOST`, which goes before a context.
const IN_CONTEXT: [(&str, &str); 2] = [("DOCKER_HOST", ""), ("DOCKER_CONTEXT", "ctx")];

/// What few have met.
fn over_rare_settings(machine: &Machine) {
    let lab = &machine.lab;
    let gone = [("BUILDX_BUILDER", "gone")];
    machine.check("variable names nothing", &gone, "nothing");
    machine.check(
        "a context's endpoint",
        &IN_CONTEXT,
        "ctx ctx ctx ctx ctx ctx sel ctx",
    );
    let [host, context] = IN_CONTEXT;
    machine.check(
        "a context's name",
        &[host, context, ("BUILDX_BUILDER", "ctx")],
        "ctx ctx ctx ctx ctx ctx nothing ctx",
    );
    let own = [("COMPOSE_BAKE", "0")];
    machine.check("Compose's own builder", &own, "default sel");
    machine.current("unix:///elsewhere.sock", true);
    machine.check("for all endpoints", &[], "default sel");
    fs::write(lab.buildx_config().join("current"), "{").unwrap();
    machine.check(
        "damaged selection",
        &[],
        "default default default default nothing nothing nothing nothing",
    );
    machine.reset();
    let default = ["buildx", "use", "--default", "other"];
    lab.docker(&default).unwrap();
    fs::remove_file(lab.buildx_config().join("current")).unwrap();
    machine.check("default of the endpoint", &[], "default other");
}

#[test]
fn rule_and_trial_agree_with_the_new_buildx() {
    let machine = Machine::with_buildx("0.36.1");
    over_common_settings(&machine);
    over_rare_settings(&machine);
    machine.has_no_trace();
}

#[test]
fn rule_and_trial_agree_with_the_old_buildx() {
    let machine = Machine::with_buildx("0.29.1");
    over_common_settings(&machine);
    machine.has_no_trace();
}

#[test]
fn a_builder_that_hangs_is_told_and_leaves_no_program() {
    let machine = Machine::with_buildx("0.36.1");
    let lab = &machine.lab;
    lab.docker(&["buildx", "use", "sel"]).unwrap();
    machine
        .rekit(&[], &[])
        .good()
        .says("To make all agree: `export BUILDX_BUILDER=sel`")
        .says("* docker build");
    // Not `docker pause`: the engine would refuse at once what a hung daemon never answers.
    let processes = ["top", "buildx_buildkit_sel0", "-eo", "pid,comm"];
    let processes = lab.docker(&processes).unwrap();
    let daemon = processes.lines().find(|line| line.ends_with("buildkitd"));
    let pid = daemon.unwrap().split_whitespace().next().unwrap();
    Answer::of(Command::new("kill").args(["-STOP", pid])).good();
    let began = Instant::now();
    let answer = machine.rekit(&[], &["--trial", "--deadline", "4", "--format", "json"]);
    assert!(began.elapsed() < Duration::from_secs(40), "{answer}");
    let found = answer.ends_with(3).json();
    let row = |name: &str| {
        let rows = found["rows"].as_array().unwrap();
        rows.iter()
            .find(|row| row["front_end"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(row("docker-build")["differences"], json!([]));
    let hung = row("buildx-build");
    assert_eq!(hung["trial"]["seen"]["name"], "sel", "{hung:#}");
    let told = hung["differences"].to_string();
    assert!(told.contains("no answer within 4000 ms"), "{told}");
    let left = programs_with("rekit-explain-", lab.root());
    assert_eq!(left, [] as [String; 0]);
}

/// Lists the programs of a lab whose variables hold `text`.
fn programs_with(text: &str, root: &Path) -> Vec<String> {
    let root = root.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let found = processes.filter_map(|process| {
        let variables = fs::read(process.path().join("environ")).ok()?;
        let variables = String::from_utf8_lossy(&variables).into_owned();
        let is_ours = variables.contains(text) && variables.contains(&root);
        let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
        is_ours.then(|| String::from_utf8_lossy(&words).replace('\0', " "))
    });
    found.collect()
}
