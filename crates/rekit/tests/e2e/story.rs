//! One run on the first user's machine from the plan to the end of the probation, and all that was seen of it, as plain data.

use crate::support::{Answer, Machine, World};
use rekit_core::{history::PastRun, inventory::Inventory, step::Action};
use rekit_lab::modes::{CacheSize, FirstUser, desktop};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Platforms, and what `uname -m` says there.
pub(crate) const BOTH_PLATFORMS: [(&str, &str); 2] =
    [("linux/amd64", "x86_64"), ("linux/arm64", "aarch64")];

/// All that was seen of one run from the plan to the end of the probation.
pub(crate) struct Story {
    pub(crate) planted: FirstUser,
    pub(crate) desktop_socket: String,
    pub(crate) plan: Value,
    pub(crate) before: World,
    pub(crate) reinstalled: Seen,
    /// Whether each old node's daemon removed its lock, which only one that ended by itself does, and its exit code.
    pub(crate) stops: Vec<(String, bool, String)>,
    pub(crate) builds: Builds,
    pub(crate) validation: Answer,
    pub(crate) finalized: Seen,
    pub(crate) archives: Vec<Answer>,
    pub(crate) runs: Vec<PastRun>,
    /// Where the old state volumes lay, and whether they are still there at the end.
    pub(crate) old_states: Vec<(PathBuf, bool)>,
}

/// The machine at one moment.
pub(crate) struct Seen {
    pub(crate) inventory: Inventory,
    pub(crate) foreign: World,
    pub(crate) objects: BTreeSet<String>,
    /// What `docker buildx ls` lists.
    pub(crate) listing: Vec<Value>,
    pub(crate) listing_complaints: String,
    pub(crate) doctor: Answer,
    /// Which of the planted leftovers lie there still.
    pub(crate) leftovers: Vec<String>,
    /// Which of the things that a killed daemon left lie there still.
    pub(crate) left_behind: Vec<String>,
}

/// What came of builds with the new builders.
pub(crate) struct Builds {
    pub(crate) by_builder: BTreeMap<String, Answer>,
    pub(crate) by_platform: BTreeMap<String, Answer>,
    pub(crate) cold: Answer,
    pub(crate) warm: Answer,
    pub(crate) changed: Answer,
    pub(crate) forced: Answer,
    /// Records in the cache of `team` before and after the first build.
    pub(crate) records: (usize, usize),
    /// What each way of selecting a builder selects.
    pub(crate) selections: Vec<(String, Answer)>,
}

impl Story {
    /// Reinstalls and ends the probation, looking around after each.
    pub(crate) fn tell(desktop: bool) -> Self {
        let machine = Machine::with(desktop, CacheSize::Full);
        let planted = &machine.planted.state;
        assert!(
            planted.bytes >= 500 << 20 && planted.files >= 10_000,
            "{planted:?}"
        );
        let states = ["team", "ci", "legacy"].map(|name| state(&machine, name));
        let before = machine.foreign();
        let plan = machine.plan();
        machine.rekit(&["reinstall", "--yes"]).good();
        let reinstalled = Seen::on(&machine);
        let stops = ["team", "ci"]
            .map(|builder| stop(&machine, builder))
            .to_vec();
        let builds = Builds::on(&machine, &reinstalled);
        let validation = machine.rekit(&["validate", "--format", "json"]);
        machine.rekit(&["finalize", "--yes"]).good();
        let past = |run: rekit_run::journal::StoredRun| PastRun {
            state: run.state(),
            plan: run.plan,
            began: run.began,
        };
        let runs: Vec<_> = machine.runs().into_iter().map(past).collect();
        let folder = machine.home().join("archives");
        let verify = |archive: String| {
            let path = folder.join(archive).display().to_string();
            machine.rekit(&["backup", "verify", &path])
        };
        Self {
            desktop_socket: format!("unix://{}", desktop::socket(&machine.lab).display()),
            planted: machine.planted.clone(),
            plan,
            before,
            reinstalled,
            stops,
            builds,
            validation,
            finalized: Seen::on(&machine),
            archives: archives(&runs[0]).into_iter().map(verify).collect(),
            runs,
            old_states: states.map(|state| (state.clone(), state.exists())).to_vec(),
        }
    }
}

/// Returns where the state of a builder's first node lies.
fn state(machine: &Machine, builder: &str) -> PathBuf {
    let volume = format!("buildx_buildkit_{builder}0_state");
    machine.lab.volume(&volume).unwrap()
}

/// Returns how the old node of a builder ended: its name, whether it left its lock, its status and exit code.
fn stop(machine: &Machine, builder: &str) -> (String, bool, String) {
    let node = format!("buildx_buildkit_{builder}0");
    let format = "{{.State.Status}} {{.State.ExitCode}}";
    let end = machine
        .docker(&["inspect", "--format", format, &node])
        .good();
    let left_its_lock = state(machine, builder).join("buildkitd.lock").exists();
    (node, left_its_lock, end.stdout.trim().to_owned())
}

