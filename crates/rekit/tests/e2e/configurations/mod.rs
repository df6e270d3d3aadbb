//! What rekit says of configurations, against what real daemons do with the same text.
//!
//! Half of the texts are made by a seed, the others are such as people have. CI asks a sample; `scripts/campaign configurations` asks all.
#![expect(clippy::print_stdout, reason = "a campaign tells its table")]

mod buildkitd;
mod dockerd;
mod json;
mod real;
mod toml;

use crate::support::set_by;
use std::{collections::BTreeMap, fmt};

/// A text that a daemon is asked about.
struct Question {
    /// What kind of text it is.
    family: &'static str,
    text: String,
}

/// What a daemon did, or rekit said it would do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Refused(String),
    Accepted,
    /// The rules of garbage collection that it runs with, one a line.
    Rules(String),
    /// It started and said nothing of use, for reasons that are not the text's.
    Unasked,
}

impl Answer {
    fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused(_), Self::Refused(_)) => true,
            (Self::Rules(one), Self::Rules(other)) => one == other,
            (Self::Refused(_), _) | (_, Self::Refused(_)) => false,
            _ => true,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(words) => write!(f, "refused: {words}"),
            Self::Accepted => write!(f, "accepted"),
            Self::Rules(rules) => write!(f, "accepted, with the rules\n{rules}"),
            Self::Unasked => write!(f, "unasked"),
        }
    }
}

/// What came of comparing, by daemon and family.
#[derive(Default)]
struct Tally {
    /// Agreed, rules among them, and all.
    counts: BTreeMap<(String, &'static str), [usize; 3]>,
    disagreements: Vec<String>,
    /// How many had no answer for reasons of the machine, such as a file that is not there.
    unasked: usize,
}

impl Tally {
    fn add(&mut self, daemon: &str, question: &Question, did: &Answer, said: &Answer) {
        if *did == Answer::Unasked {
            self.unasked += 1;
            return;
        }
        let counts = self
            .counts
            .entry((daemon.to_owned(), question.family))
            .or_default();
        counts[2] += 1;
        if did.agrees_with(said) {
            counts[0] += 1;
            counts[1] += usize::from(matches!(did, Answer::Rules(_)));
            return;
        }
        let disagreement = format!(
            "### {daemon}, {}\n\n```\n{}\n```\n\n- the daemon: {did}\n- rekit: {said}\n",
            question.family,
            question.text.trim_end()
        );
        println!("{disagreement}");
        self.disagreements.push(disagreement);
    }

    /// Returns all comparisons and those that agreed.
    fn sum(&self) -> (usize, usize) {
        let counts = self.counts.values();
        counts.fold((0, 0), |(all, agreed), count| {
            (all + count[2], agreed + count[0])
        })
    }

    /// Asserts that at least 99 in 100 agree.
    fn is_good(&self, at_least: usize) {
        println!("{self}");
        let (all, agreed) = self.sum();
        assert!(all >= at_least, "only {all} comparisons\n{self}");
        assert!(agreed * 100 >= all * 99, "{agreed} of {all} agree\n{self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| daemon | texts | asked | agreed | of these by their live rules |"
        )?;
        writeln!(f, "|---|---|---|---|---|")?;
        for ((daemon, family), [agreed, rules, all]) in &self.counts {
            writeln!(f, "| {daemon} | {family} | {all} | {agreed} | {rules} |")?;
        }
        let (all, agreed) = self.sum();
        writeln!(f, "| all | | {all} | {agreed} | |")?;
        writeln!(
            f,
            "\nWithout an answer, for want of a file: {}.",
            self.unasked
        )?;
        for disagreement in &self.disagreements {
            writeln!(f, "\n{disagreement}")?;
        }
        Ok(())
    }
}

/// Returns how many generated texts each daemon is asked about.
fn wanted(usual: usize) -> usize {
    set_by("CONFIGURATIONS", usual)
}
