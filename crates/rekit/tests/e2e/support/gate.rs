//! A build that runs until it is let go, and stores of buildx beside the machine's own.

use super::{Answer, Machine};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(2);

/// The step runs until somebody else puts a file into the cache mount; it gives up by itself when the test is long gone.
const DOCKERFILE: &str = r#"FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV PATH=/bin
FROM base AS held
ARG GATE
RUN --mount=type=cache,id=gates,target=/gates i=0; while [ ! -e /gates/$GATE ] && [ $i -lt 1500 ]; do sleep 0.2; i=$((i + 1)); done; [ -e /gates/$GATE ]
FROM base AS key
ARG GATE
RUN --mount=type=cache,id=gates,target=/gates touch /gates/$GATE
"#;

/// A program that runs.
pub(crate) struct Begun {
    command: Command,
    child: Option<Child>,
}

impl Begun {
    /// Returns the number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Returns how it ended.
    pub(crate) fn end(mut self) -> Answer {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        Answer::from(&self.command, &output)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // A test that failed: what it began must not outlive its lab.
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Asks again and again until `done`.
#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

impl Machine {
    /// Returns the folder that held builds are built from.
    pub(crate) fn gate_folder(&self) -> PathBuf {
        let folder = self.lab.root().join("tmp/gate");
        if !folder.exists() {
            fs::create_dir_all(&folder).unwrap();
            let busybox = self.lab.home().join("project/base/amd64/bin/busybox");
            fs::copy(busybox, folder.join("busybox")).unwrap();
            fs::write(folder.join("Dockerfile"), DOCKERFILE).unwrap();
        }
        folder
    }

    fn gate_command(&self, store: &Path, builder: &str, target: &str, gate: &str) -> Command {
        let folder = self.gate_folder().display().to_string();
        let gate = format!("GATE={gate}");
        let fixed = ["buildx", "build", "--progress=plain", "--builder", builder];
        let more = ["--target", target, "--build-arg", &gate];
        let rest = ["--output=type=cacheonly", &folder];
        let mut command = self.command("docker", &[&fixed[..], &more, &rest].concat());
        command.env("BUILDX_CONFIG", store);
        command
    }

    /// Begins a build that runs until its gate is opened, and waits until its step runs in the container.
    pub(crate) fn held_build(
        &self,
        store: &Path,
        builder: &str,
        container: &str,
        gate: &str,
    ) -> Begun {
        let mut command = self.gate_command(store, builder, "held", gate);
        command.args(["--build-arg", "PASSWORD=hunter2"]);
        let build = Self::begin_command(command);
        until("the held build runs", || {
            let seen = self.docker(&["exec", container, "ps", "-o", "args"]);
            seen.stdout.contains("/gates/$GATE")
        });
        build
    }

    /// Lets a held build go on, by a build on the same node.
    pub(crate) fn open_gate(&self, store: &Path, builder: &str, gate: &str) {
        Answer::of(&mut self.gate_command(store, builder, "key", gate)).good();
    }

    /// Makes a copy of buildx's store as it is now, as a client has it that read it a moment ago.
    pub(crate) fn copy_of_store(&self, name: &str) -> PathBuf {
        let copy = self.lab.root().join("tmp").join(name);
        let store = self.lab.buildx_config();
        Answer::of(self.lab.command("cp").arg("-a").arg(store).arg(&copy)).good();
        copy
    }

    /// Builds with another store than the machine's own.
    pub(crate) fn build_with(&self, store: &Path, builder: &str) -> Answer {
        let fixed = ["buildx", "build", "--builder", builder, "--target=hello"];
        let mut command = self.command(
            "docker",
            &[&fixed[..], &["--output=type=cacheonly", "."]].concat(),
        );
        Answer::of(command.env("BUILDX_CONFIG", store))
    }

    /// Writes how builds are waited for.
    pub(crate) fn drains(&self, lines: &str) {
        self.wants(&format!("[drain]\n{lines}\n"));
    }

    /// Writes the goal.
    pub(crate) fn wants(&self, goal: &str) {
        fs::write(self.lab.home().join("project/rekit.toml"), goal).unwrap();
    }

    /// Returns the number of the first step of a kind that works on a thing, in the plan of a reinstall.
    #[track_caller]
    pub(crate) fn step(&self, kind: &str, thing: &str) -> u64 {
        let plan = self.plan();
        let steps = plan["steps"].as_array().unwrap();
        let found = steps.iter().find(|step| {
            step["action"]["step"] == kind && step["action"].to_string().contains(thing)
        });
        let found = found.unwrap_or_else(|| panic!("no {kind} of {thing} in {plan:#}"));
        found["id"].as_u64().unwrap()
    }

    /// Runs a reinstall that ends itself by SIGKILL when it comes to `point` of a step.
    #[track_caller]
    pub(crate) fn reinstall_killed_at(&self, step: u64, point: &str) {
        let point = format!("{step}:{point}");
        let answer = self.rekit_killed_at(&point, &["reinstall", "--yes"]);
        assert_eq!(answer.signal, Some(9), "{point} did not fire\n{answer}");
    }

    /// Begins a verb of rekit.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Begun {
        Self::begin_command(self.command("rekit", arguments))
    }

    /// Begins a program.
    pub(crate) fn begin_command(mut command: Command) -> Begun {
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = Some(command.spawn().unwrap());
        Begun { command, child }
    }
}
