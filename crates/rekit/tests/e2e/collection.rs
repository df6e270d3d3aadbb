//! What `rekit explain gc` foresees, against what real daemons then collect: the same records, neither more nor fewer.
//!
//! A daemon collects one second after its start, and then at most once a minute. So a cache is filled in the quiet minute, rekit is asked, the
//! daemon is started again, and what it has left is looked at. What it does without a new start is asked of `docker buildx prune` with the same
//! limits, which goes the same way. Where chance decides between equal records, rekit names both.

use crate::support::{Answer, bring_rekit, until};
use rekit_lab::{Lab, LabOptions, Standalone, StandaloneOptions};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// When the first collection after a start is over; it begins after a second.
const QUIET: Duration = Duration::from_secs(3);

/// The first collection of a daemon that is started anew; the next one of a daemon that runs on.
const AT_START: &str = "at_next_start";
const RUNNING: &str = "next_collection";

const DOCKERFILE: &str = r#"FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV PATH=/bin
FROM base
ARG ROUND
RUN head -c 2000000 /dev/urandom > /$ROUND
RUN --mount=type=cache,id=mount,target=/mount head -c 1000000 /dev/urandom > /mount/$ROUND && head -c 500000 /dev/urandom > /more
"#;

/// The first comes again at last, so that age and use do not say the same.
const ROUNDS: &[&str] = &["one", "two", "three", "one"];

/// A policy, and what is known beforehand of what it does.
struct Case {
    name: &'static str,
    version: &'static str,
    policy: &'static str,
    /// How many records go at least and at most.
    goes: std::ops::RangeInclusive<usize>,
}

const CASES: &[Case] = &[
    Case {
        name: "tiers",
        version: "0.32.2",
        policy: r#"
[[worker.oci.gcpolicy]]
filters = ["type==source.local", "type==exec.cachemount"]
maxUsedSpace = "1MB"
[[worker.oci.gcpolicy]]
keepDuration = "1h"
all = true
[[worker.oci.gcpolicy]]
all = true
maxUsedSpace = "7MB"
"#,
        goes: 4..=20,
    },
    Case {
        name: "both",
        version: "0.32.2",
        policy: r#"
[[worker.oci.gcpolicy]]
filters = ["type==exec.cachemount,mutable"]
[[worker.oci.gcpolicy]]
filters = ["type==source.local,type==exec.cachemount"]
[[worker.oci.gcpolicy]]
all = true
keepDuration = "2s"
filters = ["type==regular"]
reservedSpace = "6MB"
"#,
        goes: 2..=20,
    },
    Case {
        name: "free",
        version: "0.32.2",
        policy: "[[worker.oci.gcpolicy]]\nall = true\nminFreeSpace = \"1MB\"\n",
        goes: 1..=1,
    },
    Case {
        name: "full",
        version: "0.32.2",
        policy: r#"
[[worker.oci.gcpolicy]]
all = true
maxUsedSpace = "50GB"
reservedSpace = "5MB"
minFreeSpace = "100%"
"#,
        goes: 2..=20,
    },
    Case {
        name: "broken",
        version: "0.32.2",
        policy: r#"
[[worker.oci.gcpolicy]]
filters = ["type==source.local"]
[[worker.oci.gcpolicy]]
filters = ["type===regular"]
[[worker.oci.gcpolicy]]
all = true
"#,
        goes: 1..=4,
    },
    Case {
        name: "roomy",
        version: "0.32.2",
        policy: r#"
[[worker.oci.gcpolicy]]
keepDuration = "48h"
[[worker.oci.gcpolicy]]
all = true
maxUsedSpace = "10GB"
reservedSpace = "1GB"
minFreeSpace = "1MB"
"#,
        goes: 0..=0,
    },
    Case {
        name: "oldtiers",
        version: "0.17.3",
        policy: r#"
[[worker.oci.gcpolicy]]
filters = ["type==source.local"]
[[worker.oci.gcpolicy]]
all = true
maxUsedSpace = "7MB"
"#,
        goes: 3..=20,
    },
    Case {
        name: "oldfree",
        version: "0.17.3",
        policy: "[[worker.oci.gcpolicy]]\nall = true\nminFreeSpace = \"1MB\"\n",
        goes: 6..=30,
    },
];

/// A machine whose daemons are asked and started again.
struct Scene {
    lab: Lab,
}

impl Scene {
    fn new() -> Self {
        let lab = Lab::up(LabOptions::default())
            .unwrap_or_else(|error| panic!("no lab: {error:#}\nRun scripts/setup as root."));
        bring_rekit(&lab);
        let scene = Self { lab };
        fs::create_dir_all(scene.context()).unwrap();
        fs::copy("/bin/busybox", scene.context().join("busybox")).unwrap();
        fs::write(scene.context().join("Dockerfile"), DOCKERFILE).unwrap();
        scene
    }

