//! The first user's broken machine in a lab of its own, with rekit on its path.

use super::Answer;
use rekit_core::inventory::Inventory;
use rekit_lab::{
    ImageStore, Lab, LabOptions,
    modes::{CacheSize, FirstUser, first_user::plant},
};
use rekit_run::journal::{Home, StoredRun};
use serde_json::Value;
use std::{path::PathBuf, process::Command};

/// The first user's machine.
pub(crate) struct Machine {
    pub(crate) lab: Lab,
    pub(crate) planted: FirstUser,
    /// Whether a user without root works there, as a member of the group `docker` may.
    user: bool,
}

/// Puts rekit on a lab's path. A copy: the folder of the build may be closed to a user without root. Another program makes it: a file that
/// this one has open for writing is busy in the children that other tests start meanwhile.
pub(crate) fn bring_rekit(lab: &Lab) {
    let copy = lab.root().join("bin/rekit");
    let mut install = Command::new("install");
    Answer::of(install.args([env!("CARGO_BIN_EXE_rekit").as_ref(), copy.as_path()])).good();
}

impl Machine {
    /// Starts the machine with a small cache and without Docker Desktop.
    pub(crate) fn small() -> Self {
        Self::with(false, CacheSize::Small)
    }

    /// The same with a goal that asks for no more waiting and proving than is needed where nothing hangs on other platforms.
    pub(crate) fn quick() -> Self {
        let machine = Self::small();
        machine.wants("[builder]\nplatforms = [\"linux/amd64\"]\n[drain]\ngrace-seconds = 1\n");
        machine
    }

    /// Starts the machine with an engine of this image store.
    pub(crate) fn of(image_store: ImageStore, cache: CacheSize) -> Self {
        let options = LabOptions {
            image_store,
            ..LabOptions::default()
        };
        Self::start(options, cache)
    }

    /// Starts the machine.
    pub(crate) fn with(desktop: bool, cache: CacheSize) -> Self {
        let options = LabOptions {
            desktop,
            ..LabOptions::default()
        };
        Self::start(options, cache)
    }

    fn start(options: LabOptions, cache: CacheSize) -> Self {
        let lab = Lab::up(options)
            .unwrap_or_else(|error| panic!("no lab: {error:#}\nRun scripts/setup as root."));
        let planted = plant(&lab, cache).unwrap();
        bring_rekit(&lab);
        Self {
            lab,
            planted,
            user: false,
        }
    }

    /// Hands the machine to a user without root.
    pub(crate) fn lent_to_user(mut self) -> Self {
        self.lab.lend_to_user().unwrap();
        self.user = true;
        self
    }

    /// Returns a command that runs on the machine, in the user's project.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = if self.user {
            self.lab.command_as_user(program)
        } else {
            self.lab.command(program)
        };
        command.args(arguments);
        command
    }

    /// Runs rekit.
    pub(crate) fn rekit(&self, arguments: &[&str]) -> Answer {
        Answer::of(&mut self.command("rekit", arguments))
    }

    /// Runs rekit, which ends itself by SIGKILL when it comes to `point`.
    pub(crate) fn rekit_killed_at(&self, point: &str, arguments: &[&str]) -> Answer {
        Answer::of(
            self.command("rekit", arguments)
                .env("REKIT_LAB_KILL", point),
        )
    }

    /// Runs docker.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Answer {
        Answer::of(&mut self.command("docker", arguments))
    }

    /// Returns what rekit finds on the machine.
    pub(crate) fn inventory(&self) -> Inventory {
        let answer = self.rekit(&["inventory", "--format", "json"]).good();
        serde_json::from_str(&answer.stdout)
            .unwrap_or_else(|error| panic!("not an inventory ({error}):\n{answer}"))
    }

    /// Returns the plan of a reinstall.
    pub(crate) fn plan(&self) -> Value {
        self.rekit(&["plan", "--format", "json"]).good().json()
    }

    /// Returns rekit's own directory.
    pub(crate) fn home(&self) -> PathBuf {
        PathBuf::from(&self.lab.env()["REKIT_HOME"])
    }

    /// Returns every run that the journal holds.
    pub(crate) fn runs(&self) -> Vec<StoredRun> {
        Home::look(&self.home(), jiff::Timestamp::now)
            .unwrap()
            .map(|home| home.runs().unwrap())
            .unwrap_or_default()
    }

    /// Returns the file of a builder's record.
    pub(crate) fn record(&self, builder: &str) -> PathBuf {
        self.lab.buildx_config().join("instances").join(builder)
    }

    /// Returns whether a run has begun to change the world.
    pub(crate) fn is_at_work(&self) -> bool {
        // Its files come one after the other: until all are there, it is not at work.
        let home = Home::look(&self.home(), jiff::Timestamp::now)
            .ok()
            .flatten();
        let runs = home.and_then(|home| home.runs().ok()).unwrap_or_default();
        runs.iter().any(|run| !run.entries.is_empty())
    }
}
