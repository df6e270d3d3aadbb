//! Reads the builder's part of a daemon.json as dockerd does: names in any case, the last of several counts, null is nothing.

use std::ops::Range;

use jsonc_parser::{
    ParseOptions,
    ast::{Object, ObjectProp, Value},
    common::Ranged as _,
    parse_to_ast,
};

use super::{
    super::{
        buildkitd::Trouble,
        cure::{self, Cure},
        place::Place,
        scalar::duration_complaint,
    },
    fields::{ALIASES, BUILDER, Field, Kind},
    filter::Refusal,
    rules::rules,
};
use crate::inventory::ConfigVerdict;

/// A release of the engine, as far as the builder's part of its configuration differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EngineRelease {
    major: u32,
}

impl EngineRelease {
    /// The newest release that rekit was compared with.
    pub const NEWEST: Self = Self { major: 28 };

    /// Returns the release of a version such as `28.5.2`; `None` for texts that are no version.
    pub fn of_version(version: &str) -> Option<Self> {
        let major = version.trim_start_matches('v').split('.').next()?;
        let major = major.parse().ok()?;
        Some(Self { major })
    }

    /// Returns whether the release bounds a cache by three sizes, and collects garbage unless told not to.
    pub(super) fn has_three_sizes(self) -> bool {
        self.major >= 28
    }

    pub(super) fn knows(self, field: &Field) -> bool {
        field.since <= self.major
    }
}

/// Returns what dockerd does with the builder's part of this daemon.json.
pub fn judge_engine(text: &str, release: EngineRelease) -> ConfigVerdict {
    let found = troubles(text, release);
    let refused = found.iter().filter(|trouble| trouble.refused.is_some());
    if let Some(first) = refused.min_by_key(|trouble| trouble.at.start) {
        let place = Place::of(text, &first.at);
        return ConfigVerdict::Refused {
            reason: first.refused.clone().unwrap_or_default(),
            line: place.line,
            column: place.column,
            length: place.length,
            excerpt: place.excerpt,
        };
    }
    if found.is_empty() {
        return ConfigVerdict::Accepted {};
    }
    let mut keys: Vec<String> = found.into_iter().map(|trouble| trouble.key).collect();
    keys.sort();
    keys.dedup();
    ConfigVerdict::Ignored { keys }
}

/// Returns everything that is wrong with the builder's part; a text that is no JSON has one trouble.
pub(super) fn troubles(text: &str, release: EngineRelease) -> Vec<Trouble> {
    let mut reading = Reading {
        text,
        release,
        troubles: Vec::new(),
    };
    match root(text) {
        Ok(Some(Value::Object(root))) => reading.root(&root),
        Ok(None | Some(Value::NullKeyword(_))) => {}
        Ok(Some(other)) => {
            let reason = "daemon.json must be one section in braces".to_owned();
            reading.refuse("", other.start()..other.end(), reason, None);
        }
        Err(refusal) => reading.refuse("", refusal.at, refusal.reason, None),
    }
    reading.troubles
}

/// Returns the whole file; `None`: it is empty. Strict JSON is decided by the stricter of two parsers, places come from the other.
pub(super) fn root(text: &str) -> Result<Option<Value<'_>>, Refusal> {
    // The daemon takes a mark at the beginning for nothing; three blanks keep every place.
    let inner = text.strip_prefix('\u{feff}').unwrap_or(text);
    if inner.trim().is_empty() {
        return Ok(None);
    }
    if let Err(error) = serde_json::from_str::<serde_json::Value>(inner) {
        let lines: usize = inner
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum();
        let at =
            (lines + error.column().saturating_sub(1)).min(inner.len()) + text.len() - inner.len();
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        return Err(Refusal {
            at: at..at + 1,
            reason: format!("this is no JSON: {words}"),
        });
    }
    if inner.len() != text.len() {
        // Places would be three bytes off; such files are rare, and their builder's part is judged without the mark.
        return Ok(None);
    }
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        ..ParseOptions::default()
    };
    Ok(
        parse_to_ast(text, &jsonc_parser::CollectOptions::default(), &strict)
            .ok()
            .and_then(|parsed| parsed.value),
    )
}

/// Returns the property that counts for a name.
pub(super) fn get<'v, 't>(object: &'v Object<'t>, name: &str) -> Option<&'v ObjectProp<'t>> {
    let wanted = name.to_lowercase();
    let mut same = object.properties.iter().filter(|property| {
        property.name.as_str().to_lowercase() == wanted
            && !matches!(property.value, Value::NullKeyword(_))
    });
    same.next_back()
}

