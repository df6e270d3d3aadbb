//! The filters of a rule in daemon.json: `name=value`, one value for each name.

use jsonc_parser::ast::Value;
use std::ops::Range;

use super::super::scalar::nanoseconds;

/// The names that a record can be chosen by.
pub(super) const NAMES: &[&str] = &[
    "description",
    "id",
    "immutable",
    "inuse",
    "mutable",
    "parent",
    "private",
    "shared",
    "type",
];
/// The names for how long a record was not used.
pub(super) const AGES: &[&str] = &["until", "unused-for"];

/// One filter.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) at: Range<usize>,
}

/// Something that the daemon does not start with.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) at: Range<usize>,
    pub(super) reason: String,
}

/// What a rule's filters come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Chosen {
    /// Which records, as the daemon shows it.
    pub(super) filter: String,
    /// The seconds that a record was not used; `None`: a date that moves against the clock.
    pub(super) keep_seconds: Option<i64>,
}

/// Returns the filters as the daemon reads them: a list of texts, or the old form with sections.
pub(super) fn filters(value: &Value<'_>) -> Vec<Filter> {
    let bytes = |value: &dyn jsonc_parser::common::Ranged| value.start()..value.end();
    match value {
        Value::Array(list) => {
            let texts = list.elements.iter().filter_map(|element| {
                let text = element.as_string_lit()?;
                let (name, value) = text.value.split_once('=').unwrap_or((&text.value, ""));
                Some(Filter {
                    name: name.trim().to_lowercase(),
                    value: value.trim().to_owned(),
                    at: bytes(text),
                })
            });
            texts.collect()
        }
        Value::Object(names) => {
            let mut all = Vec::new();
            for name in &names.properties {
                let values = name.value.as_object();
                for value in values.into_iter().flat_map(|values| &values.properties) {
                    all.push(Filter {
                        name: name.name.as_str().to_owned(),
                        value: value.name.as_str().to_owned(),
                        at: bytes(value),
                    });
                }
            }
            all
        }
        _ => Vec::new(),
    }
}

/// Returns what the filters come to, or the first that the daemon does not start with.
pub(super) fn chosen(filters: &[Filter]) -> Result<Chosen, Refusal> {
    let mut ages = filters
        .iter()
        .filter(|filter| AGES.contains(&filter.name.as_str()));
    let keep_seconds = match ages.next() {
        None => Some(0),
        Some(first) => {
            if let Some(second) =
                ages.find(|age| (&age.name, &age.value) != (&first.name, &first.value))
            {
                let reason = if second.name == first.name {
                    one_value(&first.name)
                } else {
                    "`until` and `unused-for` mean the same: only one of them may be written"
                        .to_owned()
                };
                return Err(Refusal {
                    at: second.at.clone(),
                    reason,
                });
            }
            age(first)?
        }
    };
    let mut parts = Vec::new();
    for name in NAMES {
        let mut same = filters.iter().filter(|filter| filter.name == *name);
        let Some(first) = same.next() else { continue };
        if let Some(second) = same.find(|other| other.value != first.value) {
            return Err(Refusal {
                at: second.at.clone(),
                reason: one_value(name),
            });
        }
        let sign = if *name == "id" { "~=" } else { "==" };
        parts.push(format!("{name}{sign}{}", first.value));
    }
    Ok(Chosen {
        filter: parts.join(","),
        keep_seconds,
    })
}

fn one_value(name: &str) -> String {
    format!("filters expect only one value: `{name}` has two; write a rule for each")
}

/// Returns the seconds of an age.
fn age(filter: &Filter) -> Result<Option<i64>, Refusal> {
    let text = &filter.value;
    if text != "0"
        && let Some(nanoseconds) = nanoseconds(text).filter(|_| !text.is_empty())
    {
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds are wanted")]
        return Ok(Some((nanoseconds / 1e9) as i64));
    }
    let is_date = text.parse::<jiff::civil::DateTime>().is_ok()
        || text.parse::<jiff::Timestamp>().is_ok()
        || text.parse::<jiff::civil::Date>().is_ok();
    let is_seconds = || {
        let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
        whole.parse::<i64>().is_ok() && rest.parse::<i64>().is_ok()
    };
    if is_date || is_seconds() {
        return Ok(None);
    }
    Err(Refusal {
        at: filter.at.clone(),
        reason: format!(
            "`{}` wants a duration such as `48h` or a time, here is `{text}`; there are no days",
            filter.name
        ),
    })
}
