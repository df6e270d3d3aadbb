//! What people see when a build fails, and what is likely behind it: a pasted error in, causes in their order out.
//!
//! Invariant: a text alone never proves a cause. It names candidates; what the doctor found on the machine puts them in order.
//! To add one, write an entry in its family's table.

mod build;
mod client;
mod daemon;
mod network;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{finding::Finding, mask};

/// How much of a line is shown, in characters.
const SHOWN: usize = 300;

/// Something that programs say when a cause is at work.
#[derive(Debug)]
pub struct Symptom {
    /// A short name of the cause.
    pub name: &'static str,
    /// What is said: one of these, all parts of it in one line, in any case.
    pub says: &'static [&'static [&'static str]],
    /// What is likely behind it.
    pub cause: &'static str,
    /// What to do next.
    pub next: &'static str,
    /// The doctor's checks that would find the cause on the machine.
    pub codes: &'static [&'static str],
}

/// The causes behind a text, the likeliest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Causes {
    /// Always `rekit/causes`.
    pub schema: String,
    /// Version of this document's shape.
    pub version: u32,
    /// How many lines the text has.
    pub lines: u64,
    /// The causes: those that the doctor found on this machine first, then those whose words fit best.
    pub likely: Vec<Cause>,
}

/// One cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// A short name.
    pub name: String,
    /// The line that shows it, counted from 1: the last one.
    pub line: u64,
    /// The line itself, credentials masked.
    pub text: String,
    /// What is likely behind it.
    pub cause: String,
    /// What to do next.
    pub next: String,
    /// The doctor's checks that look for it.
    pub codes: Vec<String>,
    /// What they found on this machine.
    pub found: Vec<Finding>,
}

impl Causes {
    /// The name of the document.
    pub const SCHEMA: &'static str = "rekit/causes";
}

/// The families; what the last one knows counts less than anything else.
const SYMPTOMS: &[&[Symptom]] = &[
    client::SYMPTOMS,
    daemon::SYMPTOMS,
    build::SYMPTOMS,
    network::SYMPTOMS,
    build::GENERAL,
];

/// Returns every symptom.
pub fn symptoms() -> impl Iterator<Item = &'static Symptom> {
    SYMPTOMS.iter().copied().flatten()
}

/// Returns what is likely behind a text, given what the doctor found.
pub fn recognise(text: &str, found: &[Finding]) -> Causes {
    let lines: Vec<_> = text
        .lines()
        .map(|line| (line, line.to_lowercase()))
        .collect();
    let mut likely: Vec<_> = symptoms()
        .filter_map(|symptom| {
            let (fit, number) = symptom.seen_in(&lines)?;
            let cause = symptom.cause_at(number, lines[number].0, found);
            let is_general = build::GENERAL.iter().any(|it| it.name == symptom.name);
            Some((cause, if is_general { 0 } else { fit }))
        })
        .collect();
    likely.sort_by_key(|(cause, fit)| std::cmp::Reverse((!cause.found.is_empty(), *fit)));
    Causes {
        schema: Causes::SCHEMA.to_owned(),
        version: 1,
        lines: count(lines.len()),
        likely: likely.into_iter().map(|(cause, _)| cause).collect(),
    }
}

impl Symptom {
    /// Returns how well the best line fits, in characters that are said, and its index; of equal ones the last.
    fn seen_in(&self, lines: &[(&str, String)]) -> Option<(usize, usize)> {
        let fits = |line: &str| {
            let said = self.says.iter().filter(|parts| {
                let mut parts = parts.iter();
                parts.all(|part| line.contains(&part.to_lowercase()))
            });
            said.map(|parts| parts.iter().map(|part| part.len()).sum())
                .max()
        };
        let lines = lines.iter().enumerate();
        lines
            .filter_map(|(number, (_, line))| Some((fits(line)?, number)))
            .max()
    }

    fn cause_at(&self, number: usize, line: &str, found: &[Finding]) -> Cause {
        let shown: String = line.trim().chars().take(SHOWN).collect();
        let codes: Vec<_> = self.codes.iter().map(|&code| code.to_owned()).collect();
        let found = found.iter().filter(|finding| codes.contains(&finding.code));
        Cause {
            name: self.name.to_owned(),
            line: count(number) + 1,
            text: mask::text(&shown),
            cause: self.cause.to_owned(),
            next: self.next.to_owned(),
            found: found.cloned().collect(),
            codes,
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        doctor::explain,
        finding::{Fix, FixBy, Severity, Subject},
    };

    fn finding(code: &str) -> Finding {
        Finding {
            code: code.to_owned(),
            severity: Severity::Error,
            subject: Subject {
                kind: String::new(),
                host: String::new(),
                store: String::new(),
                name: String::new(),
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

    fn names(text: &str, found: &[Finding]) -> Vec<String> {
        let causes = recognise(text, found).likely.into_iter();
        causes.map(|cause| cause.name).collect()
    }

    #[test]
    fn each_has_a_name_of_its_own_words_and_checks_that_exist() {
        let mut seen = BTreeSet::new();
        for symptom in symptoms() {
            assert!(seen.insert(symptom.name), "{} twice", symptom.name);
            assert!(!symptom.says.is_empty(), "{}", symptom.name);
            for part in symptom.says.iter().copied().flatten() {
                assert!(
                    part.len() > 3,
                    "{}: `{part}` is said everywhere",
                    symptom.name
                );
            }
            for code in symptom.codes {
                assert!(explain(code).is_some(), "{}: {code}", symptom.name);
            }
        }
    }

    #[test]
    fn the_words_that_fit_best_come_first() {
        let plugin = "WARNING: Plugin \"/p/docker-buildx\" is not valid: failed to fetch metadata: fork/exec /p/docker-buildx: exec format error";
        assert_eq!(names(plugin, &[])[0], "plugin-cannot-run");
        let emulator = "#7 0.1 exec /bin/sh: exec format error";
        assert_eq!(names(emulator, &[]), ["foreign-program"]);
        assert_eq!(names("all is well", &[]), Vec::<String>::new());
    }

    #[test]
    fn what_the_doctor_found_here_goes_before_words() {
        let text =
            "ERROR: docker endpoint for \"default\" not found\nerror: context deadline exceeded";
        let cold = names(text, &[]);
        assert_eq!(cold[0], "context-unreadable");
        let known = recognise(text, &[finding("RK312")]);
        assert_eq!(known.likely[0].name, "daemon-does-not-answer");
        assert_eq!(known.likely[0].line, 2);
        assert_eq!(known.likely[0].found[0].code, "RK312");
    }

    #[test]
    fn a_credential_in_a_pasted_line_is_masked() {
        let text = "failed to fetch oauth token: https://anna:hunter2@registry.example/token";
        let causes = recognise(text, &[]);
        assert!(!causes.likely[0].text.contains("hunter2"), "{causes:?}");
    }
}
