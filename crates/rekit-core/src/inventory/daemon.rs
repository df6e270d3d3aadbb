//! What a BuildKit daemon says of itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ActiveBuild;
use crate::{criteria::Found, fact::Fact, name::Platform};

/// A BuildKit daemon that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Daemon {
    /// BuildKit's version as the daemon reports it.
    pub version: String,
    /// The commit it was built from.
    pub revision: String,
    /// Its workers.
    pub workers: Vec<Worker>,
    /// Its cache, summed up.
    pub cache: Fact<RecordSummary>,
    /// Why it could not sum up its own cache, in its words; not set where it only took too long.
    #[serde(default)]
    pub damage: Option<String>,
    /// Builds that run now.
    pub active: Fact<Vec<ActiveBuild>>,
    /// Its build history, summed up.
    pub history: Fact<HistorySummary>,
    /// What became of a build with a deadline; only a deep look tries one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Found>,
}

/// A worker of a daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Worker {
    /// Its id, part of every cache key.
    pub id: String,
    /// The platforms it claims.
    pub platforms: Vec<Platform>,
    /// Its labels, the snapshotter among them.
    pub labels: BTreeMap<String, String>,
    /// The garbage collection it really runs with.
    pub gc: Vec<GcRule>,
}

/// One rule of garbage collection as the daemon reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GcRule {
    /// Whether it also takes internal records.
    pub all: bool,
    /// Alternatives (OR); a comma inside one means AND.
    pub filters: Vec<String>,
    /// Records used within this time stay; 0: no such limit.
    pub keep_seconds: i64,
    /// Bytes that are always kept.
    pub reserved_bytes: i64,
    /// Bytes that are never passed; 0: no limit.
    pub max_used_bytes: i64,
    /// Bytes of the disk that stay free; 0: no limit.
    pub min_free_bytes: i64,
}

/// The cache records of a daemon, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordSummary {
    /// How many records.
    pub records: u64,
    /// Bytes, as BuildKit counts them (a lower bound of the disk).
    pub bytes: u64,
    /// Bytes that a prune could free now.
    pub reclaimable_bytes: u64,
    /// The same by record type, for example `regular` or `exec.cachemount`.
    pub by_type: BTreeMap<String, CacheByType>,
    /// Identities of cache mounts, for example `//root/.cache/pip`.
    pub cache_mounts: Vec<String>,
}

/// The records of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheByType {
    /// How many.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
    /// Bytes that a prune could free now.
    pub reclaimable_bytes: u64,
}

/// The build history of a daemon, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistorySummary {
    /// Finished builds it remembers.
    pub finished: u64,
    /// How many of them failed.
    pub failed: u64,
    /// When the last one ended.
    #[schemars(with = "Option<String>")]
    pub last: Option<Timestamp>,
}
