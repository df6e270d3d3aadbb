//! What an archive will take, for a person: sizes and seconds where earlier archives tell, and why not where none does.

use rekit_core::estimate::Estimate;

use super::{style::bytes, words};

/// Returns what the archive of one state will take.
pub(super) fn line(estimate: &Estimate) -> String {
    let subject = &estimate.subject;
    let text = match estimate.bytes {
        Some(size) => format!("{subject}: {}; {}", bytes(size), takes(estimate)),
        None => format!("{subject}: what it takes is unknown, as its size is not known here"),
    };
    match &estimate.known {
        Some((archive, held)) => format!(
            "{text}; what has not changed since {archive} ({}) takes no room and is not read again",
            bytes(*held)
        ),
        None => text,
    }
}

fn takes(estimate: &Estimate) -> String {
    let room = estimate
        .packed_bytes
        .map(|packed| format!("at most about {} on disk", bytes(packed)));
    let time = estimate
        .milliseconds
        .map(|time| format!("about {}", words::seconds(time)));
    match (room, time) {
        (Some(room), Some(time)) => format!("{room}, {time}, judged by earlier archives"),
        (Some(room), None) => format!(
            "{room}, judged by earlier archives; how long it takes is unknown, as none was made here"
        ),
        (None, Some(time)) => format!("{time}, judged by earlier archives"),
        (None, None) => {
            "what it takes on disk and how long is unknown until a first archive is made here"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(estimate: &Estimate, expected: &Expect) {
        expected.assert_eq(&line(estimate));
    }

    #[test]
    fn each_estimate_says_what_it_knows_and_why_not_more() {
        let mut estimate = Estimate {
            subject: "state of volume team0_state".to_owned(),
            bytes: Some(22 << 20),
            packed_bytes: Some(10 << 20),
            milliseconds: Some(1200),
            known: Some(("backup-1".parse().unwrap(), 20 << 20)),
        };
        check(
            &estimate,
            &expect![
                "state of volume team0_state: 22.0 MiB; at most about 10.0 MiB on disk, about 1.2 s, judged by earlier archives; what has not changed since backup-1 (20.0 MiB) takes no room and is not read again"
            ],
        );
        (estimate.milliseconds, estimate.known) = (None, None);
        check(
            &estimate,
            &expect![
                "state of volume team0_state: 22.0 MiB; at most about 10.0 MiB on disk, judged by earlier archives; how long it takes is unknown, as none was made here"
            ],
        );
        estimate.packed_bytes = None;
        check(
            &estimate,
            &expect![
                "state of volume team0_state: 22.0 MiB; what it takes on disk and how long is unknown until a first archive is made here"
            ],
        );
        estimate.bytes = None;
        check(
            &estimate,
            &expect![
                "state of volume team0_state: what it takes is unknown, as its size is not known here"
            ],
        );
    }
}
