//! A real buildkitd of its own, as people run it by hand or as a service: on a unix socket or on TCP.

use crate::{
    engine::{SYSTEM_PATH, add_namespace, detached, wait_for},
    lab::Lab,
    process::{succeeds, tail, text, words},
    record::namespace,
    seal, versions,
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::Ordering,
    time::Duration,
};

/// The machine's own network namespace, seen from the folder of the others.
const OWN_NETWORK: &str = "../../proc/self/ns/net";

/// Where a standalone daemon listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Address {
    /// A unix socket in its folder; the daemon has a network namespace of its own.
    #[default]
    Unix,
    /// A free port of 127.0.0.1, in the machine's own network namespace (else nobody could reach it).
    Tcp,
}

/// What a standalone daemon shall be.
#[derive(Clone, Debug)]
pub struct StandaloneOptions {
    /// The version of BuildKit.
    pub version: String,
    /// Where it listens.
    pub address: Address,
    /// The text of its buildkitd.toml.
    pub config: String,
    /// Further flags.
    pub flags: Vec<String>,
    /// What `buildctl` needs to reach it, beside its address.
    pub client_flags: Vec<String>,
    /// Whether it runs as the user without root, in a user namespace of its own.
    pub rootless: bool,
    /// Whether it runs in the machine's own namespaces, as somebody would start it by hand.
    pub plain: bool,
}

impl Default for StandaloneOptions {
    fn default() -> Self {
        Self {
            version: versions::BUILDKIT_DEFAULT.to_owned(),
            address: Address::Unix,
            config: String::new(),
            flags: Vec::new(),
            client_flags: Vec::new(),
            rootless: false,
            plain: false,
        }
    }
}

/// A standalone daemon; it ends when this is dropped, and at the latest with its lab.
#[derive(Debug)]
pub struct Standalone {
    folder: PathBuf,
    address: String,
    /// The file of its network namespace below the folder of those.
    network: String,
    options: StandaloneOptions,
}

impl Lab {
    /// Starts a standalone buildkitd and waits until it answers; a daemon that gives up is an error with the end of its log.
    pub fn standalone_buildkitd(&self, options: &StandaloneOptions) -> Result<Standalone> {
        let number = self.daemons.fetch_add(1, Ordering::Relaxed);
        let folder = self.root().join(format!("buildkitd-{number}"));
        fs::create_dir_all(folder.join("data"))?;
        fs::write(folder.join("buildkitd.toml"), &options.config)?;
        if options.rootless {
            text(words("chown", ["-R", seal::USER]).arg(&folder))?;
        }
        let space = namespace(self.name(), &format!("buildkitd-{number}"));
        let (network, address) = match options.address {
            Address::Unix => {
                let network = if options.plain {
                    OWN_NETWORK.to_owned()
                } else {
                    add_namespace(&space)?;
                    space
                };
                let socket = folder.join("buildkitd.sock");
                (network, format!("unix://{}", socket.display()))
            }
            Address::Tcp => (
                OWN_NETWORK.to_owned(),
                format!("tcp://127.0.0.1:{}", free_port()?),
            ),
        };
        let daemon = Standalone {
            folder,
            address,
            network,
            options: options.clone(),
        };
        self.start_standalone(&daemon)?;
        Ok(daemon)
    }

