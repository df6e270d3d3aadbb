//! rekit's verdict on buildkitd.toml against what real daemons did with the same text.
//!
//! `buildkitd/cases.txt` holds the configurations and, written by `buildkitd/record`, what buildkitd 0.17.3 and 0.32.2 said;
//! the head of that program tells how to record again.
#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use rekit_core::{
    config::{
        Correction, GcSizes, Release, corrected_buildkitd, gc_advice, judge_buildkitd,
        judge_buildkitd_as,
    },
    inventory::ConfigVerdict,
};

/// One configuration and what the daemons said.
struct Case {
    name: &'static str,
    text: String,
    said: Vec<(&'static str, &'static str)>,
    unread: BTreeSet<String>,
}

fn cases() -> Vec<Case> {
    let file = include_str!("buildkitd/cases.txt");
    file.split("=== ").skip(1).map(case).collect()
}

fn case(block: &'static str) -> Case {
    let (name, rest) = block.split_once('\n').unwrap();
    let (text, marks) = match rest.find("@@@ ") {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let mut said = Vec::new();
    let mut unread = BTreeSet::new();
    for mark in marks.lines().filter_map(|line| line.strip_prefix("@@@ ")) {
        let (who, what) = mark.split_once(' ').unwrap();
        match who {
            "unread-new" => {
                unread = what
                    .trim_matches(['[', ']'])
                    .split('"')
                    .enumerate()
                    .filter(|(at, _)| at % 2 == 1)
                    .map(|(_, key)| key.to_owned())
                    .collect();
            }
            "unread-old" => {}
            version => said.push((version, what)),
        }
    }
    Case {
        name,
        text: text.replace('␀', "\0").replace('␍', "\r"),
        said,
        unread,
    }
}

#[test]
fn verdicts_agree_with_the_real_daemons() {
    let mut disagreements = String::new();
    let mut compared = 0;
    for case in cases() {
        for (version, said) in &case.said {
            compared += 1;
            let verdict = judge_buildkitd_as(&case.text, Release::of_version(version).unwrap());
            let refused = matches!(verdict, ConfigVerdict::Refused { .. });
            if refused == (*said == "accepted") {
                disagreements.extend([case.name, " ", version, ": ", said, "\n"]);
            }
        }
    }
    // All of them where the two TOML readers of BuildKit differ from TOML itself, or know Go names that nobody writes.
    expect![[r#"
        embedded-name 0.17.3: refused buildkitd: (2, 1): Can't convert x(string) to bool
        duplicate-in-unknown 0.32.2: accepted
        table-after-dotted 0.17.3: accepted
        bare-cr 0.17.3: accepted
        time-without-seconds 0.17.3: refused buildkitd: (1, 7): time minute/second separator should be :, not 
        leading-zero 0.17.3: accepted
        big-number 0.17.3: accepted
    "#]].assert_eq(&disagreements);
    assert!(compared >= 400, "{compared}");
}

#[test]
fn keys_that_the_newest_daemon_does_not_read_are_named() {
    for case in cases() {
        let keys = match judge_buildkitd(&case.text) {
            ConfigVerdict::Ignored { keys } => keys.into_iter().collect(),
            ConfigVerdict::Accepted {} => BTreeSet::new(),
            _ => continue,
        };
        assert_eq!(keys, case.unread, "{}", case.name);
    }
}

#[test]
fn every_correction_is_taken_whole() {
    for release in ["0.17.3", "0.32.2"] {
        let release = Release::of_version(release).unwrap();
        for case in cases() {
            for gc in [None, Some(sizes())] {
                let corrected = corrected_buildkitd(&case.text, &Correction { release, gc });
                let verdict = judge_buildkitd_as(&corrected, release);
                assert_eq!(
                    verdict,
                    ConfigVerdict::Accepted {},
                    "{}:\n{corrected}",
                    case.name
                );
            }
        }
    }
}

fn sizes() -> GcSizes {
    GcSizes {
        reserved: "10GB".to_owned(),
        max_used: "50GB".to_owned(),
        min_free: "20%".to_owned(),
    }
}

fn check(text: &str, expected: &Expect) {
    let verdict = judge_buildkitd(text);
    let mut seen = match verdict {
        ConfigVerdict::Refused {
            reason,
            line,
            column,
            length,
            excerpt,
        } => format!(
            "{line}:{column} {reason}\n  {excerpt}\n  {}{}\n",
            " ".repeat(column as usize - 1),
            "^".repeat(length as usize)
        ),
        other => format!("{other:?}\n"),
    };
    seen.extend(
        gc_advice(text)
            .iter()
            .map(|gc| format!("advice {} ({}): {}\n", gc.line, gc.key, gc.advice)),
    );
    seen.push_str("---\n");
    seen.push_str(&corrected_buildkitd(
        text,
        &Correction {
            release: Release::NEWEST,
            gc: Some(sizes()),
        },
    ));
    expected.assert_eq(&seen);
}

#[test]
fn the_first_users_file() {
    check(
        "# our builder\n[worker.oci]\n  enabled = true # keep\n  max_parallelism = 4\n\n[worker.oci.gc]\n  enabled = true\n  policy = \"x\"\n\n[registry.\"docker.io\"]\n  mirrors = [\"m:5000\"]\n",
        &expect![[r#"
            6:13 `worker.oci.gc` wants `true` or `false`, here is a section (newer daemons say `unhandled kv part: bool`)
              [worker.oci.gc]
                          ^^
            ---
            # our builder
            [worker.oci]
              enabled = true # keep
            # rekit: not read by buildkitd: `worker.oci.max_parallelism`
            #   max_parallelism = 4

            # rekit: refused by buildkitd: `worker.oci.gc` wants `true` or `false`, here is a section (newer daemons say `unhandled kv part: bool`)
            # [worker.oci.gc]
            #   enabled = true
            #   policy = "x"

            [registry."docker.io"]
              mirrors = ["m:5000"]
        "#]],
    );
}

#[test]
fn sizes_and_advice() {
    check(
        "[worker.oci]\ngckeepstorage = 2000\nmaxUsedSpace = \"5GB\" # why\n[[worker.oci.gcpolicy]]\nkeepBytes = 5\nkeepDuration = 3\n",
        &expect![[r#"
            Accepted
            advice 2 (worker.oci.gckeepstorage): `gckeepstorage` is called `reservedSpace` since 0.17; 2000 means bytes here, not megabytes
            advice 3 (worker.oci.maxUsedSpace): setting it alone turns reservedSpace and minFreeSpace off: write all three
            advice 5 (worker.oci.gcpolicy.keepBytes): `keepBytes` is called `reservedSpace` since 0.17; 5 means bytes here, not megabytes
            advice 4 (worker.oci.gcpolicy): the last rule should be `all = true` without `keepDuration`: else young records pin everything below them
            ---
            [worker.oci]
            gckeepstorage = 2000
            maxUsedSpace = "5GB" # why
            reservedSpace = "10GB"
            minFreeSpace = "20%"
            [[worker.oci.gcpolicy]]
            keepBytes = 5
            keepDuration = 3
        "#]],
    );
    check(
        "[worker.oci]\nmaxUsedSpace = \"20 gigs\"\n",
        &expect![[r#"
            2:16 invalid disk space `20 gigs`: bytes, or a number with `KB`, `MB`, `GB` or `TB`
              maxUsedSpace = "20 gigs"
                             ^^^^^^^^^
            ---
            [worker.oci]
            # rekit: refused by buildkitd: invalid disk space `20 gigs`: bytes, or a number with `KB`, `MB`, `GB` or `TB`
            # maxUsedSpace = "20 gigs"
        "#]],
    );
}

#[test]
fn broken_text() {
    check(
        "[worker.oci\ngc = true\n",
        &expect![[r#"
        1:12 this is no TOML: unclosed table, expected `]`
          [worker.oci
                     ^
        ---
        # rekit: refused by buildkitd: this is no TOML: unclosed table, expected `]`
        # [worker.oci
        # gc = true
    "#]],
    );
    check(
        "token = \"abc\" oops\n",
        &expect![[r#"
        1:15 this is no TOML: unexpected key or value, expected newline, `#`
          token = "***" ****
                        ^
        ---
        # rekit: refused by buildkitd: this is no TOML: unexpected key or value, expected newline, `#`
        # token = "abc" oops
    "#]],
    );
    check(
        "debug = true\ndebug = false\n",
        &expect![[r#"
        2:1 this is no TOML: duplicate key
          debug = false
          ^^^^^
        ---
        debug = true
        # rekit: refused by buildkitd: this is no TOML: duplicate key
        # debug = false
    "#]],
    );
}

mod never_panics {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_the_text(text in "(\\[{1,2}[a-z.\" ]{0,9}\\]{0,2}\n|[a-z.\"]{0,5} ?= ?[\\]\\[{}\"'a-z0-9,#\\\\\n]{0,9}\n|\\PC{0,9}\r?\n){0,6}") {
            drop(gc_advice(&text));
            drop(judge_buildkitd(&text));
            let correction = Correction { release: Release::NEWEST, gc: Some(sizes()) };
            let corrected = corrected_buildkitd(&text, &correction);
            prop_assert_eq!(judge_buildkitd(&corrected), ConfigVerdict::Accepted {}, "{}", corrected);
        }
    }
}
