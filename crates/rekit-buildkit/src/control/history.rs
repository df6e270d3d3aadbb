//! The build history: builds that ran, and builds that run.
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::client::{Control, ControlError, time, within};
use crate::generated::moby::buildkit::v1::{
    BuildHistoryEventType, BuildHistoryRecord, BuildHistoryRequest,
};

/// The name of a build in its daemon. Must be unique there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildRef(pub String);

/// Which builds to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryFilter {
    /// Those that run now.
    Active,
    /// All that are kept.
    All,
}

/// What the daemon says of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildEvent {
    /// It runs. Step counts are 0 until its end: take them from its status.
    Started,
    /// It ended, well or not.
    Complete,
    /// It was removed from the history.
    Deleted,
}

/// One build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildRecord {
    /// Its name.
    pub reference: BuildRef,
    /// Running, ended, deleted.
    pub event: BuildEvent,
    /// Such as `dockerfile.v0`; empty for raw LLB.
    pub frontend: String,
    /// The frontend's options. May hold build arguments, hence secrets of careless people.
    pub options: BTreeMap<String, String>,
    /// Start.
    pub created: Option<SystemTime>,
    /// End.
    pub completed: Option<SystemTime>,
    /// Why it failed.
    pub error: Option<String>,
    /// Kept by the user against removal.
    pub pinned: bool,
    /// Steps in all.
    pub total_steps: i32,
    /// Steps that ended.
    pub completed_steps: i32,
    /// Steps answered from the cache.
    pub cached_steps: i32,
    /// Warnings.
    pub warnings: i32,
}

impl Control {
    /// Lists builds. [`ControlError::Unsupported`] before BuildKit 0.11. Ends by itself (`early_exit`).
    pub async fn history(
        &self,
        filter: HistoryFilter,
        timeout: Duration,
    ) -> Result<Vec<BuildRecord>, ControlError> {
        let request = BuildHistoryRequest {
            active_only: filter == HistoryFilter::Active,
            early_exit: true,
            ..BuildHistoryRequest::default()
        };
        let mut client = self.raw();
        within("ListenBuildHistory", timeout, async {
            let mut stream = client.listen_build_history(request).await?.into_inner();
            let mut builds = Vec::new();
            while let Some(event) = stream.message().await? {
                let kind = event.r#type();
                builds.extend(event.record.map(|record| build(kind, record)));
            }
            Ok(builds)
        })
        .await
    }

    /// Lists the builds that run now. Internal ones ([`crate::SolveRequest::internal`]) are not among them.
    pub async fn active_builds(&self, timeout: Duration) -> Result<Vec<BuildRecord>, ControlError> {
        let mut builds = self.history(HistoryFilter::Active, timeout).await?;
        builds.retain(|build| build.event == BuildEvent::Started);
        Ok(builds)
    }
}

fn build(kind: BuildHistoryEventType, from: BuildHistoryRecord) -> BuildRecord {
    BuildRecord {
        reference: BuildRef(from.r#ref),
        event: match kind {
            BuildHistoryEventType::Started => BuildEvent::Started,
            BuildHistoryEventType::Complete => BuildEvent::Complete,
            BuildHistoryEventType::Deleted => BuildEvent::Deleted,
        },
        frontend: from.frontend,
        options: from.frontend_attrs.into_iter().collect(),
        created: time(from.created_at),
        completed: time(from.completed_at),
        error: from.error.map(|status| status.message),
        pinned: from.pinned,
        total_steps: from.num_total_steps,
        completed_steps: from.num_completed_steps,
        cached_steps: from.num_cached_steps,
        warnings: from.num_warnings,
    }
}
