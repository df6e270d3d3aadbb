//! What is done while the daemon stands still: everything that might change afterwards is looked at, and set aside where it changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::freeze::Mounts;
use super::held::Held;
use super::{Freeze, LiveCopy, LiveError, Look, at_rest};
use crate::cut::{Job, Work};
use crate::pack::{PackError, Round};
use crate::path::TreePath;
use crate::rules::Treatment;
use crate::segment::SegmentError;
use crate::staging::Staged;
use crate::walk::{Found, Scene, WalkError, Way, walk};

/// What is known from before the daemon stood still, and what it has mounted now.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) look: &'a Look,
    pub(super) round: &'a Round,
    pub(super) mounts: &'a Mounts,
}

#[derive(Default)]
pub(super) struct Rest {
    names: BTreeMap<TreePath, Vec<Vec<u8>>>,
    places: BTreeMap<TreePath, (Found, Staged)>,
}

#[derive(Default)]
struct HeldSnapshots {
    /// Which snapshots the databases know, by the directory that holds them.
    known: HashMap<TreePath, HashSet<Vec<u8>>>,
    decided: HashMap<TreePath, Vec<Work>>,
    uncommitted: u64,
    looked_at: u64,
    entries: u64,
}

impl LiveCopy<'_> {
    /// Sets aside, while the daemon stands still, what might change when it goes on.
    pub(super) fn hold(&self, before: Before<'_>) -> Result<(Held, Freeze), LiveError> {
        let now = &self.now;
        thread::scope(|scope| {
            let rest = scope.spawn(|| {
                let mut rest = Rest::default();
                self.stage_rest(&TreePath::default(), &mut rest)
                    .map(|()| rest)
            });
            let snapshots = self.hold_snapshots(before);
            let rest = rest
                .join()
                .unwrap_or(Err(PackError::Walk(WalkError::Ended)));
            let (mut rest, snapshots) = (rest?, snapshots?);
            // What the database does not know is being made or removed.
            for (folder, known) in &snapshots.known {
                if let Some(names) = rest.names.get_mut(folder) {
                    names.retain(|name| known.contains(name));
                }
            }
            let freeze = Freeze {
                microseconds: 0,
                uncommitted: snapshots.uncommitted,
                looked_at: snapshots.looked_at,
                entries: snapshots.entries,
                staged_bytes: self.staging.bytes(),
                attempts: 0,
            };
            let held = Held {
                now: now.clone(),
                names: rest.names,
                rest: rest.places,
                snapshots: snapshots.decided,
            };
            Ok((held, freeze))
        })
    }

    fn hold_snapshots(&self, before: Before<'_>) -> Result<HeldSnapshots, PackError> {
        let now = &self.now;
        let mut held = HeldSnapshots::default();
        let mut candidates = Vec::new();
        for folder in self.snapshotters() {
            let place = folder.child(b"snapshots");
            let known = self.snapshots(&folder);
            let names = now.names(&place).unwrap_or_default();
            for name in names {
                let snapshot = known.as_ref().map(|known| known.get(&name).copied());
                let path = place.child(&name);
                match snapshot {
                    Some(None) => {}
                    Some(Some(snapshot)) if snapshot.is_committed => {}
                    _ => candidates.push(path),
                }
            }
            if let Some(known) = known {
                held.known.insert(place, known.into_keys().collect());
            }
        }
        held.uncommitted = candidates.len() as u64;
        let next = Mutex::new(candidates.into_iter());
        let shared = Mutex::new(&mut held);
        let work = || -> Result<(), PackError> {
            while let Some(path) = take(&next) {
                let (works, entries) = if let Some(works) = self.untouched(&path, before) {
                    (works, None)
                } else {
                    let (works, entries) = self.stage_snapshot(&path)?;
                    (works, Some(entries))
                };
                let mut held = shared.lock().unwrap_or_else(PoisonError::into_inner);
                held.looked_at += u64::from(entries.is_some());
                held.entries += entries.unwrap_or(0);
                held.decided.insert(path, works);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let other = scope.spawn(work);
            let own = work();
            own.and(
                other
                    .join()
                    .unwrap_or(Err(PackError::Walk(WalkError::Ended))),
            )
        })?;
        Ok(held)
    }

    /// Returns the segments of a snapshot that surely is as it was in the last round.
    fn untouched(&self, path: &TreePath, before: Before<'_>) -> Option<Vec<Work>> {
        let Before {
            look,
            round,
            mounts,
        } = before;
        if at_rest(&self.now, path, mounts)? != *look.get(path)? {
            return None;
        }
        let segments = round.scopes.get(&path.to_string())?.as_ref()?;
        let known = segments.iter().map(|(seen, entries)| {
            self.packer.has(seen).then_some(Work::Known {
                seen: *seen,
                entries: *entries,
            })
        });
        known.collect()
    }

    /// Looks at all of a snapshot, and sets aside the segments that are not known.
    fn stage_snapshot(&self, path: &TreePath) -> Result<(Vec<Work>, u64), PackError> {
        let way = Way {
            rules: &self.packer.options.rules,
            may_vanish: false,
        };
        let mut works = Vec::new();
        let mut entries = 0;
        let mut failed = None;
        let mut take = |job: Job| {
            let Work::Read(found) = job.work else {
                return true;
            };
            entries += found.len() as u64;
            let seen = job.scope.seen(&found);
            if self.packer.has(&seen) {
                let entries = found.len() as u64;
                works.push(Work::Known { seen, entries });
                return true;
            }
            let staged: Result<Vec<Staged>, SegmentError> =
                found.iter().map(|found| self.stage(found)).collect();
            match staged {
                Ok(staged) => works.push(Work::Staged(staged.into())),
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        };
        let walked = walk(&self.now, path, way, &mut take);
        match failed {
            Some(source) => Err(PackError::Segment { number: 0, source }),
            None => walked.map(|_| (works, entries)).map_err(PackError::Walk),
        }
    }

    fn stage(&self, found: &Found) -> Result<Staged, SegmentError> {
        let (entry, file, _) = self.packer.source.read(found)?;
        self.staging.take(entry, file.as_ref())
    }

    /// Sets aside what is neither a snapshot nor a blob: the databases, small files, the directories.
    pub(super) fn stage_rest(&self, path: &TreePath, rest: &mut Rest) -> Result<(), PackError> {
        let now = &self.now;
        let walk = |source| {
            PackError::Walk(WalkError::Read {
                path: path.clone(),
                source,
            })
        };
        let found = now.look(path).map_err(walk)?;
        let staged = self.stage(&found);
        let staged = staged.map_err(|source| PackError::Segment { number: 0, source })?;
        let is_directory = found.is_directory();
        rest.places.insert(path.clone(), (found, staged));
        if !is_directory {
            return Ok(());
        }
        let rules = &self.packer.options.rules;
        let treatment = |path: &TreePath| {
            let rule = rules.rule_for(path.as_bytes());
            rule.map(|rule| rule.treatment)
        };
        let names = now.names(path).map_err(walk)?;
        let is_entered = !matches!(
            treatment(path),
            Some(Treatment::SkipContents | Treatment::Group)
        );
        for name in names.iter().filter(|_| is_entered) {
            let child = path.child(name);
            let is_left = matches!(
                treatment(&child),
                Some(Treatment::Skip | Treatment::OwnSegment)
            );
            if !is_left && !now.look(&child).is_ok_and(|found| found.is_socket()) {
                self.stage_rest(&child, rest)?;
            }
        }
        rest.names.insert(path.clone(), names);
        Ok(())
    }
}

fn take(next: &Mutex<std::vec::IntoIter<TreePath>>) -> Option<TreePath> {
    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
    next.next()
}
