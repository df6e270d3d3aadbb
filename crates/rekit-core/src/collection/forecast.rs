//! One collection, foreseen: which records go, by which rule, and where chance decides.
//!
//! Source: `Prune`, `prune` and `pruneOnce` in BuildKit's `cache/manager.go` 0.12.5, 0.17.3, 0.21.0 and 0.32.2. Each rule runs to its end
//! before the next. A rule with a limit takes one record at a time and looks again; one without takes all it may, then what that made free.
//! Layers are removed from the disk only after the last rule, so that the free space is the same for all of them.
//!
//! A surprise: what lies beneath a deleted record counts as used at that moment, if the daemon has read the deleted one from the disk at its
//! start. `parentsOf` in the same file means to prevent it and hands its option over in a list that nobody looks into; seen in real
//! collections of 0.32.2.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::SignedDuration;

use super::{
    behaviour::Behaviour,
    filter::FilterFault,
    limit::kept_bytes,
    order::first_to_go,
    record::{Cache, Use},
    rule::ReadRule,
};
use crate::inventory::GcRule;

/// How many states are looked at where chance decides, times the records of each.
const MOST_WORK: usize = 4_000_000;

/// A record that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Its place in the list of records.
    pub record: usize,
    /// The place of the rule that takes it.
    pub rule: usize,
}

/// What one collection does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// What goes, in order; where chance decides, this is one of the ways.
    pub deletions: Vec<Deletion>,
    /// Places of the records that go whatever chance decides.
    pub certain: BTreeSet<usize>,
    /// Places of those that may go, the certain ones among them.
    pub possible: BTreeSet<usize>,
    /// Whether every way was looked at; else more or other records may go.
    pub is_complete: bool,
    /// The bytes that each rule kept when its turn came, and those that it found; none for rules that got no turn.
    pub turns: Vec<Turn>,
    /// When and how often each record was used, after the collection.
    pub(super) used: Vec<Use>,
    /// The rule at which the daemon gives up, and why.
    pub ends_at: Option<(usize, FilterFault)>,
}

/// A rule when its turn came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The bytes that it keeps, 0: no limit.
    pub kept_bytes: i64,
    /// The bytes that it found.
    pub found_bytes: i64,
}

/// Why nothing can be foreseen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unforeseen {
    /// A rule hangs on the free space of a disk that is not seen.
    #[error("rule {} hangs on the free space of a disk that rekit does not see", .0 + 1)]
    FreeSpace(usize),
    /// A filter is beyond rekit.
    #[error("rule {}: {fault}", .rule + 1)]
    Filter {
        /// The rule's place.
        rule: usize,
        /// The filter.
        fault: FilterFault,
    },
}

/// Returns what a daemon deletes when it collects now.
pub fn forecast(
    rules: &[GcRule],
    cache: Cache<'_>,
    behaviour: Behaviour,
) -> Result<Forecast, Unforeseen> {
    let walk = Walk::of(rules, cache, behaviour)?;
    let mut state = walk.start();
    let (mut deletions, mut is_chance) = (Vec::new(), false);
    while let Some(choice) = walk.next(&mut state)? {
        let taken = match choice {
            Choice::All(all) => all,
            Choice::One(group) => {
                is_chance |= group.len() > 1;
                let oldest = |&place: &usize| {
                    let record = &cache.records[place];
                    (record.last_used, &record.id)
                };
                group.into_iter().min_by_key(oldest).into_iter().collect()
            }
        };
        let rule = state.rule;
        deletions.extend(taken.iter().map(|&record| Deletion { record, rule }));
        for record in taken {
            walk.take(&mut state, record);
        }
    }
    let own: BTreeSet<_> = deletions.iter().map(|it| it.record).collect();
    let ways = if is_chance {
        walk.all_ways()?
    } else {
        Ways::one(own)
    };
    Ok(Forecast {
        deletions,
        certain: ways.certain.unwrap_or_default(),
        possible: ways.possible,
        is_complete: ways.is_complete,
        turns: state.turns,
        used: state.used,
        ends_at: walk.ends_at,
    })
}

