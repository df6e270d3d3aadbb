//! A rehearsal of an archive: what it promises, what a daemon on a copy of it shows, and whether that is the same.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    inventory::Inventory,
    name::{Digest, HostId, ImageRef, NodeName, Platform, VolumeName},
};

/// How many records a cache holds, by their type. Those that a build used at that moment are counted apart: a restart may end them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordCounts {
    /// Records that no build used.
    pub idle: BTreeMap<String, u64>,
    /// Records that a build used.
    pub in_use: BTreeMap<String, u64>,
}

impl RecordCounts {
    /// Counts records given by type and whether a build uses them.
    pub fn of<'a>(records: impl IntoIterator<Item = (&'a str, bool)>) -> Self {
        let mut counts = Self::default();
        for (kind, in_use) in records {
            let part = if in_use {
                &mut counts.in_use
            } else {
                &mut counts.idle
            };
            *part.entry(kind.to_owned()).or_default() += 1;
        }
        counts
    }

    /// Returns how many records there are of each type.
    pub fn by_type(&self) -> BTreeMap<String, u64> {
        let mut all = self.idle.clone();
        for (kind, count) in &self.in_use {
            *all.entry(kind.clone()).or_default() += count;
        }
        all
    }

    /// Returns how many records there are.
    pub fn total(&self) -> u64 {
        self.idle.values().chain(self.in_use.values()).sum()
    }

    /// Returns in which types a restored cache differs: `type: expected, found`.
    fn differences(&self, found: &Self) -> Vec<String> {
        let found = found.by_type();
        let mut kinds: Vec<_> = self.by_type().into_keys().collect();
        kinds.extend(found.keys().cloned());
        kinds.sort();
        kinds.dedup();
        let differs = |kind: String| {
            let of = |counts: &BTreeMap<String, u64>| counts.get(&kind).copied().unwrap_or(0);
            let (idle, used, now) = (of(&self.idle), of(&self.in_use), of(&found));
            let fits = (idle..=idle + used).contains(&now);
            (!fits).then(|| format!("{kind}: {} recorded, {now} found", idle + used))
        };
        kinds.into_iter().filter_map(differs).collect()
    }
}

/// A chain of three tiny steps that a backup leaves in a cache, so that a rehearsal has something that must be hit. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The version of this file.
    pub version: u32,
    /// What tells its steps from all others.
    pub nonce: String,
    /// The platform that its steps were built for.
    pub platform: Platform,
    /// What its second step depends on.
    pub input: String,
    /// The BuildKit that it was left with.
    pub buildkit: String,
    /// The snapshotter that holds its layers.
    pub snapshotter: Option<String>,
    /// What the cache held right after.
    pub records: RecordCounts,
}

impl Canary {
    /// The name of its file in an archive.
    pub const FILE: &'static str = "canary.json";
    /// The version of the file that this code writes, and the only one it reads.
    pub const VERSION: u32 = 1;
}

/// What an archive promises of the cache in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    /// The BuildKit that wrote it.
    pub buildkit: Option<String>,
    /// The snapshotter that holds its layers.
    pub snapshotter: Option<String>,
    /// The records in it.
    pub records: Option<RecordCounts>,
    /// How many snapshots it holds.
    pub snapshots: usize,
    /// Whether the daemon had ended when it was copied: no build changed it between the count and the copy.
    pub at_rest: bool,
}

/// What a daemon on the restored copy shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Databases that it put aside as broken.
    pub put_aside: Vec<String>,
    /// Its version.
    pub buildkit: String,
    /// Its snapshotter, where it says which.
    pub snapshotter: Option<String>,
    /// The records of its cache.
    pub records: RecordCounts,
}

/// Why an archive does not bring its cache back, though every byte of it is as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// The daemon does not start on it.
    #[error("the daemon does not come up on the restored state: {0}")]
    NoBoot(String),
    /// The daemon put a database aside and began with an empty one.
    #[error(
        "the daemon found {} broken, put it aside and began with an empty one: {}",
        if .0.len() == 1 { "a database" } else { "databases" },
        .0.join(", ")
    )]
    PutAside(Vec<String>),
    /// Another BuildKit than the one that wrote the state.
    #[error("the state was written by BuildKit {expected}, and the image starts BuildKit {found}")]
    BuildKit {
        /// The one that wrote it.
        expected: String,
        /// The one that was started.
        found: String,
    },
    /// Another snapshotter than the one that holds the layers.
    #[error(
        "the layers are in snapshotter `{expected}`, and the daemon uses snapshotter `{found}`"
    )]
    Snapshotter {
        /// The one that holds the layers.
        expected: String,
        /// The one in use.
        found: String,
    },
    /// Records are missing, or there are some that nobody made.
    #[error("the cache does not hold the records that were counted at the backup: {}", .0.join("; "))]
    Records(Vec<String>),
    /// The daemon knows nothing of the layers that are there.
    #[error(
        "the daemon shows no record at all, though the archive holds snapshots of layers ({0})"
    )]
    Empty(usize),
    /// Steps that were built before the backup are built again.
    #[error(
        "{} of the 3 steps that were left in the cache at the backup came from the cache: {steps}",
        .cached.iter().filter(|cached| **cached).count(),
        steps = shown(*.cached)
    )]
    Missed {
        /// Which of the three came from the cache.
        cached: [bool; 3],
    },
    /// A build fails on it.
    #[error("a build on the restored state fails: {0}")]
    NoBuild(String),
}

