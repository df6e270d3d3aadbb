//! One case of a check: a finding without its code and severity, put together step by step.

use crate::finding::{Fix, FixBy, Subject};

/// A finding in the making.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) subject: Subject,
    pub(super) cause: String,
    pub(super) evidence: Vec<String>,
    pub(super) fix: Fix,
}

impl Case {
    /// Begins a case about something of this kind and name.
    pub(super) fn of(kind: &str, name: &(impl ToString + ?Sized)) -> Self {
        Self {
            subject: Subject {
                kind: kind.to_owned(),
                host: String::new(),
                store: String::new(),
                name: name.to_string(),
            },
            cause: String::new(),
            evidence: Vec::new(),
            fix: Fix {
                by: FixBy::Hand,
                summary: String::new(),
                commands: Vec::new(),
            },
        }
    }

    /// Says on which host.
    pub(super) fn host(mut self, host: &(impl ToString + ?Sized)) -> Self {
        self.subject.host = host.to_string();
        self
    }

    /// Says in which store.
    pub(super) fn store(mut self, store: &(impl ToString + ?Sized)) -> Self {
        self.subject.store = store.to_string();
        self
    }

    /// Says what the problem is and why.
    pub(super) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = cause.into();
        self
    }

    /// Adds what was read where.
    pub(super) fn seen(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// Says who mends it and how.
    pub(super) fn fix(mut self, by: FixBy, summary: impl Into<String>) -> Self {
        self.fix.by = by;
        self.fix.summary = summary.into();
        self
    }

    /// Adds a command that a person can run instead.
    pub(super) fn run(mut self, command: impl Into<String>) -> Self {
        self.fix.commands.push(command.into());
        self
    }
}

/// Returns a word as a POSIX shell takes it literally.
pub(super) fn quoted(word: &(impl ToString + ?Sized)) -> String {
    let word = word.to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
