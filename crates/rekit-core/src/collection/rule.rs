//! One rule, ready to be asked about records.

use jiff::{SignedDuration, Timestamp};

use super::{
    behaviour::Behaviour,
    filter::{FilterFault, Filters},
    record::{CacheRecord, Use},
};
use crate::inventory::GcRule;

/// A rule whose filters are read.
#[derive(Clone, Debug)]
pub(super) struct ReadRule<'a> {
    pub(super) rule: &'a GcRule,
    pub(super) filters: Filters,
    behaviour: Behaviour,
}

impl<'a> ReadRule<'a> {
    pub(super) fn of(rule: &'a GcRule, behaviour: Behaviour) -> Result<Self, FilterFault> {
        Ok(Self {
            rule,
            filters: Filters::parse(&rule.filters)?,
            behaviour,
        })
    }

    /// Returns whether the rule may take a record that is free, once it is old enough.
    pub(super) fn may_take(&self, record: &CacheRecord) -> bool {
        // `pruneOnce` in `cache/manager.go`: without `all` these stay, whatever the filters say.
        let is_spared = record.shared || matches!(record.kind.as_str(), "internal" | "frontend");
        (self.rule.all || !is_spared) && self.filters.match_record(record, self.behaviour)
    }

    /// Returns the first moment at which a record is old enough; `None`: it always is.
    pub(super) fn is_due_at(&self, used: Use) -> Option<Timestamp> {
        if self.rule.keep_seconds == 0 {
            return None;
        }
        let kept = SignedDuration::from_secs(self.rule.keep_seconds);
        let due = used.last?.saturating_add(kept);
        Some(due.unwrap_or(Timestamp::MAX))
    }

    pub(super) fn takes(&self, record: &CacheRecord, used: Use, now: Timestamp) -> bool {
        self.may_take(record) && self.is_due_at(used).is_none_or(|due| due <= now)
    }
}
