//! Steps that end, start and prove standalone daemons, and put their states aside or back.
//!
//! Invariants: no process is ended but the one that the plan means, and none while builds run unless a person agreed; a state is moved only while
//! no daemon works on it, and never onto another one.

use jiff::Timestamp;
use rekit_core::{
    inventory::ActiveBuild,
    name::{BlobId, HostPath, Platform},
    next::Observed,
    standalone::{ProcessIdentity, StandalonePlace},
    step::{Action, StateSource},
    undo::{Outcome, Undo},
};

use super::{Scene, builds, keep, kept, wait::probed};
use crate::{
    journal::Journal,
    world::{ChangeWorld, FolderState, ReadWorld, WorldError},
};

/// Seconds that builds may still take before a daemon is ended in an undo.
const UNDO_LIMIT_SECONDS: u32 = 600;

/// What a daemon's stop left for its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoppedDaemon {
    /// The blob with its start as a shell script.
    pub script: Option<BlobId>,
    /// When it was told to end.
    pub at: Option<Timestamp>,
}

pub(super) async fn observe_stop<W: ReadWorld>(
    daemon: &StandalonePlace,
    process: ProcessIdentity,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    if scene.is_started() {
        return Ok(if world.has_ended(process).await? {
            Observed::After
        } else {
            Observed::Before
        });
    }
    Ok(match same_daemon(daemon, process, world).await? {
        Some(foreign) => Observed::Foreign(foreign),
        None => Observed::Before,
    })
}

/// Returns what is there instead of the daemon that a plan means.
pub(super) async fn same_daemon<W: ReadWorld>(
    daemon: &StandalonePlace,
    process: ProcessIdentity,
    world: &W,
) -> Result<Option<String>, WorldError> {
    let root = &daemon.root;
    Ok(match world.daemon_on(root).await? {
        Some(found) if found == process => None,
        Some(_) => Some(format!("the daemon on `{root}` was started anew")),
        None => Some(format!("no daemon runs on `{root}` any more")),
    })
}

pub(super) async fn observe_start<W: ReadWorld>(
    daemon: &StandalonePlace,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    let is_running = world.daemon_on(&daemon.root).await?.is_some();
    Ok(match (is_running, scene.is_started()) {
        (true, true) => Observed::Partly,
        // A service starts its daemon by itself at any time, and it is the same one.
        (true, false) if daemon.service.is_none() => Observed::Foreign(format!(
            "somebody started a daemon on `{}` meanwhile",
            daemon.root
        )),
        _ => Observed::Before,
    })
}

pub(super) async fn observe_probe<W: ReadWorld>(
    daemon: &StandalonePlace,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match world.daemon_on(&daemon.root).await? {
        Some(_) => Observed::Before,
        None => Observed::Foreign(format!("no daemon runs on `{}`", daemon.root)),
    })
}

/// A state is moved from one place to another.
pub(super) async fn observe_move<W: ReadWorld>(
    from: &HostPath,
    to: &HostPath,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    let (here, there) = (world.folder(from).await?, world.folder(to).await?);
    if there == FolderState::Full && scene.is_started() {
        return Ok(Observed::After);
    }
    if here != FolderState::Full {
        return Ok(Observed::Foreign(format!("state `{from}` is gone")));
    }
    if there == FolderState::Full {
        return Ok(Observed::Foreign(format!("`{to}` holds something")));
    }
    if world.daemon_on(from).await?.is_some() {
        let what = format!("somebody started a daemon on `{from}` again");
        return Ok(Observed::Foreign(what));
    }
    Ok(Observed::Before)
}

pub(super) async fn observe_removal<W: ReadWorld>(
    folder: &HostPath,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    if world.daemon_on(folder).await?.is_some() {
        let what = format!("a daemon works on `{folder}`");
        return Ok(Observed::Foreign(what));
    }
    Ok(match (world.folder(folder).await?, scene.is_started()) {
        (FolderState::Absent, _) => Observed::After,
        (_, true) => Observed::Partly,
        (_, false) => Observed::Before,
    })
}

