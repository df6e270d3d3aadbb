//! What went wrong, as the user sees it: what, why, where things stand, what next.

use std::error::Error;

use rekit_core::{
    check::PlanFault, engine_cache::NoEngineRestore, fact::words, reinstall::NoPlan,
    rollback::NoWayBack,
};
use rekit_run::{
    engine_cache::NoEnginePlace, journal::HomeError, session::SessionError, world::WorldError,
};
use serde::Serialize;

use crate::exit::Exit;

/// A failure in all its parts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    #[serde(skip)]
    pub(crate) exit: Exit,
    /// A stable word for scripts.
    pub(crate) code: &'static str,
    /// What failed.
    pub(crate) message: Box<str>,
    /// Why, outermost first.
    pub(crate) cause: Vec<String>,
    /// The place in a file, underlined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<Box<str>>,
    /// Where things stand.
    pub(crate) state: Box<str>,
    /// What to do.
    pub(crate) next: Vec<String>,
}

/// What `state` says of nearly every failure.
const UNTOUCHED: &str = "nothing was changed";
/// What to do about a run that is open.
pub(crate) const OPEN_RUN_NEXT: [&str; 2] = [
    "`rekit resume` goes on with it",
    "`rekit rollback` takes it back",
];

/// What to do about a run that stands still until a person decides.
pub(crate) const HELD_NEXT: [&str; 2] = [
    "`rekit rollback` takes it back",
    "`rekit resume` accepts what was measured and goes on; a daemon that does not start is tried again",
];

impl Failure {
    /// Makes a failure that changed nothing.
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<Box<str>>) -> Self {
        Self {
            exit,
            code,
            message: message.into(),
            cause: Vec::new(),
            place: None,
            state: UNTOUCHED.into(),
            next: Vec::new(),
        }
    }

    /// Makes a failure of an error and its causes.
    pub(crate) fn of(exit: Exit, code: &'static str, error: &dyn Error) -> Self {
        let causes = std::iter::successors(error.source(), |cause: &&dyn Error| (*cause).source());
        Self {
            cause: causes.map(words).collect(),
            ..Self::new(exit, code, words(error))
        }
    }

    /// Adds why.
    #[must_use]
    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause.push(cause.into());
        self
    }

    /// Adds the place in a file.
    #[must_use]
    pub(crate) fn at(mut self, place: String) -> Self {
        self.place = Some(place.into());
        self
    }

    /// Adds where to look, for a failure of which nobody said more.
    #[must_use]
    pub(crate) fn with_a_next(self) -> Self {
        if self.next.is_empty() {
            self.then("`rekit status` says where things stand")
        } else {
            self
        }
    }

    /// Says where things stand.
    #[must_use]
    pub(crate) fn standing(mut self, state: impl Into<Box<str>>) -> Self {
        self.state = state.into();
        self
    }

    /// Adds what to do.
    #[must_use]
    pub(crate) fn then(mut self, next: impl Into<String>) -> Self {
        self.next.push(next.into());
        self
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Home(error) => home(&error),
            SessionError::StoreLocked { .. } => Self::of(Exit::Refused, "locked", &error)
                .then("wait until it has ended; it may keep its journal in another REKIT_HOME than this one"),
            SessionError::NoPlan(error) => no_plan(&error),
            SessionError::NoWayBack(error) => no_way_back(&error),
            SessionError::Faults(faults) => plan_faults(&faults),
            SessionError::OpenRun { .. } => OPEN_RUN_NEXT
                .into_iter()
                .fold(Self::of(Exit::Refused, "open-run", &error), Self::then),
            SessionError::NoOpenRun => Self::of(Exit::Misuse, "no-open-run", &error),
            SessionError::Applied(_) => Self::of(Exit::Misuse, "plan-applied", &error)
                .then("`rekit plan --out FILE` makes a new one"),
            SessionError::Moved(moved) => moved
                .into_iter()
                .fold(
                    Self::new(
                        Exit::Refused,
                        "moved",
                        "the world has moved since the plan was made",
                    ),
                    Self::because,
                )
                .then("make a new plan: what it relied on has changed"),
            SessionError::Drive(error) => OPEN_RUN_NEXT.into_iter().fold(
                Self::of(Exit::Failed, "journal", &error)
                    .standing("the run is open; the journal holds all that was changed"),
                Self::then,
            ),
            SessionError::NoBuilder(_) => Self::of(Exit::Misuse, "no-builder", &error)
                .then("`rekit inventory` lists builders and caches; a folder is named by its path"),
            SessionError::NotArchived(_) => Self::of(Exit::Misuse, "not-archived", &error)
                .then("without FILE all that is gone comes back; `RESTORE.md` in the archive lists its files"),
            SessionError::NoEnginePlace(error) => no_engine_place(&error),
            SessionError::NoEngineRestore(error) => no_engine_restore(&error),
            SessionError::NoMountRestore(_) => Self::of(Exit::Misuse, "no-restore", &error)
                .then("name another builder with --builder"),
            SessionError::World(error) => world(&error),
        }
    }
}

