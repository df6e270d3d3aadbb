//! What a BuildKit daemon says of itself, as facts.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rekit_buildkit::{
    BuildEvent, BuildRecord, CacheRecord, Control, ControlError, Daemon as Address, DaemonVersion,
    HistoryFilter,
};
use rekit_core::{
    fact::Fact,
    inventory::{ActiveBuild, Daemon, GcRule, HistorySummary, RecordSummary, Worker},
    mask,
};

use super::dial;
use crate::world::clock::Deadline;

/// Connects to a daemon within `limit` and asks everything at once over that connection.
pub(super) async fn ask(address: &Address, deadline: Deadline, limit: Duration) -> Fact<Daemon> {
    let first = deadline.within(limit);
    if first.is_over() {
        return unreadable("no time was left to ask it".to_owned());
    }
    let control = match address.connect(first.left()).await {
        Ok(control) => control,
        Err(error) => return unreadable(dial::reason(&error)),
    };
    // It lives. Counting thousands of records for the first time takes it seconds: it gets what time there is.
    let least = Duration::from_millis(1);
    let (left, brief) = (
        deadline.left().max(least),
        deadline.within(limit).left().max(least),
    );
    let (info, workers, usage, history, active) = tokio::join!(
        control.info(brief),
        control.list_workers(brief),
        usage(&control, left),
        history(&control, left),
        active(&control, brief),
    );
    let workers = match workers {
        Ok(workers) => workers,
        Err(error) => return unreadable(dial::reason(&error)),
    };
    // Before 0.11 only the workers tell the version.
    let version = info.unwrap_or_else(|_| {
        workers
            .first()
            .map_or_else(DaemonVersion::default, |worker| worker.version.clone())
    });
    // One that only takes too long is not damaged.
    let words = usage
        .as_ref()
        .err()
        .and_then(ControlError::words_of_the_daemon);
    let damage = words.map(mask::text);
    Fact::Known(Daemon {
        version: version.version,
        revision: version.revision,
        workers: workers.into_iter().map(worker).collect(),
        damage,
        cache: fact(usage),
        active,
        history,
        trial: None,
    })
}

fn unreadable<T>(reason: String) -> Fact<T> {
    Fact::Unreadable { reason }
}

/// Makes a fact of an answer; the reason holds no secret.
fn fact<T>(answer: Result<T, ControlError>) -> Fact<T> {
    match answer {
        Ok(value) => Fact::Known(value),
        Err(error) => unreadable(dial::reason(&error)),
    }
}

async fn usage(control: &Control, limit: Duration) -> Result<RecordSummary, ControlError> {
    let records = control.disk_usage(&[], limit).await?;
    Ok(summary(&records))
}

async fn history(control: &Control, limit: Duration) -> Fact<HistorySummary> {
    let builds = control.history(HistoryFilter::All, limit).await;
    fact(builds.map(|builds| {
        let finished: Vec<&BuildRecord> = builds
            .iter()
            .filter(|build| build.event == BuildEvent::Complete && build.completed.is_some())
            .collect();
        HistorySummary {
            finished: finished.len() as u64,
            failed: finished
                .iter()
                .filter(|build| build.error.is_some())
                .count() as u64,
            last: finished
                .iter()
                .filter_map(|build| build.completed)
                .max()
                .and_then(timestamp),
        }
    }))
}

async fn active(control: &Control, limit: Duration) -> Fact<Vec<ActiveBuild>> {
    let builds = control.active_builds(limit).await;
    fact(builds.map(|builds| builds.into_iter().map(active_build).collect()))
}

/// Says what a daemon knows of a build. Build arguments stay out: they may be secrets.
pub(crate) fn active_build(build: BuildRecord) -> ActiveBuild {
    let option = |name: &str| {
        let value = build.options.get(name);
        value
            .filter(|value| !value.is_empty())
            .map(|value| mask::text(value))
    };
    ActiveBuild {
        target: option("target").unwrap_or_default(),
        context: option("context").or_else(|| option("vcs:source")),
        dockerfile: option("filename"),
        user: None,
        since: build.created.and_then(timestamp),
        reference: build.reference.0,
    }
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(time).ok()
}

fn worker(from: rekit_buildkit::Worker) -> Worker {
    Worker {
        id: from.id,
        platforms: from
            .platforms
            .iter()
            .filter_map(|platform| platform.to_string().parse().ok())
            .collect(),
        labels: from
            .labels
            .iter()
            .map(|(name, value)| (name.clone(), mask::value(name, value)))
            .collect(),
        gc: from
            .gc_policy
            .into_iter()
            .map(|rule| GcRule {
                all: rule.all,
                filters: rule.filters,
                keep_seconds: i64::try_from(rule.keep_duration.as_secs()).unwrap_or(i64::MAX),
                reserved_bytes: rule.reserved_space,
                max_used_bytes: rule.max_used_space,
                min_free_bytes: rule.min_free_space,
            })
            .collect(),
    }
}

/// Sums up cache records.
fn summary(records: &[CacheRecord]) -> RecordSummary {
    let mut sum = RecordSummary::default();
    for record in records {
        let bytes = u64::try_from(record.size).unwrap_or_default();
        let reclaimable = if record.in_use { 0 } else { bytes };
        sum.records += 1;
        sum.bytes += bytes;
        sum.reclaimable_bytes += reclaimable;
        let kind = sum.by_type.entry(record.kind.clone()).or_default();
        kind.records += 1;
        kind.bytes += bytes;
        kind.reclaimable_bytes += reclaimable;
        if record.kind == "exec.cachemount" {
            sum.cache_mounts.extend(cache_mount(&record.description));
        }
    }
    sum.cache_mounts.sort();
    sum.cache_mounts.dedup();
    sum
}

/// Returns the id in `cached mount TARGET from exec CMD with id "NS/ID"`. CMD is free text, so the last mark counts; the daemon leaves the
/// mark out where the id is the target.
pub(crate) fn cache_mount(description: &str) -> Option<String> {
    let text = description.strip_prefix("cached mount ")?;
    let marked = text.rsplit_once(" with id \"");
    let id = marked.and_then(|(_, id)| id.strip_suffix('"'));
    let target = || text.split_once(" from exec ").map(|(target, _)| target);
    id.or_else(target).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_1_3_a_cache_mount_is_known_by_its_last_mark() {
        let text =
            r#"cached mount /c from exec sh -c echo " with id "x" with id "//root/.cache/pip""#;
        assert_eq!(cache_mount(text).unwrap(), "//root/.cache/pip");
        // `id=cargo,target=/cargo`: the id, with its namespace, is the target.
        let text = "cached mount /cargo from exec cargo build";
        assert_eq!(cache_mount(text).unwrap(), "/cargo");
        assert_eq!(cache_mount("local source for context"), None);
    }
}
