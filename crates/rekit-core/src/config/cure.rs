//! What to write instead of something that a daemon refuses or does not read.
//!
//! A cure is a proposal; `mend` takes it only where the text then has less trouble.

use std::ops::Range;

use toml_edit::{Item, Table, TableLike, Value};

use super::{
    buildkitd::Release,
    schema::{Key, ROOT, Shape},
};

/// What to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cure {
    /// Other text in place of these bytes.
    Replace { at: Range<usize>, with: String },
    /// These lines, elsewhere in the file.
    Write(String),
}

/// Names that people write, and the keys they mean; the first one that a section has counts.
const ALIASES: &[(&str, &[&str])] = &[
    ("defaultkeepstorage", &["reservedSpace", "gckeepstorage"]),
    ("defaultreservedspace", &["reservedSpace", "gckeepstorage"]),
    ("defaultmaxusedspace", &["maxUsedSpace"]),
    ("defaultminfreespace", &["minFreeSpace"]),
    (
        "keepstorage",
        &["reservedSpace", "keepBytes", "gckeepstorage"],
    ),
    ("gckeepbytes", &["reservedSpace", "gckeepstorage"]),
    ("reservedspace", &["gckeepstorage", "keepBytes"]),
    ("filter", &["filters"]),
    ("policy", &["gcpolicy"]),
    ("entitlements", &["insecure-entitlements"]),
];

/// Returns the key of this section that a name was meant to be.
pub(super) fn of_name(
    groups: &[&[Key]],
    table: &dyn TableLike,
    name: &str,
    release: Release,
) -> Option<Cure> {
    let at = table.key(name)?.span()?;
    let known = groups.iter().copied().flatten();
    let names: Vec<&str> = known
        .filter(|key| release.knows(key.since))
        .map(|key| key.name)
        .collect();
    let meant = meant(&names, name, ALIASES)?;
    let taken = table
        .iter()
        .any(|(other, _)| other.eq_ignore_ascii_case(meant) && other != name);
    let with = if meant.contains('.') {
        format!("\"{meant}\"")
    } else {
        meant.to_owned()
    };
    (!taken).then_some(Cure::Replace { at, with })
}

/// Returns which of the names was meant: the same but for signs and case, an old name, or one with a slip or two.
pub(super) fn meant<'n>(
    names: &[&'n str],
    name: &str,
    aliases: &[(&str, &[&str])],
) -> Option<&'n str> {
    let wanted = plain(name);
    let same = names.iter().find(|known| plain(known) == wanted);
    let alias = || {
        let (_, keys) = aliases.iter().find(|(alias, _)| *alias == wanted)?;
        keys.iter()
            .find_map(|key| names.iter().find(|known| *known == key))
    };
    let near = || {
        let slips = |known: &&&str| distance(&plain(known), &wanted);
        let nearest = names.iter().min_by_key(slips)?;
        let allowed = if wanted.len() > 6 { 2 } else { 1 };
        (wanted.len() > 3 && slips(&nearest) <= allowed).then_some(nearest)
    };
    same.or_else(alias).or_else(near).copied()
}

/// Returns a name without what people put between its words.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '-' | '_' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

/// Returns how many letters differ, are missing or are too many.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (at, wanted) in other.iter().enumerate() {
            let change = diagonal + usize::from(letter != *wanted);
            diagonal = row[at + 1];
            row[at + 1] = change.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// Returns where in the file the keys of a section belong that the daemon does not know.
pub(super) fn of_section(text: &str, path: &str, item: &Item, release: Release) -> Option<Cure> {
    let name = path.rsplit('.').next()?;
    let mut lines = Vec::new();
    if let Item::Value(value) = item {
        lines.extend(moved(text, path, name, value, release));
    } else {
        for (name, item) in item.as_table_like()?.iter() {
            let value = item.as_value();
            lines.extend(value.and_then(|value| moved(text, path, name, value, release)));
        }
    }
    lines.dedup_by(|later, first| {
        later.0 == first.0 && {
            first.1.push('\n');
            first.1.push_str(&later.1);
            true
        }
    });
    let sections = lines.iter().map(|(section, keys)| match section.as_str() {
        "" => keys.clone(),
        section => format!("[{section}]\n{keys}"),
    });
    let sections: Vec<String> = sections.collect();
    (!sections.is_empty()).then(|| Cure::Write(sections.join("\n")))
}

/// Returns the section that a key belongs to, and its line there.
fn moved(
    text: &str,
    path: &str,
    name: &str,
    value: &Value,
    release: Release,
) -> Option<(String, String)> {
    let (section, key) = home(&ROOT, "", &plain(name), release)?;
    let is_here = path.rsplit_once('.').map_or("", |(section, _)| section) == section;
    let source = text.get(value.span()?)?;
    (!is_here && !source.contains('\n')).then(|| (section, format!("{key} = {source}")))
}

