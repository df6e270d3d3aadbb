//! What the door answers.

use std::collections::BTreeMap;

use rekit_core::{
    name::{ContainerId, ContainerName, ImageRef, RunId, VolumeName},
    record::NodeSpec,
    step::{AGAIN, Identity, StepId},
};

/// Bytes that are not rekit's and may hold secrets. No `Debug`, no `Serialize`: they go into blobs and nowhere else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ForeignBytes(Vec<u8>);

impl ForeignBytes {
    /// Takes bytes in.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for one who writes them where they belong.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// A container, as far as steps rely on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerFacts {
    /// Its id.
    pub id: ContainerId,
    /// Whether its processes run, or are about to be started again.
    pub running: bool,
    /// Whether they end again and again as soon as they were started: no build lasts on it.
    pub looping: bool,
    /// The exit code of its last end.
    pub exit_code: i64,
    /// Its restart policy.
    pub restart_policy: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl ContainerFacts {
    /// Returns whether this is the container that a plan means.
    pub fn is(&self, identity: &Identity) -> bool {
        let is_it = match identity {
            Identity::Id { id } => id == &self.id,
            Identity::MadeBy { run, step } => Labels {
                run: run.clone(),
                step: *step,
            }
            .are_on(&self.labels),
        };
        is_it || identity.was(&self.labels)
    }
}

/// A volume, as far as steps rely on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VolumeFacts {
    /// When the engine made it.
    pub created_at: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The labels by which rekit knows its own objects again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels {
    /// The run that made the object.
    pub run: RunId,
    /// The step that made it.
    pub step: StepId,
}

impl Labels {
    const RUN: &str = "rekit.run";
    const STEP: &str = "rekit.step";
    const FORMAT: &str = "rekit.format";

    /// Returns the labels as the engine takes them.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (Self::RUN.to_owned(), self.run.to_string()),
            (Self::STEP.to_owned(), self.step.to_string()),
            (Self::FORMAT.to_owned(), "1".to_owned()),
        ])
    }

    /// Returns the labels for an object that is made again: with what it had, and with what it was known by.
    pub fn again(
        &self,
        had: &BTreeMap<String, String>,
        known_by: &str,
    ) -> BTreeMap<String, String> {
        let mut earlier = had.get(AGAIN).cloned().unwrap_or_default();
        let made = had.get(Self::RUN).zip(had.get(Self::STEP));
        let made = made.map(|(run, step)| format!("{run}/{step}"));
        for it in [Some(known_by), made.as_deref()].into_iter().flatten() {
            earlier.extend([if earlier.is_empty() { "" } else { " " }, it]);
        }
        let mut labels = had.clone();
        labels.extend(self.to_map());
        labels.insert(AGAIN.to_owned(), earlier);
        labels
    }

    /// Returns whether an object with these labels was made by this step of this run.
    pub fn are_on(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(Self::RUN).map(String::as_str) == Some(self.run.as_str())
            && labels.get(Self::STEP) == Some(&self.step.to_string())
    }
}

/// A node's container to be made.
pub struct NodeRequest {
    /// Its name.
    pub container: ContainerName,
    /// Its state volume.
    pub volume: VolumeName,
    /// Its image.
    pub image: ImageRef,
    /// Options, flags and files from the builder record.
    pub spec: NodeSpec,
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Its exit code. A clean stop of buildkitd gives 1 (facts.md, fact 6), a kill 137.
    pub exit_code: i64,
    /// Whether the daemon removed its lock file, which it does when its databases are closed.
    pub clean: bool,
}

/// How far an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveState {
    /// There is none.
    Absent,
    /// It was begun and is not whole.
    Partial,
    /// It is whole.
    Whole,
}

/// What a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderState {
    /// There is none.
    Absent,
    /// There is nothing in it.
    Empty,
    /// There is something in it.
    Full,
}

/// What went into an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archived {
    /// Files.
    pub files: u64,
    /// Bytes before packing.
    pub bytes: u64,
    /// Bytes on disk.
    pub packed_bytes: u64,
    /// What turned out not to be keepable, and why.
    pub left_out: Vec<rekit_core::plan::LeftOut>,
}
