//! The door to standalone daemons: two traits more, so that what only looks cannot end one.

use std::future::Future;

use jiff::Timestamp;
use rekit_core::{
    inventory::ActiveBuild,
    name::{HostPath, Platform},
    standalone::{ProcessIdentity, StandalonePlace},
};

use super::{Answer, ForeignBytes};

/// How a standalone daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaemonEnd {
    /// Whether it removed its lock file, which it does when its databases are closed.
    pub clean: bool,
    /// When it was told to end; `None`: it had ended before.
    pub at: Option<Timestamp>,
}

/// The first answer of a standalone daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonAnswer {
    /// Its version.
    pub version: String,
    /// When it came.
    pub at: Timestamp,
}

/// Looks at standalone daemons.
pub trait ReadStandalone {
    /// Returns the process that works on a state; one that works unseen is a refusal.
    fn daemon_on(&self, root: &HostPath) -> impl Future<Output = Answer<Option<ProcessIdentity>>>;
    /// Returns whether a process has ended.
    fn has_ended(&self, process: ProcessIdentity) -> impl Future<Output = Answer<bool>>;
    /// Returns a shell script that starts a daemon as it runs now.
    fn describe_daemon(
        &self,
        daemon: &StandalonePlace,
        process: ProcessIdentity,
    ) -> impl Future<Output = Answer<ForeignBytes>>;
    /// Returns the builds that run on a daemon now.
    fn builds_of(&self, daemon: &StandalonePlace)
    -> impl Future<Output = Answer<Vec<ActiveBuild>>>;
    /// Returns once no client is connected to a daemon, or after a few seconds; returns whether none is.
    fn clients_of_leave(&self, process: ProcessIdentity) -> impl Future<Output = Answer<bool>>;
}

/// Ends and starts standalone daemons, and moves their states. What is done already is success.
pub trait ChangeStandalone: ReadStandalone {
    /// Ends a process and no other, and waits for its end.
    fn stop_daemon(
        &mut self,
        daemon: &StandalonePlace,
        process: ProcessIdentity,
    ) -> impl Future<Output = Answer<DaemonEnd>>;
    /// Starts a daemon by its script, else by its service, unless one works on its state, and waits until it answers.
    fn start_daemon(
        &mut self,
        daemon: &StandalonePlace,
        script: Option<&ForeignBytes>,
    ) -> impl Future<Output = Answer<DaemonAnswer>>;
    /// Runs one probe; returns its milliseconds.
    fn probe_daemon(
        &mut self,
        daemon: &StandalonePlace,
        platform: &Platform,
    ) -> impl Future<Output = Answer<u64>>;
    /// Moves a state that no daemon works on to where nothing or an empty folder lies. `renew`: an empty folder of the same owner takes its place.
    fn move_state(
        &mut self,
        from: &HostPath,
        to: &HostPath,
        renew: bool,
    ) -> impl Future<Output = Answer<()>>;
}
