//! A diagnosis for a person: worst last, because the end is what stays on the screen.

use rekit_core::{
    doctor::explain,
    finding::{Diagnosis, Finding, FixBy, Severity},
};

use super::style::{Style, Tone, clean, counted};

/// Returns the diagnosis as text.
pub(crate) fn doctor(diagnosis: &Diagnosis, style: &Style) -> String {
    let mut text = String::new();
    for severity in [Severity::Info, Severity::Warning, Severity::Error] {
        for finding in &diagnosis.findings {
            if finding.severity == severity {
                text.push_str(&block(finding, style));
                text.push('\n');
            }
        }
    }
    text.push_str(&summary(diagnosis, style));
    text
}

fn block(finding: &Finding, style: &Style) -> String {
    let mut text = headline(finding, style);
    text.push_str(&labelled("cause", &finding.cause, style));
    if finding.severity != Severity::Info {
        for (number, evidence) in finding.evidence.iter().enumerate() {
            let label = if number == 0 { "seen" } else { "" };
            text.push_str(&labelled(label, evidence, style));
        }
    }
    let by = match finding.fix.by {
        FixBy::Automatic => "",
        FixBy::Consent => " (rekit asks before)",
        FixBy::Hand => " (by hand)",
    };
    text.push_str(&labelled(
        "fix",
        &format!("{}{by}", finding.fix.summary),
        style,
    ));
    for command in &finding.fix.commands {
        let command = clean(command).replace('\n', " ");
        text.push_str(&format_args!("{:INDENT$}$ {command}\n", "").to_string());
    }
    text
}

/// The columns before each text of a block.
const INDENT: usize = 9;

pub(super) fn headline(finding: &Finding, style: &Style) -> String {
    let (word, tone) = match finding.severity {
        Severity::Info => ("note", Tone::Faint),
        Severity::Warning => ("warning", Tone::Care),
        Severity::Error => ("error", Tone::Bad),
    };
    let title = explain(&finding.code).map_or("", |check| check.title);
    let subject = &finding.subject;
    let place = match (subject.store.is_empty(), subject.host.is_empty()) {
        (false, _) => format!(" in {}", subject.store),
        (true, false) if subject.host != subject.name => format!(" on {}", subject.host),
        _ => String::new(),
    };
    let name = clean(&format!("{} `{}`{place}", subject.kind, subject.name)).replace('\n', " ");
    format!(
        "{}: {title}: {name}\n",
        style.paint(tone, &format!("{word}[{}]", finding.code))
    )
}

/// Returns a text behind its label; lines of their own, such as an underlined place, keep their columns.
pub(super) fn labelled(label: &str, text: &str, style: &Style) -> String {
    let colon = if label.is_empty() { ' ' } else { ':' };
    let label = style.paint(Tone::Heading, &format!("{label:>6}{colon}"));
    let text = clean(text);
    let lines: Vec<String> = match text.split_once('\n') {
        None => style.wrapped(INDENT, &text),
        Some(_) => text.lines().map(str::to_owned).collect(),
    };
    let mut result = String::new();
    for (number, line) in lines.iter().enumerate() {
        let head = if number == 0 {
            label.as_str()
        } else {
            "       "
        };
        let is_mark = line.trim_start_matches([' ', '|']).starts_with('^');
        let line = if is_mark {
            style.paint(Tone::Bad, line)
        } else {
            line.clone()
        };
        result.extend([head, "  ", &line, "\n"]);
    }
    result
}

