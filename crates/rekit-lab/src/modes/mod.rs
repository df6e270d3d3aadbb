//! Defects that can be planted into a lab, named as in the catalogue of failure modes, and the whole broken machine of the first user.
//!
//! A mode leaves what the field leaves: wherever it can, it is planted by the real programs, and only then damaged by hand.

mod builder;
mod client;
mod configuration;
mod contexts;
mod daemons;
pub mod desktop;
mod disks;
mod endpoints;
pub mod first_user;
mod network;
mod objects;
mod permissions;
mod project;
mod selection;
mod store;
mod survey;
mod table;

pub use first_user::{CacheSize, FirstUser};
pub use survey::Survey;

use crate::lab::Lab;
use anyhow::{Context, Result, bail};

/// A defect that can be planted.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// Its name in the catalogue.
    pub slug: &'static str,
    /// What is wrong then, in one line.
    pub summary: &'static str,
    /// Variables that are part of it, a value or none; `{home}` stands for the lab's home.
    variables: &'static [(&'static str, Option<&'static str>)],
    plant: fn(&Lab) -> Result<()>,
}

impl Mode {
    /// Returns the variables that programs in the lab must see for the mode to show: name and value, or none where it must not be set.
    pub fn variables(&self, lab: &Lab) -> Vec<(&'static str, Option<String>)> {
        let home = lab.home().display().to_string();
        let value = |text: &str| text.replace("{home}", &home);
        let variables = self.variables.iter();
        variables
            .map(|(name, text)| (*name, text.map(value)))
            .collect()
    }
}

/// Returns every mode.
pub fn list() -> &'static [Mode] {
    table::MODES
}

/// Returns the mode `slug`.
pub fn named(slug: &str) -> Option<&'static Mode> {
    list().iter().find(|mode| mode.slug == slug)
}

/// Plants the mode `slug` into `lab`.
pub fn plant(lab: &Lab, slug: &str) -> Result<()> {
    let Some(mode) = named(slug) else {
        bail!("the lab has no mode `{slug}`: `rekit-lab break --list` names them");
    };
    (mode.plant)(lab).with_context(|| format!("could not plant `{slug}`"))
}
