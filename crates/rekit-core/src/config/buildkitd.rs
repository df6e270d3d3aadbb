//! Judges a buildkitd.toml as the daemon would: taken, taken in part, or refused at an exact place.
//!
//! BuildKit changed its TOML reader with 0.28. The older one knows each key in four spellings (as is, lower case, upper
//! case, first letter lower), the newer one in any case; the older one refuses an empty section where it wants a value.
//! What both do was recorded from real daemons: `tests/buildkitd/cases.txt`.

use std::ops::Range;

use toml_edit::{Document, Item, Table, TableLike, Value};

use super::{
    cure::{self, Cure},
    place::Place,
    policy::Reader,
    rules::{RULES, lone_half},
    scalar::{duration_complaint, size_complaint},
    schema::{Key, ROOT, SIZE_PARTS, Shape},
    words::{section_instead, wrong_type},
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

    /// Returns whether a key that came with this minor release is known.
    pub(super) fn knows(self, since: u32) -> bool {
        since <= self.minor
    }

    /// Returns whether the release has the TOML reader that came with 0.28.
    pub(super) fn reads_any_case(self) -> bool {
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
    /// What to write instead, where that can be known.
    pub(super) cure: Option<Cure>,
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
            cure: Some(Cure::Replace {
                at: 0..3,
                with: String::new(),
            }),
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
                cure: None,
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
            cure: None,
        });
    }

    /// Says how the trouble that was noted last goes away.
    fn cured(&mut self, cure: Option<Cure>) {
        if let Some(last) = self.troubles.last_mut() {
            last.cure = cure;
        }
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
            if let Some(key) = self.find(groups, table, name) {
                self.item(&path, entry, key.shape);
            } else {
                let cure = cure::of_name(groups, table, entry.name, self.release);
                self.unread_item(&path, entry, cure.as_ref());
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
        keys.filter(|key| self.release.knows(key.since))
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
                    self.cured(cure::of_flag_section(path, table, shape));
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
                let cure = cure::of_heading(self.text, &at, shape);
                self.refuse(path, at, reason);
                self.cured(cure);
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
            (Item::ArrayOfTables(_), _) => {
                let cure = cure::of_heading(self.text, &at, shape);
                let reason = format!("`{path}` is no list: write `[{path}]`, not `[[{path}]]`");
                self.refuse(path, at, reason);
                self.cured(cure);
            }
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
                let cure = cure::of_value(value, shape, &at);
                self.refuse(path, at, wrong_type(path, shape, value));
                self.cured(cure);
            }
            (_, Shape::Size | Shape::Duration) => {
                let plain = self.plain(value);
                let complaint = match shape {
                    Shape::Size => size_complaint(&plain),
                    _ => duration_complaint(&plain),
                };
                if let Some(complaint) = complaint {
                    let cure = cure::of_value(value, shape, &at);
                    self.refuse(path, at, complaint);
                    self.cured(cure);
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

    fn plain(&self, value: &Value) -> String {
        plain(self.text, value, self.release)
    }

    /// Applies what the daemon checks after reading.
    fn rules(&mut self, root: &dyn TableLike) {
        let (text, release) = (self.text, self.release);
        if let Some((path, at, reason)) = lone_half(Reader { text, release }, root) {
            self.refuse(&path, at, reason);
        }
        for rule in RULES {
            let Some((path, value, at)) = self.lookup(root, rule.section, rule.key) else {
                continue;
            };
            if self.release.knows(rule.since)
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
    fn unread_item(&mut self, path: &str, entry: Entry<'_>, cure: Option<&Cure>) {
        match entry.item {
            Item::Table(table) if table.is_implicit() && !table.is_empty() => {
                for (name, item) in table {
                    let entry = Entry {
                        parent: table,
                        name,
                        item,
                    };
                    self.unread_item(&join(path, name), entry, None);
                }
            }
            item => {
                let moved = || cure::of_section(self.text, path, item, self.release);
                self.troubles.push(Trouble {
                    refused: None,
                    key: path.to_owned(),
                    at: entry.place(),
                    cure: cure.cloned().or_else(moved),
                });
            }
        }
    }
}

/// Returns the text that the daemon's own size and duration parsers see.
pub(super) fn plain(text: &str, value: &Value, release: Release) -> String {
    match value {
        Value::String(text) => text.value().clone(),
        // The newer reader hands over the number as written, the older one its value.
        Value::Integer(number) if !release.reads_any_case() => number.value().to_string(),
        _ => {
            let source = value.span().and_then(|span| text.get(span));
            let source = source.unwrap_or_default();
            if release.reads_any_case() {
                source.to_owned()
            } else {
                source.replace('_', "")
            }
        }
    }
}

/// Returns the spellings of a key that the older reader tries, in its order.
pub(super) fn spellings(name: &str) -> [String; 4] {
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
