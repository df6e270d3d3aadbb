//! Standalone daemons of the fake world.

use jiff::Timestamp;
use rekit_core::{
    inventory::ActiveBuild,
    name::{HostPath, Platform},
    standalone::{ProcessIdentity, StandalonePlace},
};

use super::{Answer, FakeWorld};
use crate::world::{
    ChangeStandalone, DaemonAnswer, DaemonEnd, ForeignBytes, ReadStandalone, WorldError,
};

/// A daemon by its state folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FakeDaemon {
    /// Its process, while it runs.
    pub process: Option<ProcessIdentity>,
    /// Whether a build runs on it that never ends.
    pub busy: bool,
}

/// How every fake daemon is started.
const SCRIPT: &[u8] = b"start";

impl FakeWorld {
    /// Returns the process of the daemon that works on a state.
    pub fn process_on(&self, root: &HostPath) -> Option<ProcessIdentity> {
        self.daemons.get(root)?.process
    }
}

impl ReadStandalone for FakeWorld {
    async fn daemon_on(&self, root: &HostPath) -> Answer<Option<ProcessIdentity>> {
        Ok(self.process_on(root))
    }

    async fn has_ended(&self, process: ProcessIdentity) -> Answer<bool> {
        let mut daemons = self.daemons.values();
        Ok(!daemons.any(|daemon| daemon.process == Some(process)))
    }

    async fn describe_daemon(
        &self,
        _: &StandalonePlace,
        _: ProcessIdentity,
    ) -> Answer<ForeignBytes> {
        Ok(ForeignBytes::new(SCRIPT.to_vec()))
    }

    async fn builds_of(&self, daemon: &StandalonePlace) -> Answer<Vec<ActiveBuild>> {
        let found = self.daemons.get(&daemon.root);
        let found = found.filter(|daemon| daemon.process.is_some());
        let found = found.ok_or_else(|| WorldError::failed("the daemon", "it does not run"))?;
        let build = ActiveBuild {
            reference: "build".to_owned(),
            ..ActiveBuild::default()
        };
        Ok(found.busy.then_some(build).into_iter().collect())
    }

    async fn clients_of_leave(&self, process: ProcessIdentity) -> Answer<bool> {
        let mut daemons = self.daemons.values();
        Ok(!daemons.any(|daemon| daemon.process == Some(process) && daemon.busy))
    }
}

impl ChangeStandalone for FakeWorld {
    async fn stop_daemon(
        &mut self,
        _: &StandalonePlace,
        process: ProcessIdentity,
    ) -> Answer<DaemonEnd> {
        self.step()?;
        for daemon in self.daemons.values_mut() {
            if daemon.process == Some(process) {
                *daemon = FakeDaemon::default();
            }
        }
        Ok(DaemonEnd {
            clean: true,
            at: None,
        })
    }

    async fn start_daemon(
        &mut self,
        daemon: &StandalonePlace,
        script: Option<&ForeignBytes>,
    ) -> Answer<DaemonAnswer> {
        self.step()?;
        if self.process_on(&daemon.root).is_none() {
            let is_known = script.is_some_and(|script| script.expose() == SCRIPT);
            if daemon.service.is_none() && !is_known {
                return Err(WorldError::failed("the daemon", "nobody knows its start"));
            }
            self.made += 1;
            let process = ProcessIdentity {
                pid: 1,
                started: self.made,
            };
            let found = self.daemons.entry(daemon.root.clone()).or_default();
            found.process = Some(process);
        }
        self.step()?;
        let state = self.trees.entry(daemon.root.clone()).or_default();
        if state.is_empty() {
            *state = b"fresh".to_vec();
        }
        Ok(DaemonAnswer {
            version: "v0".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        })
    }

    async fn probe_daemon(&mut self, daemon: &StandalonePlace, _: &Platform) -> Answer<u64> {
        self.step()?;
        if self.process_on(&daemon.root).is_some() {
            Ok(1)
        } else {
            Err(WorldError::failed("the daemon", "it does not run"))
        }
    }

    async fn move_state(&mut self, from: &HostPath, to: &HostPath, renew: bool) -> Answer<()> {
        if self.trees.get(to).is_none_or(Vec::is_empty) {
            if self.process_on(from).is_some() {
                let why = format!("a daemon works on `{from}`");
                return Err(WorldError::Refused { why });
            }
            self.step()?;
            let state = self.trees.remove(from);
            let state = state.ok_or_else(|| WorldError::failed("the state", "it is gone"))?;
            self.trees.insert(to.clone(), state);
        }
        if renew {
            self.step()?;
            self.trees.entry(from.clone()).or_default();
        }
        Ok(())
    }
}
