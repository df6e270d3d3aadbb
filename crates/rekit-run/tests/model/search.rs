//! The search: every point that a plan, faults, other people and a second try lead to.

use crate::{
    invariants::{check_end, check_invariants},
    world::{THEIRS, name, now, path},
};
use rekit_core::{
    check::CheckedPlan,
    event::Event,
    name::HostId,
    next::{Entry, RunEnd, RunState, Turn},
    standalone::ProcessIdentity,
};
use rekit_run::{
    executor::{DriveEnd, DriveError, Run},
    journal::{JournalError, MemoryJournal},
    world::fake::{FakeWorld, Fault},
};
use std::collections::{HashSet, VecDeque};

/// Changing operations in the longest step, and one more.
const OPERATIONS: u32 = 7;

/// One point of the search.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Point {
    pub(crate) journal: MemoryJournal,
    pub(crate) world: FakeWorld,
    /// Crashes, errors and requests that may still come.
    pub(crate) faults: u8,
    /// Whether somebody else changed the world.
    pub(crate) moved: bool,
    /// What the executor does wrong.
    pub(crate) slip: Option<Slip>,
}

/// What an executor could do wrong. Each must be found by the search, or the search is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Slip {
    /// It does not write down that a step begins, with its undo.
    LosesStarted,
    /// It does not write down that a step is done.
    LosesFinished,
    /// It does not write down that a step is taken back.
    LosesUndone,
    /// It prepares the undo of a step anew that had begun, and the later one stands.
    PreparesTwice,
    /// It does not see that somebody else changed the record.
    IgnoresGuards,
}

impl Point {
    pub(crate) fn state(&self, plan: &CheckedPlan) -> RunState {
        RunState::replay(plan.plan().steps.len(), &self.journal.entries)
    }

    pub(crate) fn at(world: FakeWorld, faults: u8) -> Self {
        Self {
            journal: MemoryJournal::default(),
            world,
            faults,
            moved: false,
            slip: None,
        }
    }

    /// Does one thing, as a fresh process would: nothing is known but journal and world.
    pub(crate) fn advance(&mut self, plan: &CheckedPlan) -> Result<Option<DriveEnd>, DriveError> {
        let last = self.journal.entries.last();
        let has_begun = matches!(last, Some(Entry::Started { .. }));
        if self.slip == Some(Slip::PreparesTwice) && has_begun {
            self.journal.entries.pop();
            self.advance_once(plan)?;
        }
        let before = self.journal.entries.len();
        let mut end = self.advance_once(plan);
        let has_begun = matches!(
            self.journal.entries.get(before),
            Some(Entry::Started { .. })
        );
        if self.slip == Some(Slip::LosesStarted) && has_begun {
            // It goes on as if the entry were on the disk.
            end = self.advance_once(plan);
            self.journal.entries.remove(before);
            return end;
        }
        let is_lost = |entry: &Entry| match self.slip {
            Some(Slip::LosesFinished) => matches!(entry, Entry::Finished { .. }),
            Some(Slip::LosesUndone) => matches!(entry, Entry::Undone { .. }),
            _ => false,
        };
        if self.journal.entries.last().is_some_and(is_lost) {
            self.journal.entries.truncate(before);
        }
        end
    }

    pub(crate) fn advance_once(
        &mut self,
        plan: &CheckedPlan,
    ) -> Result<Option<DriveEnd>, DriveError> {
        let entries = self.journal.entries.clone();
        let mut run = Run::new(plan, &entries, &|_: Event| {}, &|| false);
        now(run.advance(&mut self.world, &mut self.journal))
    }
}

/// What a person may decide where a run stands still.
pub(crate) fn decided(plan: &CheckedPlan, point: &Point) -> [Point; 2] {
    let (step, _) = point.state(plan).held().cloned().unwrap();
    let asked = Entry::Turned {
        why: Turn::Asked {},
    };
    [Entry::Accepted { step }, asked].map(|entry| {
        let mut next = point.clone();
        next.journal.entries.push(entry);
        next
    })
}

