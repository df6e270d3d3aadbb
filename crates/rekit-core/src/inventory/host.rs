//! Engines, contexts, and what an engine holds of BuildKit.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Daemon, FileFacts, Machine};
use crate::{
    criteria::Found,
    fact::Fact,
    name::{ContainerId, ContainerName, HostId, HostPath, VolumeName},
};

/// One Docker endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// The endpoint, user names and passwords masked.
    pub id: HostId,
    /// Who names it: `DOCKER_HOST`, `context NAME`, `builder NAME`, `default socket`.
    pub named_by: Vec<String>,
    /// The engine, or why it does not answer.
    pub engine: Fact<Engine>,
}

/// A Docker engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Engine {
    /// The engine's own id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The Engine API version it speaks.
    pub api_version: String,
    /// The oldest Engine API version that it takes; empty: it does not say.
    #[serde(default)]
    pub min_api_version: String,
    /// In Docker's words.
    pub os: String,
    /// In Docker's words, for example `amd64`.
    pub architecture: String,
    /// For example `overlay2` or `overlayfs`.
    pub storage_driver: String,
    /// Which of the two image stores is in use.
    pub image_store: ImageStore,
    /// Where its data lies, as the engine says.
    pub data_root: HostPath,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// Whether the engine runs without root.
    pub rootless: bool,
    /// The BuildKit inside the engine.
    pub embedded: Fact<Daemon>,
    /// Containers that are BuildKit's by name, image or mount.
    pub containers: Vec<HostContainer>,
    /// Volumes that are BuildKit's by name or use.
    pub volumes: Vec<HostVolume>,
    /// Registries that it was told how to reach.
    #[serde(default)]
    pub registries: Vec<EngineRegistry>,
    /// The proxies that it goes through, by variable (`http_proxy`, `https_proxy`, `no_proxy`); one with a password is hidden.
    #[serde(default)]
    pub proxies: BTreeMap<String, String>,
    /// Where images of the store that is not in use lie, if there are any.
    #[serde(default)]
    pub other_store: Option<HostPath>,
}

/// A registry as an engine was told to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineRegistry {
    /// Its name, with the port where there is one.
    pub name: String,
    /// How many mirrors it has.
    pub mirrors: u32,
    /// Their addresses, but for those that hold a password.
    #[serde(default)]
    pub mirror_addresses: Vec<String>,
    /// Whether it may be spoken to without TLS or with a certificate that nobody knows.
    pub insecure: bool,
}

/// The engine's image store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageStore {
    /// The classic one.
    Graphdriver,
    /// containerd's snapshotters.
    Containerd,
}

/// A container that is BuildKit's, or bears a name as if it were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostContainer {
    /// Its name.
    pub name: ContainerName,
    /// Its id.
    pub id: ContainerId,
    /// The image it was made from, as written then.
    pub image: String,
    /// The digest of that image.
    pub image_id: String,
    /// `running`, `exited`, `restarting`, `paused`, `created`, `dead`.
    pub status: String,
    /// The exit code of its last end.
    pub exit_code: i64,
    /// When it was started last, as the engine says.
    pub started_at: String,
    /// How often the engine restarted it.
    pub restart_count: u64,
    /// Its restart policy.
    pub restart_policy: String,
    /// Named volumes it mounts, and where.
    pub volumes: Vec<(VolumeName, String)>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it really is a BuildKit daemon: its program, and its mount at `/var/lib/buildkit`.
    pub is_buildkit: bool,
    /// The daemon's arguments.
    pub arguments: Vec<String>,
    /// Whether the kernel ended a process in it for want of memory since it was started.
    #[serde(default)]
    pub out_of_memory: bool,
    /// What its daemon said last before it ended, for containers that are restarted again and again.
    #[serde(default)]
    pub last_words: Option<String>,
    /// The proxy variables that are set in it, by name.
    #[serde(default)]
    pub proxies: Vec<String>,
    /// Whether a stand-in builds: a daemon made like this one, on an empty state; only a deep look tries, where this one stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<Found>,
    /// The generation for which rekit keeps it, stopped, until `rekit finalize`; `None`: it is not parked.
    #[serde(default)]
    pub parked: Option<u32>,
}

/// A volume that is BuildKit's, or bears a name as if it were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostVolume {
    /// Its name.
    pub name: VolumeName,
    /// When it was made, as the engine says.
    pub created_at: String,
    /// The volume driver.
    pub driver: String,
    /// Where it lies on the engine's machine.
    pub mountpoint: HostPath,
    /// Containers that mount it, running or not.
    pub used_by: Vec<ContainerName>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Bytes on disk; read where rekit may, else the reason.
    pub size_bytes: Fact<u64>,
    /// Whether its content is a BuildKit state; read where rekit may.
    pub holds_state: Fact<bool>,
    /// Databases that a daemon found damaged and put aside, by name.
    #[serde(default)]
    pub set_aside: Vec<String>,
    /// Where its databases and its files contradict each other; only a deep look reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradictions: Option<Fact<Vec<String>>>,
    /// The generation for which rekit keeps it, stopped, until `rekit finalize`; `None`: it is not parked.
    #[serde(default)]
    pub parked: Option<u32>,
}

/// A Docker context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContextEntry {
    /// Its name; for metadata that does not parse, the folder's name.
    pub name: String,
    /// Its metadata file; `None` for `default`, which has none.
    pub file: Option<FileFacts>,
    /// Its TLS folder, where there is one.
    pub tls: Option<HostPath>,
    /// What it says.
    pub state: Fact<ContextState>,
    /// Whether it is in force now.
    pub current: bool,
}

impl ContextEntry {
    /// Returns whether its folder is Windows's own: what WSL cannot use, Windows may need.
    pub fn is_of_windows(&self, machine: &Machine) -> bool {
        let path = self.file.as_ref().map(|file| file.path.as_str());
        machine.wsl && path.is_some_and(|path| path.starts_with("/mnt/"))
    }
}

/// What a context says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContextState {
    /// Its endpoint, credentials masked.
    pub endpoint: String,
    /// Its description.
    pub description: String,
    /// The host behind it, where rekit can dial it.
    pub host: Option<HostId>,
    /// Why it cannot be dialled on this machine, for example `protocol not available`.
    pub unusable: Option<String>,
}
