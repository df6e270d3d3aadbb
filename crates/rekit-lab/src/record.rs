//! What a lab was asked to be and whose it is: its `lab.json`, by which it is found and swept.

use crate::{owner::Owner, versions};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Where the engine keeps its images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ImageStore {
    /// The engine's own store (overlay2)
    #[default]
    Graphdriver,
    /// Containerd's store
    Containerd,
}

/// What a lab shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabOptions {
    /// The engine's version, one of [`versions::ENGINES`].
    pub engine: String,
    /// The version of buildx, one of [`versions::GO_TOOLS`].
    pub buildx: String,
    /// Where the engine keeps its images.
    pub image_store: ImageStore,
    /// Whether a second engine stands in for Docker Desktop.
    pub desktop: bool,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            engine: versions::ENGINE_DEFAULT.to_owned(),
            buildx: versions::BUILDX_DEFAULT.to_owned(),
            image_store: ImageStore::default(),
            desktop: false,
        }
    }
}

/// What a lab's folder says of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    /// The process that it goes with; none if it stays until `down`.
    pub(crate) owner: Option<Owner>,
    pub(crate) options: LabOptions,
    /// The cache that its parts came from: in the lab's own environment the cache would be looked for in the sealed home.
    pub(crate) cache: PathBuf,
}

/// Returns the name of a network namespace of a lab; all of a lab's begin alike, and no other lab's begin so.
pub(crate) fn namespace(lab: &str, part: &str) -> String {
    format!("rekit-lab.{lab}.{part}")
}

/// Returns the folder of all labs.
pub(crate) fn home_of_labs() -> PathBuf {
    env::var_os("REKIT_LAB_ROOT")
        .filter(|value| !value.is_empty())
        .map_or_else(|| PathBuf::from("/tmp/rekit-lab"), PathBuf::from)
}

/// Reads the record in a lab's folder; a folder without one is no lab.
pub(crate) fn read(root: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(root.join("lab.json")).ok()?).ok()
}

/// Writes the record of the lab in `root`, whole or not at all.
pub(crate) fn write(root: &Path, record: &Record) -> Result<()> {
    let unfinished = root.join(".lab.json");
    fs::write(&unfinished, serde_json::to_vec_pretty(record)?)?;
    Ok(fs::rename(unfinished, root.join("lab.json"))?)
}
