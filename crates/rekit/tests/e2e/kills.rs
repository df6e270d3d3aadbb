//! Kills at random moments of real runs. Each run is resumed or taken back, perhaps killed again, and ends done or as it was before.
//!
//! CI runs a sample; `scripts/campaign kills` is the whole.

#![expect(clippy::print_stdout, reason = "a campaign tells its table")]

use crate::support::{Dice, Machine, differences, set_by};
use rekit_core::next::{RunEnd, Stage};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    process::Stdio,
    time::{Duration, Instant},
};

const RESUME: &[&str] = &["resume", "--yes"];
const ROLLBACK: &[&str] = &["rollback", "--yes"];
/// Seconds after which the next kill comes on average, one of these each time: whatever rekit does then, each moment is as likely as any
/// other. The short one meets the first steps again and again, the long ones let a run come to its last.
const SHORT: f64 = 1.5;
const LONG: f64 = 6.0;
const LONGEST: f64 = 15.0;

#[test]
fn r1_4_1_r2_1_5_runs_killed_at_random_moments_end_done_or_as_before() {
    let machine = Machine::quick();
    let image = machine.export();
    let before = machine.world();
    let mut killer = Killer {
        machine: &machine,
        dice: Dice::new(set_by("SEED", 24301)),
        wanted: set_by("KILLS", 6),
        until: Instant::now() + Duration::from_mins(set_by("MINUTES", 24 * 60)),
        kills: BTreeMap::new(),
    };
    while killer.left() > 0 {
        killer.go_and_come_back();
        let found = differences(&before, &machine.world());
        assert!(found.is_empty(), "\n{}\n{killer}", found.join("\n"));
    }
    machine.export().is_warm_twin_of(&image);
    println!("{killer}");
}

/// Runs rekit and kills it now and then.
struct Killer<'a> {
    machine: &'a Machine,
    dice: Dice,
    wanted: usize,
    /// When it must be enough.
    until: Instant,
    /// How often each kind of step was under way, and which way the run went.
    kills: BTreeMap<(String, &'static str), usize>,
}

impl Killer<'_> {
    /// Returns how many kills are still to come.
    fn left(&self) -> usize {
        if Instant::now() > self.until {
            return 0;
        }
        self.wanted.saturating_sub(self.kills.values().sum())
    }

    /// Reinstalls, ends the probation or does not, goes back, and removes what is parked then.
    fn go_and_come_back(&mut self) {
        self.through(&["reinstall", "--yes"]);
        if self.dice.below(2) == 0 {
            self.through(&["finalize", "--yes"]);
        }
        while self.generation() != 0 {
            self.through(&["rollback", "0", "--yes"]);
        }
        // A run that was taken back left what it would have removed.
        for _ in 0..20 {
            self.through(&["finalize", "--yes"]);
            if self.is_finalized() {
                return;
            }
        }
        panic!("no end of the probation");
    }

    fn status(&self) -> serde_json::Value {
        let status = self.machine.rekit(&["status", "--format", "json"]);
        status.json()
    }

    fn generation(&self) -> u64 {
        self.status()["generation"].as_u64().unwrap()
    }

    fn is_finalized(&self) -> bool {
        self.status()["parked"].as_array().unwrap().is_empty()
    }

    /// Brings a run to an end, whichever, with kills on the way.
    fn through(&mut self, first: &[&str]) {
        let runs = self.machine.runs().len();
        let mut arguments = first;
        loop {
            if self.left() == 0 || self.dice.below(4) == 0 {
                self.machine.rekit(arguments).good();
                return;
            }
            if !self.kill(arguments) {
                return;
            }
            let Some(run) = self.machine.runs().into_iter().nth(runs) else {
                continue; // It had not begun.
            };
            if matches!(run.state().ended(), Some(RunEnd::Done | RunEnd::RolledBack)) {
                return;
            }
            let goes_on = self.dice.below(3) > 0;
            arguments = if goes_on { RESUME } else { ROLLBACK };
        }
    }

    /// Runs rekit and kills it at a random moment; returns false if it ended by itself.
    fn kill(&mut self, arguments: &[&str]) -> bool {
        let moment = self.moment();
        let said = self.machine.lab.root().join("said");
        let output = File::create(&said).unwrap();
        let mut command = self.machine.command("rekit", arguments);
        command.stdout(Stdio::null()).stderr(output);
        let began = Instant::now();
        let mut rekit = command.spawn().unwrap();
        while began.elapsed() < moment {
            if let Some(end) = rekit.try_wait().unwrap() {
                let said = fs::read_to_string(said).unwrap();
                assert!(end.success(), "{arguments:?} ended with {end}\n{said}");
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        rekit.kill().unwrap();
        if rekit.wait().unwrap().success() {
            return false;
        }
        self.note();
        true
    }

    /// Returns how long rekit may work until the next kill.
    fn moment(&mut self) -> Duration {
        let (die, sides) = (self.dice.below(1 << 20), f64::from(1_u32 << 20));
        let chance = (f64::from(u32::try_from(die).unwrap()) + 1.0) / sides;
        let mean = match self.dice.below(3) {
            0 => SHORT,
            1 => LONG,
            _ => LONGEST,
        };
        Duration::from_secs_f64(-chance.ln() * mean)
    }

    /// Writes down what was under way.
    fn note(&mut self) {
        let runs = self.machine.runs();
        let open = runs.last().filter(|run| run.is_open());
        let Some(run) = open else {
            return; // While it looked, planned, or told the end: there was nothing to spoil.
        };
        let state = run.state();
        let mut steps = run.plan.steps.iter();
        let step = steps.find(|step| matches!(state.stage(step.id), Stage::Started(_)));
        let kind = step.map_or("between two steps", |step| step.action.kind());
        let way = if state.turned().is_some() {
            "backward"
        } else {
            "forward"
        };
        *self.kills.entry((kind.to_owned(), way)).or_default() += 1;
    }
}

impl std::fmt::Display for Killer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| under way | run goes | kills |\n|---|---|---|")?;
        for ((kind, way), count) in &self.kills {
            writeln!(f, "| {kind} | {way} | {count} |")?;
        }
        Ok(())
    }
}
