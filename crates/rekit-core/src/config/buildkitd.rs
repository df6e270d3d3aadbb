//! Judges a buildkitd.toml as the daemon would: taken, taken in part, or refused at an exact place.
//!
//! BuildKit changed its TOML reader with 0.28. The older one knows each key in four spellings (as is, lower case, upper
//! case, first letter lower), the newer one in any case; the older one refuses an empty section where it wants a value.
//! What both do was recorded from real daemons: `tests/buildkitd/cases.txt`.

use std::ops::Range;

use toml_edit::{Document, Item, Table, TableLike, Value};

use super::{
    place::Place,
    scalar::{duration_complaint, size_complaint},
    schema::{Key, ROOT, SIZE_PARTS, Shape},
};
use crate::inventory::ConfigVerdict;

/// A release of BuildKit, as far as its configuration differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    minor: u32,
}

impl Release {
    /// The newest release that rekit was compared with.
    pub const NEWEST: Self = Self { minor: 32 };

    /// Returns the release of a version such as `v0.17.3`; `None` for texts that are no version.
    pub fn of_version(version: &str) -> Option<Self> {
        let mut parts = version.trim_start_matches('v').split('.');
        let major: u32 = parts.next()?.parse().ok()?;
        let minor: u32 = parts.next()?.parse().ok()?;
        Some(Self {
            minor: if major == 0 { minor } else { u32::MAX },
        })
    }

    /// Returns whether the release bounds a cache by three sizes.
    pub fn has_three_sizes(self) -> bool {
        self.minor >= 17
    }

    /// Returns whether the release has the TOML reader that came with 0.28.
    fn reads_any_case(self) -> bool {
        self.minor >= 28
    }
}

/// Something in the text that the daemon refuses or does not read.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// Why the daemon refuses it; `None`: it only does not read it.
    pub(super) refused: Option<String>,
    /// The key, dotted.
    pub(super) key: String,
    /// The bytes that are wrong.
    pub(super) at: Range<usize>,
}

/// Returns what the newest buildkitd does with this text.
pub fn judge_buildkitd(text: &str) -> ConfigVerdict {
    judge_buildkitd_as(text, Release::NEWEST)
}

/// Returns what a buildkitd of this release does with this text.
pub fn judge_buildkitd_as(text: &str, release: Release) -> ConfigVerdict {
    let troubles = troubles(text, release);
    if let Some(first) = troubles
        .iter()
        .filter(|trouble| trouble.refused.is_some())
        .min_by_key(|trouble| trouble.at.start)
    {
        let place = Place::of(text, &first.at);
        return ConfigVerdict::Refused {
            reason: first.refused.clone().unwrap_or_default(),
            line: place.line,
            column: place.column,
            length: place.length,
            excerpt: place.excerpt,
        };
    }
    if troubles.is_empty() {
        return ConfigVerdict::Accepted {};
    }
    let mut keys: Vec<String> = troubles.into_iter().map(|trouble| trouble.key).collect();
    keys.sort();
    keys.dedup();
    ConfigVerdict::Ignored { keys }
}

/// Returns everything that is wrong with the text; a text that is no TOML has one trouble.
pub(super) fn troubles(text: &str, release: Release) -> Vec<Trouble> {
    if release.reads_any_case() && text.starts_with('\u{feff}') {
        return vec![Trouble {
            refused: Some("the file begins with a byte order mark, which is no TOML".to_owned()),
            key: String::new(),
            at: 0..3,
        }];
    }
    match Document::parse(text) {
        Ok(document) => {
            let mut reading = Reading {
                release,
                text,
                troubles: Vec::new(),
            };
            reading.syntax("", document.as_table());
            reading.section("", document.as_table(), ROOT);
            reading.rules(document.as_table());
            reading.troubles
        }
        Err(error) => {
            let at = error.span().unwrap_or(0..0);
            vec![Trouble {
                refused: Some(format!(
                    "this is no TOML: {}",
                    error.message().replace('\n', ", ")
                )),
                key: String::new(),
                at,
            }]
        }
    }
}

/// One key of a section, with what it holds.
#[derive(Clone, Copy)]
struct Entry<'a> {
    parent: &'a dyn TableLike,
    name: &'a str,
    item: &'a Item,
}

