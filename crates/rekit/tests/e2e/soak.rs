//! Reinstalls in a row while clients build without pause, beside the same number of naive ones: `buildx rm` and `buildx create`.
//!
//! CI runs a sample; `scripts/campaign soak` is the whole, run alone, and judges the times too.

#![expect(clippy::print_stdout, reason = "a campaign tells its table")]

use crate::support::{Machine, Seen, set_by};
use rekit_core::next::Entry;
use std::time::Duration;

const CLIENTS: u32 = 2;
/// How much longer than the longest build of the baseline a build may take during a reinstall.
const LONGEST_STALL: Duration = Duration::from_secs(2);

#[test]
fn r6_2_4_r6_2_5_reinstalls_in_a_row_cost_no_build() {
    let machine = Machine::quick();
    let runs: u32 = set_by("RUNS", 5);
    // The first one repairs the record of the other builder, so that it can go: no client builds with it.
    machine.rekit(&["reinstall", "--yes"]).good();
    machine.docker(&["buildx", "rm", "ci"]).good();
    machine.rekit(&["finalize", "--yes"]).good();
    let ((), baseline) = machine.while_building("team", CLIENTS, || {
        std::thread::sleep(Duration::from_secs(5 * u64::from(runs)));
    });
    let ((), ours) = machine.while_building("team", CLIENTS, || {
        for _ in 0..runs {
            machine.rekit(&["reinstall", "--yes"]).good();
            machine.rekit(&["finalize", "--yes"]).good();
        }
    });
    let ((), naive) = machine.while_building("team", CLIENTS, || {
        for _ in 0..runs {
            machine.docker(&["buildx", "rm", "--force", "team"]).good();
            let create = ["buildx", "create", "--name", "team", "--bootstrap"];
            machine.docker(&create).good();
        }
    });
    let table = [
        row("none", &baseline),
        row("rekit reinstall", &ours),
        row("buildx rm, buildx create", &naive),
    ];
    println!(
        "{runs} reinstalls, {CLIENTS} clients\n\n\
         | change | builds | failed or wrong | median ms | 9 of 10 within ms | longest ms |\n|---|---|---|---|---|---|\n{}",
        table.concat()
    );
    println!("{}", stalls(&machine, &ours));
    for client in baseline.iter().chain(&ours) {
        assert!(client.bad.is_empty(), "{}", client.bad.join("\n"));
        assert!(client.good > 0, "nothing was built");
    }
    let failed: usize = naive.iter().map(|client| client.bad.len()).sum();
    assert!(failed > 0, "a client that builds sees the naive way");
    if std::env::var_os("RUNS").is_some() {
        let longest = |seen: &[Seen]| times(seen).last().copied().unwrap_or_default();
        assert!(longest(&ours) <= longest(&baseline) + LONGEST_STALL);
    }
}

/// Tells each slow build with what it printed and the steps of rekit that began or ended meanwhile.
fn stalls(machine: &Machine, seen: &[Seen]) -> String {
    let runs = machine.runs();
    let mut told = Vec::new();
    for (at, took, said) in seen.iter().flat_map(|client| &client.slow) {
        told.push(format!("\na build of {} ms:\n{said}", took.as_millis()));
        let until = i128::try_from(took.as_millis()).unwrap_or(0) + 500;
        for run in &runs {
            for (time, entry) in &run.entries {
                let (word, step) = match entry {
                    Entry::Started { step, .. } => ("began", step),
                    Entry::Finished { step, .. } => ("ended", step),
                    _ => continue,
                };
                let mut steps = run.plan.steps.iter();
                let kind = steps
                    .find(|it| it.id == *step)
                    .map_or("", |it| it.action.kind());
                let since = time.duration_since(*at).as_millis();
                if (-1_000..until).contains(&since) {
                    told.push(format!(
                        "{since:>8} ms: {word} {kind}, {}",
                        run.plan.purpose
                    ));
                }
            }
        }
    }
    told.join("\n")
}

fn row(change: &str, seen: &[Seen]) -> String {
    let times = times(seen);
    let failed: usize = seen.iter().map(|client| client.bad.len()).sum();
    let at = |tenths: usize| times[(times.len() - 1) * tenths / 10].as_millis();
    format!(
        "| {change} | {} | {failed} | {} | {} | {} |\n",
        times.len(),
        at(5),
        at(9),
        at(10)
    )
}

/// Returns how long the good builds of all clients took, shortest first.
fn times(seen: &[Seen]) -> Vec<Duration> {
    let mut times: Vec<_> = seen.iter().flat_map(|client| client.took.clone()).collect();
    times.sort();
    times
}
