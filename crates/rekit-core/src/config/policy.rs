//! The rules of garbage collection that a buildkitd makes of its configuration.
//!
//! What the daemons make of it is compared with theirs in the campaign `configurations`.

use toml_edit::{Document, Item, TableLike};

use super::{
    buildkitd::{Release, plain, spellings, troubles},
    scalar::{Amount, amount, seconds},
};
use crate::inventory::GcRule;

/// Returns the rules of the worker `oci` on a disk of this size; `None`: the daemon refuses the text, or rekit cannot tell.
pub fn gc_rules(text: &str, release: Release, disk_bytes: i64) -> Option<Vec<GcRule>> {
    let refused = |text| {
        let all = troubles(text, release);
        all.iter().any(|trouble| trouble.refused.is_some())
    };
    if refused(text) {
        return None;
    }
    // An older reader takes the mark at the beginning for nothing.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = Document::parse(text).ok()?;
    let reader = Reader { text, release };
    let worker = reader.get(document.as_table(), "worker");
    let worker = worker.and_then(|(_, item)| item.as_table_like());
    let oci = worker.and_then(|worker| reader.get(worker, "oci"));
    let oci = oci.and_then(|(_, item)| item.as_table_like());
    reader.rules(oci, disk_bytes)
}

/// Reads keys as the daemon's own reader finds them.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) release: Release,
}

/// The sizes of a worker or of a rule.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) old: Amount,
    pub(super) reserved: Amount,
    pub(super) max_used: Amount,
    pub(super) min_free: Amount,
}

impl Sizes {
    fn has_none_of_three(&self) -> bool {
        [self.reserved, self.max_used, self.min_free]
            .into_iter()
            .all(Amount::is_unset)
    }
}

