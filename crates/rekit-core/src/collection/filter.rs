//! The filters of a rule, in containerd's language: alternatives in a list, within one a comma for "and".
//!
//! Source: containerd `pkg/filters/parser.go` and `scanner.go` 2.1 (the same language in 1.7), and `adaptUsageInfo` in BuildKit's
//! `cache/manager.go`, which tells what can be asked of a record. A filter that does not parse ends the whole collection.

use super::{behaviour::Behaviour, record::CacheRecord};

/// Why a filter cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterFault {
    /// The daemon cannot read it either.
    #[error("the daemon cannot read the filter `{filter}`: {why}")]
    Refused {
        /// The filter.
        filter: String,
        /// Why.
        why: &'static str,
    },
    /// rekit cannot.
    #[error("rekit does not follow the filter `{filter}`: {why}")]
    Unknown {
        /// The filter.
        filter: String,
        /// Why.
        why: &'static str,
    },
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Present,
    Equal,
    Unequal,
    Contains,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) field: String,
    pub(super) operator: Operator,
    pub(super) value: String,
}

/// The filters of a rule: one of these, all conditions of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filters(pub(super) Vec<Vec<Selector>>);

impl Filters {
    pub(super) fn parse(filters: &[String]) -> Result<Self, FilterFault> {
        let all: Result<_, _> = filters.iter().map(|filter| parse(filter)).collect();
        Ok(Self(all?))
    }

    pub(super) fn match_record(&self, record: &CacheRecord, behaviour: Behaviour) -> bool {
        let fits = |selectors: &Vec<Selector>| {
            let mut selectors = selectors.iter();
            selectors.all(|selector| selector.fits(record, behaviour))
        };
        self.0.is_empty() || self.0.iter().any(fits)
    }
}

impl Selector {
    fn fits(&self, record: &CacheRecord, behaviour: Behaviour) -> bool {
        let (value, is_present) = self.asked_of(record, behaviour);
        match self.operator {
            Operator::Present => is_present,
            Operator::Equal => is_present && value == self.value,
            Operator::Unequal => value != self.value,
            Operator::Contains => value.contains(&self.value),
        }
    }

    /// Returns what a collection tells of a record: neither its parents nor whether it is in use, though `docker buildx du` does.
    fn asked_of<'a>(&self, record: &'a CacheRecord, behaviour: Behaviour) -> (&'a str, bool) {
        match self.field.as_str() {
            "id" => (&record.id, true),
            "type" => (&record.kind, true),
            "description" if behaviour.filters_by_description => {
                (&record.description, !record.description.is_empty())
            }
            "mutable" => ("", record.mutable),
            "immutable" => ("", !record.mutable),
            "shared" => ("", record.shared),
            "private" => ("", !record.shared),
            _ => ("", false),
        }
    }
}

fn parse(filter: &str) -> Result<Vec<Selector>, FilterFault> {
    let fault = |why| FilterFault::Refused {
        filter: filter.to_owned(),
        why,
    };
    if filter.is_empty() {
        return Ok(Vec::new());
    }
    let mut scanner = Scanner { left: filter };
    let mut selectors = Vec::new();
    loop {
        let selector = scanner.selector().map_err(|stop| match stop {
            Stop::Refused(why) => fault(why),
            Stop::Unknown(why) => FilterFault::Unknown {
                filter: filter.to_owned(),
                why,
            },
        })?;
        selectors.push(selector);
        match scanner.left.strip_prefix(',') {
            Some(left) => scanner.left = left,
            None if scanner.left.is_empty() => return Ok(selectors),
            None => return Err(fault("something stands between two conditions")),
        }
    }
}

enum Stop {
    Refused(&'static str),
    Unknown(&'static str),
}

struct Scanner<'a> {
    left: &'a str,
}

impl<'a> Scanner<'a> {
    fn selector(&mut self) -> Result<Selector, Stop> {
        let mut field = self.field()?.to_owned();
        while let Some(left) = self.left.strip_prefix('.') {
            self.left = left;
            field = format!("{field}.{}", self.field()?);
        }
        if self.left.is_empty() || self.left.starts_with(',') {
            return Ok(Selector {
                field,
                operator: Operator::Present,
                value: String::new(),
            });
        }
        let operator = self.taken(|letter| matches!(letter, '=' | '!' | '~'));
        let operator = match operator {
            "==" => Operator::Equal,
            "!=" => Operator::Unequal,
            "~=" => Operator::Contains,
            _ => return Err(Stop::Refused("it wants `==`, `!=` or `~=`")),
        };
        let value = self.value()?;
        let is_plain = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | ' ');
            text.chars().all(plain)
        };
        if operator == Operator::Contains && !is_plain(&value) {
            return Err(Stop::Unknown("it is a regular expression"));
        }
        Ok(Selector {
            field,
            operator,
            value,
        })
    }

    fn field(&mut self) -> Result<&'a str, Stop> {
        let field = self.taken(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        match field {
            "" if self.left.starts_with('"') => Err(Stop::Unknown("a field is quoted")),
            "" => Err(Stop::Refused("a field is missing")),
            field => Ok(field),
        }
    }

    fn value(&mut self) -> Result<String, Stop> {
        self.left = self.left.trim_start();
        if let Some(left) = self.left.strip_prefix('"') {
            let (value, left) = left
                .split_once('"')
                .ok_or(Stop::Refused("a quote is not closed"))?;
            if value.contains('\\') {
                return Err(Stop::Unknown("a quoted value has a backslash"));
            }
            self.left = left;
            return Ok(value.to_owned());
        }
        if self.left.starts_with(['/', '|']) {
            return Err(Stop::Unknown("a value is quoted by a bar or a stroke"));
        }
        if self.left.starts_with('.') {
            return Err(Stop::Refused("a value is missing"));
        }
        match self.taken(|letter| letter != ',' && !letter.is_whitespace()) {
            "" => Err(Stop::Refused("a value is missing")),
            value => Ok(value.to_owned()),
        }
    }

    /// Takes letters of one sort, space before them skipped.
    fn taken(&mut self, is_meant: impl Fn(char) -> bool) -> &'a str {
        let text = self.left.trim_start();
        let end = text.find(|letter| !is_meant(letter)).unwrap_or(text.len());
        let (taken, left) = text.split_at(end);
        if !taken.is_empty() {
            self.left = left;
        }
        taken
    }
}