    /// Starts a standalone buildkitd again that was [stopped](Standalone::stop), on the same state.
    pub fn start_standalone(&self, daemon: &Standalone) -> Result<()> {
        let programs = self
            .cache
            .need(&format!("buildkit-{}", daemon.options.version))?;
        let log = daemon.folder.join("log");
        let is_plain = daemon.options.plain && !daemon.options.rootless;
        let mut command = if is_plain {
            detached(&daemon.network, &log)
        } else {
            apart(&daemon.network, &log)
        };
        let mut programs = programs;
        if daemon.options.rootless {
            programs = daemon.programs_of_its_own(&programs)?;
            command.args(self.as_rootless_user()?);
            command.args(["rootlesskit", "--net=host", "--disable-host-loopback"]);
        }
        command
            .arg(programs.join("buildkitd"))
            .arg("--root")
            .arg(daemon.root())
            .arg("--addr")
            .arg(&daemon.address);
        command
            .arg("--config")
            .arg(daemon.folder.join("buildkitd.toml"))
            .args(["--oci-worker-binary", "/usr/sbin/runc"])
            .args(&daemon.options.flags);
        if daemon.options.rootless {
            command.arg("--oci-worker-no-process-sandbox");
        }
        if is_plain {
            // The usual place is everybody's.
            let socket = daemon.folder.join("otel-grpc.sock");
            command.arg("--otel-socket-path").arg(socket);
        }
        command
            .env("PATH", format!("{}:{SYSTEM_PATH}", programs.display()))
            .env("XDG_RUNTIME_DIR", &daemon.folder)
            .env("HOME", &daemon.folder);
        text(&mut command)?;
        self.wait_for_standalone(daemon)
    }

    fn wait_for_standalone(&self, daemon: &Standalone) -> Result<()> {
        let buildctl = self.buildctl(&daemon.options.version)?;
        let mut gone = 0;
        let answered = wait_for(Duration::from_secs(30), || {
            gone += u32::from(daemon.pid().is_none());
            let mut ask = words(&buildctl, ["--addr", &daemon.address]);
            ask.args(&daemon.options.client_flags);
            gone > 20 || succeeds(ask.args(["debug", "workers"]))
        });
        if answered.is_err() || daemon.pid().is_none() {
            bail!(
                "buildkitd {} does not answer; its log:\n{}",
                daemon.options.version,
                complaint(&daemon.folder.join("log"))
            );
        }
        Ok(())
    }
}

/// Returns a command that starts a program in the background, with a `/run/buildkit` of its own: whatever its `--addr`, buildkitd leaves
/// a socket there when it ends.
fn apart(network: &str, log: &Path) -> Command {
    let script = r#"mkdir -p /run/buildkit && mount -t tmpfs lab /run/buildkit && exec "$@""#;
    let mut command = detached(network, log);
    command
        .args(["unshare", "--mount", "--propagation", "private"])
        .args(["sh", "-c", script, "sh"]);
    command
}

impl Standalone {
    /// Returns the address as buildx's remote driver and `buildctl --addr` take it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the folder with `data`, `buildkitd.toml` and `log`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns a folder with its programs that is open to everybody: the cache may lie in root's home.
    fn programs_of_its_own(&self, programs: &Path) -> Result<PathBuf> {
        let folder = self.folder.join("bin");
        fs::create_dir_all(&folder)?;
        for program in ["buildkitd", "buildctl"] {
            let place = folder.join(program);
            if !place.exists() {
                seal::provide(&programs.join(program), &place)?;
            }
        }
        Ok(folder)
    }

    /// Returns its state folder.
    pub fn root(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Returns the version of its BuildKit.
    pub fn version(&self) -> &str {
        &self.options.version
    }

    /// Ends the daemon as its service manager would, and waits for its end.
    pub fn stop(&self) -> Result<()> {
        let pid = self.pid().context("the daemon does not run")?;
        text(&mut words("kill", ["-TERM", &pid.to_string()]))?;
        wait_for(Duration::from_secs(30), || self.pid().is_none())
            .context("the daemon does not end")
    }

    /// Returns the daemon's process id, if it runs.
    pub fn pid(&self) -> Option<u32> {
        let root = self.root().display().to_string();
        let processes = fs::read_dir("/proc")
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse().ok());
        processes.into_iter().find(|pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.split('\0')
                .next()
                .is_some_and(|program| program.ends_with("/buildkitd"))
                && line.split('\0').any(|word| word == root)
        })
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            succeeds(&mut words("kill", ["-KILL", &pid.to_string()]));
        }
    }
}

/// Returns what a daemon that gave up said: its own line if there is one (the rest is a stack trace), else the end of its log.
fn complaint(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let own = text
        .lines()
        .find(|line| line.starts_with("buildkitd: ") || line.starts_with("panic: "));
    own.map_or_else(|| tail(log, 10), str::to_owned)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