/// What somebody else may do at any moment.
pub(crate) fn foreign_moves(point: &Point) -> Vec<Point> {
    let host: HostId = name("unix:///a");
    let mut moves = Vec::new();
    let mut moved = |change: &dyn Fn(&mut FakeWorld) -> bool| {
        let mut next = point.clone();
        next.moved = true;
        if change(&mut next.world) {
            moves.push(next);
        }
    };
    for container in ["buildx_buildkit_team0", "buildx_buildkit_team0-g1"] {
        let key = (host.clone(), name(container));
        moved(&|world| {
            world
                .containers
                .get_mut(&key)
                .is_some_and(|found| !std::mem::replace(&mut found.facts.running, true))
        });
        moved(&|world| world.containers.contains_key(&key) && world.busy.insert(key.clone()));
    }
    moved(&|world| {
        world
            .containers
            .remove(&(host.clone(), name("buildx_buildkit_team0-g1")))
            .is_some()
    });
    moved(&|world| {
        let record = path("/s/instances/team");
        let theirs = (THEIRS.to_vec(), 0o600);
        let Some(old) = world.files.insert(record.clone(), theirs) else {
            return false;
        };
        if point.slip == Some(Slip::IgnoresGuards) {
            world.hidden.entry(record).or_insert(old);
        }
        true
    });
    moved(&|world| {
        let intact = world
            .volumes
            .values()
            .any(|volume| volume.content.as_deref() == Some("warm"));
        let archive = world.archives.get_mut(&name("team0"));
        intact && archive.is_some_and(|archive| !std::mem::replace(&mut archive.damaged, true))
    });
    moved(&|world| {
        // Somebody starts the daemon anew: it is another process.
        let daemon = world.daemons.get_mut(&path("/var/b"));
        daemon.is_some_and(|daemon| {
            let other = ProcessIdentity { pid: 9, started: 9 };
            daemon.process.replace(other) != Some(other)
        })
    });
    moved(&|world| {
        let daemon = world.daemons.get_mut(&path("/var/b"));
        daemon.is_some_and(|daemon| {
            daemon.process.is_some() && !std::mem::replace(&mut daemon.busy, true)
        })
    });
    moves
}

/// Every point that one move leads to.
pub(crate) fn moves(plan: &CheckedPlan, point: &Point) -> Vec<Point> {
    let mut next = Vec::new();
    let mut plain = point.clone();
    plain.advance(plan).unwrap();
    next.push(plain);
    if point.state(plan).held().is_some() {
        next.extend(decided(plan, point));
    }
    if point.faults == 0 {
        return next;
    }
    for operations in 0..OPERATIONS {
        for fault in [Fault::CrashAfter(operations), Fault::FailAfter(operations)] {
            let mut faulty = point.clone();
            faulty.faults -= 1;
            faulty.world.fault = Some(fault);
            let end = faulty.advance(plan);
            let happened = faulty.world.fault.is_none() || matches!(end, Err(DriveError::Crashed));
            faulty.world.fault = None;
            if happened {
                next.push(faulty);
            }
        }
    }
    let mut unwritten = point.clone();
    unwritten.faults -= 1;
    unwritten.journal.fuel = Some(0);
    if matches!(
        unwritten.advance(plan),
        Err(DriveError::Journal(JournalError::Crashed))
    ) {
        unwritten.journal.fuel = None;
        next.push(unwritten);
    }
    if point.state(plan).ended().is_none() && point.state(plan).turned().is_none() {
        let mut asked = point.clone();
        asked.faults -= 1;
        asked.journal.entries.push(Entry::Turned {
            why: Turn::Asked {},
        });
        next.push(asked);
    }
    for mut moved in foreign_moves(point) {
        moved.faults -= 1;
        next.push(moved);
    }
    next
}

/// Searches all points within `faults` faults; returns how many there are and the world of a run without any.
pub(crate) fn search(
    plan: &CheckedPlan,
    start: &FakeWorld,
    blobs: &MemoryJournal,
    faults: u8,
) -> (usize, Point) {
    search_with(plan, start, blobs, (faults, None))
}

/// The same with an executor that does something wrong.
pub(crate) fn search_with(
    plan: &CheckedPlan,
    start: &FakeWorld,
    blobs: &MemoryJournal,
    (faults, slip): (u8, Option<Slip>),
) -> (usize, Point) {
    let journal = MemoryJournal {
        blobs: blobs.blobs.clone(),
        ..MemoryJournal::default()
    };
    let first = Point {
        journal,
        slip,
        ..Point::at(start.clone(), faults)
    };
    let mut seen = HashSet::from([first.clone()]);
    let mut queue = VecDeque::from([first]);
    let mut done = None;
    while let Some(point) = queue.pop_front() {
        check_invariants(start, &point);
        check_end(plan, start, &point);
        let ended = point.state(plan).ended();
        if ended == Some(RunEnd::Done) && point.faults == faults {
            done = Some(point.clone());
        }
        if ended.is_some() {
            continue;
        }
        for next in moves(plan, &point) {
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    (seen.len(), done.expect("a run without faults ends"))
}
