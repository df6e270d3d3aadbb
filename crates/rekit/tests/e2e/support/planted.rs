//! A machine with failure modes of the catalogue, planted for real, and the person who meets them.

use super::{Answer, World, bring_rekit, world::containers};
use crate::doctor_table::Row;
use rekit_lab::{Lab, LabOptions, modes};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A machine with failure modes.
pub(crate) struct Planted {
    pub(crate) lab: Lab,
    rows: Vec<Row>,
}

impl Planted {
    /// Starts a machine with this buildx and plants the modes, one after the other.
    pub(crate) fn new(rows: &[Row], buildx: &str) -> Self {
        let options = LabOptions {
            buildx: buildx.to_owned(),
            ..LabOptions::default()
        };
        let lab = Lab::up(options)
            .unwrap_or_else(|error| panic!("no lab: {error:#}\nRun scripts/setup as root."));
        bring_rekit(&lab);
        for row in rows {
            modes::plant(&lab, row.mode).unwrap_or_else(|error| panic!("{}: {error:#}", row.mode));
        }
        let rows = rows.to_vec();
        Self { lab, rows }
    }

    /// Returns a command that the person of these modes runs, with the variables that are part of them.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = if self.rows.iter().any(|row| row.as_user) {
            self.lab.command_as_user(program)
        } else {
            self.lab.command(program)
        };
        for (name, value) in self.variables() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(arguments);
        command
    }

    /// Returns whether this person asks the engine that is there when nothing else is said.
    pub(crate) fn asks_default_socket(&self) -> bool {
        self.variables().contains(&("DOCKER_HOST", None))
    }

    fn variables(&self) -> Vec<(&'static str, Option<String>)> {
        let modes = self.rows.iter().map(|row| modes::named(row.mode).unwrap());
        modes.flat_map(|mode| mode.variables(&self.lab)).collect()
    }

    /// Runs rekit.
    pub(crate) fn rekit(&self, arguments: &[&str]) -> Answer {
        Answer::of(&mut self.command("rekit", arguments))
    }

    /// Returns what the doctor finds.
    pub(crate) fn findings(&self) -> Vec<Value> {
        let mut doctor = vec!["doctor", "--format", "json"];
        doctor.extend(self.depth());
        let answer = self.rekit(&doctor);
        assert!(matches!(answer.code, Some(0 | 3)), "{answer}");
        let document = answer.json();
        document["findings"].as_array().unwrap().clone()
    }

    /// Returns the flag of a deep look, if one of the modes needs it.
    pub(crate) fn depth(&self) -> Option<&'static str> {
        self.rows.iter().any(|row| row.deep).then_some("--deep")
    }

    /// Returns the names of all builders that have a container of their own.
    pub(crate) fn builders(&self) -> Vec<String> {
        let store = self.store();
        let records = fs::read_dir(store.join("instances")).into_iter().flatten();
        let names = records.filter_map(|entry| {
            let entry = entry.unwrap();
            let bytes = fs::read(entry.path()).ok()?;
            let record: Value = serde_json::from_slice(&bytes).ok()?;
            let name = entry.file_name().into_string().unwrap();
            (record["Driver"] == "docker-container").then_some(name)
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Builds for real, within a minute, with what the engine has and nothing from outside.
    pub(crate) fn build(&self, builder: &str) -> Answer {
        let context = self.lab.root().join("tmp/proof");
        fs::create_dir_all(&context).unwrap();
        fs::copy("/bin/busybox", context.join("busybox")).unwrap();
        let steps = "FROM scratch\nCOPY busybox /bin/sh\nRUN echo proven > /proof\n";
        fs::write(context.join("Dockerfile"), steps).unwrap();
        let context = context.display().to_string();
        let build = ["60", "docker", "buildx", "build", "--builder", builder];
        let output = ["--no-cache", "--output", "type=cacheonly", &context];
        Answer::of(&mut self.command("timeout", &[&build[..], &output].concat()))
    }

    /// Returns all that the way back must restore: every file of the home and of docker's programs, without what clients rewrite all the
    /// time, and every container and volume.
    pub(crate) fn world(&self) -> World {
        let mut files = Vec::new();
        let home = PathBuf::from(&self.lab.env()["REKIT_HOME"]);
        let fleeting = [
            self.store().join("activity"),
            self.store().join("refs"),
            self.store().join(".lock"),
            // buildx makes it with its first build.
            self.store().join(".buildNodeID"),
            self.lab.home().join("project"),
            home,
        ];
        walk(&self.lab.home(), &fleeting, &mut files);
        files.push(self.lab.daemon_json());
        let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
        let mut world = self.lab.fingerprint(&files).unwrap();
        world.extend(containers(&self.lab, ""));
        let volumes = self.lab.docker(&["volume", "ls", "-q"]).unwrap();
        for volume in volumes.split_whitespace() {
            world.insert(format!("volume {volume}"), "there".to_owned());
        }
        world
    }

    /// Returns the store of this person.
    fn store(&self) -> PathBuf {
        let mut variables = self.variables().into_iter();
        let named = variables.find(|(name, _)| *name == "BUILDX_CONFIG");
        let named = named.and_then(|(_, value)| value).map(PathBuf::from);
        named.unwrap_or_else(|| self.lab.buildx_config())
    }
}

/// Collects every file below a folder, but for some.
fn walk(folder: &Path, without: &[PathBuf], files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if without.contains(&path) {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            walk(&path, without, files);
        } else {
            files.push(path);
        }
    }
}