pub(super) async fn prepare_undo<W: ReadWorld, J: Journal>(
    scene: &Scene<'_>,
    world: &W,
    journal: &mut J,
) -> Result<Undo, WorldError> {
    Ok(match scene.action {
        Action::StopDaemon {
            daemon, process, ..
        } => {
            let script = if daemon.service.is_some() {
                None
            } else {
                let script = world.describe_daemon(daemon, *process).await?;
                Some(keep(journal, &script)?)
            };
            Undo::StartDaemon {
                daemon: daemon.clone(),
                process: *process,
                script,
            }
        }
        Action::StartDaemon { daemon, .. } => Undo::StopDaemon {
            daemon: daemon.clone(),
        },
        Action::ParkState {
            root,
            parked,
            renew,
        } => Undo::UnparkState {
            parked: parked.clone(),
            root: root.clone(),
            renewed: *renew,
        },
        Action::UnparkState { parked, root } => Undo::ParkState {
            root: root.clone(),
            parked: parked.clone(),
        },
        Action::RemoveState { folder, .. } => Undo::RestoreState {
            folder: folder.clone(),
            source: scene.source.clone().ok_or_else(|| WorldError::Refused {
                why: format!("no proven archive holds `{folder}`"),
            })?,
        },
        _ => unreachable!("BUG: no step on a standalone daemon"),
    })
}

pub(super) async fn effect<W: ChangeWorld, J: Journal>(
    scene: &Scene<'_>,
    world: &mut W,
    journal: &J,
) -> Result<Outcome, WorldError> {
    match scene.action {
        Action::StopDaemon {
            daemon,
            process,
            limit_seconds,
            cut,
        } => stop(daemon, *process, (*limit_seconds, *cut), world).await,
        Action::StartDaemon { daemon, .. } => {
            let script = match scene.stopped.as_ref().map(|stopped| &stopped.script) {
                Some(Some(script)) => Some(kept(journal, script)?),
                _ => None,
            };
            let answer = world.start_daemon(daemon, script.as_ref()).await?;
            let stopped = scene.stopped.as_ref().and_then(|stopped| stopped.at);
            let silent = stopped.map(|stopped| answer.at.duration_since(stopped).as_millis());
            Ok(Outcome::DaemonStarted {
                version: answer.version,
                silent_milliseconds: silent.and_then(|silent| u64::try_from(silent).ok()),
            })
        }
        Action::ProbeDaemon { daemon, platforms } => probe(daemon, platforms, world).await,
        Action::ParkState {
            root,
            parked,
            renew,
        } => {
            world.move_state(root, parked, *renew).await?;
            Ok(Outcome::Done {})
        }
        Action::UnparkState { parked, root } => {
            world.move_state(parked, root, false).await?;
            Ok(Outcome::Done {})
        }
        Action::RemoveState { folder, .. } => {
            world.empty_folder(folder, true).await?;
            Ok(Outcome::Done {})
        }
        _ => unreachable!("BUG: no step on a standalone daemon"),
    }
}

async fn stop<W: ChangeWorld>(
    daemon: &StandalonePlace,
    process: ProcessIdentity,
    (limit_seconds, cut): (u32, bool),
    world: &mut W,
) -> Result<Outcome, WorldError> {
    let mut wait = Wait {
        limit_seconds,
        cut,
        silent_is_idle: cut, // A person agreed to cut whatever runs.
        waited: 0,
    };
    let given_up = wait.until_idle(daemon, process, world).await?;
    let end = world.stop_daemon(daemon, process).await?;
    Ok(Outcome::DaemonStopped {
        waited_seconds: u64::from(wait.waited),
        cut: given_up.iter().map(ActiveBuild::told).collect(),
        clean: end.clean,
        at: end.at,
    })
}

/// A wait for the builds on a daemon.
struct Wait {
    limit_seconds: u32,
    /// Whether builds that outlast the limit are cut.
    cut: bool,
    /// Whether a daemon that does not answer counts as one without builds.
    silent_is_idle: bool,
    /// Seconds waited until now.
    waited: u32,
}