fn shown(cached: [bool; 3]) -> String {
    let word =
        |(number, cached)| format!("step {number} {}", if cached { "hit" } else { "missed" });
    let words: Vec<_> = (1..).zip(cached).map(word).collect();
    words.join(", ")
}

/// Judges what a daemon shows by what the archive promises; returns what is to be said of it beside.
pub fn judge(promise: &Promise, shown: &Shown) -> Result<Vec<String>, Unsound> {
    if !shown.put_aside.is_empty() {
        return Err(Unsound::PutAside(shown.put_aside.clone()));
    }
    match &promise.buildkit {
        Some(expected) if *expected != shown.buildkit => {
            return Err(Unsound::BuildKit {
                expected: expected.clone(),
                found: shown.buildkit.clone(),
            });
        }
        _ => {}
    }
    match (&promise.snapshotter, &shown.snapshotter) {
        (Some(expected), Some(found)) if expected != found => {
            return Err(Unsound::Snapshotter {
                expected: expected.clone(),
                found: found.clone(),
            });
        }
        _ => {}
    }
    let Some(recorded) = &promise.records else {
        // No count was promised; but layers of which there is no record are of no use to anybody.
        if promise.snapshots > 0 && shown.records.total() == 0 {
            return Err(Unsound::Empty(promise.snapshots));
        }
        return Ok(Vec::new());
    };
    let differences = recorded.differences(&shown.records);
    if differences.is_empty() {
        return Ok(Vec::new());
    }
    // Builds that run while a state is copied make records and end some. That none is left of any is never their doing.
    if promise.at_rest || shown.records.total() == 0 {
        return Err(Unsound::Records(differences));
    }
    Ok(vec![format!(
        "builds ran while the state was copied, so that the count of records may differ: {}",
        differences.join("; ")
    )])
}

/// What a rehearsal of an archive proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rehearsal {
    /// Always `rekit/rehearsal`.
    pub schema: String,
    /// Version of this document's shape.
    pub version: u32,
    /// The archive's folder.
    pub archive: String,
    /// The SHA-256 of its SHA256SUMS.
    pub identity: Digest,
    /// Whether the archive brings its cache back; always true, as what is not sound is an error.
    pub sound: bool,
    /// The engine that it was rehearsed on.
    pub engine: HostId,
    /// The image of the daemon, as it was named when its container was made.
    pub image: ImageRef,
    /// The engine's id of the image that was started.
    pub image_id: String,
    /// The daemon's version.
    pub buildkit: String,
    /// The daemon's snapshotter, where it says which.
    pub snapshotter: Option<String>,
    /// Records of the restored cache by type.
    pub records: BTreeMap<String, u64>,
    /// Whether the archive says how many there should be, and they were compared.
    pub records_compared: bool,
    /// Whether known steps were asked for again and all came from the cache; false: the archive has no canary, so that the cache was not tried.
    pub cache_hit: bool,
    /// How long its parts took.
    pub milliseconds: Milliseconds,
    /// What else is to be said.
    pub notes: Vec<String>,
}

impl Rehearsal {
    /// The name of the document.
    pub const SCHEMA: &'static str = "rekit/rehearsal";
    /// The version of the document's shape.
    pub const VERSION: u32 = 1;
}

/// How long the parts of a rehearsal took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Milliseconds {
    /// To unpack the archive.
    pub unpack: u64,
    /// From the start of the container until its daemon answered.
    pub boot: u64,
    /// To build.
    pub build: u64,
}

