//! buildx's store and the builder records in it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigRemark, ConfigVerdict, Daemon, FileFacts};
use crate::{
    fact::Fact,
    name::{BuilderName, ContainerName, Digest, HostId, HostPath, NodeName, Platform, VolumeName},
};

/// buildx's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Store {
    /// Where it lies.
    pub path: HostPath,
    /// Whether another process holds its lock now.
    pub locked: bool,
    /// Builder records, those that do not parse too.
    pub builders: Vec<BuilderRecord>,
    /// The file `current`; `None`: there is no such file.
    pub current: Option<Fact<SelectionFile>>,
    /// The files under `defaults/`: file name to builder name.
    pub defaults: BTreeMap<String, String>,
    /// Last use per builder, as written under `activity/`.
    pub activity: BTreeMap<String, String>,
    /// Folders under `refs/`.
    pub refs: Vec<RefsFolder>,
    /// Entries of `instances/` that no builder can be: buildx's listing fails on them.
    pub strays: Vec<HostPath>,
    /// `buildkitd.default.toml`, applied to each new builder.
    pub default_config: Option<FileFacts>,
    /// What in the store could not be read.
    pub unreadable: Vec<(HostPath, String)>,
}

/// The file `current`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SelectionFile {
    /// The file itself.
    pub file: FileFacts,
    /// What it says.
    pub current: Current,
}

/// What the file `current` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Current {
    /// The context's name, or the endpoint for `default`.
    pub key: String,
    /// The builder; empty: the context's own.
    pub name: String,
    /// Whether it holds for all endpoints.
    pub global: bool,
}

/// A file under `instances/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuilderRecord {
    /// The file's name, which is the builder's.
    pub name: BuilderName,
    /// The file.
    pub file: FileFacts,
    /// What it says, or why it does not parse.
    pub record: Fact<Record>,
    /// Last use, as written under `activity/`.
    pub last_activity: Option<String>,
}

/// What a builder record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The name inside, which must equal the file's.
    pub inner_name: String,
    /// `docker-container`, `remote`, `kubernetes`, `cloud`, …
    pub driver: String,
    /// Whether buildx may add nodes by itself.
    pub dynamic: bool,
    /// Keys that this rekit does not know; they are kept.
    pub unknown_keys: Vec<String>,
    /// Its nodes.
    pub nodes: Vec<NodeRecord>,
}

/// A node of a builder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeRecord {
    /// Its name.
    pub name: NodeName,
    /// A context's name or a URL, credentials masked.
    pub endpoint: String,
    /// The host behind the endpoint, where there is one.
    pub host: Option<HostId>,
    /// Platforms that were set by hand.
    pub platforms: Vec<Platform>,
    /// Driver options, secrets masked.
    pub driver_opts: BTreeMap<String, String>,
    /// The daemon's flags.
    pub flags: Vec<String>,
    /// Files that buildx copies into the container, without their content.
    pub files: Vec<NodeFile>,
    /// The node's buildkitd.toml, judged.
    pub config: Option<NodeConfig>,
    /// `running`, `stopped`, `inactive`, `restarting`, `paused`, `error`.
    pub status: String,
    /// The container that belongs to it (driver docker-container).
    pub container: Option<ContainerName>,
    /// The state volume that belongs to it (driver docker-container).
    pub volume: Option<VolumeName>,
    /// Settings of the record that its container was not made with, by name.
    #[serde(default)]
    pub unapplied: Vec<String>,
    /// Whether the image of its daemon is on its engine; asked where the container is not there.
    #[serde(default)]
    pub image_is_here: Option<bool>,
    /// The daemon, or why it does not answer.
    pub daemon: Fact<Daemon>,
}

/// A file inside a builder record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeFile {
    /// Its name inside the record.
    pub name: String,
    /// Bytes.
    pub size_bytes: u64,
    /// Its digest.
    pub digest: Digest,
}

/// The buildkitd.toml inside a builder record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeConfig {
    /// Whether BuildKit would take it.
    pub verdict: ConfigVerdict,
    /// What there is to say about it, each at its place.
    #[serde(default)]
    pub remarks: Vec<ConfigRemark>,
    /// The registries that it has a section for.
    #[serde(default)]
    pub registries: Vec<NodeRegistry>,
}

/// A registry as a buildkitd.toml says to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeRegistry {
    /// Its name, with the port where there is one.
    pub name: String,
    /// Whether it has mirrors.
    pub mirrored: bool,
    /// Whether it may be spoken to without TLS or with a certificate that nobody knows.
    pub insecure: bool,
    /// Whether it names the authorities that sign the registry's certificate.
    pub authorities: bool,
}

/// A folder under `refs/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefsFolder {
    /// `refs/<builder>/<node>` below the store.
    pub path: HostPath,
    /// The builder it is named after.
    pub builder: String,
    /// The node it is named after.
    pub node: String,
    /// How many references it holds.
    pub entries: u64,
}
