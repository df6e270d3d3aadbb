//! One case of a check: a finding without its code and severity, put together step by step.

use super::remedy::Remedy;
use crate::finding::{Fix, FixBy, Subject};

/// What rekit does about a case: one thing, several, or none.
pub(super) trait Remedies {
    /// Returns them all.
    fn list(self) -> Vec<Remedy>;
}

impl Remedies for Remedy {
    fn list(self) -> Vec<Remedy> {
        vec![self]
    }
}

impl Remedies for Option<Remedy> {
    fn list(self) -> Vec<Remedy> {
        self.into_iter().collect()
    }
}

impl Remedies for Option<Vec<Remedy>> {
    fn list(self) -> Vec<Remedy> {
        self.unwrap_or_default()
    }
}

/// A finding in the making.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) subject: Subject,
    pub(super) cause: String,
    pub(super) evidence: Vec<String>,
    pub(super) fix: Fix,
    pub(super) remedies: Vec<Remedy>,
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
            remedies: Vec::new(),
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

    /// Says how a person mends it; rekit cannot.
    pub(super) fn by_hand(mut self, summary: impl Into<String>) -> Self {
        self.fix.by = FixBy::Hand;
        self.fix.summary = summary.into();
        self
    }

    /// Says how rekit mends it by itself.
    pub(super) fn by_itself(self, remedy: impl Remedies, summary: impl Into<String>) -> Self {
        self.by_rekit(FixBy::Automatic, remedy.list(), summary)
    }

    /// Says how rekit mends it once a person agreed; without a remedy it is a person's to do.
    pub(super) fn with_consent(self, remedy: impl Remedies, summary: impl Into<String>) -> Self {
        self.by_rekit(FixBy::Consent, remedy.list(), summary)
    }

    fn by_rekit(mut self, by: FixBy, remedies: Vec<Remedy>, summary: impl Into<String>) -> Self {
        let can = !remedies.is_empty();
        self.fix.by = if can { by } else { FixBy::Hand };
        self.fix.summary = summary.into();
        self.remedies = remedies;
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
