//! One private dockerd: in a network namespace of its own, with all its files under one folder.

use crate::{
    cache,
    process::{succeeds, tail, text, words},
    record::ImageStore,
};
use anyhow::{Context, Result, bail};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// How long an engine may take to answer; it takes a third of a second on an idle machine.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Where one engine lies.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    /// Its folder: data, exec, daemon.json, log, pid.
    pub(crate) folder: PathBuf,
    /// The socket it listens on.
    pub(crate) socket: PathBuf,
    /// Its network namespace.
    pub(crate) namespace: String,
    /// The unpacked engine packages.
    pub(crate) prefix: PathBuf,
}

impl Engine {
    /// Starts the engine and waits until it answers.
    pub(crate) fn start(&self, store: ImageStore) -> Result<()> {
        for part in ["data", "exec"] {
            fs::create_dir_all(self.folder.join(part))?;
        }
        let config = self.folder.join("daemon.json");
        if !config.exists() {
            let containerd = store == ImageStore::Containerd;
            fs::write(
                &config,
                if containerd {
                    "{\"features\": {\"containerd-snapshotter\": true}}\n"
                } else {
                    "{}\n"
                },
            )?;
        }
        add_namespace(&self.namespace)?;
        text(&mut self.command())?;
        self.wait()
    }

    /// Returns the command that starts the engine, detached.
    fn command(&self) -> Command {
        // `nsenter` and not `ip netns exec`: that would hide the cgroup mounts.
        let mut command = detached(&self.namespace, &self.folder.join("log"));
        command.arg("dockerd").arg("--config-file");
        command.arg(self.folder.join("daemon.json"));
        command
            .arg("--data-root")
            .arg(self.folder.join("data"))
            .arg("--exec-root")
            .arg(self.folder.join("exec"));
        command
            .arg("-H")
            .arg(format!("unix://{}", self.socket.display()))
            .arg("--pidfile")
            .arg(self.folder.join("pid"));
        let bin = self.prefix.join("usr/bin");
        command.env(
            "PATH",
            format!(
                "{}:{}:{SYSTEM_PATH}",
                bin.display(),
                self.prefix.join("usr/sbin").display()
            ),
        );
        command
    }

    /// Returns the shell commands that stop the engine and start it again, as a service manager would.
    pub(crate) fn shell_commands(&self) -> (String, String) {
        let quoted = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
        let command = self.command();
        let variables = command.get_envs().filter_map(|(name, value)| {
            Some(format!("{}={}", name.to_string_lossy(), quoted(value?)))
        });
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let start = ["env".to_owned(), "-i".to_owned()]
            .into_iter()
            .chain(variables)
            .chain(words.map(quoted));
        let start: Vec<_> = start.collect();
        let pid = quoted(self.folder.join("pid").as_os_str());
        (format!("kill -TERM $(cat {pid})"), start.join(" "))
    }

    /// Returns the process id of the engine, if it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.folder.join("pid"))
            .ok()?
            .trim()
            .parse()
            .ok()?;
        Path::new("/proc")
            .join(format!("{pid}"))
            .exists()
            .then_some(pid)
    }

    /// Ends the engine as a reboot would: SIGTERM, containers stopped, files kept.
    pub(crate) fn stop(&self) -> Result<()> {
        let pid = self.pid().context("the engine does not run")?;
        text(&mut words("kill", ["-TERM", &pid.to_string()]))?;
        wait_for(START_LIMIT, || self.pid() != Some(pid)).context("the engine does not stop")
    }

    fn wait(&self) -> Result<()> {
        let docker = self.prefix.join("usr/bin/docker");
        let answers = || {
            let mut version = words(&docker, ["version"]);
            succeeds(
                version
                    .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
                    .env("DOCKER_CONFIG", &self.folder),
            )
        };
        let mut looks = 0;
        let started = wait_for(START_LIMIT, || {
            looks += 1;
            answers() || (looks > 20 && self.pid().is_none())
        });
        if started.is_err() || self.pid().is_none() {
            bail!(
                "the private engine does not answer; the end of its log:\n{}",
                tail(&self.folder.join("log"), 20)
            );
        }
        Ok(())
    }
}

/// The search path of programs of the machine.
pub(crate) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns a command that starts what is appended to it in `namespace`, detached from this process, with its output in `log`.
///
/// The redirection is the shell's: a daemon that held the caller's pipes would keep the caller waiting for its end.
pub(crate) fn detached(namespace: &str, log: &Path) -> Command {
    let mut command = words(
        "sh",
        [
            "-c",
            r#"log=$1; shift; exec setsid --fork nsenter "$@" >> "$log" 2>&1"#,
            "sh",
        ],
    );
    command
        .arg(log)
        .arg(format!("--net={}", namespace_file(namespace).display()));
    command
        .env_clear()
        .env("PATH", SYSTEM_PATH)
        .env("LANG", "C.UTF-8")
        .env("HOME", "/root");
    command
}

/// Makes a network namespace with a loopback of its own.
pub(crate) fn add_namespace(name: &str) -> Result<()> {
    // The first two that start at once would race to make /run/netns a shared mount.
    let _lock = cache::lock(Path::new("/run/lock/rekit-lab-netns"))?;
    if !namespace_file(name).exists() {
        text(&mut words("ip", ["netns", "add", name]))?;
    }
    text(&mut words("ip", ["-n", name, "link", "set", "lo", "up"]))?;
    Ok(())
}

/// Returns the file that keeps a network namespace.
pub(crate) fn namespace_file(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

/// Asks again and again until `done` or the limit.
pub(crate) fn wait_for(limit: Duration, mut done: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > limit {
            bail!("still not so after {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
