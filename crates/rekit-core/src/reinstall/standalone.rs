//! Standalone daemons are renewed in place, as their addresses are theirs alone: archived while they build, ended once no build runs, started
//! again on an empty state, proven. What they had is parked beside it, and archived when the new one builds already.

use super::{Reinstall, builders::usual_platforms};
use crate::{
    draft::{Draft, Patience},
    folders::{CacheFolder, FolderContent},
    inventory::{ConfigVerdict, Daemon, Inventory, Origin, Standalone},
    name::{ArchiveId, HostPath, Platform},
    standalone::{Launch, ProcessIdentity, RemoteBuilder, Service, StandalonePlace, parked_place},
    step::{Action, StepId},
};

/// The driver whose daemons nobody but their owners start.
pub(super) const REMOTE_DRIVER: &str = "remote";

/// A standalone daemon that can be ended and started again.
pub(super) struct Found {
    pub(super) place: StandalonePlace,
    pub(super) process: ProcessIdentity,
    platforms: Vec<Platform>,
}

impl Reinstall<'_> {
    /// Returns the standalone daemons that can be renewed; of the others it says why not.
    pub(super) fn daemons_to_renew(&mut self) -> Vec<Found> {
        let inventory = self.ground.inventory;
        let mut found = Vec::new();
        for daemon in &inventory.standalone {
            let (Some(origin), Some(pid)) = (&daemon.origin, daemon.pid) else {
                continue;
            };
            match find(inventory, daemon, origin, pid) {
                Ok(one) => found.push(one),
                Err(why) => {
                    let root = daemon.root.as_ref().map(ToString::to_string);
                    let what = format!("daemon on {}", root.unwrap_or_default());
                    self.draft.leave_out(what, why);
                }
            }
        }
        found
    }

    /// Says why the builder of a remote daemon is left as it is, unless its daemons are renewed.
    pub(super) fn leave_remote(&mut self, builder: &str, endpoints: &[&str], renewed: &[Found]) {
        let is_renewed =
            |endpoint: &str| renewed.iter().any(|found| found.place.address == endpoint);
        let other = endpoints.iter().find(|endpoint| !is_renewed(endpoint));
        if let Some(endpoint) = other {
            let mut here = self.ground.inventory.standalone.iter();
            let is_here = here
                .any(|daemon| daemon.pid.is_some() && daemon.address.as_deref() == Some(endpoint));
            let why = if is_here {
                format!("its driver is {REMOTE_DRIVER}; its daemon at {endpoint} stays")
            } else {
                format!(
                    "its driver is {REMOTE_DRIVER}; its daemon at {endpoint} does not run on this machine"
                )
            };
            self.draft.leave_out(format!("builder {builder}"), why);
        }
    }

    /// Adds the steps that renew daemons in place.
    pub(super) fn renew_daemons(&mut self, found: Vec<Found>) {
        for Found {
            place,
            process,
            platforms,
        } in found
        {
            if self.wishes.keep_cache {
                let what = format!("the cache of the daemon at {}", place.address);
                let why = "a daemon that is renewed in place begins empty; what it had is parked beside it";
                self.draft.leave_out(what, why);
            }
            if self.wishes.cut_running_builds {
                let what = format!("builds that run on the daemon at {}", place.address);
                let why = "they are waited for, not cut: a standalone daemon that is told to end waits for them too";
                self.draft.leave_out(what, why);
            }
            self.announce(&place);
            let why =
                "a daemon that runs on it goes on; what changes until its end is archived after it";
            archive_state_folder(&mut self.draft, &place.root, why);
            let stop = self.end(&place, process);
            let parked = parked_place(&place.root, self.ground.generation);
            self.draft.push(
                "it stays, as warm as it is, until `rekit finalize`",
                Action::ParkState {
                    root: place.root.clone(),
                    parked: parked.clone(),
                    renew: true,
                },
            );
            let launch = match place.service {
                Some(_) => Launch::Service {},
                None => Launch::AsStopped { step: stop },
            };
            prove_daemon(&mut self.draft, place, launch, platforms);
            let why = "nothing is removed later that was not archived first";
            archive_state_folder(&mut self.draft, &parked, why);
        }
    }

    /// Adds the step that ends a daemon once no build runs on it.
    pub(super) fn end(&mut self, place: &StandalonePlace, process: ProcessIdentity) -> StepId {
        let patience = Patience::of(&self.goal.drain, self.wishes.cut_running_builds);
        let action = patience.stop_daemon(place, process);
        self.draft.push(
            "no running build is cut, and its databases are closed",
            action,
        )
    }

    fn announce(&mut self, place: &StandalonePlace) {
        let client = place.client.as_ref();
        let client = client.map(|client| format!(" (builder {})", client.name));
        self.draft.interrupt(format!(
            "daemon at {}{}: its address is its own, so nobody answers there from its end to its new start, usually for a few seconds; \
             builds that run are waited for, those that begin just then fail. How long it was is told afterwards",
            place.address,
            client.unwrap_or_default()
        ));
    }
}

/// Adds the steps that start a daemon and prove it.
pub(crate) fn prove_daemon(
    draft: &mut Draft,
    daemon: StandalonePlace,
    launch: Launch,
    platforms: Vec<Platform>,
) {
    let action = Action::StartDaemon {
        daemon: daemon.clone(),
        launch,
    };
    draft.push("it runs as it ran before", action);
    let action = Action::ProbeDaemon { daemon, platforms };
    draft.push("a daemon that answers is no proof, a build is", action);
}