fn home(error: &HomeError) -> Failure {
    match error {
        HomeError::Locked { .. } => Failure::of(Exit::Refused, "locked", error)
            .then("wait until it has ended; `rekit status` shows where it stands"),
        HomeError::Format { .. } | HomeError::Plan { .. } => {
            Failure::of(Exit::Refused, "journal-unknown", error).then("use the rekit that wrote it")
        }
        HomeError::Directory { .. } => Failure::of(Exit::Refused, "home", error).then(
            "make the directory writable for this account, or name another one with REKIT_HOME",
        ),
        HomeError::Journal(_) => Failure::of(Exit::Refused, "journal", error)
            .then("without its journal rekit changes nothing: see what is wrong with that file"),
    }
}

fn no_plan(error: &NoPlan) -> Failure {
    match error {
        NoPlan::NoEngine | NoPlan::NoStore => Failure::of(Exit::Refused, "no-plan", error)
            .then("`rekit doctor` says what is wrong with this machine's engines and store"),
        NoPlan::NoBuilder(_) => Failure::of(Exit::Misuse, "no-builder", error)
            .then("`rekit inventory` lists the builders"),
        NoPlan::NoNode(_) => Failure::of(Exit::Misuse, "no-node", error)
            .then("`rekit inventory` lists the builders with their nodes"),
        NoPlan::NoOwner(_) => Failure::of(Exit::Misuse, "no-builder", error)
            .then("name a builder with --builder NAME; one that is not there is made"),
        NoPlan::NoRestore { .. } => Failure::of(Exit::Refused, "no-plan", error)
            .then("name another builder with --builder NAME; one that is not there is made"),
    }
}

fn no_engine_place(error: &NoEnginePlace) -> Failure {
    match error {
        NoEnginePlace::Unfit { .. } => Failure::of(Exit::Refused, "no-engine-cache", error)
            .then("`rekit backup create default` keeps its cache mounts, while it runs"),
        NoEnginePlace::NoCommands { .. } => Failure::of(Exit::Misuse, "no-engine-commands", error)
            .then("say it: --stop-engine 'service docker stop' --start-engine 'service docker start'"),
        NoEnginePlace::NoEngine => Failure::of(Exit::Refused, "no-engine", error)
            .then("`rekit inventory` lists the engines; name the right one with DOCKER_HOST or DOCKER_CONTEXT"),
    }
}

fn no_engine_restore(error: &NoEngineRestore) -> Failure {
    let failure = Failure::of(Exit::Refused, "no-engine-restore", error);
    match error {
        NoEngineRestore::InUse { .. } => failure
            .then("bring it back into an engine that is new: `docker system prune --all --volumes` and `docker rm` make one, once nothing on it is needed"),
        NoEngineRestore::Layers { .. } => failure
            .then("`features.containerd-snapshotter` and `storage-driver` in daemon.json choose how an engine keeps its layers"),
        NoEngineRestore::Older { .. } => failure.then("use an engine that is as new"),
    }
}

fn no_way_back(error: &NoWayBack) -> Failure {
    match error {
        NoWayBack::NothingBefore => Failure::of(Exit::Misuse, "nothing-before", error)
            .then("`rekit generations` lists those that were"),
        NoWayBack::Unknown(_) => Failure::of(Exit::Misuse, "unknown-generation", error)
            .then("`rekit generations` lists those that were"),
        NoWayBack::Moved { .. } => Failure::of(Exit::Refused, "moved", error)
            .then("undo that change, or go back by hand from the archives"),
    }
}

/// A plan that is damaged is bad input; one that is well-formed but dangerous is refused.
pub(crate) fn plan_faults(faults: &[PlanFault]) -> Failure {
    let damaged = faults
        .iter()
        .any(|fault| matches!(fault, PlanFault::Version { .. } | PlanFault::Number { .. }));
    let (exit, code) = if damaged {
        (Exit::Misuse, "plan-damaged")
    } else {
        (Exit::Refused, "plan-dangerous")
    };
    let failure = Failure::new(exit, code, "the plan cannot be applied");
    faults
        .iter()
        .map(ToString::to_string)
        .fold(failure, Failure::because)
        .then("do not edit a plan by hand: `rekit plan --out FILE` makes a new one")
}

pub(crate) fn world(error: &WorldError) -> Failure {
    match error {
        WorldError::Changed { .. } => Failure::of(Exit::Refused, "moved", error),
        WorldError::Refused { .. } => Failure::of(Exit::Refused, "refused", error),
        WorldError::Criterion { .. } => Failure::of(Exit::Failed, "criterion", error),
        WorldError::Interrupted => Failure::of(Exit::Interrupted, "interrupted", error),
        WorldError::Failed { .. } | WorldError::Crashed => {
            Failure::of(Exit::Failed, "world", error)
        }
    }
}