impl Entry<'_> {
    /// Returns the bytes of a heading, or of a key and its value.
    fn place(&self) -> Range<usize> {
        let key = self.parent.key(self.name).and_then(toml_edit::Key::span);
        match (key, self.item.span()) {
            (Some(key), Some(item)) if item.start >= key.end => key.start..item.end,
            (Some(key), _) => key,
            (None, Some(item)) => item,
            (None, None) => 0..0,
        }
    }
}

/// One walk through a document.
struct Reading<'a> {
    release: Release,
    text: &'a str,
    troubles: Vec<Trouble>,
}

impl Reading<'_> {
    fn refuse(&mut self, key: &str, at: Range<usize>, reason: String) {
        self.troubles.push(Trouble {
            refused: Some(reason),
            key: key.to_owned(),
            at,
        });
    }

    fn unread(&mut self, key: &str, at: Range<usize>) {
        self.troubles.push(Trouble {
            refused: None,
            key: key.to_owned(),
            at,
        });
    }

    /// Reads a section, whichever way it is written.
    fn section(&mut self, path: &str, table: &dyn TableLike, shape: Shape) {
        let groups = match shape {
            Shape::Section(groups) => groups,
            Shape::Size => SIZE_PARTS,
            Shape::Map(inner) => {
                for (name, item) in table.iter() {
                    let entry = Entry {
                        parent: table,
                        name,
                        item,
                    };
                    self.item(&join(path, name), entry, *inner);
                }
                return;
            }
            Shape::Any => return,
            _ => &[],
        };
        for (name, item) in table.iter() {
            let path = join(path, name);
            let entry = Entry {
                parent: table,
                name,
                item,
            };
            match self.find(groups, table, name) {
                Some(key) => self.item(&path, entry, key.shape),
                None => self.unread_item(&path, entry),
            }
        }
    }

    /// Returns the key that the daemon takes this name for.
    fn find<'k>(
        &self,
        groups: &'k [&'k [Key]],
        table: &dyn TableLike,
        name: &str,
    ) -> Option<&'k Key> {
        let keys = groups.iter().copied().flatten();
        keys.filter(|key| key.since <= self.release.minor)
            .find(|key| {
                if self.release.reads_any_case() {
                    return key.name.to_lowercase() == name.to_lowercase();
                }
                // The first spelling that is there counts, the others are not read.
                spellings(key.name)
                    .iter()
                    .find(|spelling| table.contains_key(spelling))
                    .is_some_and(|spelling| spelling == name)
            })
    }

    fn item(&mut self, path: &str, entry: Entry<'_>, shape: Shape) {
        let at = entry.place();
        match (entry.item, shape) {
            (Item::None, _) | (_, Shape::Any) => {}
            (Item::Value(value), _) => self.value(path, value, shape, &at),
            (
                Item::Table(table),
                Shape::Section(_) | Shape::Map(_) | Shape::Size | Shape::Duration,
            ) => {
                self.section(path, table, shape);
            }
            (Item::Table(table), Shape::Flag | Shape::Text | Shape::Integer) => {
                let harmless = table.is_empty() && !table.is_implicit();
                if !(harmless && self.release.reads_any_case()) {
                    self.refuse(path, at, section_instead(path, shape));
                }
            }
            (Item::Table(table), Shape::List(inner @ Shape::Section(_)))
                if self.release.reads_any_case() && only_lists(table) =>
            {
                self.section(path, table, *inner);
            }
            (Item::Table(_), Shape::List(_)) => {
                let reason = match shape {
                    Shape::List(Shape::Section(_)) => {
                        format!(
                            "`{path}` is a list of sections: write `[[{path}]]`, not `[{path}]`"
                        )
                    }
                    _ => section_instead(path, shape),
                };
                self.refuse(path, at, reason);
            }
            (Item::ArrayOfTables(array), Shape::List(inner)) => match inner {
                Shape::Section(_) => {
                    for table in array {
                        self.section(path, table, *inner);
                    }
                }
                _ if self.release.reads_any_case() && array.iter().all(Table::is_empty) => {}
                _ => self.refuse(path, at, section_instead(path, shape)),
            },
            (Item::ArrayOfTables(_), _) => self.refuse(
                path,
                at,
                format!("`{path}` is no list: write `[{path}]`, not `[[{path}]]`"),
            ),
        }
    }

    fn value(&mut self, path: &str, value: &Value, shape: Shape, whole: &Range<usize>) {
        let at = value.span().unwrap_or_else(|| whole.clone());
        match (value, shape) {
            (_, Shape::Any)
            | (Value::Boolean(_), Shape::Flag)
            | (Value::String(_), Shape::Text)
            | (Value::Integer(_), Shape::Integer) => {}
            (
                Value::InlineTable(table),
                Shape::Section(_) | Shape::Map(_) | Shape::Size | Shape::Duration,
            ) => self.section(path, table, shape),
            (Value::Array(array), Shape::List(inner)) => {
                if array.is_empty()
                    && matches!(inner, Shape::Section(_))
                    && !self.release.reads_any_case()
                {
                    self.refuse(path, at, "this release takes no empty list here".to_owned());
                    return;
                }
                for element in array {
                    self.value(path, element, *inner, &at);
                }
            }
            (Value::Array(_), Shape::Size | Shape::Duration)
            | (
                _,
                Shape::Flag
                | Shape::Text
                | Shape::Integer
                | Shape::List(_)
                | Shape::Map(_)
                | Shape::Section(_),
            ) => {
                self.refuse(path, at, wrong_type(path, shape, value));
            }
            (_, Shape::Size) => {
                if let Some(complaint) = size_complaint(&self.plain(value)) {
                    self.refuse(path, at, complaint);
                }
            }
            (_, Shape::Duration) => {
                if let Some(complaint) = duration_complaint(&self.plain(value)) {
                    self.refuse(path, at, complaint);
                }
            }
        }
    }

    /// Looks at the notation of everything, also of what the daemon does not read.
    fn syntax(&mut self, path: &str, table: &dyn TableLike) {
        for (name, item) in table.iter() {
            let path = join(path, name);
            match item {
                Item::Value(value) => self.notation(&path, value),
                Item::Table(table) => self.syntax(&path, table),
                Item::ArrayOfTables(array) => {
                    array.iter().for_each(|table| self.syntax(&path, table));
                }
                Item::None => {}
            }
        }
    }

    fn notation(&mut self, path: &str, value: &Value) {
        if let Some(at) = value.span() {
            self.strict(path, value, &at);
        }
        match value {
            Value::Array(array) => array.iter().for_each(|value| self.notation(path, value)),
            Value::InlineTable(table) => self.syntax(path, table),
            _ => {}
        }
    }

    /// Refuses what only TOML 1.1 knows: rekit's parser reads it, the daemon's does not.
    fn strict(&mut self, path: &str, value: &Value, at: &Range<usize>) {
        let source = self.text.get(at.clone()).unwrap_or_default();
        match value {
            Value::InlineTable(table) => {
                let inner = source.trim_end_matches('}').trim_end();
                if table.trailing_comma() || inner.ends_with(',') {
                    let reason = "no comma may stand before the closing brace".to_owned();
                    self.refuse(path, at.clone(), reason);
                } else if self.release.reads_any_case() && newline_between(source, table) {
                    let reason = "a section in braces must stay on one line".to_owned();
                    self.refuse(path, at.clone(), reason);
                }
            }
            Value::String(_) if source.starts_with('"') => {
                let unknown = if self.release.reads_any_case() {
                    "x"
                } else {
                    "xe"
                };
                if let Some(offset) = escape(source, unknown) {
                    let reason = "the daemon does not know this escape".to_owned();
                    self.refuse(path, at.start + offset..at.start + offset + 2, reason);
                }
            }
            _ => {}
        }
    }

    /// Returns the text that the daemon's own size and duration parsers see.
    fn plain(&self, value: &Value) -> String {
        match value {
            Value::String(text) => text.value().clone(),
            // The newer reader hands over the number as written, the older one its value.
            Value::Integer(number) if !self.release.reads_any_case() => number.value().to_string(),
            _ => {
                let source = value.span().and_then(|span| self.text.get(span));
                let source = source.unwrap_or_default();
                if self.release.reads_any_case() {
                    source.to_owned()
                } else {
                    source.replace('_', "")
                }
            }
        }
    }

    /// Applies what the daemon checks after reading.
    fn rules(&mut self, root: &dyn TableLike) {
        for rule in RULES {
            let Some((path, value, at)) = self.lookup(root, rule.section, rule.key) else {
                continue;
            };
            if rule.since <= self.release.minor
                && let Some(reason) = (rule.complaint)(&value)
            {
                self.refuse(&path, at, reason);
            }
        }
    }

    fn lookup(
        &self,
        root: &dyn TableLike,
        section: &str,
        key: &str,
    ) -> Option<(String, Value, Range<usize>)> {
        let same = |name: &str, wanted: &str| {
            if self.release.reads_any_case() {
                name.eq_ignore_ascii_case(wanted)
            } else {
                spellings(wanted).iter().any(|spelling| spelling == name)
            }
        };
        let (outer, table) = root.iter().find(|(name, _)| same(name, section))?;
        let (inner, item) = table
            .as_table_like()?
            .iter()
            .find(|(name, _)| same(name, key))?;
        let value = item.as_value()?;
        Some((
            format!("{outer}.{inner}"),
            value.clone(),
            value.span().unwrap_or(0..0),
        ))
    }

    /// Notes what the daemon does not read: a section by each of its headings, the rest as one.
    fn unread_item(&mut self, path: &str, entry: Entry<'_>) {
        match entry.item {
            Item::Table(table) if table.is_implicit() && !table.is_empty() => {
                for (name, item) in table {
                    let entry = Entry {
                        parent: table,
                        name,
                        item,
                    };
                    self.unread_item(&join(path, name), entry);
                }
            }
            _ => self.unread(path, entry.place()),
        }
    }
}