/// Adds the steps that archive a state and prove the archive.
pub(crate) fn archive_state_folder(
    draft: &mut Draft,
    folder: &HostPath,
    why: &str,
) -> (ArchiveId, StepId) {
    let archive = draft.archive_id(folder.file_name());
    let action = Action::ArchiveFolder {
        archive: archive.clone(),
        folder: CacheFolder {
            path: folder.clone(),
            holds: FolderContent::State,
        },
    };
    draft.push(why, action);
    let proof = draft.verify(&archive);
    (archive, proof)
}

/// Returns a running daemon of this root, as far as it can be ended from here.
pub(crate) fn running_on(inventory: &Inventory, root: &HostPath) -> Option<ProcessIdentity> {
    let mut daemons = inventory.standalone.iter();
    daemons.find_map(|daemon| {
        let started = daemon.origin.as_ref()?.started;
        let pid = daemon.pid.filter(|_| daemon.root.as_ref() == Some(root))?;
        Some(ProcessIdentity { pid, started })
    })
}

/// Returns the platforms that a daemon on this root is proven for.
pub(crate) fn platforms_on(inventory: &Inventory, root: &HostPath) -> Vec<Platform> {
    let mut daemons = inventory.standalone.iter();
    let known = daemons.find(|daemon| daemon.root.as_ref() == Some(root));
    let said = known.and_then(|daemon| said(inventory, daemon));
    said.map(|said| platforms(inventory, said))
        .unwrap_or_default()
}

fn platforms(inventory: &Inventory, said: &Daemon) -> Vec<Platform> {
    let native = said.workers.first().and_then(|it| it.platforms.first());
    let words = native.map(|platform| platform.as_str().split('/'));
    let architecture = words.and_then(|mut words| words.nth(1));
    usual_platforms(inventory, architecture.unwrap_or_default())
}

/// Returns what a daemon said of itself: to whom nobody gave keys, or to a builder that has them.
fn said<'a>(inventory: &'a Inventory, daemon: &'a Standalone) -> Option<&'a Daemon> {
    let mut nodes = inventory.nodes();
    let named = nodes.find_map(|(.., record, node)| {
        let is_it =
            record.driver == REMOTE_DRIVER && Some(&node.endpoint) == daemon.address.as_ref();
        node.daemon.known().filter(|_| is_it)
    });
    daemon.daemon.known().or(named)
}

fn find(
    inventory: &Inventory,
    daemon: &Standalone,
    origin: &Origin,
    pid: u32,
) -> Result<Found, String> {
    let words = |text: &str| Err(text.to_owned());
    if daemon.known_by.iter().all(|by| by.starts_with("process ")) {
        return words(
            "only its process is known: no builder, no variable, no service and no usual place names it",
        );
    }
    if let Some(why) = &origin.hindrance {
        return Err(why.clone());
    }
    let (Some(root), Some(address)) = (&daemon.root, &daemon.address) else {
        return words("its root or its address is not known");
    };
    if address.starts_with("fd://") {
        return words("systemd holds its socket: the next client would start it again half-way");
    }
    if let Some(unit) = &daemon.unit
        && !daemon.known_by.contains(&format!("unit {unit}"))
    {
        return Err(format!(
            "it runs inside the service {unit}, which is not its own"
        ));
    }
    if is_shared(inventory, daemon, root) {
        return words("another daemon works on the same folder, or on one within it");
    }
    let Some(said) = said(inventory, daemon) else {
        let reason = daemon.daemon.reason().unwrap_or_default();
        return Err(format!("whether builds run on it cannot be told: {reason}"));
    };
    if !origin.is_told_by_flags && is_refused(inventory, daemon) {
        return words(
            "its buildkitd.toml is refused, and names its root or its address: mend it first",
        );
    }
    Ok(Found {
        place: StandalonePlace {
            root: root.clone(),
            address: address.clone(),
            client: client(inventory, address),
            service: daemon.unit.as_ref().map(|unit| Service {
                unit: unit.clone(),
                of_user: origin.of_user,
            }),
        },
        process: ProcessIdentity {
            pid,
            started: origin.started,
        },
        platforms: platforms(inventory, said),
    })
}

fn is_shared(inventory: &Inventory, daemon: &Standalone, root: &HostPath) -> bool {
    let mut others = inventory.standalone.iter();
    others.any(|other| {
        other.pid.is_some()
            && other.pid != daemon.pid
            && other
                .root
                .as_ref()
                .is_some_and(|it| it == root || it.is_within(root) || root.is_within(it))
    })
}

fn is_refused(inventory: &Inventory, daemon: &Standalone) -> bool {
    let mut files = inventory.files.iter();
    files.any(|file| {
        Some(&file.file.path) == daemon.config.as_ref()
            && matches!(file.verdict, Some(ConfigVerdict::Refused { .. }))
    })
}

fn client(inventory: &Inventory, address: &str) -> Option<RemoteBuilder> {
    let mut nodes = inventory.nodes();
    nodes.find_map(|(store, builder, record, node)| {
        let is_it = record.driver == REMOTE_DRIVER && node.endpoint == address;
        is_it.then(|| RemoteBuilder {
            store: store.path.clone(),
            name: builder.name.to_string(),
        })
    })
}
