//! The five criteria on paper, each failed alone, and what is no loss.

use expect_test::{Expect, expect};

use super::*;

const BY: Yardstick = Yardstick {
    baseline: StepId(1),
    slower_percent: 200,
    slack_ms: 1000,
};

fn measure(builder: &str, trial: Trial, found: Found) -> Measure {
    Measure {
        builder: builder.to_owned(),
        trial,
        found,
    }
}

fn platform(name: &str) -> Trial {
    Trial::Build {
        node: 1,
        platform: name.parse().unwrap(),
    }
}

fn builds(cold_ms: u64, warm_ms: u64) -> Found {
    Found::Builds { cold_ms, warm_ms }
}

fn fails() -> Found {
    Found::Fails {
        why: "it says no".to_owned(),
    }
}

/// Two builders that work: one of rekit's and the engine's own.
fn healthy() -> Vec<Measure> {
    vec![
        measure("team", Trial::Daemon { node: 1 }, Found::Works {}),
        measure("team", platform("linux/amd64"), builds(400, 40)),
        measure("team", platform("linux/arm64"), builds(800, 50)),
        measure("team", Trial::Buildx {}, Found::Works {}),
        measure("team", Trial::Compose {}, Found::Works {}),
        measure("default", Trial::Daemon { node: 1 }, Found::Works {}),
        measure("default", platform("linux/amd64"), builds(300, 30)),
        measure("default", Trial::Buildx {}, Found::Works {}),
    ]
}

/// Returns the measures with other results for some trials of `team`.
fn with(changes: &[(Trial, Found)]) -> Vec<Measure> {
    let mut measures = healthy();
    for measure in measures.iter_mut().filter(|it| it.builder == "team") {
        if let Some((_, found)) = changes.iter().find(|(trial, _)| *trial == measure.trial) {
            measure.found = found.clone();
        }
    }
    measures
}

fn check(before: &[Measure], now: &[Measure], expected: &Expect) {
    let own = ["team".to_owned()];
    let (verdicts, told) = judge(Judged {
        before,
        now,
        own: &own,
        by: &BY,
    });
    let failed = verdicts.iter().filter(|verdict| !verdict.holds);
    let failed = failed.map(|it| format!("{}: {} ({})", it.criterion, it.measure, it.limit));
    let told = told.iter().map(|line| format!("told: {line}"));
    let shown: Vec<_> = failed.chain(told).collect();
    expected.assert_eq(&shown.join("\n"));
}

#[test]
fn r1_4_5_five_criteria_are_asked_and_all_hold_for_what_is_as_before() {
    let own = ["team".to_owned()];
    let measures = healthy();
    let (verdicts, told) = judge(Judged {
        before: &measures,
        now: &measures,
        own: &own,
        by: &BY,
    });
    let shown: Vec<_> = verdicts
        .iter()
        .map(|it| format!("{} {}: {}", it.criterion, it.holds, it.measure))
        .collect();
    expect![[r"
        daemon-starts true: 2 of 2 daemons answer
        healthy-builder true: 2 builders build
        builds-pass true: 3 of 3 builds pass
        speed true: 3 of 3 builds compared
        integration true: 3 of 3 integrations build"]]
    .assert_eq(&shown.join("\n"));
    assert!(told.is_empty());
}

#[test]
fn r1_4_5_each_criterion_fails_alone() {
    let arm = platform("linux/arm64");
    check(
        &healthy(),
        &with(&[(Trial::Daemon { node: 1 }, fails())]),
        &expect![
            "daemon-starts: builder `team`: the daemon of node 1 fails: it says no (each new daemon answers, and each that answered before)"
        ],
    );
    check(
        &[],
        &with(&[(platform("linux/amd64"), fails()), (arm.clone(), fails())]),
        &expect![[r"
            healthy-builder: builder `team`: linux/amd64 on node 1 fails: it says no (each new builder builds for a platform, and each that built before)
            told: builder `team`: linux/amd64 on node 1 fails, and was not tried before: it says no
            told: builder `team`: linux/arm64 on node 1 fails, and was not tried before: it says no"]],
    );
    check(
        &healthy(),
        &with(&[(arm.clone(), fails())]),
        &expect![
            "builds-pass: builder `team`: linux/arm64 on node 1 fails: it says no (every build that passed before passes)"
        ],
    );
    check(
        &healthy(),
        &with(&[(arm, builds(2601, 50))]),
        &expect![
            "speed: builder `team`, linux/arm64 on node 1: a cold build takes 2.60 s (0.80 s before × 2.00 + 1.00 s = 2.60 s)"
        ],
    );
    check(
        &healthy(),
        &with(&[(Trial::Compose {}, fails())]),
        &expect![
            "integration: builder `team`: docker compose build fails: it says no (every front end that built before builds)"
        ],
    );
}

#[test]
fn r1_4_5_what_failed_before_is_told_and_no_loss() {
    let arm = platform("linux/arm64");
    let ill = with(&[(arm, fails()), (Trial::Compose {}, fails())]);
    check(
        &ill,
        &ill,
        &expect![[r"
            told: builder `team`: linux/arm64 on node 1 fails, as it did before: it says no
            told: builder `team`: docker compose build fails, as it did before: it says no"]],
    );
}

#[test]
fn r1_4_5_a_cold_build_is_never_judged_by_a_warm_one() {
    let amd = platform("linux/amd64");
    // As slow as the baseline's cold build, and far over twice its warm one with the slack.
    let before = with(&[(amd.clone(), builds(60_000, 40))]);
    check(
        &before,
        &with(&[(amd.clone(), builds(60_000, 40))]),
        &expect![""],
    );
    // A warm build that is as slow as a cold one is too slow, though a cold one may be.
    check(
        &before,
        &with(&[(amd, builds(60_000, 60_000))]),
        &expect![
            "speed: builder `team`, linux/amd64 on node 1: a warm build takes 60.00 s (0.04 s before × 2.00 + 1.00 s = 1.08 s)"
        ],
    );
}

#[test]
fn r1_4_5_noise_decides_nothing() {
    let amd = platform("linux/amd64");
    check(
        &healthy(),
        &with(&[(amd.clone(), builds(1800, 1080))]),
        &expect![""],
    );
    let now = with(&[(amd.clone(), builds(1801, 40))]);
    let doubtful: Vec<_> = Judged {
        before: &healthy(),
        now: &now,
        own: &[],
        by: &BY,
    }
    .doubtful()
    .into_iter()
    .map(|measure| measure.trial.clone())
    .collect();
    assert_eq!(doubtful, [amd]);
    assert_eq!(faster(builds(1801, 40), builds(1900, 30)), builds(1801, 30));
    assert_eq!(faster(fails(), builds(1, 1)), builds(1, 1));
    assert_eq!(faster(builds(1, 1), fails()), builds(1, 1));
}
