//! The requirements of issue 1 and the tests that show them: a test bears the IDs in its name (`r2_2_5_…`).
//!
//! docs/requirements-issue-1.txt lists each ID as `done` or `open`; one that is `done` without a test fails here.
#![expect(clippy::print_stdout, reason = "CI prints the table")]

use crate::{files, none, root, text};
use std::collections::BTreeMap;

#[test]
fn every_requirement_that_is_done_has_a_test() {
    let tests = tests_by_requirement();
    let (mut wrong, mut open) = (Vec::new(), 0);
    println!("requirement  state  tests");
    for (id, state) in listed() {
        let shown = tests.get(&id).cloned().unwrap_or_default();
        println!(
            "{id:11}  {state:5}  {}",
            shown.join(&format!("\n{:20}", ""))
        );
        match state.as_str() {
            "done" if shown.is_empty() => {
                wrong.push(format!("{id} is listed as done, and no test bears it"));
            }
            "done" => {}
            "open" => open += 1,
            other => wrong.push(format!("{id} is neither done nor open, but `{other}`")),
        }
    }
    println!("{open} of {} requirements are open", listed().len());
    none(&wrong);
}

#[test]
fn names_of_tests_are_read_as_requirements() {
    assert_eq!(
        ids("r2_2_1_r2_2_2_gone_r_4_the_rest_r1"),
        ["R2.2.1", "R2.2.2"]
    );
    assert_eq!(ids("r4_3_1_5000_records"), ["R4.3.1"]);
    assert!(ids("the_user1_2_3").is_empty());
}

fn listed() -> Vec<(String, String)> {
    text(&root().join("docs/requirements-issue-1.txt"))
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (id, state) = line.split_once(' ').unwrap_or((line, ""));
            (id.to_owned(), state.to_owned())
        })
        .collect()
}

/// Returns for each requirement the tests whose names bear it, as `crate/path::name`.
fn tests_by_requirement() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let folder = root().join("crates");
    for source in files(&folder, "rs") {
        let place = source.strip_prefix(&folder).unwrap_or(&source).display();
        for name in tests_in(&text(&source)) {
            for id in ids(&name) {
                found
                    .entry(id)
                    .or_default()
                    .push(format!("{place}::{name}"));
            }
        }
    }
    found
}

/// Returns the names of the functions that follow a test attribute.
fn tests_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            names.extend(rest.split(['(', '<']).next().map(str::to_owned));
            is_test = false;
        }
    }
    names
}

/// Returns the requirements in the name of a test: `r2_2_5` is R2.2.5.
fn ids(name: &str) -> Vec<String> {
    let words: Vec<&str> = name.split('_').collect();
    let number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    words
        .windows(3)
        .filter_map(|words| {
            let chapter = words[0].strip_prefix('r').filter(|rest| number(rest))?;
            (number(words[1]) && number(words[2]))
                .then(|| format!("R{chapter}.{}.{}", words[1], words[2]))
        })
        .collect()
}