/// The rules over a cache.
pub(super) struct Walk<'a> {
    pub(super) rules: Vec<ReadRule<'a>>,
    cache: Cache<'a>,
    behaviour: Behaviour,
    pub(super) parents: Vec<Vec<usize>>,
    ends_at: Option<(usize, FilterFault)>,
}

/// Where a collection stands.
#[derive(Clone)]
pub(super) struct State {
    rule: usize,
    is_begun: bool,
    kept: i64,
    total: i64,
    pub(super) gone: Vec<bool>,
    /// How many records that are there lie on each.
    pub(super) above: Vec<u32>,
    /// How many of those the daemon read from the disk.
    loaded_above: Vec<u32>,
    used: Vec<Use>,
    taken: i32,
    turns: Vec<Turn>,
}

/// What goes next.
pub(super) enum Choice {
    All(Vec<usize>),
    /// One of these.
    One(Vec<usize>),
}

/// All that chance may do.
struct Ways {
    certain: Option<BTreeSet<usize>>,
    possible: BTreeSet<usize>,
    is_complete: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn of(
        rules: &'a [GcRule],
        cache: Cache<'a>,
        behaviour: Behaviour,
    ) -> Result<Self, Unforeseen> {
        let (mut read, mut ends_at) = (Vec::new(), None);
        for (place, rule) in rules.iter().enumerate() {
            match ReadRule::of(rule, behaviour) {
                Ok(rule) => read.push(rule),
                // The daemon gives up at this rule; what the earlier ones did is done.
                Err(fault @ FilterFault::Refused { .. }) => {
                    ends_at = Some((place, fault));
                    break;
                }
                Err(fault) => return Err(Unforeseen::Filter { rule: place, fault }),
            }
        }
        let places: BTreeMap<&str, usize> = cache
            .records
            .iter()
            .enumerate()
            .map(|(place, record)| (record.id.as_str(), place))
            .collect();
        let parents = cache.records.iter().map(|record| {
            let parents = record.parents.iter();
            parents
                .filter_map(|id| places.get(id.as_str()).copied())
                .collect()
        });
        Ok(Self {
            rules: read,
            cache,
            behaviour,
            parents: parents.collect(),
            ends_at,
        })
    }

    pub(super) fn start(&self) -> State {
        let records = self.cache.records;
        let (mut above, mut loaded_above) = (vec![0; records.len()], vec![0; records.len()]);
        for (parents, record) in self.parents.iter().zip(records) {
            for &parent in parents {
                above[parent] += 1;
                loaded_above[parent] += u32::from(self.cache.is_from_disk(record));
            }
        }
        State {
            rule: 0,
            is_begun: false,
            kept: 0,
            total: 0,
            gone: vec![false; self.parents.len()],
            above,
            loaded_above,
            used: records.iter().map(Use::of).collect(),
            taken: 0,
            turns: Vec::new(),
        }
    }

    /// Goes on to the next deletion; `None`: the collection is over.
    pub(super) fn next(&self, state: &mut State) -> Result<Option<Choice>, Unforeseen> {
        while let Some(rule) = self.rules.get(state.rule) {
            if !state.is_begun {
                self.begin(rule.rule, state)?;
            }
            let has_enough = state.kept != 0 && state.total < state.kept;
            let candidates = if has_enough {
                Vec::new()
            } else {
                self.candidates(rule, state)
            };
            if candidates.is_empty() {
                (state.rule, state.is_begun) = (state.rule + 1, false);
            } else if state.kept == 0 {
                return Ok(Some(Choice::All(candidates)));
            } else {
                let uses: Vec<Use> = candidates.iter().map(|&it| state.used[it]).collect();
                let first = first_to_go(&uses, self.behaviour);
                let first = first.into_iter().map(|it| candidates[it]);
                return Ok(Some(Choice::One(first.collect())));
            }
        }
        Ok(None)
    }

