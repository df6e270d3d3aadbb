//! The cache inside an engine, whole: archived and brought back while the engine is stopped.
//!
//! Which folders belong together is measured (facts.md, E): without the layers, the image store and, for graph drivers, the engine's own id,
//! the cache boots and is cold, or every build fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    draft::{Draft, Ground, Patience},
    goal::DrainGoal,
    name::{ContainerId, ContainerName, HostId, HostPath},
    plan::{Plan, Purpose},
    step::{Action, StateSource},
};

/// Bytes that a slow disk lets rekit archive in a second, for telling beforehand how long an engine stands.
const BYTES_PER_SECOND: u64 = 50 << 20;
/// Seconds that an engine takes to stop and to start.
const RESTART_SECONDS: u64 = 5;

/// An engine on this machine, and how it is stopped and started.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnginePlace {
    /// Where it answers.
    pub host: HostId,
    /// Its version.
    pub version: String,
    /// Where its data lies.
    pub data_root: HostPath,
    /// What holds its layers.
    pub layers: Layers,
    /// Bytes that the folders of its cache held when the plan was made.
    pub bytes: u64,
    /// The shell command that stops it.
    pub stop: String,
    /// The shell command that starts it.
    pub start: String,
    /// Containers that run on it; they stop with it and are started again.
    pub running: Vec<RunningContainer>,
}

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunningContainer {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: ContainerName,
}

/// What holds an engine's layers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "store", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Layers {
    /// A graph driver.
    Graphdriver {
        /// Its name, which is also its folder's.
        driver: String,
    },
    /// The engine's own containerd.
    Containerd {},
}

impl Layers {
    /// Returns the folders below the data root that belong together.
    pub fn parts(&self) -> Vec<&str> {
        match self {
            Self::Graphdriver { driver } => vec!["buildkit", "image", driver],
            Self::Containerd {} => vec!["buildkit", "containerd"],
        }
    }
}

/// An archived cache of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedEngine {
    /// The archive.
    pub source: StateSource,
    /// The version of the engine that it was made of.
    pub version: String,
    /// What held its layers.
    pub layers: Layers,
}

/// Why an engine's cache cannot be brought back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEngineRestore {
    /// It keeps its layers in another way.
    #[error(
        "the archive is of an engine whose layers are in {archived}, and this one's are in {present}: one cannot use the other's"
    )]
    Layers {
        /// The archive's.
        archived: String,
        /// The engine's.
        present: String,
    },
    /// It is older than the one that was archived.
    #[error(
        "the archive is of engine {archived}, and this one is {present}: an older engine may not read what a newer one wrote"
    )]
    Older {
        /// The archive's.
        archived: String,
        /// The engine's.
        present: String,
    },
    /// There is something that would be lost.
    #[error(
        "the engine has {what}, whose files lie in the folders that the archive's take the place of"
    )]
    InUse {
        /// What.
        what: String,
    },
}

/// Plans to archive an engine's cache.
pub fn archive(
    ground: &Ground<'_>,
    engine: &EnginePlace,
    cut: bool,
    to: Option<&HostPath>,
) -> Plan {
    let mut draft = Draft::new(ground, Purpose::Backup, ground.generation);
    if let Some(folder) = to {
        draft.archive_to(folder.clone());
    }
    interrupt(
        &mut draft,
        engine,
        RESTART_SECONDS + engine.bytes / BYTES_PER_SECOND,
    );
    stop(&mut draft, engine, cut);
    let archive = draft.archive_id("engine");
    draft.push(
        "layers, images and the cache's records belong together",
        Action::ArchiveEngine {
            archive: archive.clone(),
            engine: engine.clone(),
        },
    );
    start(&mut draft, engine);
    draft.verify(&archive);
    draft.finish()
}

/// Plans to bring an archived cache back into an engine; `holds` says what there is on it that would be lost.
pub fn restore(
    ground: &Ground<'_>,
    engine: &EnginePlace,
    archived: &ArchivedEngine,
    holds: Option<String>,
    cut: bool,
) -> Result<Plan, NoEngineRestore> {
    if archived.layers != engine.layers {
        return Err(NoEngineRestore::Layers {
            archived: named(&archived.layers),
            present: named(&engine.layers),
        });
    }
    if release(&archived.version) > release(&engine.version) {
        return Err(NoEngineRestore::Older {
            archived: archived.version.clone(),
            present: engine.version.clone(),
        });
    }
    if let Some(what) = holds {
        return Err(NoEngineRestore::InUse { what });
    }
    let mut draft = Draft::new(ground, Purpose::Restore, ground.generation);
    interrupt(&mut draft, engine, RESTART_SECONDS);
    stop(&mut draft, engine, cut);
    let before = draft.archive_id("engine-before");
    draft.push(
        "nothing is removed later that was not archived first",
        Action::ArchiveEngine {
            archive: before.clone(),
            engine: engine.clone(),
        },
    );
    let verified_by = draft.verify(&before);
    draft.push(
        "an engine reads these folders only when it starts",
        Action::RestoreEngine {
            source: archived.source.clone(),
            engine: engine.clone(),
            before,
            verified_by,
        },
    );
    start(&mut draft, engine);
    Ok(draft.finish())
}

fn named(layers: &Layers) -> String {
    match layers {
        Layers::Graphdriver { driver } => format!("the graph driver {driver}"),
        Layers::Containerd {} => "its containerd".to_owned(),
    }
}

/// Returns the major and minor number of a version.
fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn interrupt(draft: &mut Draft, engine: &EnginePlace, seconds: u64) {
    let names: Vec<_> = engine.running.iter().map(|it| it.name.as_str()).collect();
    let containers = match names.as_slice() {
        [] => "no container runs on it".to_owned(),
        names => format!(
            "with it stop, and start again afterwards: {}",
            names.join(", ")
        ),
    };
    draft.interrupt(format!(
        "engine {} is stopped for about {seconds} s; {containers}",
        engine.host
    ));
}

fn stop(draft: &mut Draft, engine: &EnginePlace, cut: bool) {
    let patience = Patience::of(&DrainGoal::default(), cut);
    draft.push(
        "its files are all of one moment only while it does not run",
        patience.stop_engine(engine),
    );
}

fn start(draft: &mut Draft, engine: &EnginePlace) {
    draft.push(
        "containers that ran run again",
        Action::StartEngine {
            engine: engine.clone(),
        },
    );
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn releases_are_compared_by_number() {
        assert!(release("28.5.2") > release("9.1"));
        assert_eq!(release("28.5.2+dfsg4"), release("28.5.0"));
        assert_eq!(release(""), (0, 0));
    }
}
