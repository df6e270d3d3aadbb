//! What is made again is what it was: objects bear what they were known by before.

use std::collections::BTreeMap;

use super::{Identity, VolumePlace};

/// The label that tells what a container or a volume was before it was made again: ids, `RUN/STEP`, times, with spaces between them.
pub const AGAIN: &str = "rekit.again";

fn was(known_by: &str, labels: &BTreeMap<String, String>) -> bool {
    let earlier = labels.get(AGAIN);
    earlier.is_some_and(|earlier| earlier.split(' ').any(|it| it == known_by))
}

impl Identity {
    /// Returns whether a container with these labels is this one, made again.
    pub fn was(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Id { id } => was(id.as_str(), labels),
            Self::MadeBy { run, step } => was(&format!("{run}/{step}"), labels),
        }
    }
}

impl VolumePlace {
    /// Returns whether a volume with these labels is this one, made again.
    pub fn was(&self, labels: &BTreeMap<String, String>) -> bool {
        was(&self.created_at, labels)
    }
}
