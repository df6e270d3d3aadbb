//! Folders of cache on the machine itself, outside any engine: states of standalone daemons, and caches that builds exported.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    draft::{Draft, Ground},
    inventory::{Inventory, PlaceKind},
    name::HostPath,
    plan::{Plan, Purpose},
    step::{Action, StateSource},
};

/// A folder of cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheFolder {
    /// Where it lies.
    pub path: HostPath,
    /// What it holds.
    pub holds: FolderContent,
}

/// What a folder of cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FolderContent {
    /// The state of a standalone daemon.
    State,
    /// A cache that `--cache-to type=local` exported.
    Export,
}

/// Returns the folders of cache that were found.
pub fn folders(inventory: &Inventory) -> Vec<CacheFolder> {
    let holds = |kind| match kind {
        PlaceKind::StandaloneRoot => Some(FolderContent::State),
        PlaceKind::LocalExport => Some(FolderContent::Export),
        PlaceKind::StateVolume | PlaceKind::OrphanVolume | PlaceKind::Embedded => None,
    };
    let places = inventory.caches.iter();
    let folder = |place: &crate::inventory::CachePlace| {
        Some(CacheFolder {
            path: place.path.clone(),
            holds: holds(place.kind)?,
        })
    };
    places.filter_map(folder).collect()
}

/// Adds the steps that archive folders and prove the archives.
pub(crate) fn archive(draft: &mut Draft, folders: impl IntoIterator<Item = CacheFolder>) {
    for folder in folders {
        let why = match folder.holds {
            FolderContent::State => {
                "a daemon that runs on it goes on; it stands still only for a moment"
            }
            FolderContent::Export => "builds import from it",
        };
        let archive = draft.archive_id(folder.path.file_name());
        draft.push(
            why,
            Action::ArchiveFolder {
                archive: archive.clone(),
                folder,
            },
        );
        draft.verify(&archive);
    }
}

/// Plans to bring an archived folder back to where nothing lies.
pub fn restore(ground: &Ground<'_>, source: &StateSource, folder: &CacheFolder) -> Plan {
    let mut draft = Draft::new(ground, Purpose::Restore, ground.generation);
    let why = match folder.holds {
        FolderContent::State => "start its daemon afterwards, as it was started before",
        FolderContent::Export => "builds import from it again",
    };
    draft.push(
        why,
        Action::RestoreFolder {
            source: source.clone(),
            folder: folder.clone(),
        },
    );
    draft.finish()
}
