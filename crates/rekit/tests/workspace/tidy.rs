//! The house rules that a machine can check.

use crate::{files, none, root, text};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

/// A file of this many lines holds two ideas.
const MOST_LINES: usize = 600;

#[test]
fn every_source_opens_with_its_purpose() {
    let sources = sources().into_iter().filter(|path| !is_generated(path));
    let silent = sources.filter(|path| !text(path).starts_with("//!"));
    none(&named(silent, "does not open with `//!`"));
}

#[test]
fn no_source_holds_two_ideas() {
    let counted = sources()
        .into_iter()
        .filter(|path| !is_generated(path) && !is_test(path));
    let long = counted.filter(|path| text(path).lines().count() > MOST_LINES);
    none(&named(long, "has more than 600 lines"));
}

#[test]
fn no_test_is_skipped() {
    let marks = ["#[ignore", "#[should_panic"];
    let skipped = sources().into_iter().filter(|path| {
        let source = text(path);
        source
            .lines()
            .any(|line| marks.iter().any(|mark| line.trim_start().starts_with(mark)))
    });
    none(&named(
        skipped,
        "skips a test, or expects one to fail without saying how",
    ));
}

#[test]
fn one_verb_is_one_word_and_one_file() {
    let help = Command::new(env!("CARGO_BIN_EXE_rekit"))
        .arg("--help")
        .env_clear()
        .output()
        .expect("rekit runs");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let verbs: BTreeSet<String> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .map(str::to_owned)
        .collect();
    let folder = root().join("crates/rekit/src/verbs");
    let mut modules = BTreeSet::new();
    if folder.exists() {
        let direct = |path: &PathBuf| path.parent() == Some(&folder);
        modules.extend(
            files(&folder, "rs")
                .iter()
                .filter(|path| direct(path))
                .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
                .filter(|name| name != "mod"),
        );
    }
    assert_eq!(
        verbs, modules,
        "the verbs of `rekit --help` (left) are the files of src/verbs (right)"
    );
}

#[test]
fn every_link_in_a_document_leads_somewhere() {
    let mut broken = Vec::new();
    for document in files(&root(), "md") {
        let folder = document.parent().expect("a document lies in a folder");
        for target in links(&text(&document)) {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = path.is_empty() || path.contains("://") || path.starts_with("mailto:");
            if !elsewhere && !folder.join(path).exists() {
                broken.push(format!("{}: `{target}`", shown(&document)));
            }
        }
    }
    none(&broken);
}

fn sources() -> Vec<PathBuf> {
    files(&root().join("crates"), "rs")
}

fn is_generated(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str() == "generated")
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn named(paths: impl Iterator<Item = PathBuf>, what: &str) -> Vec<String> {
    paths
        .map(|path| format!("{} {what}", shown(&path)))
        .collect()
}

/// Returns the targets of `[text](target)`, code blocks left out.
fn links(document: &str) -> Vec<String> {
    let prose = document
        .split("```")
        .step_by(2)
        .flat_map(|part| part.split('`').step_by(2));
    prose
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .map(str::to_owned)
        .collect()
}
