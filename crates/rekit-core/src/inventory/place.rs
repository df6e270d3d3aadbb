//! Files and places on disk.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Daemon;
use crate::{
    fact::Fact,
    name::{Digest, HostId, HostPath},
};

/// A file, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileFacts {
    /// Where it lies.
    pub path: HostPath,
    /// Bytes.
    pub size_bytes: u64,
    /// Permission bits, for example `0600` as the number 384.
    pub mode: u32,
    /// Numeric owner.
    pub owner: u32,
    /// The digest of its content, or why it cannot be read.
    pub digest: Fact<Digest>,
}

/// A configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigFile {
    /// What it configures.
    pub kind: ConfigKind,
    /// The file.
    pub file: FileFacts,
    /// Keys in it that steer builds, by name only.
    pub keys: Vec<String>,
    /// The line of each of the keys, counted from 1, for the kinds that are read by line.
    #[serde(default)]
    pub lines: Vec<u32>,
    /// What it sets the variables to that choose a builder, where it says so in plain words.
    #[serde(default)]
    pub assigned: Vec<Assigned>,
    /// Whether its reader would take it, for the kinds that rekit can judge.
    pub verdict: Option<ConfigVerdict>,
    /// What there is to say about it, each at its place.
    #[serde(default)]
    pub remarks: Vec<ConfigRemark>,
}

/// A variable that a file sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assigned {
    /// The line, counted from 1.
    pub line: u32,
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What a configuration file configures.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigKind {
    /// buildkitd.toml, wherever it lies.
    Buildkitd,
    /// The engine's daemon.json.
    Daemon,
    /// The CLI's config.json.
    Cli,
    /// buildx's default for new builders.
    BuildxDefault,
    /// A systemd unit.
    Unit,
    /// Docker Desktop's settings.
    Desktop,
    /// A shell's profile that sets a variable which steers builds.
    Profile,
    /// rekit.toml of the project.
    Goal,
}

/// What the reader of a configuration file would do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum ConfigVerdict {
    /// It is taken, all of it.
    Accepted {},
    /// It is taken, but these keys have no effect.
    Ignored {
        /// The keys, dotted.
        keys: Vec<String>,
    },
    /// The daemon does not start with it.
    Refused {
        /// Why, in the daemon's terms.
        reason: String,
        /// The line, counted from 1.
        line: u32,
        /// The column, counted from 1.
        column: u32,
        /// How many characters are wrong.
        length: u32,
        /// The line itself, values of secret-looking keys masked.
        excerpt: String,
    },
    /// It could not be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// How a remark on a configuration file is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemarkKind {
    /// The daemon does not start with it.
    Refused,
    /// The daemon does not read it.
    Unread,
    /// It is read, and has another effect than its writer hoped for.
    Effect,
}

/// Something to say about a place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigRemark {
    /// How it is meant.
    pub kind: RemarkKind,
    /// The key it is about, dotted; empty where the text is broken.
    pub key: String,
    /// What the daemon does with it.
    pub says: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1.
    pub column: u32,
    /// How many characters it is about.
    pub length: u32,
    /// The line itself, values of secret-looking keys masked.
    pub excerpt: String,
    /// The lines to write instead, masked like the excerpt; none where nobody but its writer knows.
    pub write: Vec<String>,
}

/// A BuildKit daemon, or its remains, that no builder names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Standalone {
    /// How rekit knows of it: `process PID`, `unit NAME`, `socket PATH`, `root PATH`.
    pub known_by: Vec<String>,
    /// The process, while it runs.
    pub pid: Option<u32>,
    /// The address it serves.
    pub address: Option<String>,
    /// Its state directory.
    pub root: Option<HostPath>,
    /// Its configuration file.
    pub config: Option<HostPath>,
    /// Its systemd unit.
    pub unit: Option<String>,
    /// How it came to run, while it runs.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// The keys and certificates that its configuration or flags name.
    #[serde(default)]
    pub tls: Vec<HostPath>,
    /// The daemon, or why it does not answer.
    pub daemon: Fact<Daemon>,
    /// Where the databases and the files of its state contradict each other; only a deep look reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradictions: Option<Fact<Vec<String>>>,
}

/// How a daemon came to run, and whether it can be ended and started again from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// When its process was started, in the kernel's ticks since the machine's start.
    pub started: u64,
    /// Whether its unit is one of the account's own manager.
    pub of_user: bool,
    /// Whether its flags name its root and its address, so that it needs no configuration for them.
    pub is_told_by_flags: bool,
    /// Why it cannot be ended and started again as it was from here.
    pub hindrance: Option<String>,
}

/// A place where cache lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CachePlace {
    /// What kind of place.
    pub kind: PlaceKind,
    /// The host it is on; `None`: this machine's own file system.
    pub host: Option<HostId>,
    /// The volume's name, or the path.
    pub name: String,
    /// Where it lies on its machine.
    pub path: HostPath,
    /// The builder and node, or standalone daemon, that use it; empty: an orphan.
    pub used_by: Vec<String>,
    /// Bytes on disk, or why they are not known.
    pub size_bytes: Fact<u64>,
    /// Bytes that its disk has left, or why that is not known.
    pub free_bytes: Fact<u64>,
    /// Its disk, where that is known.
    #[serde(default)]
    pub disk: Option<Disk>,
}

/// A disk: what several caches may share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Disk {
    /// The kernel's number of its file system.
    pub device: u64,
    /// Bytes that it holds in all.
    pub total_bytes: u64,
}

/// The kind of a cache place.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PlaceKind {
    /// The state volume of a docker-container node.
    StateVolume,
    /// A state volume that no builder names.
    OrphanVolume,
    /// The cache inside an engine.
    Embedded,
    /// The root of a standalone daemon.
    StandaloneRoot,
    /// A folder made by `--cache-to type=local`.
    LocalExport,
}
