//! The build cache: what is in it, and how to remove from it.
use std::time::{Duration, SystemTime};

use super::client::{Control, ControlError, time, within};
use crate::generated::moby::buildkit::v1::{DiskUsageRequest, PruneRequest, UsageRecord};

/// One record of the build cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheRecord {
    /// Id, unique in the daemon.
    pub id: String,
    /// Whether it is still being written, or a cache mount.
    pub mutable: bool,
    /// Whether a build or a running container holds it.
    pub in_use: bool,
    /// Bytes of its own, parents not included.
    pub size: i64,
    /// Ids of the records beneath it.
    pub parents: Vec<String>,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// When a build last used it.
    pub last_used: Option<SystemTime>,
    /// How often a build used it.
    pub usage_count: i64,
    /// For people; cache mounts have their id in it (see facts.md).
    pub description: String,
    /// `regular`, `internal`, `frontend`, `source.local`, `source.git.checkout`, `exec.cachemount`. Empty in the answers of a prune.
    pub kind: String,
    /// Whether its bytes are shared with another holder, such as an image of the engine.
    pub shared: bool,
}

/// What a prune removes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneScope {
    /// A record must match ANY of these; none means every record. Within one filter a comma means AND.
    pub filters: Vec<String>,
    /// Also internal, frontend and shared records.
    pub all: bool,
    /// Keeps records used within this time.
    pub keep_duration: Duration,
    /// Keeps this many bytes.
    pub reserved_space: i64,
    /// Removes until the cache uses at most this many bytes, 0 for no bound.
    pub max_used_space: i64,
    /// Removes until this many bytes of the disk are free, 0 for no bound.
    pub min_free_space: i64,
}

impl PruneScope {
    /// Everything that no build uses.
    pub fn everything() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// Exactly these records, as far as no build uses them. `None` for no ids: an empty filter list would mean everything.
    pub fn records<S: AsRef<str>>(ids: impl IntoIterator<Item = S>) -> Option<Self> {
        let filters: Vec<String> = ids
            .into_iter()
            .map(|id| format!("id=={}", id.as_ref()))
            .collect();
        (!filters.is_empty()).then(|| Self {
            filters,
            all: true,
            ..Self::default()
        })
    }
}

impl Control {
    /// Lists the records of the cache that match ANY of `filters` (none: all of them).
    pub async fn disk_usage(
        &self,
        filters: &[String],
        timeout: Duration,
    ) -> Result<Vec<CacheRecord>, ControlError> {
        let request = DiskUsageRequest {
            filter: filters.to_vec(),
            age_limit: 0,
        };
        let mut client = self.raw();
        let answer = within("DiskUsage", timeout, client.disk_usage(request)).await?;
        Ok(answer.into_inner().record.into_iter().map(record).collect())
    }

    /// Removes records; returns those that were removed. Their `kind` is empty: join by id with an earlier [`Control::disk_usage`].
    pub async fn prune(
        &self,
        scope: &PruneScope,
        timeout: Duration,
    ) -> Result<Vec<CacheRecord>, ControlError> {
        let request = PruneRequest {
            filter: scope.filters.clone(),
            all: scope.all,
            keep_duration: i64::try_from(scope.keep_duration.as_nanos()).unwrap_or(i64::MAX),
            reserved_space: scope.reserved_space,
            max_used_space: scope.max_used_space,
            min_free_space: scope.min_free_space,
        };
        let mut client = self.raw();
        within("Prune", timeout, async {
            let mut stream = client.prune(request).await?.into_inner();
            let mut removed = Vec::new();
            while let Some(next) = stream.message().await? {
                removed.push(record(next));
            }
            Ok(removed)
        })
        .await
    }
}

#[expect(
    deprecated,
    reason = "BuildKit before 0.9 fills only the single parent"
)]
fn record(from: UsageRecord) -> CacheRecord {
    let mut parents = from.parents;
    if parents.is_empty() && !from.parent.is_empty() {
        parents.push(from.parent);
    }
    CacheRecord {
        id: from.id,
        mutable: from.mutable,
        in_use: from.in_use,
        size: from.size,
        parents,
        created: time(from.created_at),
        last_used: time(from.last_used_at),
        usage_count: from.usage_count,
        description: from.description,
        kind: from.record_type,
        shared: from.shared,
    }
}