impl Wait {
    /// Waits until no build runs or the process has ended; returns the builds that are to be cut.
    async fn until_idle<W: ChangeWorld>(
        &mut self,
        daemon: &StandalonePlace,
        process: ProcessIdentity,
        world: &mut W,
    ) -> Result<Vec<ActiveBuild>, WorldError> {
        let on = format!("the daemon at `{}`", daemon.address);
        let mut looks = builds::LOOKS;
        while !world.has_ended(process).await? {
            let active = match world.builds_of(daemon).await {
                Ok(active) => active,
                Err(_) if self.silent_is_idle => Vec::new(),
                Err(error) => return Err(error),
            };
            let is_over = self.waited >= self.limit_seconds;
            // A client that has connected and built nothing yet is about to: its build is to be seen, not cut.
            if active.is_empty() && looks > 0 && !world.clients_of_leave(process).await? {
                looks -= 1;
                continue;
            }
            if active.is_empty() || (self.cut && is_over) {
                return Ok(active);
            }
            if is_over {
                let limit = self.limit_seconds;
                return Err(builds::still_run(&on, &active, limit));
            }
            let event = builds::awaited(&on, active, self.waited, self.limit_seconds);
            world.pass_second(event).await?;
            self.waited += 1;
        }
        Ok(Vec::new())
    }
}

async fn probe<W: ChangeWorld>(
    daemon: &StandalonePlace,
    platforms: &[Platform],
    world: &mut W,
) -> Result<Outcome, WorldError> {
    let mut passed = Vec::new();
    for platform in platforms {
        let milliseconds = world.probe_daemon(daemon, platform).await?;
        passed.push((platform.clone(), milliseconds));
    }
    Ok(probed(passed))
}

/// Starts a daemon again that the step ended, unless it runs.
pub(super) async fn start_again<W: ChangeWorld, J: Journal>(
    daemon: &StandalonePlace,
    script: Option<&BlobId>,
    world: &mut W,
    journal: &J,
) -> Result<(), WorldError> {
    let script = script.map(|script| kept(journal, script)).transpose()?;
    world.start_daemon(daemon, script.as_ref()).await.map(drop)
}

/// Ends the daemon that the step started, once no build runs on it.
pub(super) async fn stop_again<W: ChangeWorld>(
    daemon: &StandalonePlace,
    world: &mut W,
) -> Result<(), WorldError> {
    let Some(process) = world.daemon_on(&daemon.root).await? else {
        return Ok(());
    };
    let mut wait = Wait {
        limit_seconds: UNDO_LIMIT_SECONDS,
        cut: false,
        silent_is_idle: true, // A daemon that never answered has never built anything.
        waited: 0,
    };
    wait.until_idle(daemon, process, world).await?;
    world.stop_daemon(daemon, process).await.map(drop)
}

/// Brings a parked state back. What a new daemon wrote in its place since the step goes; anything else is left alone.
pub(super) async fn move_back<W: ChangeWorld>(
    from: &HostPath,
    to: &HostPath,
    renewed: bool,
    world: &mut W,
) -> Result<(), WorldError> {
    if world.folder(from).await? != FolderState::Full {
        return Ok(()); // Never moved, or back already.
    }
    if world.folder(to).await? == FolderState::Full {
        if !renewed {
            let what = format!("`{to}` holds something now");
            return Err(WorldError::Changed { what });
        }
        if world.daemon_on(to).await?.is_some() {
            let why = format!("a daemon works on `{to}`: stop it first");
            return Err(WorldError::Refused { why });
        }
        world.empty_folder(to, false).await?;
    }
    world.move_state(from, to, false).await
}

/// Brings a removed state back from its archive, unless it was never removed.
pub(super) async fn restore<W: ChangeWorld>(
    folder: &HostPath,
    source: &StateSource,
    world: &mut W,
) -> Result<(), WorldError> {
    world.verify_source(source).await?;
    world.empty_folder(folder, false).await?; // What a removal or an earlier attempt left half.
    let folder = rekit_core::folders::CacheFolder {
        path: folder.clone(),
        holds: rekit_core::folders::FolderContent::State,
    };
    world.restore_folder(source, &folder).await
}