    /// Counts the cache at a rule's turn: without what images share, as the daemon does.
    fn begin(&self, rule: &GcRule, state: &mut State) -> Result<(), Unforeseen> {
        let there = self.cache.records.iter().zip(&state.gone);
        state.total = there
            .filter(|(record, gone)| !*gone && !record.shared)
            .fold(0, |sum: i64, (record, _)| sum.saturating_add(record.bytes));
        state.kept = kept_bytes(rule, state.total, self.cache.free_bytes, self.behaviour)
            .ok_or(Unforeseen::FreeSpace(state.rule))?;
        state.is_begun = true;
        state.turns.push(Turn {
            kept_bytes: state.kept,
            found_bytes: state.total,
        });
        Ok(())
    }

    /// Lists what a rule may take now: nothing that a build or another record holds.
    fn candidates(&self, rule: &ReadRule<'_>, state: &State) -> Vec<usize> {
        let is_free = |&place: &usize| {
            let record = &self.cache.records[place];
            !state.gone[place] && state.above[place] == 0 && !record.in_use
        };
        let places = (0..self.cache.records.len()).filter(is_free);
        places
            .filter(|&place| {
                let record = &self.cache.records[place];
                rule.takes(record, state.used[place], self.cache.now)
            })
            .collect()
    }

    pub(super) fn take(&self, state: &mut State, record: usize) {
        state.gone[record] = true;
        state.total = state.total.saturating_sub(self.cache.records[record].bytes);
        state.taken += 1;
        let is_loaded = self.cache.is_from_disk(&self.cache.records[record]);
        for &parent in &self.parents[record] {
            state.above[parent] -= 1;
            if is_loaded {
                state.loaded_above[parent] -= 1;
                if state.loaded_above[parent] == 0 {
                    state.used[parent] = self.used_now(state, parent);
                }
            }
        }
    }

    fn used_now(&self, state: &State, record: usize) -> Use {
        // Each a moment after the other: only the order counts.
        let moment = SignedDuration::from_nanos(i64::from(state.taken));
        Use {
            last: Some(
                self.cache
                    .now
                    .saturating_add(moment)
                    .unwrap_or(self.cache.now),
            ),
            count: state.used[record].count + 1,
        }
    }

    /// Goes every way that chance may take, as far as there is time.
    fn all_ways(&self) -> Result<Ways, Unforeseen> {
        let mut ways = Ways::none();
        let mut seen = HashSet::new();
        let mut open = vec![self.start()];
        let mut work = 0;
        while let Some(mut state) = open.pop() {
            loop {
                work += self.parents.len();
                if work > MOST_WORK {
                    ways.is_complete = false;
                    return Ok(ways);
                }
                match self.next(&mut state)? {
                    None => {
                        ways.add(&state.gone);
                        break;
                    }
                    Some(Choice::All(all)) => {
                        for one in all {
                            self.take(&mut state, one);
                        }
                    }
                    Some(Choice::One(group)) if group.len() == 1 => {
                        self.take(&mut state, group[0]);
                    }
                    Some(Choice::One(group)) => {
                        for one in group {
                            let mut next = state.clone();
                            self.take(&mut next, one);
                            let key = (next.rule, next.kept, next.gone.clone(), next.used.clone());
                            if seen.insert(key) {
                                open.push(next);
                            }
                        }
                        break;
                    }
                }
            }
        }
        Ok(ways)
    }
}

impl Ways {
    fn none() -> Self {
        Self {
            certain: None,
            possible: BTreeSet::new(),
            is_complete: true,
        }
    }

    fn one(gone: BTreeSet<usize>) -> Self {
        Self {
            certain: Some(gone.clone()),
            possible: gone,
            is_complete: true,
        }
    }

    fn add(&mut self, gone: &[bool]) {
        let gone: BTreeSet<usize> = (0..gone.len()).filter(|&place| gone[place]).collect();
        self.possible.extend(&gone);
        self.certain = Some(match self.certain.take() {
            Some(certain) => certain.intersection(&gone).copied().collect(),
            None => gone,
        });
    }
}
