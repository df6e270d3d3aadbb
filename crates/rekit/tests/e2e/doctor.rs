//! The doctor on each failure mode of the catalogue, planted for real: it names the cause and raises no other alarm.
//!
//! CI runs a seeded sample; `scripts/campaign doctor` runs all, on two versions of buildx, and its table is in docs/campaigns/doctor.md.

#![expect(clippy::print_stdout, reason = "a campaign tells its table")]

use crate::{
    doctor_table::{CATALOGUE, ELSEWHERE, NOT_HERE, ROWS, Row},
    support::{Dice, Planted, set_by},
};
use rekit_lab::modes;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Instant,
};

/// At least this many of a hundred modes are named.
const WANTED_PERCENT: usize = 95;

#[test]
fn every_mode_that_was_seen_is_in_the_table_or_has_its_reason() {
    let shown: BTreeSet<&str> = slugs().collect();
    let excused: BTreeSet<&str> = NOT_HERE.iter().map(|(slug, _)| *slug).collect();
    for slug in CATALOGUE {
        let places = usize::from(shown.contains(slug)) + usize::from(excused.contains(slug));
        assert_eq!(places, 1, "`{slug}` stands in {places} of the two lists");
    }
    for (slug, reason) in NOT_HERE {
        assert!(CATALOGUE.contains(slug) && reason.len() > 20, "{slug}");
    }
    let planted: BTreeSet<&str> = ROWS.iter().map(|row| row.mode).collect();
    for mode in modes::list() {
        let is_known = planted.contains(mode.slug) || ELSEWHERE.contains(&mode.slug);
        assert!(is_known, "the lab's mode `{}` is in no row", mode.slug);
    }
    let named = ROWS.iter().flat_map(|row| row.shows);
    let named = named.filter(|(_, code)| code.is_some()).count();
    let all = slugs().count();
    assert!(named * 100 >= all * WANTED_PERCENT, "{named} of {all}");
}

#[test]
fn planted_modes_are_named_with_the_newer_buildx() {
    examine("0.36.1", set_by("DOCTOR", 10));
}

#[test]
fn planted_modes_are_named_with_the_older_buildx() {
    examine("0.29.1", set_by("DOCTOR", 4));
}

fn slugs() -> impl Iterator<Item = &'static str> {
    ROWS.iter().flat_map(|row| row.shows).map(|(slug, _)| *slug)
}

/// Returns `count` rows of those wanted, chosen by the seed; `MODE` names a single one.
pub(crate) fn sample(buildx: &str, count: usize, is_wanted: impl Fn(&Row) -> bool) -> Vec<Row> {
    let only: String = set_by("MODE", String::new());
    let named = |row: &&Row| only.is_empty() || row.mode == only;
    let wanted = ROWS.iter().filter(named).filter(|row| is_wanted(row));
    let mut rows: Vec<Row> = wanted.copied().collect();
    let mut dice =
        Dice::new(set_by("SEED", 24301) + buildx.len() as u64 * u64::from(buildx < "0.3"));
    while rows.len() > count.max(1) {
        rows.remove(usize::try_from(dice.below(rows.len() as u64)).unwrap());
    }
    rows
}

/// Plants `count` rows, each in a lab of its own, and fails where the doctor says another thing than the table.
fn examine(buildx: &str, count: usize) {
    let rows = sample(buildx, count, |_| true);
    let (mut troubles, mut lines) = (Vec::new(), Vec::new());
    for row in rows {
        let seen = Seen::of(&row, buildx);
        lines.extend(seen.lines(&row));
        troubles.extend(seen.troubles(&row));
    }
    println!(
        "\nbuildx {buildx}\n| mode | planted as | code | named | who mends | seconds of the doctor | of all |"
    );
    println!("|---|---|---|---|---|---|---|\n{}\n", lines.join("\n"));
    assert!(
        troubles.is_empty(),
        "buildx {buildx}:\n{}",
        troubles.join("\n")
    );
}

/// What the doctor said of a planted mode.
struct Seen {
    /// Who mends it, by code.
    found: BTreeMap<String, String>,
    /// Warnings and errors: code and cause.
    alarms: Vec<(String, String)>,
    doctor: f64,
    all: f64,
}

impl Seen {
    fn of(row: &Row, buildx: &str) -> Self {
        let began = Instant::now();
        let planted = Planted::new(&[*row], buildx);
        let mut seen = Self::look(&planted, began);
        // On a machine that is busy with other tests something may not answer in time: an alarm counts if it is raised every time.
        for _ in 0..3 {
            if seen.troubles(row).is_empty() {
                break;
            }
            seen = Self::look(&planted, began);
        }
        seen
    }

    fn look(planted: &Planted, began: Instant) -> Self {
        let asked = Instant::now();
        let findings = planted.findings();
        let told = |finding: &Value| (text(&finding["code"]), text(&finding["fix"]["by"]));
        Self {
            doctor: asked.elapsed().as_secs_f64(),
            all: began.elapsed().as_secs_f64(),
            alarms: alarms(&findings, planted.lab.root()),
            found: findings.iter().map(told).collect(),
        }
    }

    fn lines(&self, row: &Row) -> Vec<String> {
        let shown = row.shows.iter().map(|(slug, code)| {
            let by = code.and_then(|code| self.found.get(code));
            let (named, by) = by.map_or(("no", "-"), |by| ("yes", by.as_str()));
            let code = code.unwrap_or("-");
            let (mode, doctor, all) = (row.mode, self.doctor, self.all);
            format!("| {slug} | {mode} | {code} | {named} | {by} | {doctor:.1} | {all:.1} |")
        });
        shown.collect()
    }

    fn troubles(&self, row: &Row) -> Vec<String> {
        let codes: Vec<&str> = row.shows.iter().filter_map(|(_, code)| *code).collect();
        let missed = codes.iter().filter(|code| !self.found.contains_key(**code));
        let missed =
            missed.map(|code| format!("{}: {code} is not named, but {:?}", row.mode, self.found));
        let is_true = |code: &str| codes.contains(&code) || row.also.contains(&code);
        let wrong = self.alarms.iter().filter(|(code, _)| !is_true(code));
        let wrong =
            wrong.map(|(code, cause)| format!("{}: a wrong alarm {code}: {cause}", row.mode));
        missed.chain(wrong).collect()
    }
}

/// Returns warnings and errors: code and cause. What lies in another test's lab is seen by its processes, and is its own affair.
pub(crate) fn alarms(findings: &[Value], own: &Path) -> Vec<(String, String)> {
    let within = |folder: &Path| format!("{}/", folder.display());
    let is_theirs = |finding: &Value| {
        let said = finding.to_string();
        let is_of_a_lab = own
            .parent()
            .is_some_and(|labs| said.contains(&within(labs)));
        is_of_a_lab && !said.contains(&within(own))
    };
    let loud = findings
        .iter()
        .filter(|finding| finding["severity"] != "info" && !is_theirs(finding));
    loud.map(|finding| (text(&finding["code"]), text(&finding["cause"])))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
