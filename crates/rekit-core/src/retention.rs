//! Which archives may go: never one that something still needs, and of the others only what the rule does not keep.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{
    history::PastRun,
    name::{ArchiveId, HostPath, RunId},
    next::Stage,
    plan::{Plan, Purpose},
    step::{Action, BootState, StateSource},
    undo::Undo,
};

/// What is kept although nothing needs it. An archive goes only if no part of the rule keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The newest this many of each volume, folder, builder and engine, and of the configuration.
    pub newest: Option<usize>,
    /// All that are younger than this.
    pub younger_than: Option<SignedDuration>,
}

/// An archive on disk, as far as the rule asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: ArchiveId,
    /// What it is an archive of; `None`: it cannot be told.
    pub subject: Option<String>,
    /// When it was completed.
    pub made: Timestamp,
    /// Whether it is whole, or just what a writer that was killed left.
    pub state: Readable,
}

/// How far an archive can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readable {
    /// It is whole.
    Whole,
    /// Its writer was killed.
    Begun,
    /// It was whole, and cannot be read now.
    Damaged(String),
}

/// Why an archive stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// A run that is to be resumed or taken back.
    OpenRun {
        /// The run.
        run: RunId,
    },
    /// A node or volume that is parked.
    Parked {
        /// Its generation.
        generation: u32,
    },
    /// The way back over a run.
    WayBack {
        /// The run.
        run: RunId,
    },
    /// It is one of the newest.
    Newest {},
    /// It is too young.
    Young {},
    /// What cannot be read may be all there is of it; a person decides.
    Damaged {
        /// Why it cannot be read.
        why: String,
    },
}

/// Archives by what becomes of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// These go.
    pub remove: Vec<ArchiveId>,
    /// These stay.
    pub keep: Vec<(ArchiveId, Reason)>,
}

/// What still needs archives.
#[derive(Clone, Debug, Default)]
pub struct Pins(BTreeMap<ArchiveId, Reason>);

impl Pins {
    /// Gathers what runs need. `folder` is where rekit's own archives lie; those elsewhere are pinned by their folder.
    pub fn of(runs: &[PastRun], folder: &HostPath) -> Self {
        let mut pins = Self::default();
        for run in runs.iter().filter(|run| run.is_open()) {
            let reason = Reason::OpenRun {
                run: run.plan.run.clone(),
            };
            let all = run.plan.steps.iter();
            pins.add(
                all.filter_map(|step| named_by_action(&step.action, &run.plan, folder)),
                &reason,
            );
            pins.add(undos_of(run, folder), &reason);
        }
        let history = crate::history::History::new(runs.to_vec());
        for parked in history.parked() {
            let generation = parked.generation;
            pins.add(parked.archive, &Reason::Parked { generation });
        }
        // Every generation can be gone back to, so that the undo of every run that changed something may be needed.
        let changed = |run: &&PastRun| run.plan.purpose != Purpose::Backup;
        for run in history.runs().iter().filter(changed) {
            let reason = Reason::WayBack {
                run: run.plan.run.clone(),
            };
            pins.add(undos_of(run, folder), &reason);
        }
        pins
    }

    /// Returns why an archive must stay, if it must.
    pub fn reason(&self, archive: &ArchiveId) -> Option<&Reason> {
        self.0.get(archive)
    }

    fn add(&mut self, archives: impl IntoIterator<Item = ArchiveId>, reason: &Reason) {
        for archive in archives {
            self.0.entry(archive).or_insert_with(|| reason.clone());
        }
    }
}

fn undos_of(run: &PastRun, folder: &HostPath) -> Vec<ArchiveId> {
    let undo = |step: &crate::step::Step| match run.state.stage(step.id) {
        Stage::Started(undo) | Stage::Finished(undo, _) => named_by_undo(undo, &run.plan, folder),
        Stage::Pending | Stage::Adopted | Stage::Undone => None,
    };
    run.plan.steps.iter().filter_map(undo).collect()
}

fn named_by_action(action: &Action, plan: &Plan, folder: &HostPath) -> Option<ArchiveId> {
    if let Some(archive) = action.made_archive() {
        return own(plan, folder).then(|| archive.clone());
    }
    match action {
        Action::VerifyArchive { archive }
        | Action::RemoveVolume { archive, .. }
        | Action::RemoveState { archive, .. }
        | Action::RestoreVolume { archive, .. } => own(plan, folder).then(|| archive.clone()),
        Action::ImportMounts { source, .. }
        | Action::RestoreFolder { source, .. }
        | Action::LoadImage { source, .. }
        | Action::RestoreEngine { source, .. }
        | Action::BringFile { source, .. } => from(source, folder),
        Action::BootNode { state, .. } => match state.as_ref()? {
            BootState::Archived { source } => from(source, folder),
            BootState::Copied { archive, .. } => own(plan, folder).then(|| archive.clone()),
        },
        _ => None,
    }
}