    fn context(&self) -> PathBuf {
        self.lab.root().join("tmp/context")
    }

    fn docker(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.lab.command("docker").args(arguments)).good()
    }

    /// Builds rounds, one after the other.
    fn fill(&self, builder: &str, rounds: &[&str]) {
        for round in rounds {
            let argument = format!("ROUND={round}");
            let context = self.context().display().to_string();
            let fixed = ["buildx", "build", "--builder", builder, "--build-arg"];
            let more = [&argument, "--output=type=cacheonly", &context];
            self.docker(&[&fixed[..], &more].concat());
        }
    }

    /// Returns what rekit foresees of a builder's daemon.
    fn foreseen(&self, builder: &str) -> Value {
        let mut rekit = self.lab.command("rekit");
        rekit.args(["explain", "gc", builder, "--format", "json"]);
        let told = Answer::of(&mut rekit).good().json();
        assert_eq!(told["schema"], "rekit/collections");
        let daemons = told["daemons"].as_array().unwrap();
        assert_eq!(daemons.len(), 1, "{told:#}");
        daemons[0].clone()
    }

    /// Returns the ids of a builder's cache as the real buildx lists them.
    fn records(&self, builder: &str) -> BTreeSet<String> {
        let list = ["buildx", "du", "--builder", builder, "--format", "json"];
        let listed = self.docker(&list).stdout;
        let ids = listed.lines().map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["ID"].as_str().unwrap().to_owned()
        });
        ids.collect()
    }

    fn standalone(&self, case: &Case) -> Standalone {
        let options = StandaloneOptions {
            version: case.version.to_owned(),
            config: format!("debug = true\n[worker.oci]\ngc = true\n{}", case.policy),
            ..StandaloneOptions::default()
        };
        let daemon = self.lab.standalone_buildkitd(&options).unwrap();
        let fixed = [
            "buildx", "create", "--driver", "remote", "--name", case.name,
        ];
        self.docker(&[&fixed[..], &[daemon.address()]].concat());
        daemon
    }
}

/// What was foreseen of a collection.
struct Foreseen {
    certain: BTreeSet<String>,
    possible: BTreeSet<String>,
    count: usize,
}

impl Foreseen {
    fn of(daemon: &Value, when: &str) -> Self {
        let forecast = &daemon["cache"]["known"][when]["known"];
        let all = |key: &str| {
            forecast[key]
                .as_array()
                .unwrap_or_else(|| panic!("{daemon:#}"))
        };
        let deletions = all("deletions");
        let id = |it: &Value| it.as_str().unwrap().to_owned();
        let certain = deletions.iter().filter(|it| it["is_certain"] == true);
        let certain: BTreeSet<_> = certain.map(|it| id(&it["id"])).collect();
        let mut possible: BTreeSet<_> = deletions.iter().map(|it| id(&it["id"])).collect();
        possible.extend(all("or_instead").iter().map(id));
        assert_eq!(forecast["is_complete"], true, "{daemon:#}");
        Self {
            count: deletions.len(),
            certain,
            possible,
        }
    }

    /// Fails unless exactly these records went, as far as chance did not decide.
    #[track_caller]
    fn is_what_went(&self, name: &str, went: &BTreeSet<String>) {
        let chance = self.possible.len() - self.certain.len();
        assert!(
            self.certain.is_subset(went) && went.is_subset(&self.possible),
            "{name}: foreseen {:?} to {:?}, went {went:?}",
            self.certain,
            self.possible
        );
        if chance == 0 {
            assert_eq!(&self.possible, went, "{name}");
        }
    }
}

fn compare(scene: &Scene, case: &Case) {
    let name = case.name;
    let began = Instant::now();
    let daemon = scene.standalone(case);
    until("the first collection is over", || began.elapsed() > QUIET);
    scene.fill(name, ROUNDS);
    let filled = Instant::now();
    until("all is older than the policy minds", || {
        filled.elapsed() > QUIET
    });
    let before = scene.records(name);
    let told = scene.foreseen(name);
    let foreseen = Foreseen::of(&told, AT_START);
    assert!(case.goes.contains(&foreseen.count), "{name}: {told:#}");
    assert!(foreseen.possible.is_subset(&before), "{name}: {told:#}");
    daemon.stop().unwrap();
    let log = daemon.folder().join("log");
    let earlier = fs::read_to_string(&log).unwrap().len();
    let again = Instant::now();
    scene.lab.start_standalone(&daemon).unwrap();
    until("it has collected", || {
        let text = fs::read_to_string(&log).unwrap();
        let new = text.get(earlier..).unwrap_or(&text);
        let is_over = new.contains("gc cleaned up") || new.contains("gc error");
        is_over || (foreseen.count == 0 && again.elapsed() > QUIET)
    });
    let after = scene.records(name);
    let went: BTreeSet<_> = before.difference(&after).cloned().collect();
    foreseen.is_what_went(name, &went);
}