impl Reader<'_> {
    /// Returns the key that counts among the spellings of a name.
    pub(super) fn get<'t>(
        &self,
        table: &'t dyn TableLike,
        name: &str,
    ) -> Option<(String, &'t Item)> {
        if self.release.reads_any_case() {
            let wanted = name.to_lowercase();
            // A later spelling is read over an earlier one.
            let same = table.iter().filter(|(key, _)| key.to_lowercase() == wanted);
            return same.last().map(|(key, item)| (key.to_owned(), item));
        }
        let found = spellings(name);
        let name = found.into_iter().find(|name| table.contains_key(name))?;
        let item = table.get(&name)?;
        Some((name, item))
    }

    /// Returns the sizes of a section; `old` is the name that its first one had before 0.17.
    pub(super) fn sizes(&self, table: &dyn TableLike, old: &str) -> Option<Sizes> {
        let three = self.release.has_three_sizes();
        let read = |name: &str, known: bool| match self.get(table, name) {
            Some((_, item)) if known => self.amount(item),
            _ => Some(Amount::default()),
        };
        Some(Sizes {
            old: read(old, true)?,
            reserved: read("reservedSpace", three)?,
            max_used: read("maxUsedSpace", three)?,
            min_free: read("minFreeSpace", three)?,
        })
    }

    fn amount(&self, item: &Item) -> Option<Amount> {
        if let Some(parts) = item.as_table_like() {
            let number = |name: &str| match self.get(parts, name) {
                Some((_, item)) => item.as_integer(),
                None => Some(0),
            };
            return Some(Amount {
                bytes: number("bytes")?,
                percent: number("percentage")?,
            });
        }
        amount(&plain(self.text, item.as_value()?, self.release))
    }

    fn flag(&self, table: &dyn TableLike, name: &str) -> Option<bool> {
        self.get(table, name)?.1.as_bool()
    }

    /// Returns the rules that were written, in their order.
    pub(super) fn policy<'t>(&self, table: &'t dyn TableLike) -> Option<Vec<&'t dyn TableLike>> {
        match self.get(table, "gcpolicy") {
            None => Some(Vec::new()),
            Some((_, Item::ArrayOfTables(array))) => {
                Some(array.iter().map(|rule| rule as &dyn TableLike).collect())
            }
            Some((_, item)) => {
                let rules = item.as_array()?.iter();
                rules
                    .map(|rule| Some(rule.as_inline_table()? as &dyn TableLike))
                    .collect()
            }
        }
    }

    fn rules(&self, worker: Option<&dyn TableLike>, disk_bytes: i64) -> Option<Vec<GcRule>> {
        let Some(worker) = worker else {
            return Some(self.usual(Sizes::default(), disk_bytes));
        };
        if self.flag(worker, "gc") == Some(false) {
            return Some(Vec::new());
        }
        let rules = self.policy(worker)?;
        if rules.is_empty() {
            return Some(self.usual(self.sizes(worker, "gckeepstorage")?, disk_bytes));
        }
        rules
            .into_iter()
            .map(|rule| self.rule(rule, disk_bytes))
            .collect()
    }

    fn rule(&self, rule: &dyn TableLike, disk_bytes: i64) -> Option<GcRule> {
        let mut sizes = self.sizes(rule, "keepBytes")?;
        if sizes.reserved.is_unset() {
            sizes.reserved = sizes.old;
        }
        let filters = match self.get(rule, "filters") {
            Some((_, item)) => {
                let list = item.as_array()?.iter();
                list.map(|filter| Some(filter.as_str()?.to_owned()))
                    .collect::<Option<_>>()?
            }
            None => Vec::new(),
        };
        let keep_seconds = match self.get(rule, "keepDuration") {
            Some((_, item)) => seconds(&plain(self.text, item.as_value()?, self.release))?,
            None => 0,
        };
        Some(GcRule {
            all: self.flag(rule, "all") == Some(true),
            filters,
            keep_seconds,
            reserved_bytes: sizes.reserved.on(disk_bytes),
            max_used_bytes: sizes.max_used.on(disk_bytes),
            min_free_bytes: sizes.min_free.on(disk_bytes),
        })
    }

    /// Returns the daemon's own rules, with the sizes that were written.
    fn usual(&self, mut sizes: Sizes, disk_bytes: i64) -> Vec<GcRule> {
        if sizes.has_none_of_three() {
            sizes.reserved = sizes.old;
        }
        if sizes.has_none_of_three() {
            sizes = self.defaults(disk_bytes);
        }
        let rule = |all: bool, days: i64| GcRule {
            all,
            filters: Vec::new(),
            keep_seconds: days * 86_400,
            reserved_bytes: sizes.reserved.on(disk_bytes),
            max_used_bytes: sizes.max_used.on(disk_bytes),
            min_free_bytes: sizes.min_free.on(disk_bytes),
        };
        let types = [
            "type==source.local",
            "type==exec.cachemount",
            "type==source.git.checkout",
        ];
        let mut first = GcRule {
            filters: if self.release.knows(31) {
                types.map(str::to_owned).to_vec()
            } else {
                vec![types.join(",")]
            },
            reserved_bytes: 0,
            max_used_bytes: 512_000_000,
            min_free_bytes: 0,
            ..rule(false, 2)
        };
        if !self.release.has_three_sizes() {
            (first.reserved_bytes, first.max_used_bytes) = (first.max_used_bytes, 0);
        }
        vec![first, rule(false, 60), rule(false, 0), rule(true, 0)]
    }

    fn defaults(&self, disk_bytes: i64) -> Sizes {
        let share = |percent: i64| Amount { bytes: 0, percent };
        let at_most = |percent: i64, bytes: i64| {
            if share(percent).on(disk_bytes) > bytes {
                Amount { bytes, percent: 0 }
            } else {
                share(percent)
            }
        };
        if !self.release.has_three_sizes() {
            return Sizes {
                reserved: share(10),
                ..Sizes::default()
            };
        }
        Sizes {
            old: Amount::default(),
            reserved: at_most(10, 10_000_000_000),
            max_used: at_most(80, 100_000_000_000),
            min_free: share(20),
        }
    }
}