fn named_by_undo(undo: &Undo, plan: &Plan, folder: &HostPath) -> Option<ArchiveId> {
    match undo {
        Undo::RestoreVolume { archive, .. }
        | Undo::RemoveRestored { archive, .. }
        | Undo::RestoreEngine { archive, .. } => own(plan, folder).then(|| archive.clone()),
        Undo::RemoveNode { state, .. } => from(state.as_ref()?, folder),
        Undo::EmptyFolder { source, .. } | Undo::RestoreState { source, .. } => {
            from(source, folder)
        }
        _ => None,
    }
}

/// Returns whether a plan's archives lie in rekit's own folder.
fn own(plan: &Plan, folder: &HostPath) -> bool {
    &plan.archives == folder
}

/// Returns the id of an archive in rekit's own folder that a node began with.
fn from(source: &StateSource, folder: &HostPath) -> Option<ArchiveId> {
    let (parent, name) = source.archive.as_str().rsplit_once('/')?;
    (parent == folder.as_str())
        .then(|| name.parse().ok())
        .flatten()
}

/// Chooses which archives go.
pub fn choose(mut archives: Vec<Candidate>, pins: &Pins, rule: Rule, now: Timestamp) -> Choice {
    // Newest first, so that counting them tells which are the newest.
    archives.sort_by(|a, b| (b.made, &b.id).cmp(&(a.made, &a.id)));
    let mut seen: BTreeMap<Option<String>, usize> = BTreeMap::new();
    let mut choice = Choice::default();
    for archive in archives {
        let count = seen.entry(archive.subject.clone()).or_default();
        if archive.state == Readable::Whole {
            *count += 1;
        }
        match kept(&archive, *count, pins, rule, now) {
            Some(reason) => choice.keep.push((archive.id, reason)),
            None => choice.remove.push(archive.id),
        }
    }
    choice
}

fn kept(
    archive: &Candidate,
    number: usize,
    pins: &Pins,
    rule: Rule,
    now: Timestamp,
) -> Option<Reason> {
    if let Some(reason) = pins.reason(&archive.id) {
        return Some(reason.clone());
    }
    match &archive.state {
        Readable::Damaged(why) => return Some(Reason::Damaged { why: why.clone() }),
        Readable::Begun => return None,
        Readable::Whole => {}
    }
    if rule.newest.is_some_and(|newest| number <= newest) {
        return Some(Reason::Newest {});
    }
    let age = now.duration_since(archive.made);
    rule.younger_than
        .is_some_and(|limit| age < limit)
        .then_some(Reason::Young {})
}

