//! Advice on the garbage collection that a buildkitd.toml asks for: accepted by the daemon, yet not what was meant.

use toml_edit::{Document, Item, TableLike};

use super::{
    buildkitd::{Release, troubles},
    place::Place,
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

/// Something about garbage collection that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcAdvice {
    /// The key it is about, dotted.
    pub key: String,
    /// Its line, counted from 1.
    pub line: u32,
    /// What the daemon makes of it, and what to write instead.
    pub advice: String,
}

/// Returns advice on each worker of a text that the newest daemon takes.
pub fn gc_advice(text: &str) -> Vec<GcAdvice> {
    let refused = troubles(text, Release::NEWEST)
        .iter()
        .any(|trouble| trouble.refused.is_some());
    let (false, Ok(document)) = (refused, Document::parse(text)) else {
        return Vec::new();
    };
    let mut advice = Vec::new();
    for (worker, table) in workers(document.as_table()) {
        renamed(text, &worker, table, "gckeepstorage", &mut advice);
        partial(text, &worker, table, &mut advice);
        policies(text, &worker, table, &mut advice);
    }
    advice
}

fn get<'a>(table: &'a dyn TableLike, name: &str) -> Option<(&'a str, &'a Item)> {
    table.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))
}

fn workers(root: &dyn TableLike) -> Vec<(String, &dyn TableLike)> {
    let Some((_, worker)) = get(root, "worker") else {
        return Vec::new();
    };
    let inner = worker.as_table_like();
    inner
        .into_iter()
        .flat_map(|inner| inner.iter())
        .filter_map(|(name, item)| Some((format!("worker.{name}"), item.as_table_like()?)))
        .collect()
}

fn note(text: &str, table: &dyn TableLike, path: &str, key: &str, advice: String) -> GcAdvice {
    let span = table
        .key(key)
        .and_then(toml_edit::Key::span)
        .unwrap_or(0..0);
    GcAdvice {
        key: format!("{path}.{key}"),
        line: Place::of(text, &span).line,
        advice,
    }
}

fn renamed(text: &str, path: &str, table: &dyn TableLike, old: &str, advice: &mut Vec<GcAdvice>) {
    if let Some((key, item)) = get(table, old) {
        let unit = match item.as_integer() {
            Some(number) if number < 1 << 20 => {
                format!("; {number} means bytes here, not megabytes")
            }
            _ => String::new(),
        };
        let words = format!("`{key}` is called `reservedSpace` since 0.17{unit}");
        advice.push(note(text, table, path, key, words));
    }
}

fn partial(text: &str, path: &str, table: &dyn TableLike, advice: &mut Vec<GcAdvice>) {
    let set: Vec<&str> = GcSizes::KEYS
        .iter()
        .filter_map(|key| get(table, key).map(|(name, _)| name))
        .collect();
    let missing: Vec<&str> = GcSizes::KEYS
        .into_iter()
        .filter(|key| get(table, key).is_none())
        .collect();
    if let (Some(first), false) = (set.first(), missing.is_empty()) {
        let words = format!(
            "setting it alone turns {} off: write all three",
            missing.join(" and ")
        );
        advice.push(note(text, table, path, first, words));
    }
}

fn policies(text: &str, path: &str, table: &dyn TableLike, advice: &mut Vec<GcAdvice>) {
    let Some((name, Item::ArrayOfTables(array))) = get(table, "gcpolicy") else {
        return;
    };
    let inner = format!("{path}.{name}");
    for policy in array {
        renamed(text, &inner, policy, "keepBytes", advice);
    }
    let hard = array.iter().last().is_some_and(|last| {
        get(last, "all").is_some_and(|(_, all)| all.as_bool() == Some(true))
            && get(last, "keepDuration").is_none()
    });
    if !hard {
        let words = "the last rule should be `all = true` without `keepDuration`: else young records pin everything below them".to_owned();
        advice.push(note(text, table, path, name, words));
    }
}
