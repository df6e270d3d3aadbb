//! A deep look: a build on every daemon that answers, on a stand-in for each that stands still, and every state read on copies of its
//! databases. Starts nothing of anybody's and changes nothing.

use rekit_core::{deep, inventory::Inventory};

use crate::session::Session;

impl Session<'_> {
    /// Adds to an inventory what only a deep look tells. Takes seconds, and up to a minute for each daemon that hangs.
    pub async fn look_deeper(&self, inventory: &mut Inventory) {
        let world = self.world();
        let mut trials = Vec::new();
        for (daemon, platform) in deep::daemons(inventory) {
            let found = world.try_build_on(&daemon, &platform).await;
            trials.push((daemon, found));
        }
        deep::note_trials(inventory, &trials);
        for place in deep::at_rest(inventory) {
            let found = world.try_stand_in(&place.0, &place.1).await;
            deep::note_stand_in(inventory, &place, found);
        }
        for state in deep::states(inventory) {
            let found = world.contradictions_of(&state).await;
            deep::note_contradictions(inventory, &state, found);
        }
    }
}
