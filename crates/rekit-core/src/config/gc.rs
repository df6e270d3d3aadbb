//! Advice on the garbage collection that a buildkitd.toml asks for: accepted by the daemon, yet not what was meant.

use std::ops::Range;

use toml_edit::{Document, Item, TableLike};

use super::{
    buildkitd::Release,
    policy::{Reader, Sizes},
    scalar::Amount,
};

/// The three sizes that bound a cache; setting one alone sets the others to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcSizes {
    /// What is always kept, for example `10GB`.
    pub reserved: String,
    /// What is never passed, for example `50GB`.
    pub max_used: String,
    /// What stays free on the disk, for example `20%`.
    pub min_free: String,
}

impl GcSizes {
    /// The keys in the file, in the order of `values`.
    pub const KEYS: [&'static str; 3] = ["reservedSpace", "maxUsedSpace", "minFreeSpace"];

    /// Returns the sizes in the order of `KEYS`.
    pub fn values(&self) -> [&str; 3] {
        [&self.reserved, &self.max_used, &self.min_free]
    }
}

/// Something that the daemon takes and that has another effect than its writer hoped for.
#[derive(Clone, Debug)]
pub(super) struct Advice {
    /// The key it is about, dotted.
    pub(super) key: String,
    /// The bytes it is about.
    pub(super) at: Range<usize>,
    /// What the daemon makes of it.
    pub(super) says: String,
    /// What to write there.
    pub(super) write: Vec<String>,
}

/// Returns advice on each worker of a text that the daemon takes.
pub(super) fn advice(text: &str, release: Release) -> Vec<Advice> {
    let Ok(document) = Document::parse(text) else {
        return Vec::new();
    };
    let reader = Reader { text, release };
    let worker = reader.get(document.as_table(), "worker");
    let Some(worker) = worker.and_then(|(_, item)| item.as_table_like()) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for kind in ["oci", "containerd"] {
        if let Some((name, item)) = reader.get(worker, kind)
            && let Some(table) = item.as_table_like()
        {
            let path = format!("worker.{name}");
            let section = Section {
                reader,
                path,
                table,
                old: "gckeepstorage",
            };
            section.worker(&mut all);
        }
    }
    all
}

/// A section that bounds a cache: a worker or one of its rules.
struct Section<'a> {
    reader: Reader<'a>,
    path: String,
    table: &'a dyn TableLike,
    /// What `reservedSpace` was called here before 0.17.
    old: &'static str,
}

