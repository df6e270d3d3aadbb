//! Each mode shows the symptom that people report, with the real buildx.

use crate::{lab, run};
use rekit_lab::{Lab, LabOptions, modes};
use std::fs;

/// These modes have a test here.
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
    "driver-not-available",
    "store-lock-stall",
    "buildx-plugin-missing",
    "buildx-plugin-broken-file",
    "buildx-plugin-other-machine",
    "buildx-plugin-not-executable",
    "buildx-plugin-dangling-link",
    "version-skew",
    "version-skew-api",
    "builder-env-names-missing-builder",
    "legacy-builder-forced",
    "rm-exit-code-misleads",
    "daemon-json-gc-kills-engine",
];

/// What these show is asked of the doctor, which needs more than a symptom: `doctor_table.rs` in rekit's e2e tests.
const IN_THE_DOCTORS_TABLE: &[&str] = &[
    "builder-selection-split-brain",
    "wsl-two-stores",
    "credential-helper-missing",
    "profile-names-missing-builder",
    "orphan-container-adopted-with-old-config",
    "settings-change-not-applied",
    "toml-or-flag-crash-loop",
    "stored-toml-blocks-rm",
    "buildkit-image-unavailable",
    "stopped-builder-commands-fail",
    "daemon-killed-mid-build",
    "binfmt-lost-after-reboot",
    "cachedb-reset",
    "metadata-db-crash-loop",
    "containerdmeta-lost",
    "snapshot-directories-missing",
    "blob-missing",
    "cache-fills-disk",
    "prune-deadlock-on-full-disk",
    "image-store-switch",
    "gc-keepduration-pins-everything",
    "daemon-settings-not-inherited",
    "corporate-ca-missing",
    "proxy-only-half-set",
    "remote-tls-paths",
    "kubernetes-pods",
    "desktop-leftovers",
    "rootless-daemon-json-gc",
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
    let mut known: Vec<_> = [TESTED, IN_THE_DOCTORS_TABLE].concat();
    let mut modes: Vec<_> = modes::list().iter().map(|mode| mode.slug).collect();
    known.sort_unstable();
    modes.sort_unstable();
    assert_eq!(modes, known);
    assert!(modes::plant(&lab(LabOptions::default()), "no-such-mode").is_err());
}

/// Runs `words` in a lab with the mode `slug`, with the variables of the mode.
fn said(slug: &str, words: &[&str]) -> String {
    let lab = broken(slug);
    let mut command = lab.command(words[0]);
    command.args(&words[1..]);
    for (name, value) in modes::named(slug).unwrap().variables(&lab) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Fails unless each mode shows its symptom.
fn all_show(modes: &[(&str, &[&str], &str)]) {
    for (slug, words, symptom) in modes {
        let text = said(slug, words);
        assert!(text.contains(symptom), "{slug}: no `{symptom}` in\n{text}");
    }
}

#[test]
fn plugins() {
    let compose = "printf 'services: {a: {build: .}}' > compose.yaml; echo FROM scratch > Dockerfile; docker compose build";
    let info: &[&str] = &["docker", "info"];
    let missing = "unknown command: docker buildx";
    all_show(&[
        ("buildx-plugin-missing", LS, missing),
        ("buildx-plugin-dangling-link", LS, missing),
        ("buildx-plugin-broken-file", info, "exec format error"),
        (
            "buildx-plugin-other-machine",
            info,
            "failed to fetch metadata",
        ),
        ("buildx-plugin-not-executable", info, "permission denied"),
        (
            "version-skew",
            &["sh", "-c", compose],
            "requires buildx 0.17 or later",
        ),
    ]);
}

#[test]
fn variables_and_records() {
    let build: &[&str] = &["docker", "buildx", "build", "."];
    let inspect: &[&str] = &["docker", "buildx", "inspect", "cloud-acme-team"];
    let defaults: &[&str] = &["sh", "-c", "cat $BUILDX_CONFIG/defaults/*"];
    let held: &[&str] = &[
        "sh",
        "-c",
        "timeout -s KILL 2 docker buildx ls || echo held",
    ];
    let ps: &[&str] = &["docker", "ps"];
    all_show(&[
        ("version-skew-api", ps, "client version 1.20 is too old"),
        (
            "builder-env-names-missing-builder",
            build,
            "no builder \"ghost\" found",
        ),
        (
            "legacy-builder-forced",
            &["docker", "build", "."],
            "legacy builder is deprecated",
        ),
        (
            "driver-not-available",
            inspect,
            "failed to find driver \"cloud\"",
        ),
        ("rm-exit-code-misleads", defaults, "passed"),
        (
            "daemon-json-gc-kills-engine",
            ps,
            "Cannot connect to the Docker daemon",
        ),
        ("store-lock-stall", held, "held"),
    ]);
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
