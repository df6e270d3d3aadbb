//! What the daemon checks once it has read its configuration: texts and numbers that only some values make sense for.

use std::ops::Range;

use toml_edit::{Item, TableLike, Value};

use super::policy::Reader;

/// A check that the daemon makes after reading.
pub(super) struct Rule {
    pub(super) since: u32,
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) complaint: fn(&Value) -> Option<String>,
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        since: 0,
        section: "grpc",
        key: "debugAddress",
        complaint: |value| {
            let text = value.as_str()?;
            (!text.is_empty() && !text.contains(':')).then(|| {
                format!("address `{text}`: missing port, write for example `127.0.0.1:6060`")
            })
        },
    },
    Rule {
        since: 13,
        section: "log",
        key: "format",
        complaint: |value| {
            let text = value.as_str()?;
            (!matches!(text, "" | "json" | "text"))
                .then(|| format!("unsupported log type `{text}`: `json` or `text`"))
        },
    },
    Rule {
        since: 30,
        section: "log",
        key: "level",
        complaint: |value| {
            let text = value.as_str()?.to_lowercase();
            (!text.is_empty() && !LOG_LEVELS.contains(&text.as_str()))
                .then(|| format!("unsupported log level `{text}`: {}", LOG_LEVELS.join(", ")))
        },
    },
    Rule {
        since: 31,
        section: "system",
        key: "maxRegistryConcurrency",
        complaint: |value| {
            (value.as_integer()? <= 0)
                .then(|| "`maxRegistryConcurrency` must be greater than zero".to_owned())
        },
    },
];

const LOG_LEVELS: &[&str] = &[
    "panic", "fatal", "error", "warn", "warning", "info", "debug", "trace",
];

/// Returns the lone half of the pair of files that a server with certificates wants, with its place.
pub(super) fn lone_half(
    reader: Reader<'_>,
    root: &dyn TableLike,
) -> Option<(String, Range<usize>, String)> {
    let (grpc, item) = reader.get(root, "grpc")?;
    let (tls, item) = reader.get(item.as_table_like()?, "tls")?;
    let table = item.as_table_like()?;
    let [cert, key] = ["cert", "key"].map(|name| {
        let written = reader.get(table, name);
        written.filter(|(_, item)| item.as_str().is_some_and(|text| !text.is_empty()))
    });
    let ((name, item), missing) = match (cert, key) {
        (Some(cert), None) => (cert, "key"),
        (None, Some(key)) => (key, "cert"),
        _ => return None,
    };
    let reason = format!("`{name}` alone is half a pair: `{missing}` is missing");
    let at = Item::span(item)?;
    Some((format!("{grpc}.{tls}.{name}"), at, reason))
}