/// Reads an age such as `30d`, `12h` or `2w`.
pub fn age(text: &str) -> Option<SignedDuration> {
    let number: i64 = text.get(..text.len().checked_sub(1)?)?.parse().ok()?;
    let hours = match text.as_bytes().last()? {
        b'h' => 1,
        b'd' => 24,
        b'w' => 7 * 24,
        _ => return None,
    };
    let hours = number.checked_mul(hours).filter(|hours| *hours >= 0)?;
    SignedDuration::try_from_hours(hours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        next::{Entry, RunEnd, RunState},
        step::{Step, StepId, VolumePlace},
        undo::Outcome,
    };

    const NOW: &str = "2026-11-23T08:00:00Z";

    fn archive(id: &str, subject: Option<&str>, made: &str, state: Readable) -> Candidate {
        Candidate {
            id: id.parse().unwrap(),
            subject: subject.map(str::to_owned),
            made: made.parse().unwrap(),
            state,
        }
    }

    fn removed(archives: Vec<Candidate>, pins: &Pins, rule: Rule) -> Vec<String> {
        let choice = choose(archives, pins, rule, NOW.parse().unwrap());
        choice.remove.iter().map(ToString::to_string).collect()
    }

    fn shelf() -> Vec<Candidate> {
        let old = "2026-10-01T00:00:00Z";
        vec![
            archive("conf", None, old, Readable::Whole),
            archive("a1", Some("a"), "2026-09-01T00:00:00Z", Readable::Whole),
            archive("a2", Some("a"), old, Readable::Whole),
            archive("a3", Some("a"), "2026-11-22T00:00:00Z", Readable::Whole),
            archive("b1", Some("b"), old, Readable::Whole),
            archive("cut", None, old, Readable::Begun),
            archive("torn", None, old, Readable::Damaged("x".to_owned())),
        ]
    }

    #[test]
    fn an_archive_goes_only_if_no_part_of_the_rule_keeps_it() {
        let rule = |newest, days: Option<i64>| Rule {
            newest,
            younger_than: days.map(|days| SignedDuration::from_hours(days * 24)),
        };
        for (rule, expected) in [
            (rule(Some(1), None), vec!["cut", "a2", "a1"]),
            (rule(Some(2), None), vec!["cut", "a1"]),
            (rule(None, Some(30)), vec!["cut", "conf", "b1", "a2", "a1"]),
            (rule(Some(1), Some(60)), vec!["cut", "a1"]),
            (
                rule(Some(0), None),
                vec!["a3", "cut", "conf", "b1", "a2", "a1"],
            ),
        ] {
            assert_eq!(
                removed(shelf(), &Pins::default(), rule),
                expected,
                "{rule:?}"
            );
        }
    }

    /// A run with one step that removed a volume, its entries given.
    fn run(id: &str, purpose: Purpose, folder: &str, entries: &[Entry]) -> PastRun {
        let volume = VolumePlace {
            host: "unix:///run/docker.sock".parse().unwrap(),
            volume: "v".parse().unwrap(),
            created_at: String::new(),
        };
        let removal = Action::RemoveVolume {
            volume,
            archive: id.parse().unwrap(),
            verified_by: StepId(1),
        };
        let steps = vec![Step {
            id: StepId(1),
            why: String::new(),
            action: removal,
        }];
        PastRun {
            state: RunState::replay(steps.len(), entries),
            began: Timestamp::UNIX_EPOCH,
            plan: Plan {
                archives: folder.into(),
                to_generation: 1,
                steps,
                ..Plan::new(
                    id.parse().unwrap(),
                    purpose,
                    Timestamp::UNIX_EPOCH,
                    "/home".into(),
                )
            },
        }
    }

    fn entries(archive: &str, end: Option<RunEnd>) -> Vec<Entry> {
        let undo = Undo::RestoreVolume {
            host: "unix:///run/docker.sock".parse().unwrap(),
            volume: "v".parse().unwrap(),
            archive: archive.parse().unwrap(),
            options: "b".repeat(64).parse().unwrap(),
        };
        let step = StepId(1);
        let outcome = Outcome::Done {};
        let done = [
            Entry::Started { step, undo },
            Entry::Finished { step, outcome },
        ];
        let end = end.map(|end| Entry::Ended { end });
        done.into_iter().chain(end).collect()
    }

    #[test]
    fn a_run_pins_what_its_way_back_needs_and_an_open_one_all_that_it_names() {
        let own = "/home/archives";
        let pinned = |purpose, folder, id: &str, entries: &[Entry]| {
            let runs = [run(id, purpose, folder, entries)];
            let pins = Pins::of(&runs, &own.into());
            pins.reason(&id.parse().unwrap()).cloned()
        };
        let of = |id: &str| id.parse::<RunId>().unwrap();
        let done = entries("a-1", Some(RunEnd::Done));
        assert_eq!(
            pinned(Purpose::Finalize, own, "a-1", &done),
            Some(Reason::WayBack { run: of("a-1") })
        );
        assert_eq!(pinned(Purpose::Finalize, "/disk", "a-1", &done), None);
        assert_eq!(pinned(Purpose::Backup, own, "a-1", &done), None);
        let back = entries("a-1", Some(RunEnd::RolledBack));
        assert_eq!(pinned(Purpose::Finalize, own, "a-1", &back), None);
        let stuck = entries("a-1", Some(RunEnd::Stuck));
        for open in [&[][..], &stuck[..]] {
            assert_eq!(
                pinned(Purpose::Backup, own, "a-1", open),
                Some(Reason::OpenRun { run: of("a-1") })
            );
        }
    }

    #[test]
    fn what_is_needed_stays_whatever_the_rule_says() {
        let mut pins = Pins::default();
        let needed = Reason::Parked { generation: 0 };
        pins.add(["a1".parse().unwrap(), "cut".parse().unwrap()], &needed);
        let rule = Rule {
            newest: Some(0),
            younger_than: None,
        };
        assert_eq!(removed(shelf(), &pins, rule), ["a3", "conf", "b1", "a2"]);
    }

    #[test]
    fn ages_are_read() {
        assert_eq!(age("30d"), Some(SignedDuration::from_hours(720)));
        assert_eq!(age("2w"), Some(SignedDuration::from_hours(336)));
        for bad in [
            "",
            "d",
            "30",
            "-1d",
            "1y",
            "1.5d",
            "99999999999999999d",
            "é",
        ] {
            assert_eq!(age(bad), None, "{bad}");
        }
    }
}
