//! Foreign files as they may be shown: each kind by its own structure, so that a secret is known by its place and not by its look.
//!
//! Invariant: a file that does not parse shows less, never more.

use serde_json::{Map, Value};
use toml_edit::{DocumentMut, Item, Table, Value as TomlValue};

use crate::mask::{MASK, is_plain_path};

use super::{
    known::{self, hides},
    net, setting,
};

/// The kind of a file, which decides how it is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A document of rekit's own: nothing in it is hidden by the name of a field.
    Document,
    /// Foreign JSON: config.json, daemon.json, a context, Desktop's settings.
    Json,
    /// A builder record: JSON, with files in it that are shown apart or not at all.
    Record,
    /// TOML.
    Toml,
    /// A systemd unit.
    Unit,
    /// Any other text, such as a log.
    Text,
}

/// Returns a foreign file as it may be shown.
pub(super) fn masked(kind: Kind, content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    let text = text.trim_start_matches('\u{feff}');
    match kind {
        Kind::Document | Kind::Json | Kind::Record => json(kind, text),
        Kind::Toml => toml(text),
        Kind::Unit => unit(text),
        Kind::Text => net::all(text),
    }
}

/// Returns the buildkitd.toml of each node of a record, as it may be shown.
pub(super) fn configurations(record: &[u8]) -> Vec<(String, String)> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let Ok(record) = serde_json::from_slice::<Value>(record) else {
        return Vec::new();
    };
    let nodes = get(&record, "Nodes").and_then(Value::as_array);
    let found = nodes.into_iter().flatten().filter_map(|node| {
        let name = get(node, "Name")?.as_str()?;
        let encoded = get(node, "Files")?.get("buildkitd.toml")?.as_str()?;
        let content = STANDARD.decode(encoded).ok()?;
        Some((name.to_owned(), masked(Kind::Toml, &content)))
    });
    found.collect()
}

/// Returns a field; the case of its name does not count.
fn get<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let fields = value.as_object()?.iter();
    let mut found = fields.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value)
}

fn json(kind: Kind, text: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        return broken_json(text);
    };
    Json { kind }.value(&mut value, "", false);
    match serde_json::to_string_pretty(&value) {
        Ok(text) => net::shapes(&text) + "\n",
        Err(error) => unreachable!("BUG: a value that was parsed cannot be written: {error}"),
    }
}

/// Hides what is secret in a JSON value.
struct Json {
    kind: Kind,
}

impl Json {
    /// `name` is the one that the value stands behind, `is_below` whether it lies below one whose every value is hidden.
    fn value(&self, value: &mut Value, name: &str, is_below: bool) {
        let is_own = self.kind == Kind::Document;
        let is_hidden = is_below || (!is_own && hides(name));
        match value {
            Value::String(text) => {
                let shows_path = !is_below && is_plain_path(text);
                *text = match name.strip_prefix("env.") {
                    Some(variable) => setting::shown(variable, text),
                    None if is_hidden && !text.is_empty() && !shows_path => MASK.to_owned(),
                    None => net::all(text),
                };
            }
            Value::Number(_) if is_hidden => *value = Value::from(MASK),
            Value::Array(entries) => self.entries(entries, name, is_below),
            Value::Object(_) if !is_own && known::leaves_out(name) => *value = Value::from(MASK),
            Value::Object(fields) => self.fields(fields, name, is_below),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn entries(&self, entries: &mut [Value], name: &str, is_below: bool) {
        let mut hides_next = false;
        for entry in entries {
            let word = entry.as_str().unwrap_or_default().to_owned();
            if hides_next && !word.is_empty() {
                *entry = Value::from(MASK);
            } else if known::holds_variables(name)
                && let Some((variable, value)) = word.split_once('=')
            {
                let shown = setting::shown(variable, value);
                *entry = Value::from(format!("{variable}={shown}"));
            } else {
                self.value(entry, name, is_below);
            }
            hides_next = net::is_secret_flag(&word);
        }
    }

    fn fields(&self, fields: &mut Map<String, Value>, name: &str, is_below: bool) {
        let is_own = self.kind == Kind::Document;
        let is_below = is_below || (!is_own && known::hides_values(name));
        let holds_files = self.kind == Kind::Record && name.eq_ignore_ascii_case("Files");
        if is_own {
            hide_digest(fields);
        }
        for (key, value) in fields.iter_mut() {
            match value {
                Value::String(text) if holds_files => {
                    let bytes = text.trim_end_matches('=').len() * 3 / 4;
                    *text = format!("{MASK} ({bytes} bytes)");
                }
                Value::String(text) if !is_own && known::holds_variables(name) => {
                    *text = setting::shown(key, text);
                }
                _ if holds_files => *value = Value::from(MASK),
                _ => self.value(value, key, is_below),
            }
        }
    }
}

/// Hides the digest of a foreign file: with it one could try out what the secrets in the file are.
fn hide_digest(fields: &mut Map<String, Value>) {
    if !fields.contains_key("size_bytes") {
        return;
    }
    match fields.get_mut("digest") {
        Some(Value::String(digest)) => *digest = "0".repeat(digest.len()),
        Some(Value::Object(fact)) if fact.contains_key("known") => {
            *fact = Map::new();
            let reason = "left out: with it the secrets of the file could be tried out";
            fact.insert(
                "unreadable".to_owned(),
                serde_json::json!({ "reason": reason }),
            );
        }
        _ => {}
    }
}

/// Shows the bones of a JSON text that does not parse: punctuation, numbers and well-known names. Where the damage is, nobody can tell a name
/// from a value.
fn broken_json(text: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            c if c.is_whitespace() || "{}[]:,".contains(c) => {
                shown.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "{}[]:,\"".contains(c));
                end.unwrap_or(rest.len())
            }
        };
        let word = &rest[..length];
        let inner = word.trim_matches('"');
        let is_plain = ["true", "false", "null", ""].contains(&inner)
            || (inner.len() <= 4 && inner.bytes().all(|byte| byte.is_ascii_digit()));
        shown.push_str(if is_plain || known::is_key(inner) {
            word
        } else {
            MASK
        });
        rest = &rest[length..];
    }
    shown
}

