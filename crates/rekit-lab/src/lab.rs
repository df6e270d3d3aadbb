//! A lab: private engines, a sealed home, and the way to run programs in it.
//!
//! Everything of a lab lies under one folder and in network namespaces that bear its name; its record (`lab.json`) is there before anything
//! else, so that a lab whose owner was killed at any moment can be found and swept.

use crate::{
    cache::Cache,
    engine::Engine,
    owner::Owner,
    process::{text, words},
    record::{self, LabOptions, Record, home_of_labs, namespace},
    removal, seal, versions,
};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
};

/// A private engine with a sealed home; it goes when this is dropped, unless it was [kept](Lab::keep) or [opened](Lab::open).
#[derive(Debug)]
pub struct Lab {
    record: Record,
    root: PathBuf,
    environment: BTreeMap<String, String>,
    pub(crate) cache: Cache,
    pub(crate) daemons: AtomicU32,
}

impl Lab {
    /// Starts a lab with a name of its own that belongs to this process. Sweeps the labs of dead processes first.
    pub fn up(options: LabOptions) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        SWEEP.call_once(|| drop(removal::sweep()));
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::start(
            &format!("t{}-{number}", std::process::id()),
            options,
            Owner::this(),
        )
    }

    /// Starts the lab `name`, which stays until [`down`](crate::down).
    pub fn up_named(name: &str, options: LabOptions) -> Result<Self> {
        // Until it is whole it belongs to this process.
        let mut lab = Self::start(name, options, Owner::this())?;
        lab.keep()?;
        Ok(lab)
    }

    /// Opens the running lab `name`; dropping it changes nothing.
    pub fn open(name: &str) -> Result<Self> {
        let root = home_of_labs().join(name);
        let Some(mut record) = record::read(&root) else {
            bail!("there is no lab `{name}`: run `rekit-lab up {name}`")
        };
        record.owner = None;
        let cache = Cache::at(&record.cache);
        Ok(Self {
            environment: seal::environment(&root),
            record,
            root,
            cache,
            daemons: AtomicU32::new(100),
        })
    }

    /// Lets the lab outlive this process.
    pub fn keep(&mut self) -> Result<()> {
        self.record.owner = None;
        record::write(&self.root, &self.record)
    }

    fn start(name: &str, options: LabOptions, owner: Option<Owner>) -> Result<Self> {
        if name.is_empty()
            || name.len() > 40
            || !name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            bail!("`{name}` is no name for a lab: use up to 40 of a-z, 0-9 and -");
        }
        let cache = Cache::open()?;
        versions::engine(&options.engine)?;
        let prefix = cache.need(&format!("engine-{}", options.engine))?;
        versions::go_tool("buildx", &options.buildx)?;
        let buildx = cache.need(&format!("buildx-{}", options.buildx))?;
        let root = home_of_labs().join(name);
        if root.exists() {
            bail!(
                "there is a lab `{name}` already: run `rekit-lab down {name}`, or take another name"
            );
        }
        // The record is there from the first moment: a folder without one could never be swept.
        let unnamed = home_of_labs().join(format!(".new-{name}"));
        fs::create_dir_all(&unnamed)
            .with_context(|| format!("could not make {}", unnamed.display()))?;
        let record = Record {
            name: name.to_owned(),
            owner,
            options,
            cache: cache.path(""),
        };
        record::write(&unnamed, &record)?;
        fs::rename(&unnamed, &root)?;
        let lab = Self {
            environment: seal::environment(&root),
            record,
            root,
            cache,
            daemons: AtomicU32::new(0),
        };
        seal::furnish(&lab.root, &prefix, &buildx)?;
        lab.engine()?.start(lab.options().image_store)?;
        if lab.options().desktop {
            crate::modes::desktop::install(&lab)?;
        }
        Ok(lab)
    }

    /// Returns the lab's name.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Returns what the lab was asked to be.
    pub fn options(&self) -> &LabOptions {
        &self.record.options
    }

    /// Returns the folder that holds everything of the lab.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the sealed home.
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// Returns buildx's folder in the sealed home.
    pub fn buildx_config(&self) -> PathBuf {
        self.root.join("home/.docker/buildx")
    }

    /// Returns the engine's socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("docker.sock")
    }

    /// Returns the engine's data root.
    pub fn data_root(&self) -> PathBuf {
        self.root.join("engine/data")
    }

    /// Returns the engine's daemon.json.
    pub fn daemon_json(&self) -> PathBuf {
        self.root.join("engine/daemon.json")
    }

    /// Returns every variable that a program in the lab sees.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Returns a command that runs `program` in the lab: its environment and nothing else, in the home's `project` folder, without stdin.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = words(program, [] as [&str; 0]);
        command
            .env_clear()
            .envs(&self.environment)
            .current_dir(self.root.join("home/project"));
        command
    }

    /// Hands the lab to a user without root who may use the engine, as a member of the group `docker` may: the home is the user's then.
    pub fn lend_to_user(&self) -> Result<()> {
        seal::give_home(&self.root)?;
        text(words("chgrp", [seal::USER]).arg(self.socket()))?;
        Ok(())
    }

    /// Returns a command that runs `program` in the lab as the user without root (see [`lend_to_user`](Self::lend_to_user)).
    pub fn command_as_user(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.command("setpriv");
        let [user, group] = ["--reuid", "--regid"].map(|flag| format!("{flag}={}", seal::USER));
        command
            .args([&user, &group, "--clear-groups", "--no-new-privs"])
            .arg(program);
        command.env("USER", "nobody").env("LOGNAME", "nobody");
        command
    }

    /// Returns the words before a program that run it as the user without root, who has subordinate ids here and can become root with them
    /// in a user namespace.
    pub fn as_rootless_user(&self) -> Result<Vec<String>> {
        let ids = self.root.join("subordinate-ids");
        fs::write(&ids, "nobody:231072:65536\n")?;
        let script =
            r#"mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && exec "$@""#;
        let ids = ids.display().to_string();
        let [user, group] = ["--reuid", "--regid"].map(|flag| format!("{flag}={}", seal::USER));
        let words = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            &ids,
            "setpriv",
            &user,
            &group,
            "--clear-groups",
        ];
        Ok(words.map(str::to_owned).to_vec())
    }

    /// Runs `docker` with `arguments` in the lab and returns its stdout; a failure carries its stderr.
    pub fn docker(&self, arguments: &[&str]) -> Result<String> {
        text(self.command("docker").args(arguments))
    }

    /// Returns the path on the disk of this machine of the volume `name`.
    pub fn volume(&self, name: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(
            self.docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", name])?
                .trim(),
        ))
    }

    /// Returns the real `buildctl` of a version.
    pub fn buildctl(&self, version: &str) -> Result<PathBuf> {
        versions::go_tool("buildkit", version)?;
        Ok(self
            .cache
            .need(&format!("buildkit-{version}"))?
            .join("buildctl"))
    }

    /// Stops the engine as a reboot would; its files stay.
    pub fn stop_engine(&self) -> Result<()> {
        self.engine()?.stop()
    }

    /// Returns the shell commands that stop the engine and start it again.
    pub fn engine_commands(&self) -> Result<(String, String)> {
        Ok(self.engine()?.shell_commands())
    }

    /// Starts the engine again after [`stop_engine`](Self::stop_engine).
    pub fn start_engine(&self) -> Result<()> {
        self.engine()?.start(self.options().image_store)
    }

    /// Returns the process id of the engine.
    pub fn engine_pid(&self) -> Result<u32> {
        self.engine()?.pid().context("the engine does not run")
    }

    pub(crate) fn engine(&self) -> Result<Engine> {
        Ok(Engine {
            folder: self.root.join("engine"),
            socket: self.socket(),
            namespace: namespace(self.name(), ""),
            prefix: self
                .cache
                .need(&format!("engine-{}", self.options().engine))?,
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.record.owner.is_some() {
            drop(removal::remove(&self.root, &self.record.name));
        }
    }
}
