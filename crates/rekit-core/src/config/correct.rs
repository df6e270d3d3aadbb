//! A buildkitd.toml made acceptable: what the daemon refuses or does not read becomes a comment with the reason.
//!
//! Invariant: every other byte stays; the result is taken whole by the release it was made for.

use std::ops::Range;

use toml_edit::{Document, DocumentMut, Item, Table, value};

use super::{
    buildkitd::{Release, Trouble, troubles},
    gc::GcSizes,
};

/// What the corrected file is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The release that must take it.
    pub release: Release,
    /// Sizes of the worker's cache to be added where the file sets only some of the three.
    pub gc: Option<GcSizes>,
}

/// Returns the same file, such that the daemon takes all that is left of it.
pub fn corrected_buildkitd(text: &str, settings: &Correction) -> String {
    let mut text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n");
    // Each round silences at least one line, so the rounds are bounded by the lines.
    for _ in 0..=text.lines().count() {
        let mut found = troubles(&text, settings.release);
        found.sort_by_key(|trouble| trouble.at.start);
        let Some(trouble) = found.first() else { break };
        text = silenced(&text, trouble);
    }
    match &settings.gc {
        Some(sizes) if settings.release.has_three_sizes() => completed(&text, sizes),
        _ => text,
    }
}

/// Returns the text with the lines of one trouble made a comment.
fn silenced(text: &str, trouble: &Trouble) -> String {
    let reason = match &trouble.refused {
        Some(reason) => format!("refused by buildkitd: {reason}"),
        None => format!("not read by buildkitd: `{}`", trouble.key),
    };
    let lines = silenced_lines(text, &trouble.at);
    let mut result = String::with_capacity(text.len() + reason.len() + 16);
    let mut told = false;
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            result.push('\n');
        }
        if !lines.contains(&number) {
            result.push_str(line);
            continue;
        }
        if !told {
            result.extend(["# rekit: ", &reason.replace('\n', " "), "\n"]);
            told = true;
        }
        result.push_str("# ");
        // A lone carriage return would end the comment for nobody but it is no TOML inside one either.
        result.push_str(&line.replace(|c: char| c.is_control() && c != '\t', " "));
    }
    result
}

/// Returns the lines that must go: a section with its keys, or a key with its value, or the line itself.
fn silenced_lines(text: &str, at: &Range<usize>) -> Range<usize> {
    let line_of = |offset: usize| text.get(..offset).unwrap_or(text).matches('\n').count();
    let lines: Vec<&str> = text.split('\n').collect();
    let first = line_of(at.start);
    if let Ok(document) = Document::parse(text) {
        let mut spans = Vec::new();
        entries(document.as_table(), &mut spans);
        // The smallest entry around the place, so that only it goes.
        if let Some(span) = spans
            .iter()
            .filter(|span| span.start <= at.start && at.start < span.end.max(span.start + 1))
            .min_by_key(|span| span.len())
        {
            return line_of(span.start)..line_of(span.end.saturating_sub(1)) + 1;
        }
    }
    let first = silenceable(&lines, first);
    if lines[first].trim_start().starts_with('[') {
        let next = (first + 1..lines.len())
            .find(|&line| lines[line].trim_start().starts_with('['))
            .unwrap_or(lines.len());
        // What stands between the last key and the next heading belongs to the next heading.
        let end = (first + 1..next)
            .rev()
            .find(|&line| speaks_up(lines[line]))
            .map_or(first + 1, |line| line + 1);
        return first..end;
    }
    first..first + 1
}

/// Returns the line itself, or the nearest one that is no comment yet: something before it was left open.
fn silenceable(lines: &[&str], first: usize) -> usize {
    let first = first.min(lines.len() - 1);
    let speaks = |line: &usize| speaks_up(lines[*line]);
    let before = (0..=first).rev().find(speaks);
    before
        .or_else(|| (first..lines.len()).find(speaks))
        .unwrap_or(first)
}

/// Returns whether the line says something to the daemon.
fn speaks_up(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

/// Collects the bytes of each key with its value.
fn entries(table: &Table, spans: &mut Vec<Range<usize>>) {
    for (name, item) in table {
        let key = table.key(name).and_then(toml_edit::Key::span);
        match item {
            Item::Value(value) => {
                if let (Some(key), Some(value)) = (key, value.span()) {
                    spans.push(key.start..value.end);
                }
            }
            Item::Table(inner) => entries(inner, spans),
            Item::ArrayOfTables(array) => array.iter().for_each(|inner| entries(inner, spans)),
            Item::None => {}
        }
    }
}

/// Returns the text with the sizes that are missing beside a size that is set.
fn completed(text: &str, sizes: &GcSizes) -> String {
    let Ok(mut document) = text.parse::<DocumentMut>() else {
        return text.to_owned();
    };
    let Some(worker) = document.get_mut("worker").and_then(Item::as_table_like_mut) else {
        return text.to_owned();
    };
    for kind in ["oci", "containerd"] {
        let Some(table) = worker.get_mut(kind).and_then(Item::as_table_like_mut) else {
            continue;
        };
        let has = |name: &str| table.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let named = GcSizes::KEYS.iter().filter(|key| has(key)).count();
        if named == GcSizes::KEYS.len() || (named == 0 && !has("gckeepstorage")) {
            continue;
        }
        let missing: Vec<_> = GcSizes::KEYS
            .into_iter()
            .zip(sizes.values())
            .filter(|(key, _)| !has(key))
            .collect();
        for (key, size) in missing {
            table.insert(key, value(size));
        }
    }
    document.to_string()
}
