//! The inventory: all that was found, as data, with what could not be read and why.
//!
//! Invariant: no foreign bytes. A file appears as path, size, mode and digest; a value that may hold a secret is masked.

mod active_build;
mod builder;
mod daemon;
mod host;
mod leftover;
mod machine;
mod place;

pub use active_build::{ActiveBuild, ClientReference};
pub use builder::{
    BuilderRecord, Current, NodeConfig, NodeFile, NodeRecord, NodeRegistry, Record, RefsFolder,
    SelectionFile, Store,
};
pub use daemon::{CacheByType, Daemon, GcRule, HistorySummary, RecordSummary, Worker};
pub use host::{
    ContextEntry, ContextState, Engine, EngineRegistry, Host, HostContainer, HostVolume, ImageStore,
};
pub use leftover::{Leftover, LeftoverKind};
pub use machine::{
    CredentialHelper, Desktop, Emulator, Machine, Script, Selection, Tool, Variable,
};
pub use place::{
    Assigned, CachePlace, ConfigFile, ConfigKind, ConfigRemark, ConfigVerdict, Disk, FileFacts,
    Origin, PlaceKind, RemarkKind, Standalone,
};

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{fact::Fact, name::HostPath};

/// Everything BuildKit on one machine, as rekit found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// Always `rekit/inventory`.
    pub schema: String,
    /// Version of this document's shape.
    pub version: u32,
    /// When the look began.
    #[schemars(with = "String")]
    pub taken: Timestamp,
    /// The machine and the account.
    pub machine: Machine,
    /// Variables that steer docker, buildx or BuildKit, secrets masked.
    pub environment: Vec<Variable>,
    /// Programs found, with versions, and which of several copies wins.
    pub tools: Vec<Tool>,
    /// The context and builder that are in force, and why.
    pub selection: Selection,
    /// Docker contexts.
    pub contexts: Vec<ContextEntry>,
    /// Engines, each with what it holds of BuildKit.
    pub hosts: Vec<Host>,
    /// buildx's stores.
    pub stores: Vec<Store>,
    /// BuildKit daemons that no builder names.
    pub standalone: Vec<Standalone>,
    /// Every place where cache lies.
    pub caches: Vec<CachePlace>,
    /// Every configuration file, with a verdict where it is buildkitd's.
    pub files: Vec<ConfigFile>,
    /// Emulators that the kernel knows.
    pub emulators: Fact<Vec<Emulator>>,
    /// Docker Desktop's traces, `None` where there are none.
    pub desktop: Option<Desktop>,
    /// Scripts of the project that call buildx or buildctl.
    pub scripts: Vec<Script>,
    /// Dockerfiles of the project that declare cache mounts.
    #[serde(default)]
    pub dockerfiles: Vec<crate::mounts::Dockerfile>,
    /// Programs that keep passwords for the docker CLI, as its config.json names them.
    #[serde(default)]
    pub credential_helpers: Vec<CredentialHelper>,
    /// Registries for which this machine keeps certificates of authorities for its engine, by name, with their files.
    #[serde(default)]
    pub registry_authorities: BTreeMap<String, Vec<HostPath>>,
    /// The proxies that the docker CLI hands on to every RUN, by variable, from `proxies` of its config.json; one with a password is hidden.
    #[serde(default)]
    pub client_proxies: BTreeMap<String, String>,
    /// What BuildKit and buildx left and nobody uses any more.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
    /// What should have been looked at and could not be read, where no entry above can say so.
    #[serde(default)]
    pub unreadable: Vec<(HostPath, String)>,
}

impl Inventory {
    /// The name of the document.
    pub const SCHEMA: &'static str = "rekit/inventory";
    /// The version of the document's shape.
    pub const VERSION: u32 = 1;

    /// Returns the host with this id.
    pub fn host(&self, id: &crate::name::HostId) -> Option<&Host> {
        self.hosts.iter().find(|host| &host.id == id)
    }

    /// Returns every readable node record with its builder and store.
    pub fn nodes(&self) -> impl Iterator<Item = (&Store, &BuilderRecord, &Record, &NodeRecord)> {
        self.stores.iter().flat_map(|store| {
            store.builders.iter().flat_map(move |builder| {
                builder.record.known().into_iter().flat_map(move |record| {
                    record
                        .nodes
                        .iter()
                        .map(move |node| (store, builder, record, node))
                })
            })
        })
    }
}