fn summary(diagnosis: &Diagnosis, style: &Style) -> String {
    let count = |severity| {
        let all = diagnosis.findings.iter();
        all.filter(|finding| finding.severity == severity).count()
    };
    let (errors, warnings, notes) = (
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Info),
    );
    let notes_told = match notes {
        0 => String::new(),
        _ => format!("; {}", counted(notes, "note")),
    };
    if diagnosis.healthy {
        let words = style.paint(Tone::Good, "All is well");
        return format!("{words}: nothing that was looked at needs care{notes_told}.\n");
    }
    let tone = if errors > 0 { Tone::Bad } else { Tone::Care };
    let words = format!(
        "{}, {}",
        counted(errors, "error"),
        counted(warnings, "warning")
    );
    format!(
        "{}{notes_told}. `rekit explain CODE` says more, `rekit doctor --fix` mends what needs nobody's consent, `--fix --consent CODE` more, `rekit reinstall` all that rekit can.\n",
        style.paint(tone, &words)
    )
}

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::{Expect, expect};
    use rekit_core::finding::{Fix, Subject};

    use super::*;

    fn finding(code: &str, severity: Severity, by: FixBy) -> Finding {
        Finding {
            code: code.to_owned(),
            severity,
            subject: Subject {
                kind: "builder".to_owned(),
                host: String::new(),
                store: "/home/u/.docker/buildx".to_owned(),
                name: "te\u{1b}am".to_owned(),
            },
            cause: "buildkitd does not start with the buildkitd.toml in the record of builder `team`, node `team0`: invalid disk space.".to_owned(),
            evidence: vec![
                "/home/u/.docker/buildx/instances/team".to_owned(),
                "line 2, column 3:\n  |\n2 |   x = \"20 gigs\"\n  |       ^^^^^^^^^".to_owned(),
            ],
            fix: Fix {
                by,
                summary: "make the refused part a comment".to_owned(),
                commands: vec!["docker logs x".to_owned()],
            },
        }
    }

    fn check(findings: Vec<Finding>, colour: bool, expected: &Expect) {
        let style = Style {
            colour,
            width: 80,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        let text = doctor(&Diagnosis::new(findings), &style);
        expected.assert_eq(&text.replace('\u{1b}', "␛"));
    }

    #[test]
    fn worst_last_with_the_place_underlined() {
        check(
            vec![
                finding("RK401", Severity::Error, FixBy::Consent),
                finding("RK208", Severity::Info, FixBy::Automatic),
                finding("RK402", Severity::Warning, FixBy::Hand),
            ],
            false,
            &expect![[r#"
                note[RK208]: last-use mark of a builder that is gone: builder `te�am` in /home/u/.docker/buildx
                 cause:  buildkitd does not start with the buildkitd.toml in the record of
                         builder `team`, node `team0`: invalid disk space.
                   fix:  make the refused part a comment
                         $ docker logs x

                warning[RK402]: buildkitd does not read some keys: builder `te�am` in /home/u/.docker/buildx
                 cause:  buildkitd does not start with the buildkitd.toml in the record of
                         builder `team`, node `team0`: invalid disk space.
                  seen:  /home/u/.docker/buildx/instances/team
                         line 2, column 3:
                           |
                         2 |   x = "20 gigs"
                           |       ^^^^^^^^^
                   fix:  make the refused part a comment (by hand)
                         $ docker logs x

                error[RK401]: buildkitd refuses its configuration: builder `te�am` in /home/u/.docker/buildx
                 cause:  buildkitd does not start with the buildkitd.toml in the record of
                         builder `team`, node `team0`: invalid disk space.
                  seen:  /home/u/.docker/buildx/instances/team
                         line 2, column 3:
                           |
                         2 |   x = "20 gigs"
                           |       ^^^^^^^^^
                   fix:  make the refused part a comment (rekit asks before)
                         $ docker logs x

                1 error, 1 warning; 1 note. `rekit explain CODE` says more, `rekit doctor --fix` mends what needs nobody's consent, `--fix --consent CODE` more, `rekit reinstall` all that rekit can.
            "#]],
        );
    }

    #[test]
    fn colour_only_adds() {
        check(
            vec![finding("RK401", Severity::Error, FixBy::Consent)],
            true,
            &expect![[r#"
                ␛[1;31merror[RK401]␛[0m: buildkitd refuses its configuration: builder `te�am` in /home/u/.docker/buildx
                ␛[1m cause:␛[0m  buildkitd does not start with the buildkitd.toml in the record of
                         builder `team`, node `team0`: invalid disk space.
                ␛[1m  seen:␛[0m  /home/u/.docker/buildx/instances/team
                ␛[1m       ␛[0m  line 2, column 3:
                           |
                         2 |   x = "20 gigs"
                         ␛[1;31m  |       ^^^^^^^^^␛[0m
                ␛[1m   fix:␛[0m  make the refused part a comment (rekit asks before)
                         $ docker logs x

                ␛[1;31m1 error, 0 warnings␛[0m. `rekit explain CODE` says more, `rekit doctor --fix` mends what needs nobody's consent, `--fix --consent CODE` more, `rekit reinstall` all that rekit can.
            "#]],
        );
    }

    #[test]
    fn healthy_is_one_friendly_line() {
        check(
            Vec::new(),
            false,
            &expect![[r#"
            All is well: nothing that was looked at needs care.
        "#]],
        );
        check(
            vec![finding("RK306", Severity::Info, FixBy::Automatic)],
            false,
            &expect![[r#"
                note[RK306]: a builder was never booted: builder `te�am` in /home/u/.docker/buildx
                 cause:  buildkitd does not start with the buildkitd.toml in the record of
                         builder `team`, node `team0`: invalid disk space.
                   fix:  make the refused part a comment
                         $ docker logs x

                All is well: nothing that was looked at needs care; 1 note.
            "#]],
        );
    }
}
