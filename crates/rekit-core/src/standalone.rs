//! Standalone daemons as their steps know them: ended, started again, and their states put aside by a rename.
//!
//! Invariant: a daemon is known by its process and that process's time of start, never by its name or address alone.

mod by_hand;
mod order;

pub(crate) use by_hand::{park, restore, start, stop, unpark};
pub(crate) use order::faults;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    name::{BlobId, HostPath},
    step::StepId,
};

/// A standalone daemon as it lies on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StandalonePlace {
    /// Its state folder.
    pub root: HostPath,
    /// The address it serves.
    pub address: String,
    /// The builder whose record names the keys that it asks for; `None`: nobody names it.
    pub client: Option<RemoteBuilder>,
    /// The service that it is the main process of; `None`: it was started by hand.
    pub service: Option<Service>,
}

/// A builder of the remote driver.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteBuilder {
    /// buildx's store.
    pub store: HostPath,
    /// Its name.
    pub name: String,
}

/// A unit of systemd.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The unit.
    pub unit: String,
    /// Whether it is one of the account's own manager.
    pub of_user: bool,
}

/// Which process, so that another one of the same number is never touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessIdentity {
    /// Its number.
    pub pid: u32,
    /// When it was started, in the kernel's ticks since the machine's start.
    pub started: u64,
}

/// How a daemon is started.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "launch", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Launch {
    /// By its service.
    Service {},
    /// As it ran when a step of this plan stopped it.
    AsStopped {
        /// The step.
        step: StepId,
    },
    /// As it ran when an earlier run stopped it.
    AsKept {
        /// The blob with its start as a shell script.
        script: BlobId,
    },
}

impl StandalonePlace {
    /// Returns how systemd is told to do something with the daemon's service.
    pub fn systemctl(&self, verb: &str) -> Option<String> {
        let service = self.service.as_ref()?;
        let manager = if service.of_user {
            "systemctl --user"
        } else {
            "systemctl"
        };
        Some(format!("{manager} {verb} {}", service.unit))
    }
}

/// Returns where the state of a generation is parked: beside the root, so that a rename is enough.
pub fn parked_place(root: &HostPath, generation: u32) -> HostPath {
    let name = format!("{}.rekit-g{generation}", root.file_name());
    match root.parent() {
        Some(parent) => parent.join(&name),
        None => HostPath::from(name.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_parked_beside_its_root() {
        let parked = |root: &str| parked_place(&HostPath::from(root), 3).to_string();
        assert_eq!(parked("/var/lib/buildkit"), "/var/lib/buildkit.rekit-g3");
        assert_eq!(parked("/state"), "/state.rekit-g3");
    }
}