/// Returns the section `builder.gc`, if there is one.
pub(super) fn collector<'v, 't>(root: &'v Value<'t>) -> Option<&'v Object<'t>> {
    let builder = root
        .as_object()?
        .properties
        .iter()
        .rfind(|property| property.name.as_str() == "builder")?;
    get(builder.value.as_object()?, "gc")?.value.as_object()
}

struct Reading<'a> {
    text: &'a str,
    release: EngineRelease,
    troubles: Vec<Trouble>,
}

impl Reading<'_> {
    fn refuse(&mut self, key: &str, at: Range<usize>, reason: String, cure: Option<Cure>) {
        let key = key.to_owned();
        self.troubles.push(Trouble {
            refused: Some(reason),
            key,
            at,
            cure,
        });
    }

    fn root(&mut self, root: &Object<'_>) {
        for property in &root.properties {
            let name = property.name.as_str();
            let at = property.name.start()..property.name.end();
            if name == "builder" {
                self.object("builder", property, BUILDER);
            } else if is_flattened(&property.value) {
                // An empty section is looked through and nothing is in it.
            } else if let Some(meant) = cure::meant(&["builder"], name, &[]) {
                let cure = Cure::Replace {
                    at: at.clone(),
                    with: format!("\"{meant}\""),
                };
                let reason =
                    format!("dockerd has no option `{name}` and does not start; it has `{meant}`");
                self.refuse(name, at, reason, Some(cure));
            } else if belongs_below(name) {
                let reason = format!(
                    "dockerd has no option `{name}` at the top and does not start; it belongs below `builder`"
                );
                self.refuse(name, at, reason, None);
            }
        }
        let whole = Value::Object(root.clone());
        let refused = self
            .troubles
            .iter()
            .any(|trouble| trouble.refused.is_some());
        if let (false, Some(gc)) = (refused, collector(&whole))
            && let Err(Refusal { at, reason }) = rules(gc, self.release, 0)
        {
            self.refuse("builder.gc", at, reason, None);
        }
    }

    fn object(&mut self, path: &str, property: &ObjectProp<'_>, fields: &'static [Field]) {
        match &property.value {
            Value::Object(object) => self.properties(path, object, fields),
            Value::NullKeyword(_) => {}
            other => self.wrong(path, other, "a section in braces", None),
        }
    }

    fn properties(&mut self, path: &str, object: &Object<'_>, fields: &'static [Field]) {
        for property in &object.properties {
            let name = property.name.as_str();
            let path = format!("{path}.{name}");
            let mut known = fields.iter().filter(|field| self.release.knows(field));
            match known.find(|field| field.name.to_lowercase() == name.to_lowercase()) {
                Some(field) => self.property(&path, property, field.kind),
                None => self.unread(path, property, object, fields),
            }
        }
    }

    fn unread(
        &mut self,
        key: String,
        property: &ObjectProp<'_>,
        object: &Object<'_>,
        fields: &[Field],
    ) {
        let at = property.name.start()..property.name.end();
        let known = fields.iter().filter(|field| self.release.knows(field));
        let names: Vec<&str> = known.map(|field| field.name).collect();
        let meant = cure::meant(&names, property.name.as_str(), ALIASES);
        let meant = meant.filter(|meant| get(object, meant).is_none());
        let cure = meant.map(|meant| Cure::Replace {
            at: at.clone(),
            with: format!("\"{meant}\""),
        });
        self.troubles.push(Trouble {
            refused: None,
            key,
            at,
            cure,
        });
    }

    fn property(&mut self, path: &str, property: &ObjectProp<'_>, kind: Kind) {
        let value = &property.value;
        match (kind, value) {
            (_, Value::NullKeyword(_))
            | (Kind::Flag, Value::BooleanLit(_))
            | (Kind::Size, Value::StringLit(_)) => {}
            (Kind::Object(fields), _) => self.object(path, property, fields),
            (Kind::List(fields), Value::Array(list)) => {
                for element in &list.elements {
                    match element {
                        Value::Object(object) => self.properties(path, object, fields),
                        Value::NullKeyword(_) => {}
                        other => self.wrong(path, other, "a list of sections", None),
                    }
                }
            }
            (Kind::Filter, _) => self.filter(path, value),
            (Kind::Count, Value::NumberLit(number)) if number.value.parse::<i64>().is_ok() => {}
            (Kind::Duration, Value::StringLit(text)) => {
                if let Some(complaint) = duration_complaint(&text.value) {
                    let with = cure::duration(&text.value);
                    let at = value.start()..value.end();
                    self.refuse(
                        path,
                        at.clone(),
                        complaint,
                        with.map(|with| replaced(at, &with)),
                    );
                }
            }
            (Kind::Flag, _) => self.wrong(
                path,
                value,
                "`true` or `false`, without quotation marks",
                None,
            ),
            (Kind::Size, _) => self.wrong(
                path,
                value,
                "a size in quotation marks such as `\"20GB\"`",
                None,
            ),
            (Kind::Count, _) => {
                self.wrong(path, value, "a whole number, without quotation marks", None);
            }
            (Kind::Duration, _) => self.wrong(
                path,
                value,
                "a duration in quotation marks such as `\"48h\"`",
                None,
            ),
            (Kind::List(_), _) => {
                let at = value.start()..value.end();
                let source = self.text.get(at.clone()).unwrap_or_default();
                let cure = value.as_object().map(|_| Cure::Replace {
                    at,
                    with: format!("[{source}]"),
                });
                self.wrong(path, value, "a list of sections in brackets", cure);
            }
        }
    }

    fn filter(&mut self, path: &str, value: &Value<'_>) {
        let wanted = "a list of texts such as `[\"type=exec.cachemount\", \"unused-for=48h\"]`";
        match value {
            Value::Array(list) => {
                let is_text = |element: &Value<'_>| {
                    matches!(element, Value::StringLit(_) | Value::NullKeyword(_))
                };
                if let Some(other) = list.elements.iter().find(|element| !is_text(element)) {
                    self.wrong(path, other, wanted, None);
                }
            }
            Value::Object(names) => {
                let flags = names.properties.iter().all(|name| match &name.value {
                    Value::Object(values) => {
                        let is_flag = |value: &ObjectProp<'_>| {
                            matches!(value.value, Value::BooleanLit(_) | Value::NullKeyword(_))
                        };
                        values.properties.iter().all(is_flag)
                    }
                    other => matches!(other, Value::NullKeyword(_)),
                });
                if !flags {
                    self.wrong(path, value, wanted, None);
                }
            }
            Value::StringLit(text) => {
                let at = value.start()..value.end();
                let with = format!("[{}]", quoted(&text.value));
                self.wrong(path, value, wanted, Some(Cure::Replace { at, with }));
            }
            other => self.wrong(path, other, wanted, None),
        }
    }

    fn wrong(&mut self, path: &str, value: &Value<'_>, wanted: &str, cure: Option<Cure>) {
        let found = match value {
            Value::StringLit(_) => "a text",
            Value::NumberLit(_) => "a number",
            Value::BooleanLit(_) => "`true` or `false`",
            Value::Object(_) => "a section",
            Value::Array(_) => "a list",
            Value::NullKeyword(_) => "nothing",
        };
        let at = value.start()..value.end();
        let cure = cure.or_else(|| scalar_cure(value, wanted, &at));
        self.refuse(
            path,
            at,
            format!("`{path}` wants {wanted}, here is {found}"),
            cure,
        );
    }
}

/// Returns the value with or without quotation marks, as it is wanted.
fn scalar_cure(value: &Value<'_>, wanted: &str, at: &Range<usize>) -> Option<Cure> {
    let with = match value {
        Value::StringLit(text) if wanted.contains("without") => text.value.trim().to_lowercase(),
        Value::NumberLit(number) if wanted.contains("in quotation") => quoted(number.value),
        _ => return None,
    };
    Some(Cure::Replace {
        at: at.clone(),
        with,
    })
}

fn replaced(at: Range<usize>, text: &str) -> Cure {
    Cure::Replace {
        at,
        with: quoted(text),
    }
}

/// Returns a text as JSON writes it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn is_flattened(value: &Value<'_>) -> bool {
    value
        .as_object()
        .is_some_and(|object| object.properties.is_empty())
}

/// Returns whether a name is one of the keys below `builder`, written at the top by mistake.
fn belongs_below(name: &str) -> bool {
    let below = BUILDER
        .iter()
        .chain(BUILDER.iter().flat_map(|field| match field.kind {
            Kind::Object(fields) => fields,
            _ => &[],
        }));
    below
        .into_iter()
        .any(|field| field.name.eq_ignore_ascii_case(name))
}
