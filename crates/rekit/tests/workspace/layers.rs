//! The dependency arrows of ARCHITECTURE.md, as a test.

use crate::{none, root, text};
use serde_json::Value;
use std::process::Command;

/// Who may depend on whom. Adding an arrow here is an architecture change.
const ARROWS: &[(&str, &[&str])] = &[
    ("rekit", &["rekit-run", "rekit-core"]),
    (
        "rekit-run",
        &["rekit-core", "rekit-archive", "rekit-buildkit"],
    ),
    ("rekit-core", &[]),
    ("rekit-archive", &[]),
    ("rekit-buildkit", &[]),
    ("rekit-lab", &[]),
];

/// What the core must not even be able to call.
const NO_INPUT_OUTPUT: &[&str] = &["tokio", "hyper", "tonic", "rusqlite", "rustix", "tempfile"];

#[test]
fn crates_depend_only_along_the_arrows() {
    let mut wrong = Vec::new();
    for (name, dependencies) in dependencies() {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("crate `{name}` has no arrows in this test"));
            continue;
        };
        let internal = dependencies
            .iter()
            .filter(|dependency| dependency.starts_with("rekit"));
        wrong.extend(
            internal
                .filter(|dependency| !allowed.contains(&dependency.as_str()))
                .map(|dependency| format!("`{name}` must not depend on `{dependency}`")),
        );
        if name == "rekit-core" {
            let doors = dependencies
                .iter()
                .filter(|dependency| NO_INPUT_OUTPUT.contains(&dependency.as_str()));
            wrong.extend(
                doors.map(|door| format!("the core does no I/O, so it must not have `{door}`")),
            );
        }
    }
    none(&wrong);
}

#[test]
fn the_map_names_every_crate() {
    let map = text(&root().join("ARCHITECTURE.md"));
    let missing = ARROWS
        .iter()
        .filter(|(name, _)| !map.contains(&format!("`{name}`")))
        .map(|(name, _)| format!("ARCHITECTURE.md does not name `{name}`"));
    none(&missing.collect::<Vec<_>>());
    assert!(
        map.lines().count() < 200,
        "ARCHITECTURE.md is a map: under 200 lines"
    );
}

/// Returns each crate with its dependencies, those for tests alone left out.
fn dependencies() -> Vec<(String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version=1",
            "--locked",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!(
            "no metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )
    });
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&metadata["packages"])
        .iter()
        .map(|package| {
            let dependencies = list(&package["dependencies"]);
            let used = dependencies
                .iter()
                .filter(|dependency| dependency["kind"] != "dev");
            (name(package), used.map(name).collect())
        })
        .collect()
}
