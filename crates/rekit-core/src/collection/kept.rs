//! What no collection can delete, however old it gets and however full the disk is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    forecast::{Unforeseen, Walk},
    record::Cache,
};
use crate::inventory::GcRule;

use super::behaviour::Behaviour;

/// Why a record stays.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A build holds it, or something above it.
    InUse,
    /// An image of the engine has the same bytes, and no rule has `all`.
    Shared,
    /// No rule takes records of its kind.
    NoRule,
    /// A record above it stays.
    Beneath,
}

/// A record that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the list of records.
    pub record: usize,
    /// Why.
    pub why: Why,
}

/// Lists the records that none of the rules could take if it had neither age nor limit.
pub(super) fn kept(
    rules: &[GcRule],
    cache: Cache<'_>,
    behaviour: Behaviour,
) -> Result<Vec<Kept>, Unforeseen> {
    let walk = Walk::of(rules, cache, behaviour)?;
    let mut state = walk.start();
    let is_taken = |place: usize| {
        let record = &cache.records[place];
        !record.in_use && walk.rules.iter().any(|rule| rule.may_take(record))
    };
    let mut open: Vec<usize> = (0..cache.records.len()).collect();
    while let Some(place) = open.pop() {
        if !state.gone[place] && state.above[place] == 0 && is_taken(place) {
            walk.take(&mut state, place);
            open.extend(&walk.parents[place]);
        }
    }
    let stays = (0..cache.records.len()).filter(|&place| !state.gone[place]);
    let why = |place: usize| {
        let record = &cache.records[place];
        if record.in_use {
            Why::InUse
        } else if state.above[place] > 0 {
            Why::Beneath
        } else if record.shared && walk.rules.iter().all(|rule| !rule.rule.all) {
            Why::Shared
        } else {
            Why::NoRule
        }
    };
    Ok(stays
        .map(|record| Kept {
            record,
            why: why(record),
        })
        .collect())
}
