//! Standalone daemons of this machine: ended, started as they ran, their states moved by a rename.

mod clients;
mod launch;

use std::{
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::Path,
    time::{Duration, Instant},
};

use rekit_buildkit::{Control, ControlTimeouts};
use rekit_core::{
    inventory::ActiveBuild,
    name::{HostPath, Platform},
    standalone::{ProcessIdentity, StandalonePlace},
};
use rustix::{
    fs::{CWD, RenameFlags},
    process::{Pid, PidfdFlags, Signal},
};

use super::{
    Answer, ForeignBytes, RealWorld, WorldError, archive::DAEMON_LOCK, builds, docker, file, proof,
};
use crate::{
    inventory,
    world::{ChangeStandalone, DaemonAnswer, DaemonEnd, ReadStandalone, clock, host, path_of},
};

/// How long a daemon may take to end: closing a large database takes its time.
const STOP: Duration = Duration::from_mins(2);
/// How long it may take to answer.
const READY: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

impl ReadStandalone for RealWorld<'_> {
    async fn daemon_on(&self, root: &HostPath) -> Answer<Option<ProcessIdentity>> {
        let root = path_of(root);
        let found = inventory::identity_on(&self.surroundings, &root);
        if found.is_none() && host::is_flocked(&root.join(DAEMON_LOCK)).unwrap_or(false) {
            let why = format!(
                "a daemon works on `{}` whose process is not seen from here: stop it first",
                root.display()
            );
            return Err(WorldError::Refused { why });
        }
        Ok(found)
    }

    async fn has_ended(&self, process: ProcessIdentity) -> Answer<bool> {
        Ok(inventory::has_ended(process.pid, process.started))
    }

    async fn describe_daemon(
        &self,
        daemon: &StandalonePlace,
        process: ProcessIdentity,
    ) -> Answer<ForeignBytes> {
        let log = self.home.join("logs").join(format!(
            "{}.log",
            daemon.root.to_string().replace('/', "-").trim_matches('-')
        ));
        launch::script(inventory::top_of(process.pid), &log)
    }

    async fn builds_of(&self, daemon: &StandalonePlace) -> Answer<Vec<ActiveBuild>> {
        let what = || {
            format!(
                "whether builds run on the daemon at `{}` cannot be told",
                daemon.address
            )
        };
        let refused = |error: &dyn std::error::Error| WorldError::Refused {
            why: format!("{}: {}", what(), rekit_core::fact::chain(error)),
        };
        let control = connect(daemon).await.map_err(|error| refused(&error))?;
        let active = control.active_builds(ControlTimeouts::LOOK).await;
        let active = active.map_err(|error| refused(&error))?;
        Ok(builds::named(self, active))
    }

    async fn clients_of_leave(&self, process: ProcessIdentity) -> Answer<bool> {
        // Who may end a process may see its sockets; where not, none is waited for.
        builds::all_leave(async || Ok(clients::of(process.pid).is_ok_and(|them| !them.is_empty())))
            .await
    }
}

impl ChangeStandalone for RealWorld<'_> {
    async fn stop_daemon(
        &mut self,
        daemon: &StandalonePlace,
        process: ProcessIdentity,
    ) -> Answer<DaemonEnd> {
        let ended = || inventory::has_ended(process.pid, process.started);
        let mut at = None;
        if !ended() {
            let top = inventory::top_of(process.pid);
            let around = inventory::started(Path::new(&format!("/proc/{top}")));
            at = Some(clock::now());
            match daemon.systemctl("stop") {
                Some(_) => self.stop_service(daemon, &[process.pid, top]).await?,
                None => terminate(process)?,
            }
            let is_over =
                || ended() && around.is_none_or(|started| inventory::has_ended(top, started));
            wait_for_end(daemon, is_over).await?;
        }
        Ok(DaemonEnd {
            clean: !path_of(&daemon.root).join(DAEMON_LOCK).exists(),
            at,
        })
    }

    async fn start_daemon(
        &mut self,
        daemon: &StandalonePlace,
        script: Option<&ForeignBytes>,
    ) -> Answer<DaemonAnswer> {
        let began = Instant::now();
        let (mut launched, mut seen) = (false, false);
        loop {
            let works = self.daemon_on(&daemon.root).await?.is_some();
            if !works && !launched {
                self.launch(daemon, script).await?;
                launched = true;
                continue;
            }
            let error = match version(daemon).await {
                Ok(version) if works => {
                    let at = clock::now();
                    return Ok(DaemonAnswer { version, at });
                }
                Ok(_) => WorldError::Refused {
                    why: format!("another daemon answers at `{}`", daemon.address),
                },
                Err(error) => error,
            };
            let gave_up = launched && seen && !works;
            if gave_up || began.elapsed() > READY {
                let what = format!("the daemon at `{}` does not come up", daemon.address);
                return Err(WorldError::failed(what, rekit_core::fact::chain(&error)));
            }
            seen |= works;
            tokio::time::sleep(POLL).await;
        }
    }

    async fn probe_daemon(&mut self, daemon: &StandalonePlace, platform: &Platform) -> Answer<u64> {
        proof::run_probe(&connect(daemon).await?, platform).await
    }

    async fn move_state(&mut self, from: &HostPath, to: &HostPath, renew: bool) -> Answer<()> {
        let failed = |error: io::Error| {
            WorldError::failed(format!("`{from}` cannot be moved to `{to}`"), error)
        };
        let (old, new) = (path_of(from), path_of(to));
        if !inventory::holds_state(&new).unwrap_or(false) {
            if host::is_flocked(&old.join(DAEMON_LOCK)).unwrap_or(false) {
                let why = format!("a daemon works on `{from}`: stop it first");
                return Err(WorldError::Refused { why });
            }
            rename(&old, &new).map_err(failed)?;
        }
        if renew && !old.exists() {
            make_like(&new, &old).map_err(failed)?;
        }
        let above = old.parent().unwrap_or(Path::new("/"));
        file::sync_folder(above).map_err(failed)
    }
}