/// A check that the daemon makes after reading.
struct Rule {
    since: u32,
    section: &'static str,
    key: &'static str,
    complaint: fn(&Value) -> Option<String>,
}

const RULES: &[Rule] = &[
    Rule {
        since: 0,
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

/// Returns the spellings of a key that the older reader tries, in its order.
fn spellings(name: &str) -> [String; 4] {
    let mut rest = name.chars();
    let first = rest.next().map(|c| c.to_ascii_lowercase());
    [
        name.to_owned(),
        name.to_lowercase(),
        name.to_uppercase(),
        first.into_iter().chain(rest).collect(),
    ]
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Returns whether the section is only the way to lists of sections: the newer reader then begins a list by itself.
fn only_lists(table: &Table) -> bool {
    let mut items = table.iter().map(|(_, item)| item);
    table.is_implicit() && !table.is_dotted() && items.all(Item::is_array_of_tables)
}

/// Returns what the daemon wants, in words.
fn wanted(shape: Shape) -> &'static str {
    match shape {
        Shape::Flag => "`true` or `false`",
        Shape::Text => "a text in quotation marks",
        Shape::Integer => "a whole number without quotation marks",
        Shape::Size => "a size such as `\"2GB\"` or `\"10%\"`",
        Shape::Duration => "a duration such as `\"48h\"`",
        Shape::List(Shape::Text) => "a list such as `[\"a\", \"b\"]`",
        Shape::List(_) => "a list of sections",
        Shape::Map(_) | Shape::Section(_) => "a section",
        Shape::Any => "anything",
    }
}

fn wrong_type(path: &str, shape: Shape, value: &Value) -> String {
    let found = match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "`true` or `false`",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "a list",
        Value::InlineTable(_) => "a section",
    };
    format!("`{path}` wants {}, here is {found}", wanted(shape))
}

fn section_instead(path: &str, shape: Shape) -> String {
    let words = match shape {
        Shape::Flag => " (newer daemons say `unhandled kv part: bool`)",
        Shape::Text => " (newer daemons say `unhandled kv part: string`)",
        Shape::Integer => " (newer daemons say `unhandled kv part: int`)",
        _ => "",
    };
    format!("`{path}` wants {}, here is a section{words}", wanted(shape))
}

/// Returns whether the braces hold a line break that is not inside a value.
fn newline_between(source: &str, table: &toml_edit::InlineTable) -> bool {
    let start = table.span().map_or(0, |span| span.start);
    let mut outside = source.as_bytes().to_vec();
    for (_, value) in table {
        if let Some(span) = value.span() {
            let from = span.start.saturating_sub(start).min(outside.len());
            let to = span.end.saturating_sub(start).clamp(from, outside.len());
            outside[from..to].fill(b' ');
        }
    }
    outside.contains(&b'\n')
}

/// Returns where the first escape with one of these letters is.
fn escape(source: &str, letters: &str) -> Option<usize> {
    let mut characters = source.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            let (_, letter) = characters.next()?;
            if letters.contains(letter) {
                return Some(at);
            }
        }
    }
    None
}