impl Seen {
    fn on(machine: &Machine) -> Self {
        let foreign = machine.foreign();
        let inventory = machine.inventory();
        let objects = machine.objects();
        let doctor = machine.rekit(&["doctor", "--format", "json"]);
        let listing = machine.docker(&["buildx", "ls", "--format", "json"]).good();
        let builders = listing
            .stdout
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let store = machine.lab.buildx_config();
        Self {
            inventory,
            foreign,
            objects,
            doctor,
            listing: builders.collect(),
            listing_complaints: listing.stderr,
            leftovers: machine
                .planted
                .leftovers
                .iter()
                .filter(|leftover| store.join(leftover).exists())
                .cloned()
                .collect(),
            left_behind: machine
                .planted
                .left_behind
                .iter()
                .filter(|path| machine.lab.root().join(path).exists())
                .cloned()
                .collect(),
        }
    }

    pub(crate) fn builder(&self, name: &str) -> &Value {
        let found = self.listing.iter().find(|builder| builder["Name"] == name);
        found.unwrap_or_else(|| panic!("no builder `{name}` in {:#?}", self.listing))
    }
}

impl Builds {
    fn on(machine: &Machine, seen: &Seen) -> Self {
        // First, as buildx forgets the selection when it builds in another context.
        let selections = selections(machine, seen);
        let names = seen
            .listing
            .iter()
            .filter_map(|builder| builder["Name"].as_str());
        let by_builder = names
            .map(|name| (name.to_owned(), hello(machine, name)))
            .collect();
        let platforms = BOTH_PLATFORMS.iter();
        let by_platform = platforms
            .map(|(platform, _)| ((*platform).to_owned(), image_runs(machine, platform)))
            .collect();
        let before = records(machine);
        let cold = app(machine, &[]);
        let after = records(machine);
        let warm = app(machine, &[]);
        let source = machine.lab.home().join("project/src/main.sh");
        let changed = with_other_text(&source, || app(machine, &[]));
        Self {
            by_builder,
            by_platform,
            cold,
            warm,
            changed,
            forced: app(machine, &["--no-cache"]),
            records: (before, after),
            selections,
        }
    }
}

/// Builds an image for a platform into the engine, runs it and removes it.
fn image_runs(machine: &Machine, platform: &str) -> Answer {
    let options = [
        "--builder=team",
        "--platform",
        platform,
        "--load",
        "--tag=probe:1",
    ];
    machine.build("hello", &options).good();
    let script = "cat /out/arch; uname -m";
    let run = machine.docker(&[
        "run",
        "--rm",
        "--platform",
        platform,
        "probe:1",
        "sh",
        "-c",
        script,
    ]);
    machine.docker(&["image", "rm", "probe:1"]).good();
    run
}

/// Builds the team's image, smaller than its script does.
fn app(machine: &Machine, more: &[&str]) -> Answer {
    let fixed = [
        "--builder=team",
        "--build-arg=FILES=20",
        "--build-arg=MEGABYTES=1",
        "--output=type=cacheonly",
    ];
    machine.build("app", &[&fixed[..], more].concat()).good()
}

/// Returns how many lines the listing of the cache has.
fn records(machine: &Machine) -> usize {
    let listing = machine
        .docker(&["buildx", "du", "--builder", "team"])
        .good();
    listing.stdout.lines().count()
}

/// Does something while a file holds another text.
fn with_other_text<T>(file: &Path, work: impl FnOnce() -> T) -> T {
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, "echo another greeting\n").unwrap();
    let done = work();
    fs::write(file, text).unwrap();
    done
}

/// Builds with a builder; with a context's own one in that context, as buildx demands.
fn hello(machine: &Machine, builder: &str) -> Answer {
    let arguments = [
        "buildx",
        "build",
        "--target=hello",
        "--output=type=cacheonly",
        ".",
    ];
    let mut command = machine.command("docker", &arguments);
    let is_context = machine.docker(&["context", "inspect", builder]).code == Some(0);
    if builder != "default" && is_context {
        command
            .env_remove("DOCKER_HOST")
            .env("DOCKER_CONTEXT", builder);
    } else {
        command.env("BUILDX_BUILDER", builder);
    }
    Answer::of(&mut command)
}

/// Selects builders in each way there is.
fn selections(machine: &Machine, seen: &Seen) -> Vec<(String, Answer)> {
    let inspect = ["buildx", "inspect"];
    let current = seen.inventory.stores[0].current.as_ref().unwrap();
    let chosen = current.known().unwrap().current.name.clone();
    let before = machine.docker(&inspect);
    let by_variable = Answer::of(
        machine
            .command("docker", &inspect)
            .env("BUILDX_BUILDER", "team"),
    );
    let by_flag = machine.docker(&["buildx", "--builder", "default", "inspect"]);
    machine.docker(&["buildx", "use", "team"]).good();
    let by_use = machine.docker(&inspect);
    machine.docker(&["buildx", "use", &chosen]).good();
    vec![
        (chosen, before),
        ("team".to_owned(), by_variable),
        ("default".to_owned(), by_flag),
        ("team".to_owned(), by_use),
    ]
}

/// Returns the archives that a run made.
fn archives(run: &PastRun) -> Vec<String> {
    let archives = run.plan.steps.iter().filter_map(|step| match &step.action {
        Action::ArchiveState { archive, .. } | Action::SaveConfiguration { archive, .. } => {
            Some(archive.to_string())
        }
        _ => None,
    });
    archives.collect()
}