impl RealWorld<'_> {
    /// Ends a service, if this daemon is its main process.
    async fn stop_service(&self, daemon: &StandalonePlace, own: &[u32]) -> Answer<()> {
        let main = self
            .systemctl(daemon, &["show", "--property=MainPID", "--value"])
            .await?;
        if !own.iter().any(|pid| pid.to_string() == main.trim()) {
            let why = format!(
                "the main process of the service of `{}` is another one: {}",
                daemon.root,
                main.trim()
            );
            return Err(WorldError::Refused { why });
        }
        self.systemctl(daemon, &["stop"]).await.map(drop)
    }

    async fn launch(&self, daemon: &StandalonePlace, script: Option<&ForeignBytes>) -> Answer<()> {
        match script {
            _ if daemon.service.is_some() => self.systemctl(daemon, &["start"]).await.map(drop),
            Some(script) => launch::start(script),
            None => Err(WorldError::Refused {
                why: format!(
                    "how the daemon on `{}` was started is not known",
                    daemon.root
                ),
            }),
        }
    }

    /// Asks the manager of a daemon's service; returns what it said.
    async fn systemctl(&self, daemon: &StandalonePlace, words: &[&str]) -> Answer<String> {
        let Some(service) = &daemon.service else {
            unreachable!("BUG: a daemon without a service")
        };
        let manager = service.of_user.then_some("--user");
        let arguments: Vec<_> = manager
            .into_iter()
            .chain(words.iter().copied())
            .chain([service.unit.as_str()])
            .collect();
        let variables = self.surroundings.variables().iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let what = || format!("`systemctl {}`", arguments.join(" "));
        let mut folders = self.surroundings.path_folders().into_iter();
        let program =
            folders.find_map(|folder| Some(folder.join("systemctl")).filter(|file| file.is_file()));
        let program = program.ok_or_else(|| WorldError::failed(what(), "it is not installed"))?;
        let said = host::run(&program, &arguments, &variables, STOP).await;
        let said = said.map_err(|error| WorldError::failed(what(), error))?;
        if said.code == Some(0) {
            return Ok(said.stdout);
        }
        let words = docker::last_words(&said.stderr, |_| false);
        Err(WorldError::failed(format!("{} failed", what()), words))
    }
}

async fn connect(daemon: &StandalonePlace) -> Answer<Control> {
    let what = || format!("the daemon at `{}` does not answer", daemon.address);
    let client = daemon.client.as_ref();
    let client = client.map(|client| (path_of(&client.store), client.name.as_str()));
    let client = client
        .as_ref()
        .map(|(store, name)| (store.as_path(), *name));
    let address = inventory::standalone_daemon(&daemon.address, client)
        .map_err(|why| WorldError::failed(what(), why))?;
    let connected = address.connect(proof::CONNECT).await;
    connected.map_err(|error| WorldError::failed(what(), error))
}

async fn version(daemon: &StandalonePlace) -> Answer<String> {
    let info = connect(daemon).await?.info(proof::CONNECT).await;
    let info =
        info.map_err(|error| WorldError::failed("the daemon does not tell its version", error))?;
    Ok(info.version)
}

/// Asks a process to end. The handle is to this process alone, whoever gets its number later.
fn terminate(process: ProcessIdentity) -> Answer<()> {
    let failed = |errno: rustix::io::Errno| {
        let what = format!("process {} cannot be ended", process.pid);
        WorldError::failed(what, io::Error::from(errno))
    };
    let raw = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    let Some(pid) = raw else {
        unreachable!("BUG: no process has the number {}", process.pid)
    };
    let handle = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        handle => handle.map_err(failed)?,
    };
    // Seen after the handle was taken: it is the one that is meant.
    if inventory::has_ended(process.pid, process.started) {
        return Ok(());
    }
    match rustix::process::pidfd_send_signal(&handle, Signal::TERM) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        sent => sent.map_err(failed),
    }
}

async fn wait_for_end(daemon: &StandalonePlace, is_over: impl Fn() -> bool) -> Answer<()> {
    let began = Instant::now();
    while !is_over() {
        if began.elapsed() > STOP {
            let why = format!(
                "the daemon at `{}` has not ended {} s after it was told to",
                daemon.address,
                STOP.as_secs()
            );
            return Err(WorldError::Refused { why });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Moves a folder to where nothing or an empty folder lies; what is not empty is never replaced.
fn rename(old: &Path, new: &Path) -> io::Result<()> {
    match std::fs::remove_dir(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok(rustix::fs::renameat_with(
        CWD,
        old,
        CWD,
        new,
        RenameFlags::NOREPLACE,
    )?)
}

/// Makes an empty folder with the owner and the permission bits of another one.
fn make_like(model: &Path, place: &Path) -> io::Result<()> {
    let model = model.metadata()?;
    std::fs::DirBuilder::new().mode(0o700).create(place)?;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(place, Some(model.uid()), Some(model.gid()))?;
    }
    std::fs::set_permissions(place, model.permissions())
}
