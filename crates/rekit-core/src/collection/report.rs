//! Everything that is told of garbage collection, as one document.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    behaviour::Behaviour,
    daemons::Collector,
    forecast::{Forecast, Turn, Unforeseen, forecast},
    kept::{Why, kept},
    next::{Next, Room, next, number, rooms},
    record::{Cache, CacheRecord, Started},
    words::{never, rule_in_words},
};
use crate::{
    doctor::{bounds, examine},
    fact::Fact,
    finding::Finding,
    inventory::{GcRule, Inventory},
    name::{HostId, HostPath},
};

/// The doctor's checks of the rules of a daemon.
const RULE_CHECKS: [&str; 4] = ["RK404", "RK405", "RK406", "RK412"];

/// The garbage collection of every daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Collections {
    /// Always `rekit/collections`.
    pub schema: String,
    /// Version of this document's shape.
    pub version: u32,
    /// The moment that it tells of.
    #[schemars(with = "String")]
    pub taken: Timestamp,
    /// The daemons.
    pub daemons: Vec<DaemonTold>,
    /// What the daemons of each disk may keep together.
    pub disks: Vec<DiskTold>,
}

/// One daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonTold {
    /// `node`, `embedded` or `standalone`.
    pub kind: String,
    /// The node, the endpoint, or how a standalone daemon is known.
    pub name: String,
    /// The builder that it belongs to.
    pub builder: Option<String>,
    /// The engine that it is in or on.
    pub host: Option<HostId>,
    /// BuildKit's version as the daemon reports it; empty where it does not answer.
    pub version: String,
    /// Whether it does not tell its release, and is taken for the newest that rekit knows.
    pub is_release_assumed: bool,
    /// Its rules, in their order; none: it never collects.
    pub rules: Vec<RuleTold>,
    /// Its cache and what becomes of it, or why that cannot be told.
    pub cache: Fact<CacheTold>,
    /// What `rekit doctor` finds in its rules.
    pub findings: Vec<Finding>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleTold {
    /// The rule as the daemon reports it.
    pub rule: GcRule,
    /// The same in plain words.
    pub words: String,
    /// Why it can never delete anything; `None`: it can.
    pub never: Option<String>,
}

/// A cache and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheTold {
    /// How many records it has.
    pub records: u64,
    /// Their bytes as the daemon counts them for its rules: without what images share.
    pub bytes: i64,
    /// The bytes that its disk has free; `None`: not seen from here.
    pub free_bytes: Option<i64>,
    /// What the next collection does, or why that cannot be foreseen.
    pub next_collection: Fact<ForecastTold>,
    /// Whether it is known when the daemon was started; if not, it is taken to have made all records itself.
    pub is_start_known: bool,
    /// What the first collection does if the daemon is started anew: records that it reads from the disk go in another order.
    pub at_next_start: Fact<ForecastTold>,
}

/// What the next collection does, if the cache stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForecastTold {
    /// What each rule does at its turn.
    pub turns: Vec<TurnTold>,
    /// What goes, in order; where chance decides, one of the ways.
    pub deletions: Vec<Deleted>,
    /// Ids of further records that may go instead, where chance decides between equals.
    pub or_instead: Vec<String>,
    /// Whether every way that chance may take was looked at.
    pub is_complete: bool,
    /// Why the daemon gives up, where it does.
    pub gives_up: Option<String>,
    /// The next deletion by age.
    pub by_age: Option<Next>,
    /// What it takes until a limit is reached.
    pub by_size: Vec<Room>,
    /// What can never be deleted.
    pub never: Vec<KeptTold>,
}

/// A rule at its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TurnTold {
    /// The rule, counted from 1.
    pub rule: u32,
    /// The bytes that it keeps; 0: no limit.
    pub kept_bytes: i64,
    /// The bytes that it finds.
    pub found_bytes: i64,
    /// How many records it deletes.
    pub records: u64,
    /// Their bytes.
    pub bytes: i64,
}

/// A record that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Its id.
    pub id: String,
    /// The rule, counted from 1.
    pub rule: u32,
    /// Its type.
    pub kind: String,
    /// What the daemon calls it.
    pub description: String,
    /// Its bytes.
    pub bytes: i64,
    /// When a build last used it.
    #[schemars(with = "Option<String>")]
    pub last_used: Option<Timestamp>,
    /// Whether it goes whatever chance decides.
    pub is_certain: bool,
}

