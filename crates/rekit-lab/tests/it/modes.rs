//! Each mode shows the symptom that people report, with the real buildx.

use crate::{lab, run};
use rekit_lab::{Lab, LabOptions, modes};
use std::fs;

/// Every mode of the catalogue has a test here.
const TESTED: &[&str] = &[
    "npipe-context-ghost",
    "dead-current-context",
    "context-metadata-garbage",
    "instance-file-corrupt",
    "stray-file-in-instances",
    "selection-silently-reset",
    "many-records",
    "refs-and-activity-leftovers",
    "root-owned-store",
    "unreadable-directory",
    "orphan-state-volume",
    "foreign-container-under-our-name",
    "hung-daemon",
    "gc-keys-renamed-or-partial",
    "toml-keys-ignored",
    "standalone-config-invalid",
    "unreachable-node",
    "first-user",
];

const LS: &[&str] = &["docker", "buildx", "ls"];

fn broken(slug: &str) -> Lab {
    let lab = lab(LabOptions::default());
    modes::plant(&lab, slug).unwrap();
    lab
}

/// Plants `slug` and expects `symptom` in what `words` print.
fn shows(slug: &str, words: &[&str], symptom: &str) -> Lab {
    let lab = broken(slug);
    let (_, text) = run(&lab, words);
    assert!(text.contains(symptom), "{slug}: no `{symptom}` in\n{text}");
    lab
}

#[test]
fn every_mode_is_tested() {
    assert_eq!(
        modes::list()
            .iter()
            .map(|mode| mode.slug)
            .collect::<Vec<_>>(),
        TESTED
    );
    assert!(modes::plant(&lab(LabOptions::default()), "no-such-mode").is_err());
}

#[test]
fn contexts() {
    shows(
        "npipe-context-ghost",
        LS,
        "Cannot load builder desktop-linux: protocol not available",
    );
    shows(
        "dead-current-context",
        &["env", "-u", "DOCKER_HOST", "docker", "ps"],
        "context \"gone\": context not found",
    );
    shows(
        "context-metadata-garbage",
        LS,
        "docker endpoint for \"default\" not found",
    );
}

#[test]
fn broken_records() {
    let lab = shows("instance-file-corrupt", LS, "unexpected end of JSON input");
    assert!(!run(&lab, &["docker", "buildx", "rm", "cut"]).0);
    assert!(lab.docker(&["inspect", "buildx_buildkit_cut0"]).is_ok());
    let lab = shows("stray-file-in-instances", LS, "adir: is a directory");
    fs::remove_dir(lab.buildx_config().join("instances/adir")).unwrap();
    let (_, text) = run(&lab, LS);
    assert!(text.contains("invalid name mybuilder.bak~"), "{text}");
}

#[test]
fn selection_and_leftovers() {
    let lab = shows(
        "selection-silently-reset",
        &["docker", "buildx", "inspect"],
        "Driver: docker\n",
    );
    assert!(
        fs::read_to_string(lab.buildx_config().join("current"))
            .unwrap()
            .contains("chosen")
    );
    shows(
        "refs-and-activity-leftovers",
        &["docker", "buildx", "inspect", "departed"],
        "no builder \"departed\" found",
    );
}

#[test]
fn many_records() {
    let lab = broken("many-records");
    let list = lab
        .docker(&["buildx", "ls", "--format", "{{.Name}}"])
        .unwrap();
    assert!(
        list.lines().filter(|line| line.starts_with("bulk")).count() >= 500,
        "{list}"
    );
}

#[test]
fn permissions() {
    let as_user = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    shows(
        "root-owned-store",
        &[&as_user, LS].concat(),
        "permission denied",
    );
    shows(
        "unreadable-directory",
        &[&as_user, LS].concat(),
        "permission denied",
    );
}

#[test]
fn objects() {
    let lab = broken("orphan-state-volume");
    assert!(
        lab.volume("buildx_buildkit_orphan0_state")
            .unwrap()
            .join("cache.db")
            .exists()
    );
    assert!(!lab.docker(&["buildx", "ls"]).unwrap().contains("orphan"));
    let lab = shows(
        "foreign-container-under-our-name",
        &["docker", "inspect", "buildx_buildkit_cf0"],
        "shop/db:1",
    );
    // What makes it dangerous: buildx removes it without a question.
    lab.docker(&["buildx", "rm", "cf"]).unwrap();
    assert!(lab.docker(&["inspect", "buildx_buildkit_cf0"]).is_err());
}

#[test]
fn a_hung_daemon_does_not_answer() {
    let lab = broken("hung-daemon");
    let status = lab
        .command("timeout")
        .args(["3", "docker", "buildx", "du", "--builder", "hung"])
        .output()
        .unwrap()
        .status;
    assert_eq!(status.code(), Some(124));
}

#[test]
fn configuration() {
    let lab = shows(
        "gc-keys-renamed-or-partial",
        &["docker", "buildx", "inspect", "gc"],
        "Reserved Space:",
    );
    assert!(
        !run(&lab, &["docker", "buildx", "inspect", "gc"])
            .1
            .contains("Min Free Space:")
    );
    shows(
        "toml-keys-ignored",
        &["docker", "buildx", "inspect", "typo"],
        "max_parallelism",
    );
    let lab = broken("standalone-config-invalid");
    let config = fs::read_to_string(lab.home().join(".config/buildkit/buildkitd.toml")).unwrap();
    assert!(config.contains("gc.enabled = true"));
}

#[test]
fn unreachable_nodes_hold_up_the_listing() {
    let lab = broken("unreachable-node");
    assert_eq!(
        lab.command("timeout")
            .args(["3", "docker", "buildx", "ls"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(124)
    );
    for builder in ["closed", "silent"] {
        let (good, text) = run(
            &lab,
            &[
                "timeout",
                "30",
                "docker",
                "buildx",
                "du",
                "--builder",
                builder,
            ],
        );
        assert!(!good && text.contains("connect"), "{builder}: {text}");
    }
}
