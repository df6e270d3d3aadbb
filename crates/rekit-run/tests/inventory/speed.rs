//! How long a look takes beside the same facts by buildx.

use std::time::{Duration, Instant};

use rekit_lab::LabOptions;
use rekit_run::inventory::Limits;

use super::{boot, lab, look_with, surroundings};

/// Runs something a few times and returns the middle.
fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect();
    times.sort();
    times[2]
}

#[test]
fn r1_1_1_three_builders_are_read_faster_than_buildx_lists_them() {
    let lab = lab(LabOptions::default());
    for name in ["one", "two", "three"] {
        boot(&lab, name);
    }
    let surroundings = surroundings(&lab);
    // Versions of programs are no facts that buildx tells.
    let facts_only = Limits {
        program: Duration::ZERO,
        ..Limits::default()
    };
    let ours = median(|| drop(look_with(&surroundings, facts_only)));
    let whole = median(|| drop(look_with(&surroundings, Limits::default())));
    let theirs = median(|| {
        lab.docker(&["buildx", "ls"]).unwrap();
        for name in ["one", "two", "three"] {
            lab.docker(&["buildx", "inspect", name]).unwrap();
            lab.docker(&["buildx", "du", "--verbose", "--builder", name])
                .unwrap();
        }
    });
    let line =
        format!("inventory {ours:?} (with versions of programs {whole:?}), buildx {theirs:?}");
    // The bound for a release build on a quiet machine is a tenth; here debug code runs beside other tests.
    assert!(ours * 2 < theirs, "{line}");
    assert!(
        std::io::Write::write_all(&mut std::io::stdout(), format!("{line}\n").as_bytes()).is_ok()
    );
}