/// Returns the first section that has a key of this name.
fn home(shape: &Shape, path: &str, name: &str, release: Release) -> Option<(String, &'static str)> {
    let Shape::Section(groups) = shape else {
        return None;
    };
    let keys = || {
        let all = groups.iter().copied().flatten();
        all.filter(|key| release.knows(key.since))
    };
    let is_section = |key: &&Key| matches!(key.shape, Shape::Section(_));
    let here = keys().find(|key| !is_section(key) && plain(key.name) == name);
    if let Some(key) = here {
        return Some((path.to_owned(), key.name));
    }
    keys().filter(is_section).find_map(|key| {
        let part = if key.name.contains('.') {
            format!("\"{}\"", key.name)
        } else {
            key.name.to_owned()
        };
        let path = if path.is_empty() {
            part
        } else {
            format!("{path}.{part}")
        };
        home(&key.shape, &path, name, release)
    })
}

/// Returns a heading with as many brackets as its section wants.
pub(super) fn of_heading(text: &str, at: &Range<usize>, shape: Shape) -> Option<Cure> {
    let start = text.get(..at.start)?.rfind('\n').map_or(0, |line| line + 1);
    let line = text.get(start..)?.lines().next()?;
    let heading = line.trim_start();
    let start = start + line.len() - heading.len();
    let end = heading.rfind(']')? + 1;
    let heading = &heading[..end];
    let name = heading.trim_start_matches('[').trim_end_matches(']');
    let with = match shape {
        Shape::List(_) if heading.starts_with('[') && !heading.starts_with("[[") => {
            format!("[[{name}]]")
        }
        Shape::Section(_) | Shape::Map(_) if heading.starts_with("[[") => format!("[{name}]"),
        _ => return None,
    };
    Some(Cure::Replace {
        at: start..start + end,
        with,
    })
}

/// Returns the flag that a section with `enabled` was meant to be.
pub(super) fn of_flag_section(path: &str, table: &Table, shape: Shape) -> Option<Cure> {
    let (section, name) = path.rsplit_once('.')?;
    let enabled = table.get("enabled")?.as_bool()?;
    matches!(shape, Shape::Flag).then(|| Cure::Write(format!("[{section}]\n{name} = {enabled}")))
}

/// Returns the value as its key wants it.
pub(super) fn of_value(value: &Value, shape: Shape, at: &Range<usize>) -> Option<Cure> {
    let with = match shape {
        Shape::Flag => flag(value)?.to_string(),
        Shape::Text if !matches!(value, Value::Array(_) | Value::InlineTable(_)) => {
            quoted(value.clone().decorated("", "").to_string().trim())
        }
        Shape::Integer => integer(value)?.to_string(),
        Shape::Size => quoted(&size(value.as_str()?)?),
        Shape::Duration => quoted(&duration(value.as_str()?)?),
        Shape::List(Shape::Text) => format!("[{}]", quoted(value.as_str()?)),
        _ => return None,
    };
    Some(Cure::Replace {
        at: at.clone(),
        with,
    })
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn flag(value: &Value) -> Option<bool> {
    let word = match value {
        Value::Integer(number) => number.value().to_string(),
        _ => value.as_str()?.trim().to_lowercase(),
    };
    match word.as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Float(number) => {
            let text = format!("{:.0}", number.value());
            let number = *number.value();
            (number.fract() == 0.0).then(|| text.parse().ok()).flatten()
        }
        _ => value.as_str()?.trim().parse().ok(),
    }
}

/// Returns a size that the daemon takes for one such as `20 gigs` or `10 %`.
pub(super) fn size(text: &str) -> Option<String> {
    let (number, unit) = number_and_unit(text)?;
    let unit = unit.to_lowercase();
    let letter = unit.chars().next()?;
    match letter {
        '%' => Some(format!("{}%", number.split('.').next()?)),
        'k' | 'm' | 'g' | 't' => Some(format!("{number}{}B", letter.to_ascii_uppercase())),
        'b' => Some(number.to_owned()),
        _ => None,
    }
}

/// Returns a duration that the daemon takes for one such as `7d` or `2 weeks`.
pub(super) fn duration(text: &str) -> Option<String> {
    let (number, unit) = number_and_unit(text)?;
    let unit = unit.to_lowercase();
    let count = |hours: u64| {
        Some(format!(
            "{}h",
            number.parse::<u64>().ok()?.checked_mul(hours)?
        ))
    };
    match unit.as_str() {
        "d" | "day" | "days" => count(24),
        "w" | "week" | "weeks" => count(24 * 7),
        "h" | "hour" | "hours" | "hrs" => count(1),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(format!("{number}m")),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(format!("{number}s")),
        _ => None,
    }
}

fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    number.parse::<f64>().ok()?;
    Some((number, unit.trim()))
}