/// Returns the engine that the state in a volume came from: where a builder has the node, else where the volume is, else the only one.
pub fn engine_of<'a>(inventory: &'a Inventory, volume: &VolumeName) -> Option<&'a HostId> {
    let answers = |id: &HostId| {
        let host = inventory.host(id)?;
        host.engine.known().map(|_| &host.id)
    };
    let origin = NodeName::of_volume(volume.as_str());
    let is_origin = |node: &NodeName| origin.as_ref().is_some_and(|it| it.base() == node.base());
    let of_node = inventory
        .nodes()
        .filter(|(_, _, _, node)| is_origin(&node.name))
        .find_map(|(_, _, _, node)| answers(node.host.as_ref()?));
    let hosts = || {
        let known = |host: &'a crate::inventory::Host| Some((&host.id, host.engine.known()?));
        inventory.hosts.iter().filter_map(known)
    };
    let of_volume = || {
        let has_it = |engine: &crate::inventory::Engine| {
            engine.volumes.iter().any(|found| &found.name == volume)
        };
        hosts().find_map(|(id, engine)| has_it(engine).then_some(id))
    };
    let only = || {
        let mut engines = hosts();
        let (first, engine) = engines.next()?;
        // Several endpoints may lead to one engine.
        engines
            .all(|(_, other)| other.id == engine.id)
            .then_some(first)
    };
    of_node.or_else(of_volume).or_else(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(idle: u64, in_use: u64) -> RecordCounts {
        let part = |count| BTreeMap::from([("regular".to_owned(), count)]);
        RecordCounts {
            idle: part(idle),
            in_use: part(in_use),
        }
    }

    fn promise(records: Option<RecordCounts>, at_rest: bool) -> Promise {
        Promise {
            buildkit: Some("v0.32.2".to_owned()),
            snapshotter: Some("overlayfs".to_owned()),
            records,
            snapshots: 5,
            at_rest,
        }
    }

    fn shown(records: RecordCounts) -> Shown {
        Shown {
            put_aside: Vec::new(),
            buildkit: "v0.32.2".to_owned(),
            snapshotter: Some("overlayfs".to_owned()),
            records,
        }
    }

    fn said(promise: &Promise, shown: &Shown) -> String {
        match judge(promise, shown) {
            Ok(notes) => format!("sound; {}", notes.join("; ")),
            Err(unsound) => unsound.to_string(),
        }
    }

    #[test]
    fn records_are_compared_as_strictly_as_the_copy_allows() {
        for (recorded, at_rest, found, expected) in [
            (counts(7, 0), true, counts(7, 0), "sound; "),
            (counts(7, 2), true, counts(8, 0), "sound; "),
            (
                counts(7, 0),
                true,
                counts(6, 0),
                "the cache does not hold the records that were counted at the backup: regular: 7 recorded, 6 found",
            ),
            (
                counts(7, 0),
                false,
                counts(9, 0),
                "sound; builds ran while the state was copied, so that the count of records may differ: regular: 7 recorded, 9 found",
            ),
            (
                counts(7, 0),
                false,
                RecordCounts::default(),
                "the cache does not hold the records that were counted at the backup: regular: 7 recorded, 0 found",
            ),
        ] {
            let promise = promise(Some(recorded), at_rest);
            assert_eq!(said(&promise, &shown(found)), expected);
        }
    }

    #[test]
    fn a_database_put_aside_comes_before_what_follows_from_it() {
        let promise = promise(Some(counts(7, 0)), true);
        let mut found = shown(RecordCounts::default());
        found.put_aside = vec!["cache.db.x.bak".to_owned()];
        assert_eq!(
            said(&promise, &found),
            "the daemon found a database broken, put it aside and began with an empty one: cache.db.x.bak"
        );
    }

    #[test]
    fn another_buildkit_or_snapshotter_is_no_proof() {
        let mut found = shown(counts(7, 0));
        found.snapshotter = Some("native".to_owned());
        let promise = promise(None, true);
        assert_eq!(
            said(&promise, &found),
            "the layers are in snapshotter `overlayfs`, and the daemon uses snapshotter `native`"
        );
        found.buildkit = "v0.12.5".to_owned();
        assert_eq!(
            said(&promise, &found),
            "the state was written by BuildKit v0.32.2, and the image starts BuildKit v0.12.5"
        );
    }

    #[test]
    fn layers_without_any_record_are_no_cache() {
        let promise = promise(None, true);
        assert_eq!(said(&promise, &shown(counts(1, 0))), "sound; ");
        assert_eq!(
            said(&promise, &shown(RecordCounts::default())),
            "the daemon shows no record at all, though the archive holds snapshots of layers (5)"
        );
    }

    #[test]
    fn a_miss_says_which_step() {
        let missed = Unsound::Missed {
            cached: [true, false, false],
        };
        assert_eq!(
            missed.to_string(),
            "1 of the 3 steps that were left in the cache at the backup came from the cache: step 1 hit, step 2 missed, step 3 missed"
        );
    }
}
