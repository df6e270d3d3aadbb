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
        Correction, GcSizes, Release, buildkitd_remarks, corrected_buildkitd, gc_rules,
        judge_buildkitd, judge_buildkitd_as, mended_buildkitd,
    },
    inventory::{ConfigVerdict, RemarkKind},
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
        size-date 0.12.5: refused buildkitd: (2, 26): parsing error: incorrect date/time separation character: 
        embedded-name 0.12.5: refused buildkitd: (2, 1): Can't convert x(string) to bool
        embedded-name 0.17.3: refused buildkitd: (2, 1): Can't convert x(string) to bool
        duplicate-in-unknown 0.32.2: accepted
        table-after-dotted 0.12.5: accepted
        table-after-dotted 0.17.3: accepted
        bare-cr 0.12.5: accepted
        bare-cr 0.17.3: accepted
        time-without-seconds 0.12.5: refused buildkitd: (1, 7): time minute/second separator should be :, not 
        time-without-seconds 0.17.3: refused buildkitd: (1, 7): time minute/second separator should be :, not 
        leading-zero 0.12.5: accepted
        leading-zero 0.17.3: accepted
        big-number 0.12.5: accepted
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
fn every_mended_file_is_taken_whole_and_keeps_what_was_right() {
    for release in ["0.12.5", "0.17.3", "0.32.2"] {
        let release = Release::of_version(release).unwrap();
        for case in cases() {
            let mended = mended_buildkitd(&case.text, release);
            let verdict = judge_buildkitd_as(&mended, release);
            assert_eq!(verdict, ConfigVerdict::Accepted {}, "{}", case.name);
            if judge_buildkitd_as(&case.text, release) == (ConfigVerdict::Accepted {}) {
                let plain = case.text.replace("\r\n", "\n");
                assert_eq!(
                    mended,
                    plain.trim_start_matches('\u{feff}'),
                    "{}",
                    case.name
                );
            }
        }
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
    for remark in buildkitd_remarks(text, Release::NEWEST) {
        let (line, key, says) = (remark.line, remark.key, remark.says);
        seen.extend([format!("{:?} {line} ({key}): {says}\n", remark.kind)]);
        seen.extend(remark.write.iter().map(|line| format!("  + {line}\n")));
    }
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
            Unread 4 (worker.oci.max_parallelism): buildkitd does not know `worker.oci.max_parallelism` and says nothing about it
              +   max-parallelism = 4
            Refused 6 (worker.oci.gc): `worker.oci.gc` wants `true` or `false`, here is a section (newer daemons say `unhandled kv part: bool`)
              + [worker.oci]
              + gc = true
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
            Effect 2 (worker.oci.gckeepstorage): `gcpolicy` replaces the daemon's own rules: `gckeepstorage` beside it is not used
            Effect 3 (worker.oci.maxUsedSpace): `gcpolicy` replaces the daemon's own rules: `maxUsedSpace` beside it is not used
            Effect 4 (worker.oci.gcpolicy): no rule takes everything (`all = true` without `keepDuration` and `filters`): young records pin all that lies below them, and the cache grows past its limits
              + [[worker.oci.gcpolicy]]
              + all = true
              + reservedSpace = "10GB"
              + maxUsedSpace = "80%"
              + minFreeSpace = "20%"
            Effect 5 (worker.oci.gcpolicy.keepBytes): 5 means bytes here, not megabytes: next to nothing is kept
              + keepBytes = "5MB"
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
            Refused 2 (worker.oci.maxUsedSpace): invalid disk space `20 gigs`: bytes, or a number with `KB`, `MB`, `GB` or `TB`
              + maxUsedSpace = "20GB"
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
            Refused 1 (): this is no TOML: unclosed table, expected `]`
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
            Refused 1 (): this is no TOML: unexpected key or value, expected newline, `#`
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
            Refused 2 (): this is no TOML: duplicate key
            ---
            debug = true
            # rekit: refused by buildkitd: this is no TOML: duplicate key
            # debug = false
        "#]],
    );
}

/// `scripts/campaign fuzz` runs these for long.
mod never_panics {
    use proptest::prelude::*;

    use super::*;

    const TOKENS: &[&str] = &[
        "\"",
        "'",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ",",
        "#",
        "\n",
        "\r\n",
        ".",
        "\\",
        "\"\"\"",
        "\u{feff}",
        "ö",
        "\0",
        "true",
        "1e9",
        "gc",
        "reservedSpace = \"2GB\"\n",
        "[worker.oci]\n",
        "[[worker.oci.gcpolicy]]\n",
        "keepDuration = \"2d\"\n",
        "= { bytes = 1 }",
        "\"10%\"",
        "9999999999999999999",
        "inf",
        "0x1p5",
    ];

    /// Returns a real text with slips in it: something put in, taken out, or doubled.
    fn slipped(case: usize, slips: &[(usize, usize, u8)]) -> String {
        let cases = cases();
        let mut text = cases[case % cases.len()].text.clone();
        for (at, token, way) in slips {
            let mut at = at % (text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            match way % 3 {
                0 => text.insert_str(at, TOKENS[token % TOKENS.len()]),
                1 if at < text.len() => drop(text.remove(at)),
                _ => text = format!("{}{}", &text[..at], text),
            }
        }
        text
    }

    fn holds(text: &str) -> Result<(), TestCaseError> {
        for release in ["0.12.5", "0.17.3", "0.32.2"] {
            let release = Release::of_version(release).unwrap();
            let verdict = judge_buildkitd_as(text, release);
            let remarks = buildkitd_remarks(text, release);
            drop(gc_rules(text, release, 1 << 40));
            let is_taken = matches!(verdict, ConfigVerdict::Accepted {});
            let complaints = remarks
                .iter()
                .filter(|remark| remark.kind != RemarkKind::Effect);
            prop_assert_eq!(is_taken, complaints.count() == 0, "{}", text);
            for remark in &remarks {
                prop_assert!(remark.line >= 1 && remark.column >= 1 && remark.length >= 1);
            }
            // A comment at the end changes nothing for anybody.
            if !matches!(verdict, ConfigVerdict::Refused { .. }) {
                let longer = format!("{text}\n# end\n");
                prop_assert_eq!(&judge_buildkitd_as(&longer, release), &verdict, "{}", text);
            }
            let correction = Correction {
                release,
                gc: Some(sizes()),
            };
            let corrected = corrected_buildkitd(text, &correction);
            prop_assert_eq!(
                judge_buildkitd_as(&corrected, release),
                ConfigVerdict::Accepted {},
                "{}",
                corrected
            );
            let mended = mended_buildkitd(text, release);
            prop_assert_eq!(
                judge_buildkitd_as(&mended, release),
                ConfigVerdict::Accepted {},
                "{}",
                mended
            );
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn whatever_the_text(text in "(\\[{1,2}[a-z.\" ]{0,9}\\]{0,2}\n|[a-z.\"]{0,5} ?= ?[\\]\\[{}\"'a-z0-9,#\\\\\n]{0,9}\n|\\PC{0,9}\r?\n){0,6}") {
            holds(&text)?;
        }

        #[test]
        fn whatever_the_slip(case in any::<usize>(), slips in proptest::collection::vec(any::<(usize, usize, u8)>(), 1..5)) {
            holds(&slipped(case, &slips))?;
        }
    }
}
