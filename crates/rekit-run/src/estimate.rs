//! What is known of archives that were made before: their sizes from their manifests, their times from the journal. Looks only.

use std::collections::BTreeMap;

use rekit_core::{
    estimate::PastArchive, name::ArchiveId, next::Entry, plan::Plan, step::StepId, undo::Outcome,
};

use crate::{archives::archives, journal::StoredRun, session::Session, world::path_of};

impl Session<'_> {
    /// Returns the archives of cache in rekit's own directory, in the order of time. What cannot be read is missing: an estimate is no
    /// reason to fail.
    pub fn past_archives(&self, plan: &Plan) -> Vec<PastArchive> {
        let home = self.home_path();
        let is_shared = path_of(&plan.archives) == home.join("archives");
        let times: BTreeMap<_, _> = self
            .runs()
            .unwrap_or_default()
            .iter()
            .flat_map(times)
            .collect();
        let mut stored = archives(&home).unwrap_or_default();
        stored.sort_by_key(|archive| archive.made);
        let past = |archive: crate::archives::StoredArchive| {
            let content = archive
                .content
                .ok()
                .filter(crate::archives::Content::holds_cache)?;
            Some(PastArchive {
                milliseconds: times.get(&archive.id).copied(),
                id: archive.id,
                subject: content.subject(),
                bytes: content.bytes,
                packed_bytes: content.packed_bytes,
                is_shared,
            })
        };
        stored.into_iter().filter_map(past).collect()
    }
}

/// Returns how many milliseconds each archive of a run took.
fn times(run: &StoredRun) -> Vec<(ArchiveId, u64)> {
    let mut begun: BTreeMap<StepId, jiff::Timestamp> = BTreeMap::new();
    let mut took = Vec::new();
    for (time, entry) in &run.entries {
        match entry {
            Entry::Started { step, .. } => {
                begun.insert(*step, *time);
            }
            Entry::Finished {
                step,
                outcome: Outcome::Archived { .. },
            } => {
                let archive = run.plan.steps.iter().find(|known| known.id == *step);
                let archive = archive.and_then(|step| step.action.made_archive());
                if let Some((archive, begun)) = archive.zip(begun.get(step)) {
                    let milliseconds = time.duration_since(*begun).as_millis();
                    took.push((archive.clone(), u64::try_from(milliseconds).unwrap_or(0)));
                }
            }
            _ => {}
        }
    }
    took
}