/// Records that can never be deleted, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptTold {
    /// Why.
    pub why: Why,
    /// How many.
    pub records: u64,
    /// Their bytes.
    pub bytes: i64,
    /// Their ids.
    pub ids: Vec<String>,
}

/// What the daemons of a disk may keep together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiskTold {
    /// A place on it.
    pub path: HostPath,
    /// Bytes that it holds in all.
    pub total_bytes: u64,
    /// What its caches may keep together, however full it is.
    pub kept_bytes: u64,
    /// Whether that fits.
    pub fits: bool,
    /// Each of them.
    pub caches: Vec<LimitTold>,
}

/// What one cache may keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitTold {
    /// Where it lies.
    pub path: HostPath,
    /// Whose it is.
    pub used_by: Vec<String>,
    /// Bytes that it may keep however full the disk is.
    pub kept_bytes: u64,
}

/// What was read of a cache: its records, and the bytes that its disk has free.
pub type Read = Fact<(Vec<CacheRecord>, Option<i64>)>;

impl Collections {
    /// The name of the document.
    pub const SCHEMA: &'static str = "rekit/collections";
}

/// Tells of the daemons whose caches were read.
pub fn report(
    inventory: &Inventory,
    read: &[(Collector<'_>, Read)],
    now: Timestamp,
) -> Collections {
    let findings = examine(inventory).findings;
    Collections {
        schema: Collections::SCHEMA.to_owned(),
        version: 1,
        taken: now,
        daemons: read
            .iter()
            .map(|(collector, cache)| daemon(collector, cache, now, &findings))
            .collect(),
        disks: disks(inventory),
    }
}

fn daemon(
    collector: &Collector<'_>,
    read: &Read,
    now: Timestamp,
    findings: &[Finding],
) -> DaemonTold {
    let known = collector.daemon.known();
    let version = known.map_or("", |daemon| &daemon.version);
    let behaviour = Behaviour::of(version);
    let workers = known.map_or(&[][..], |daemon| &daemon.workers);
    let rules = workers.first().map_or(&[][..], |worker| &worker.gc);
    let is_own = |finding: &&Finding| {
        let name = &finding.subject.name;
        RULE_CHECKS.contains(&finding.code.as_str())
            && (name == &collector.name || collector.is_called(name))
    };
    DaemonTold {
        kind: collector.kind.to_owned(),
        name: collector.name.clone(),
        builder: collector.builder.clone(),
        host: collector.host.clone(),
        version: version.to_owned(),
        is_release_assumed: known.is_some() && behaviour.is_assumed,
        rules: told_rules(rules, behaviour, collector),
        cache: match (collector.daemon, read) {
            (Fact::Unreadable { reason }, _) | (_, Fact::Unreadable { reason }) => {
                Fact::Unreadable {
                    reason: reason.clone(),
                }
            }
            (_, Fact::Known((records, free_bytes))) => {
                let cache = Cache {
                    records,
                    free_bytes: *free_bytes,
                    started: collector.started.map_or(Started::Unknown, Started::At),
                    now,
                };
                Fact::Known(told_cache(rules, cache, behaviour, workers.len()))
            }
        },
        findings: findings.iter().filter(is_own).cloned().collect(),
    }
}

fn told_rules(rules: &[GcRule], behaviour: Behaviour, collector: &Collector<'_>) -> Vec<RuleTold> {
    let disk = collector.place.and_then(|place| place.disk.as_ref());
    let disk = disk.and_then(|disk| i64::try_from(disk.total_bytes).ok());
    let told = |(place, rule): (usize, &GcRule)| RuleTold {
        rule: rule.clone(),
        words: rule_in_words(rule, behaviour),
        never: never(rule, &rules[..place], behaviour, disk),
    };
    rules.iter().enumerate().map(told).collect()
}

fn told_cache(
    rules: &[GcRule],
    cache: Cache<'_>,
    behaviour: Behaviour,
    workers: usize,
) -> CacheTold {
    let counted = cache.records.iter().filter(|record| !record.shared);
    let told = |cache| {
        if workers > 1 {
            let reason = format!("it has {workers} workers and does not tell their records apart");
            return Fact::Unreadable { reason };
        }
        Fact::from_result(foreseen(rules, cache, behaviour))
    };
    CacheTold {
        records: cache.records.len() as u64,
        bytes: counted.map(|record| record.bytes).sum(),
        free_bytes: cache.free_bytes,
        next_collection: told(cache),
        is_start_known: cache.started != Started::Unknown,
        at_next_start: told(Cache {
            started: Started::Anew,
            ..cache
        }),
    }
}

fn foreseen(
    rules: &[GcRule],
    cache: Cache<'_>,
    behaviour: Behaviour,
) -> Result<ForecastTold, Unforeseen> {
    let forecast = forecast(rules, cache, behaviour)?;
    let own: Vec<usize> = forecast.deletions.iter().map(|it| it.record).collect();
    let further = forecast.possible.iter().filter(|it| !own.contains(it));
    Ok(ForecastTold {
        turns: turns(&forecast, cache),
        deletions: deletions(&forecast, cache),
        or_instead: further.map(|&it| cache.records[it].id.clone()).collect(),
        is_complete: forecast.is_complete,
        gives_up: forecast
            .ends_at
            .as_ref()
            .map(|(rule, fault)| format!("at rule {}: {fault}", rule + 1)),
        by_age: next(rules, cache, behaviour, &forecast)?,
        by_size: rooms(rules, cache, &forecast),
        never: told_kept(rules, cache, behaviour)?,
    })
}

fn turns(forecast: &Forecast, cache: Cache<'_>) -> Vec<TurnTold> {
    let told = |(place, turn): (usize, &Turn)| {
        let own = forecast.deletions.iter().filter(|it| it.rule == place);
        TurnTold {
            rule: number(place),
            kept_bytes: turn.kept_bytes,
            found_bytes: turn.found_bytes,
            records: own.clone().count() as u64,
            bytes: own.map(|it| cache.records[it.record].bytes).sum(),
        }
    };
    forecast.turns.iter().enumerate().map(told).collect()
}

fn deletions(forecast: &Forecast, cache: Cache<'_>) -> Vec<Deleted> {
    let told = forecast.deletions.iter().map(|deletion| {
        let record = &cache.records[deletion.record];
        Deleted {
            id: record.id.clone(),
            rule: number(deletion.rule),
            kind: record.kind.clone(),
            description: crate::mask::text(&record.description),
            bytes: record.bytes,
            last_used: record.last_used,
            is_certain: forecast.certain.contains(&deletion.record),
        }
    });
    told.collect()
}

fn told_kept(
    rules: &[GcRule],
    cache: Cache<'_>,
    behaviour: Behaviour,
) -> Result<Vec<KeptTold>, Unforeseen> {
    let kept = kept(rules, cache, behaviour)?;
    let reasons = [Why::InUse, Why::Shared, Why::NoRule, Why::Beneath];
    let told = reasons.into_iter().map(|why| {
        let own = kept.iter().filter(|it| it.why == why);
        let records: Vec<_> = own.map(|it| &cache.records[it.record]).collect();
        KeptTold {
            why,
            records: records.len() as u64,
            bytes: records.iter().map(|record| record.bytes).sum(),
            ids: records.iter().map(|record| record.id.clone()).collect(),
        }
    });
    Ok(told.filter(|it| it.records > 0).collect())
}

fn disks(inventory: &Inventory) -> Vec<DiskTold> {
    let all = bounds(inventory).into_iter();
    all.filter_map(|(disk, places)| {
        let (first, _) = places.first()?;
        let kept_bytes = places
            .iter()
            .fold(0, |sum: u64, (_, kept)| sum.saturating_add(*kept));
        Some(DiskTold {
            path: first.path.clone(),
            total_bytes: disk.total_bytes,
            kept_bytes,
            fits: kept_bytes <= disk.total_bytes,
            caches: places
                .iter()
                .map(|(place, kept)| LimitTold {
                    path: place.path.clone(),
                    used_by: place.used_by.clone(),
                    kept_bytes: *kept,
                })
                .collect(),
        })
    })
    .collect()
}
