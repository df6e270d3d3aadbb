//! A lab that is gone leaves nothing: no process, mount, namespace, cgroup, socket, file.

use crate::lab;
use rekit_lab::{Lab, LabOptions, StandaloneOptions};
use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// What would be left of a lab.
struct Traces {
    root: PathBuf,
    name: String,
    containers: Vec<String>,
    shim_sockets: BTreeSet<String>,
}

impl Traces {
    /// Puts something of each kind into the lab and notes how it is recognised.
    fn make(lab: &Lab) -> Self {
        lab.buildkit_image("0.32.2").unwrap();
        lab.docker(&[
            "buildx",
            "create",
            "--name",
            "b",
            "--node",
            "b0",
            "--bootstrap",
        ])
        .unwrap();
        lab.base_image("busy:1").unwrap();
        lab.docker(&["run", "-d", "--name", "busy", "busy:1", "sleep", "10000"])
            .unwrap();
        let containers = lab.docker(&["ps", "-aq", "--no-trunc"]).unwrap();
        let containers: Vec<_> = containers.split_whitespace().map(str::to_owned).collect();
        assert_eq!(containers.len(), 2);
        let tasks = lab
            .root()
            .join("engine/exec/containerd/daemon/io.containerd.runtime.v2.task/moby");
        let address = |id: &String| {
            fs::read_to_string(tasks.join(id).join("address"))
                .or_else(|_| fs::read_to_string(tasks.join(id).join("bootstrap.json")))
        };
        let shim_sockets = containers
            .iter()
            .map(|id| address(id).unwrap())
            .map(|text| {
                let start = text.find("/run/containerd/s/").unwrap();
                text[start..]
                    .trim_end()
                    .split('"')
                    .next()
                    .unwrap()
                    .to_owned()
            });
        let traces = Self {
            root: lab.root().to_owned(),
            name: lab.name().to_owned(),
            shim_sockets: shim_sockets.collect(),
            containers,
        };
        assert!(
            traces.found().len() > 8,
            "the test sees too little: {:?}",
            traces.found()
        );
        traces
    }

    fn found(&self) -> Vec<String> {
        let mut found = Vec::new();
        let root = self.root.display().to_string();
        for pid in names("/proc").into_iter().filter(|name| {
            name.parse::<u32>()
                .is_ok_and(|pid| pid != std::process::id())
        }) {
            let read = |file: &str| {
                String::from_utf8_lossy(
                    &fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default(),
                )
                .into_owned()
            };
            // A dead process that the machine's init has not looked after yet is not the lab's to remove.
            let dead = read("stat")
                .rsplit_once(") ")
                .is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']));
            if dead {
                continue;
            }
            if read("cmdline").contains(&root)
                || self.containers.iter().any(|id| read("cgroup").contains(id))
            {
                found.push(format!("process {pid}: {}", read("cmdline")));
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        found.extend(
            mounts
                .lines()
                .filter(|line| line.contains(&root))
                .map(|line| format!("mount {line}")),
        );
        let namespaces = names("/run/netns")
            .into_iter()
            .filter(|name| name.contains(&format!(".{}.", self.name)));
        found.extend(namespaces.map(|name| format!("namespace {name}")));
        self.cgroups(Path::new("/sys/fs/cgroup"), 0, &mut found);
        found.extend(
            self.shim_sockets
                .iter()
                .filter(|socket| Path::new(socket).exists())
                .cloned(),
        );
        found.extend(self.root.exists().then(|| format!("folder {root}")));
        found
    }

    fn cgroups(&self, folder: &Path, depth: u32, found: &mut Vec<String>) {
        for name in names(folder) {
            let path = folder.join(&name);
            if self.containers.contains(&name) {
                found.push(format!("cgroup {}", path.display()));
            } else if depth < 5 && path.is_dir() {
                self.cgroups(&path, depth + 1, found);
            }
        }
    }

    fn assert_none(&self) {
        assert_eq!(self.found(), Vec::<String>::new());
    }
}

fn names(folder: impl AsRef<Path>) -> Vec<String> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_dropped_lab_leaves_nothing() {
    let lab = lab(LabOptions {
        desktop: true,
        ..LabOptions::default()
    });
    let traces = Traces::make(&lab);
    let daemon = lab
        .standalone_buildkitd(&StandaloneOptions::default())
        .unwrap();
    drop(lab);
    traces.assert_none();
    assert_eq!(daemon.pid(), None);
}

#[test]
fn a_panic_leaves_nothing() {
    let mut traces = None;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let lab = lab(LabOptions::default());
        traces = Some(Traces::make(&lab));
        panic!("the test fails here");
    }));
    assert!(panic.is_err());
    traces.expect("the lab was there").assert_none();
}

#[test]
fn a_killed_owner_is_swept() {
    let name = format!("killed-{}", std::process::id());
    let mut owner = Command::new(env!("CARGO_BIN_EXE_rekit-lab"))
        .args(["up", &name])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let root =
        Path::new(&std::env::var("REKIT_LAB_ROOT").unwrap_or("/tmp/rekit-lab".into())).join(&name);
    while !root.join("engine/log").exists() {
        assert!(
            owner
                .try_wait()
                .unwrap()
                .is_none_or(|status| status.success()),
            "`rekit-lab up` failed: run `rekit-lab setup`"
        );
        thread::sleep(Duration::from_millis(2));
    }
    owner.kill().unwrap();
    owner.wait().unwrap();
    let traces = Traces {
        root,
        name: name.clone(),
        containers: Vec::new(),
        shim_sockets: BTreeSet::new(),
    };
    assert!(!traces.found().is_empty());
    // Any other test that starts its first lab may have swept it already.
    rekit_lab::sweep().unwrap();
    traces.assert_none();
}

#[test]
fn the_program_starts_and_removes_a_lab() {
    let name = format!("named-{}", std::process::id());
    let program = |words: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_rekit-lab"))
            .args(words)
            .output()
            .unwrap()
    };
    let up = program(&["up", &name]);
    assert!(
        up.status.success(),
        "{}",
        String::from_utf8_lossy(&up.stderr)
    );
    let script = format!(
        "{}\ndocker version --format '{{{{.Server.Version}}}}'",
        String::from_utf8_lossy(&up.stdout)
    );
    let version = Command::new("sh").args(["-ec", &script]).output().unwrap();
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("28.5"));
    assert!(
        !program(&["up", &name]).status.success(),
        "a second lab of that name"
    );
    let traces = Traces {
        root: Lab::open(&name).unwrap().root().to_owned(),
        name: name.clone(),
        containers: Vec::new(),
        shim_sockets: BTreeSet::new(),
    };
    // A process that merely names a file of the lab is not the lab's.
    let mut reader = Command::new("tail")
        .arg("-f")
        .arg(traces.root.join("engine/log"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert!(program(&["down", &name]).status.success());
    assert!(reader.try_wait().unwrap().is_none());
    reader.kill().unwrap();
    reader.wait().unwrap();
    traces.assert_none();
    assert!(!program(&["down", &name]).status.success());
}