#[test]
fn what_is_foreseen_is_what_real_daemons_delete() {
    let scene = Scene::new();
    thread::scope(|scope| {
        let compared: Vec<_> = CASES
            .iter()
            .map(|case| scope.spawn(|| compare(&scene, case)))
            .collect();
        for one in compared {
            if let Err(panic) = one.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

#[test]
fn the_collection_of_a_builder_in_a_container_is_foreseen_and_told() {
    let scene = Scene::new();
    scene.lab.buildkit_image("0.32.2").unwrap();
    let config = scene.context().with_extension("toml");
    let policy = "[[worker.oci.gcpolicy]]\nfilters = [\"type==source.local,type==exec.cachemount\"]\n\
        [[worker.oci.gcpolicy]]\nall = true\nmaxUsedSpace = \"7MB\"\n";
    fs::write(
        &config,
        format!("debug = true\n[worker.oci]\ngc = true\n{policy}"),
    )
    .unwrap();
    let began = Instant::now();
    let config = config.display().to_string();
    let fixed = ["buildx", "create", "--name", "boxed", "--bootstrap"];
    scene.docker(&[&fixed[..], &["--buildkitd-config", &config]].concat());
    until("the first collection is over", || began.elapsed() > QUIET);
    scene.fill("boxed", ROUNDS);
    let before = scene.records("boxed");
    let told = scene.foreseen("boxed");
    let never = told["rules"][0]["never"].as_str().unwrap();
    assert!(never.contains("at once"), "{told:#}");
    let foreseen = Foreseen::of(&told, AT_START);
    assert!(foreseen.count > 2, "{told:#}");

    let mut rekit = scene.lab.command("rekit");
    let text = Answer::of(rekit.args(["explain", "gc"])).good();
    text.says("builder boxed, node boxed0")
        .says("It can never do anything")
        .says("Every record: while the whole cache holds 7 MiB or more.")
        .says("If it is started anew, others go")
        .says("engine unix://")
        .says("The limits of its 2 caches");
    let mut rekit = scene.lab.command("rekit");
    Answer::of(rekit.args(["explain", "gc", "nobody"])).ends_with(2);

    let container = "buildx_buildkit_boxed0";
    scene.docker(&["restart", container]);
    until("it has collected", || {
        scene
            .docker(&["logs", container])
            .text()
            .contains("gc cleaned up")
    });
    let after = scene.records("boxed");
    let went: BTreeSet<_> = before.difference(&after).cloned().collect();
    foreseen.is_what_went("boxed", &went);

    // Now it has records from before its start and such that it made since.
    scene.fill("boxed", &["four", "three", "five", "four"]);
    let before = scene.records("boxed");
    let told = scene.foreseen("boxed");
    assert_eq!(told["cache"]["known"]["is_start_known"], true, "{told:#}");
    let foreseen = Foreseen::of(&told, RUNNING);
    assert!(foreseen.count > 2, "{told:#}");
    let prune = ["buildx", "prune", "--builder", "boxed", "--all", "--force"];
    scene.docker(&[&prune[..], &["--max-used-space", "7MB"]].concat());
    let after = scene.records("boxed");
    let went: BTreeSet<_> = before.difference(&after).cloned().collect();
    foreseen.is_what_went("boxed, running", &went);
}

#[test]
fn the_collection_inside_an_engine_is_foreseen() {
    let scene = Scene::new();
    let policy = r#"{"enabled": true, "policy": [{"maxUsedSpace": "7MB", "all": true}]}"#;
    let text = fs::read_to_string(scene.lab.daemon_json()).unwrap_or_else(|_| "{}".to_owned());
    let mut settings: Value = serde_json::from_str(&text).unwrap();
    settings["builder"]["gc"] = serde_json::from_str(policy).unwrap();
    scene.lab.stop_engine().unwrap();
    fs::write(scene.lab.daemon_json(), settings.to_string()).unwrap();
    let began = Instant::now();
    scene.lab.start_engine().unwrap();
    until("the first collection is over", || began.elapsed() > QUIET);
    scene.fill("default", ROUNDS);
    let before = scene.records("default");
    let told = scene.foreseen("default");
    assert_eq!(told["kind"], "embedded", "{told:#}");
    let foreseen = Foreseen::of(&told, AT_START);
    assert!(foreseen.count > 2, "{told:#}");
    scene.lab.stop_engine().unwrap();
    scene.lab.start_engine().unwrap();
    let again = Instant::now();
    // An engine says nothing of its collections: over is one that had its time and did what it must.
    let gone = || -> BTreeSet<String> {
        let after = scene.records("default");
        before.difference(&after).cloned().collect()
    };
    until("it has collected", || {
        again.elapsed() > QUIET && gone().len() >= foreseen.certain.len()
    });
    let went = gone();
    foreseen.is_what_went("engine", &went);
}
