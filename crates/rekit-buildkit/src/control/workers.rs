//! Who the daemon is and which workers it has.
use std::collections::BTreeMap;
use std::time::Duration;

use super::client::{Control, ControlError, within};
use super::platform::Platform;
use crate::generated::moby::buildkit::v1::types::{BuildkitVersion, GcPolicy, WorkerRecord};
use crate::generated::moby::buildkit::v1::{InfoRequest, ListWorkersRequest};

/// A version as the daemon reports it. An engine built by a distribution says `v0.0.0+unknown`: find out what it can by trying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonVersion {
    /// Such as `github.com/moby/buildkit`.
    pub package: String,
    /// Such as `v0.32.2`.
    pub version: String,
    /// Commit.
    pub revision: String,
    /// Version of the built-in Dockerfile frontend; empty before 0.30.
    pub dockerfile: String,
}

/// One garbage-collection rule. A record is eligible when it matches ANY of `filters`; within one filter a comma means AND.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcRule {
    /// Whether internal and shared records are eligible too.
    pub all: bool,
    /// Younger records are kept.
    pub keep_duration: Duration,
    /// containerd-style filters.
    pub filters: Vec<String>,
    /// Bytes that are always kept.
    pub reserved_space: i64,
    /// Bytes the cache may use.
    pub max_used_space: i64,
    /// Bytes of the disk that should stay free.
    pub min_free_space: i64,
}

/// One worker of a daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worker {
    /// Its id, kept over restarts.
    pub id: String,
    /// Labels, such as `org.mobyproject.buildkit.worker.snapshotter`.
    pub labels: BTreeMap<String, String>,
    /// What it says it can build; say nothing of whether emulation works.
    pub platforms: Vec<Platform>,
    /// Its rules, in order. None at all from an engine 26.1 whose configuration sets none.
    pub gc_policy: Vec<GcRule>,
    /// Its BuildKit.
    pub version: DaemonVersion,
}

impl Control {
    /// Returns the daemon's version. [`ControlError::Unsupported`] before BuildKit 0.11.
    pub async fn info(&self, timeout: Duration) -> Result<DaemonVersion, ControlError> {
        let mut client = self.raw();
        let answer = within("Info", timeout, client.info(InfoRequest {}))
            .await?
            .into_inner();
        Ok(version(answer.buildkit_version))
    }

    /// Lists the workers.
    pub async fn list_workers(&self, timeout: Duration) -> Result<Vec<Worker>, ControlError> {
        let mut client = self.raw();
        let answer = within(
            "ListWorkers",
            timeout,
            client.list_workers(ListWorkersRequest { filter: Vec::new() }),
        )
        .await?;
        Ok(answer.into_inner().record.into_iter().map(worker).collect())
    }
}

fn worker(from: WorkerRecord) -> Worker {
    Worker {
        id: from.id,
        labels: from.labels.into_iter().collect(),
        platforms: from.platforms.into_iter().map(Platform::from_pb).collect(),
        gc_policy: from.gc_policy.into_iter().map(rule).collect(),
        version: version(from.buildkit_version),
    }
}

fn rule(from: GcPolicy) -> GcRule {
    GcRule {
        all: from.all,
        keep_duration: Duration::from_nanos(u64::try_from(from.keep_duration).unwrap_or_default()),
        filters: from.filters,
        reserved_space: from.reserved_space,
        max_used_space: from.max_used_space,
        min_free_space: from.min_free_space,
    }
}

fn version(from: Option<BuildkitVersion>) -> DaemonVersion {
    let from = from.unwrap_or_default();
    DaemonVersion {
        package: from.package,
        version: from.version,
        revision: from.revision,
        dockerfile: from.dockerfile_version,
    }
}
