//! What the fake world is made of.

use std::collections::BTreeMap;

use rekit_core::name::{ContainerId, ContainerName, Digest, HostId, VolumeName};

use super::FakeWorld;
use crate::world::{ContainerFacts, VolumeFacts};

/// A container of the fake world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FakeContainer {
    /// What steps see of it.
    pub facts: ContainerFacts,
    /// Its state volume.
    pub volume: VolumeName,
}

/// A volume of the fake world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FakeVolume {
    /// What steps see of it.
    pub facts: VolumeFacts,
    /// What lies in it; `None`: half restored.
    pub content: Option<String>,
}

/// An engine of the fake world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FakeEngine {
    /// Whether it runs.
    pub runs: bool,
    /// What its cache holds; `None`: half restored.
    pub cache: Option<String>,
}

/// An archive of the fake world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FakeArchive {
    /// Whether it is whole.
    pub whole: bool,
    /// What it holds.
    pub content: String,
    /// Whether a bit of it was flipped.
    pub damaged: bool,
}

/// A fault to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// This many changing operations succeed, then the process crashes before the next.
    CrashAfter(u32),
    /// This many changing operations succeed, then one fails.
    FailAfter(u32),
}

impl FakeWorld {
    /// Puts a container there.
    #[expect(clippy::too_many_arguments, reason = "a container has that many sides")]
    pub fn add_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        volume: &VolumeName,
        running: bool,
        labels: BTreeMap<String, String>,
    ) {
        self.made += 1;
        let id: ContainerId = match Digest::of(&self.made.to_le_bytes()).as_str().parse() {
            Ok(id) => id,
            Err(error) => unreachable!("BUG: {error}"),
        };
        let facts = ContainerFacts {
            looping: false,
            id,
            running,
            exit_code: 0,
            restart_policy: "unless-stopped".to_owned(),
            labels,
        };
        self.containers.insert(
            (host.clone(), name.clone()),
            FakeContainer {
                facts,
                volume: volume.clone(),
            },
        );
    }

    /// Puts a volume there.
    pub fn add_volume(
        &mut self,
        host: &HostId,
        name: &VolumeName,
        content: Option<&str>,
        labels: BTreeMap<String, String>,
    ) {
        self.made += 1;
        let facts = VolumeFacts {
            created_at: self.made.to_string(),
            labels,
        };
        self.volumes.insert(
            (host.clone(), name.clone()),
            FakeVolume {
                facts,
                content: content.map(str::to_owned),
            },
        );
    }
}