/// Returns how many bytes a quoted string at the beginning of a text has; to the end of the line where it does not end.
fn string_length(text: &str) -> usize {
    let (bytes, mut at) = (text.as_bytes(), 1);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\n' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn toml(text: &str) -> String {
    let shown = text.parse::<DocumentMut>().map(|mut document| {
        toml_table(document.as_table_mut(), false);
        document.to_string()
    });
    net::all(&shown.unwrap_or_else(|_| broken_toml(text)))
}

/// Hides line by line, where the text does not parse, what the table would have hidden.
fn broken_toml(text: &str) -> String {
    let (mut shown, mut hides_all, mut is_open) = (String::with_capacity(text.len()), false, false);
    for line in text.split_inclusive('\n') {
        let end = if line.ends_with('\n') { "\n" } else { "" };
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let name = name.trim().trim_matches(['"', '\'']);
        let is_header = name.starts_with('[') && value.is_empty() && !is_open;
        if is_header {
            hides_all = name.split(['.', '[', ']', '"', '\'', ' ']).any(hides);
        }
        if is_open || (hides_all && !is_header && !name.is_empty()) {
            is_open &= !line.contains(']');
            shown.extend([MASK, end]);
        } else if !value.is_empty() && (hides(name) || known::holds_variables(name)) {
            is_open = value.contains('[') && !value.contains(']');
            shown.extend([name, " = ", MASK, end]);
        } else {
            shown.push_str(line);
        }
    }
    shown
}

fn toml_table(table: &mut Table, is_below: bool) {
    for (key, item) in table.iter_mut() {
        let is_below = is_below || hides(&key);
        let holds_variables = known::holds_variables(&key);
        match item {
            Item::None => {}
            Item::Value(value) => toml_value(value, (&key, holds_variables), is_below),
            Item::Table(table) => toml_table(table, is_below),
            Item::ArrayOfTables(tables) => {
                tables
                    .iter_mut()
                    .for_each(|table| toml_table(table, is_below));
            }
        }
    }
}

/// `holds_variables`: whether the value is a list of `NAME=value`.
fn toml_value(value: &mut TomlValue, (name, holds_variables): (&str, bool), is_below: bool) {
    let shown = match value {
        TomlValue::String(text) => {
            let text = text.value();
            match text.split_once('=').filter(|_| holds_variables) {
                Some((name, value)) => format!("{name}={}", setting::shown(name, value)),
                None if is_below && !text.is_empty() && !is_plain_path(text) => MASK.to_owned(),
                None => net::all(text),
            }
        }
        TomlValue::Integer(_) | TomlValue::Float(_) if is_below => MASK.to_owned(),
        TomlValue::Array(entries) => {
            let inner = (name, holds_variables);
            return entries
                .iter_mut()
                .for_each(|entry| toml_value(entry, inner, is_below));
        }
        TomlValue::InlineTable(table) => {
            return table.iter_mut().for_each(|(key, value)| {
                toml_value(value, (&key, false), is_below || hides(&key));
            });
        }
        _ => return,
    };
    if value.as_str() != Some(shown.as_str()) {
        let decor = value.decor().clone();
        *value = TomlValue::from(shown);
        *value.decor_mut() = decor;
    }
}

fn unit(text: &str) -> String {
    let mut directive = String::new();
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let body = line.trim_start_matches(['#', ';', ' ', '\t']);
        let indent = &line[..line.len() - body.len()];
        let goes_on = shown.trim_end_matches(['\n', '\r']).ends_with('\\');
        let words = match body.split_once('=') {
            _ if goes_on => body,
            Some((name, rest)) => {
                name.trim().clone_into(&mut directive);
                rest
            }
            None => {
                directive.clear();
                body
            }
        };
        shown.push_str(indent);
        shown.push_str(&body[..body.len() - words.len()]);
        if directive.eq_ignore_ascii_case("Environment") {
            shown.push_str(&variables(words));
        } else {
            shown.push_str(words);
        }
    }
    net::all(&shown)
}

/// Hides the values in a line of `NAME=value "NAME=value"`.
fn variables(line: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(line.len()), line);
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            shown.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let length = word_length(rest);
        let word = &rest[..length];
        let quote = if "\"'".contains(first) {
            &word[..1]
        } else {
            ""
        };
        let plain = word.trim_matches(['"', '\'']);
        match plain.split_once('=') {
            Some((name, value)) => {
                let value = setting::shown(name, value.trim_matches(['"', '\'']));
                shown.extend([quote, name, "=", &value, quote]);
            }
            None if plain == "\\" || plain.is_empty() => shown.push_str(word),
            None => shown.push_str(MASK),
        }
        rest = &rest[length..];
    }
    shown
}

/// Returns how many bytes the first word of a line has, quoted blanks included.
fn word_length(line: &str) -> usize {
    let (mut quote, mut is_escaped) = (None, false);
    for (at, c) in line.char_indices() {
        match (quote, c) {
            _ if is_escaped => is_escaped = false,
            (_, '\\') if at + 1 < line.trim_end().len() => is_escaped = true,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, _) if c.is_whitespace() => return at,
            _ => {}
        }
    }
    line.trim_end_matches(['\n', '\r']).len().max(1)
}