impl<'a> Section<'a> {
    fn note(&self, name: &str, says: String, write: Vec<String>) -> Option<Advice> {
        let (key, _) = self.reader.get(self.table, name)?;
        let span = self.table.key(&key).and_then(toml_edit::Key::span);
        Some(Advice {
            key: format!("{}.{key}", self.path),
            at: span.unwrap_or(0..0),
            says,
            write,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.reader.get(self.table, name).is_some()
    }

    /// Returns the sizes that are set here, as written.
    fn written(&self) -> impl Iterator<Item = &'static str> {
        let three = self.reader.release.has_three_sizes();
        let new = GcSizes::KEYS.into_iter().filter(move |_| three);
        new.chain([self.old]).filter(|name| self.has(name))
    }

    fn worker(&self, all: &mut Vec<Advice>) {
        let off = self.reader.get(self.table, "gc");
        if off.is_some_and(|(_, gc)| gc.as_bool() == Some(false)) {
            let unused = self
                .written()
                .chain(["gcpolicy"])
                .find(|name| self.has(name));
            all.extend(unused.and_then(|name| {
                let says = format!(
                    "`gc = false` turns garbage collection off altogether: `{name}` is not used"
                );
                self.note(name, says, vec!["gc = true".to_owned()])
            }));
            return;
        }
        let rules = self.reader.policy(self.table).unwrap_or_default();
        if rules.is_empty() {
            self.sizes(all);
            return;
        }
        for name in self.written() {
            let says = format!(
                "`gcpolicy` replaces the daemon's own rules: `{name}` beside it is not used"
            );
            all.extend(self.note(name, says, Vec::new()));
        }
        self.rules(&rules, all);
    }

    fn rules(&self, rules: &[&'a dyn TableLike], all: &mut Vec<Advice>) {
        let Some((name, _)) = self.reader.get(self.table, "gcpolicy") else {
            return;
        };
        for &table in rules {
            let path = format!("{}.{name}", self.path);
            let rule = Section {
                path,
                table,
                old: "keepBytes",
                ..*self
            };
            rule.sizes(all);
            rule.filters(all);
        }
        let is_last_resort = |rule: &&dyn TableLike| {
            let all = self.reader.get(*rule, "all");
            let keeps_young = self.reader.get(*rule, "keepDuration").is_some();
            let filtered = self.reader.get(*rule, "filters").is_some();
            all.is_some_and(|(_, all)| all.as_bool() == Some(true)) && !keeps_young && !filtered
        };
        if !rules.iter().any(is_last_resort) {
            let says = "no rule takes everything (`all = true` without `keepDuration` and `filters`): young records pin all that lies below \
                them, and the cache grows past its limits";
            let mut write = vec![format!("[[{}.{name}]]", self.path), "all = true".to_owned()];
            write.extend(three(&Sizes::default(), self.reader.release, "keepBytes"));
            all.extend(self.note("gcpolicy", says.to_owned(), write));
        }
    }

    fn sizes(&self, all: &mut Vec<Advice>) {
        let Some(sizes) = self.reader.sizes(self.table, self.old) else {
            return;
        };
        if let Some(slip) = self.slips() {
            // With the right unit the rest looks different.
            all.push(slip);
            return;
        }
        if !self.reader.release.has_three_sizes() {
            return;
        }
        let is_new = |name: &&str| GcSizes::KEYS.contains(name);
        let new: Vec<&str> = self.written().filter(is_new).collect();
        // In a rule the old name stands in for `reservedSpace` alone, in a worker for none of three.
        let old_unused = match self.old {
            "keepBytes" => !sizes.reserved.is_unset(),
            _ => !new.is_empty(),
        };
        if self.has(self.old) && old_unused {
            let says = format!(
                "`{}` is the old name of `reservedSpace` and not used beside the new ones",
                self.old
            );
            all.extend(self.note(self.old, says, Vec::new()));
        }
        all.extend(self.partial(sizes, &new));
        if sizes.max_used.bytes > 0 && sizes.reserved.bytes > sizes.max_used.bytes {
            let says = "`reservedSpace` is more than `maxUsedSpace`, and wins: the cache grows up to `reservedSpace`";
            all.extend(self.note("maxUsedSpace", says.to_owned(), Vec::new()));
        }
        if sizes.min_free.percent >= 100 {
            let says = "no disk can keep all of itself free: everything above `reservedSpace` is collected at once";
            all.extend(self.note(
                "minFreeSpace",
                says.to_owned(),
                vec!["minFreeSpace = \"20%\"".to_owned()],
            ));
        }
    }

    fn partial(&self, mut sizes: Sizes, new: &[&str]) -> Option<Advice> {
        if sizes.reserved.is_unset() {
            sizes.reserved = sizes.old;
        }
        let off = [
            (sizes.reserved, "nothing is kept in any case"),
            (sizes.max_used, "the cache has no upper limit"),
            (sizes.min_free, "no part of the disk is kept free"),
        ];
        let missing: Vec<&str> = off
            .iter()
            .filter(|(size, _)| size.is_unset())
            .map(|(_, words)| *words)
            .collect();
        let first = new
            .first()
            .copied()
            .or_else(|| self.has(self.old).then_some(self.old))?;
        // Without an upper limit and without free space a cache is unbounded; keeping nothing in any case is a choice.
        let bounded = !sizes.max_used.is_unset() && !sizes.min_free.is_unset();
        if bounded || missing.len() == off.len() {
            return None;
        }
        let renamed = if new.is_empty() {
            format!("`{}` is called `reservedSpace` since 0.17; ", self.old)
        } else {
            String::new()
        };
        let says = format!(
            "{renamed}what is not set of the three sizes is off, not at its usual value: {}",
            missing.join(", ")
        );
        self.note(first, says, three(&sizes, self.reader.release, self.old))
    }

    /// Returns advice on a number that was meant in another unit.
    fn slips(&self) -> Option<Advice> {
        let name = self.written().find(|name| {
            let item = self.reader.get(self.table, name);
            let number = item.and_then(|(_, item)| item.as_integer());
            number.is_some_and(|number| number > 0 && number < 1 << 20)
        })?;
        let number = self.reader.get(self.table, name)?.1.as_integer()?;
        let says = format!("{number} means bytes here, not megabytes: next to nothing is kept");
        self.note(name, says, vec![format!("{name} = \"{number}MB\"")])
    }

    fn filters(&self, all: &mut Vec<Advice>) {
        let Some((_, Item::Value(value))) = self.reader.get(self.table, "filters") else {
            return;
        };
        let filters = value.as_array().into_iter().flatten();
        for filter in filters.filter_map(toml_edit::Value::as_str) {
            if let Some(words) = not_parsed(filter) {
                let says = format!("{words}: buildkitd starts, and cannot run the rule");
                let write = vec![format!("filters = [\"{}\"]", filter.replacen('=', "==", 1))];
                all.extend(self.note("filters", says, write));
            } else if filter.matches("type==").count() > 1 {
                let parts: Vec<String> = filter
                    .split(',')
                    .map(|part| format!("\"{}\"", part.trim()))
                    .collect();
                let says = "a comma inside one filter means `and`, and no record has two types: the rule never matches";
                all.extend(self.note(
                    "filters",
                    says.to_owned(),
                    vec![format!("filters = [{}]", parts.join(", "))],
                ));
            }
        }
    }
}

/// Returns why a filter is none: as in daemon.json it has one `=`, here it wants two.
fn not_parsed(filter: &str) -> Option<String> {
    let (name, value) = filter.split_once('=')?;
    let is_single = !value.starts_with('=') && !name.ends_with(['!', '~']);
    is_single.then(|| format!("`{filter}` is no filter, `=` is written twice here"))
}

/// Returns all three sizes as lines: those that are set, and the daemon's own for the others.
fn three(sizes: &Sizes, release: Release, old: &str) -> Vec<String> {
    let line = |name: &str, size: Amount, usual: &str| {
        let size = if size.is_unset() {
            usual.to_owned()
        } else {
            shown(size)
        };
        format!("{name} = \"{size}\"")
    };
    if !release.has_three_sizes() {
        return vec![line(old, sizes.old, "10GB")];
    }
    let most = sizes.max_used.bytes;
    let usual_reserve = if most > 0 && most < 10 << 30 {
        shown(Amount {
            bytes: most / 2,
            percent: 0,
        })
    } else {
        "10GB".to_owned()
    };
    vec![
        line("reservedSpace", sizes.reserved, &usual_reserve),
        line("maxUsedSpace", sizes.max_used, "80%"),
        line("minFreeSpace", sizes.min_free, "20%"),
    ]
}

/// Returns a size as a person writes it.
fn shown(size: Amount) -> String {
    if size.bytes == 0 {
        return format!("{}%", size.percent);
    }
    for (power, unit) in [(40, "TB"), (30, "GB"), (20, "MB")] {
        if size.bytes >= 1 << power && size.bytes % (1 << power) == 0 {
            return format!("{}{unit}", size.bytes >> power);
        }
    }
    size.bytes.to_string()
}
