//! Defects that can be planted into a lab, named as in the catalogue of failure modes, and the whole broken machine of the first user.
//!
//! A mode leaves what the field leaves: wherever it can, it is planted by the real programs, and only then damaged by hand.

mod builder;
mod configuration;
mod contexts;
pub mod desktop;
mod endpoints;
pub mod first_user;
mod objects;
mod permissions;
mod project;
mod store;
mod survey;

pub use first_user::{CacheSize, FirstUser};
pub use survey::Survey;

use crate::lab::Lab;
use anyhow::{Context, Result, bail};

/// A defect that can be planted.
#[derive(Debug)]
pub struct Mode {
    /// Its name in the catalogue.
    pub slug: &'static str,
    /// What is wrong then, in one line.
    pub summary: &'static str,
    plant: fn(&Lab) -> Result<()>,
}

const MODES: &[Mode] = &[
    Mode {
        slug: "npipe-context-ghost",
        summary: "context `desktop-linux` names a Windows pipe",
        plant: contexts::npipe_context_ghost,
    },
    Mode {
        slug: "dead-current-context",
        summary: "config.json selects a context that is gone",
        plant: contexts::dead_current_context,
    },
    Mode {
        slug: "context-metadata-garbage",
        summary: "a context's meta.json is empty",
        plant: contexts::context_metadata_garbage,
    },
    Mode {
        slug: "instance-file-corrupt",
        summary: "the record of builder `cut` ends half-way; its container and volume live",
        plant: store::instance_file_corrupt,
    },
    Mode {
        slug: "stray-file-in-instances",
        summary: "an editor's backup and a folder lie in instances/",
        plant: store::stray_file_in_instances,
    },
    Mode {
        slug: "selection-silently-reset",
        summary: "`current` names a builder that is gone",
        plant: store::selection_silently_reset,
    },
    Mode {
        slug: "many-records",
        summary: "500 builder records",
        plant: store::many_records,
    },
    Mode {
        slug: "refs-and-activity-leftovers",
        summary: "refs/ and activity/ of a builder that is gone",
        plant: store::refs_and_activity_leftovers,
    },
    Mode {
        slug: "root-owned-store",
        summary: "the home is a user's, files of buildx's store in it are root's",
        plant: permissions::root_owned_store,
    },
    Mode {
        slug: "unreadable-directory",
        summary: "the home is a user's, folders of BuildKit's configuration can't be read",
        plant: permissions::unreadable_directory,
    },
    Mode {
        slug: "orphan-state-volume",
        summary: "the state volume of builder `orphan`, its container and record gone",
        plant: objects::orphan_state_volume,
    },
    Mode {
        slug: "foreign-container-under-our-name",
        summary: "a container that is no BuildKit bears the name of builder `cf`'s",
        plant: objects::foreign_container,
    },
    Mode {
        slug: "hung-daemon",
        summary: "the daemon of builder `hung` is stopped by SIGSTOP",
        plant: objects::hung_daemon,
    },
    Mode {
        slug: "gc-keys-renamed-or-partial",
        summary: "builder `gc` runs with one of three limits",
        plant: configuration::gc_keys,
    },
    Mode {
        slug: "toml-keys-ignored",
        summary: "builder `typo` runs with keys that nobody reads",
        plant: configuration::toml_keys_ignored,
    },
    Mode {
        slug: "standalone-config-invalid",
        summary: "a buildkitd.toml in the home that buildkitd refuses",
        plant: configuration::standalone_config_invalid,
    },
    Mode {
        slug: "unreachable-node",
        summary: "three remote builders: closed port, no listener, no answer",
        plant: endpoints::unreachable_node,
    },
    Mode {
        slug: "first-user",
        summary: "the whole machine of the first user (--cache small|full)",
        plant: first_user::plant_small,
    },
];

/// Returns every mode.
pub fn list() -> &'static [Mode] {
    MODES
}

/// Plants the mode `slug` into `lab`.
pub fn plant(lab: &Lab, slug: &str) -> Result<()> {
    let Some(mode) = MODES.iter().find(|mode| mode.slug == slug) else {
        bail!("the lab has no mode `{slug}`: `rekit-lab break --list` names them");
    };
    (mode.plant)(lab).with_context(|| format!("could not plant `{slug}`"))
}
