//! `rekit backup rehearse`: an archive is proven by using it. Needs no journal: what it makes is its own, and gone afterwards.

use std::path::Path;

use rekit_core::{
    inventory::Inventory,
    name::{Digest, HostId, VolumeName},
    rehearsal::{Rehearsal, engine_of},
};

use crate::{
    journal::Home,
    session::{Session, SessionError},
    world::{
        clock, host,
        real::{NotProven, Stage},
    },
};

/// What a rehearsal came to, and what of it is still on the engine.
#[derive(Debug)]
pub struct Played {
    /// What was proven, or why it was not.
    pub outcome: Result<Rehearsal, NotProven>,
    /// The engine.
    pub engine: HostId,
    /// Commands for what could not be removed again.
    pub left_behind: Vec<String>,
}

impl Session<'_> {
    /// Rehearses an archive that was verified as `identity`; `None`: no engine here can be the one that it came from.
    ///
    /// It holds rekit's own lock, so that no run begins beside it and no second rehearsal takes its objects for leftovers.
    pub async fn rehearse(
        &self,
        inventory: &Inventory,
        archive: &Path,
        volume: &VolumeName,
        identity: &Digest,
    ) -> Result<Option<Played>, SessionError> {
        let Some(engine) = engine_of(inventory, volume) else {
            return Ok(None);
        };
        let path = self.home_path();
        let _lock = Home::open(&path, clock::now)?;
        let owner = owner(&path);
        let stage = Stage {
            archive,
            host: engine,
            owner: &owner,
        };
        let played = self.world().rehearse(stage).await;
        let outcome = played.outcome.map(|proven| Rehearsal {
            schema: Rehearsal::SCHEMA.to_owned(),
            version: Rehearsal::VERSION,
            archive: archive.display().to_string(),
            identity: identity.clone(),
            sound: true,
            engine: engine.clone(),
            image: proven.image,
            image_id: proven.image_id,
            buildkit: proven.shown.buildkit,
            snapshotter: proven.shown.snapshotter,
            records: proven.shown.records.by_type(),
            records_compared: proven.compared,
            cache_hit: proven.hit,
            milliseconds: proven.took,
            notes: proven.notes,
        });
        Ok(Some(Played {
            outcome,
            engine: engine.clone(),
            left_behind: played.left_behind,
        }))
    }
}

/// Returns what tells this home from all others, those of the same path on other machines included.
fn owner(home: &Path) -> String {
    let identity = host::status(home).map(|status| status.identity);
    let text = format!("{} {:?}", home.display(), identity.unwrap_or_default());
    Digest::of(text.as_bytes()).as_str()[..16].to_owned()
}
