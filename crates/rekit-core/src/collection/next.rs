//! When the next deletion comes: by age, by growth, or by a disk that fills.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    behaviour::Behaviour,
    forecast::{Forecast, Unforeseen, Walk, forecast},
    record::{Cache, CacheRecord, Use},
};
use crate::inventory::GcRule;

/// The next deletion by age, if nothing is built until then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Next {
    /// From when on.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The first rule that then takes something, counted from 1.
    pub rule: u32,
    /// How many records go then.
    pub records: u64,
    /// Their bytes.
    pub bytes: i64,
}

/// What it takes until a rule with a limit begins to delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Room {
    /// The rule, counted from 1.
    pub rule: u32,
    /// The cache has to grow by this many bytes.
    pub grows_bytes: Option<i64>,
    /// Or the free bytes of the disk have to fall below this.
    pub free_below_bytes: Option<i64>,
}

/// Lists the rules that have a limit and are below it after a collection.
pub(super) fn rooms(rules: &[GcRule], cache: Cache<'_>, forecast: &Forecast) -> Vec<Room> {
    let after = |turn: usize| {
        let taken = forecast.deletions.iter().filter(|it| it.rule <= turn);
        let there = |record: &&CacheRecord| !record.shared;
        let taken = taken.map(|it| &cache.records[it.record]).filter(there);
        let whole: i64 = cache.records.iter().filter(there).map(|it| it.bytes).sum();
        whole - taken.map(|it| it.bytes).sum::<i64>()
    };
    let turns = forecast.turns.iter().enumerate();
    turns
        .filter_map(|(place, turn)| {
            let rule = &rules[place];
            let left = after(place);
            if turn.kept_bytes == 0 || left >= turn.kept_bytes {
                return None;
            }
            let is_full = rule.min_free_bytes != 0
                && cache
                    .free_bytes
                    .is_some_and(|free| free < rule.min_free_bytes);
            let has_size = rule.max_used_bytes != 0 || rule.min_free_bytes == 0 || is_full;
            let grows = has_size.then_some(turn.kept_bytes - left);
            let free = (rule.min_free_bytes != 0 && !is_full).then_some(rule.min_free_bytes);
            Some(Room {
                rule: number(place),
                grows_bytes: grows,
                free_below_bytes: free,
            })
        })
        .collect()
}

/// Returns the next deletion by age after a collection; `None`: no record gets old enough for a rule that would then delete.
pub(super) fn next(
    rules: &[GcRule],
    cache: Cache<'_>,
    behaviour: Behaviour,
    forecast_now: &Forecast,
) -> Result<Option<Next>, Unforeseen> {
    let mut is_gone = vec![false; cache.records.len()];
    for deletion in &forecast_now.deletions {
        is_gone[deletion.record] = true;
    }
    let left: Vec<CacheRecord> = cache
        .records
        .iter()
        .zip(&forecast_now.used)
        .zip(is_gone)
        .filter(|(_, gone)| !gone)
        .map(|((record, used), _)| CacheRecord {
            last_used: used.last,
            uses: used.count,
            ..record.clone()
        })
        .collect();
    let at = |now: Timestamp| Cache {
        records: &left,
        now,
        ..cache
    };
    let walk = Walk::of(rules, at(cache.now), behaviour)?;
    let mut moments: Vec<Timestamp> = walk
        .rules
        .iter()
        .flat_map(|rule| {
            left.iter()
                .filter_map(|record| rule.is_due_at(Use::of(record)))
        })
        .filter(|due| *due > cache.now && *due < Timestamp::MAX)
        .collect();
    moments.sort();
    moments.dedup();
    // Waiting only adds to what may be taken: the first moment at which something goes can be halved towards.
    let mut low = 0;
    let mut high = moments.len();
    while low < high {
        let middle = usize::midpoint(low, high);
        let walk = Walk::of(rules, at(moments[middle]), behaviour)?;
        if walk.next(&mut walk.start())?.is_some() {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    let Some(&moment) = moments.get(low) else {
        return Ok(None);
    };
    let then = forecast(rules, at(moment), behaviour)?;
    let first = then.deletions.iter().map(|it| it.rule).min();
    let bytes = then.deletions.iter().map(|it| left[it.record].bytes);
    Ok(first.map(|rule| Next {
        at: moment,
        rule: number(rule),
        records: then.deletions.len() as u64,
        bytes: bytes.sum(),
    }))
}

pub(super) fn number(place: usize) -> u32 {
    u32::try_from(place + 1).unwrap_or(u32::MAX)
}
