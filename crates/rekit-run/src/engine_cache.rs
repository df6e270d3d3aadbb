//! `rekit backup create --engine-cache` and its way back: what must be known of an engine before it is stopped.

use std::path::Path;

use rekit_archive::Manifest;
use rekit_buildkit::Filters;
use rekit_core::{
    engine_cache::{self, ArchivedEngine, EnginePlace, Layers},
    inventory::{ImageStore, Inventory},
    name::{HostId, HostPath},
    plan::{Plan, Purpose},
    step::StateSource,
};

use crate::{
    inventory,
    session::{Session, SessionError},
    world::{WorldError, clock::Deadline, host, path_of, real::engine_cache as real},
};

/// How long the folders of an engine are measured at most.
const MEASURE_SECONDS: u64 = 60;

/// The shell commands that stop and start an engine, where its systemd unit does not tell them.
#[derive(Clone, Debug, Default)]
pub struct Commands {
    /// Stops it.
    pub stop: Option<String>,
    /// Starts it.
    pub start: Option<String>,
}

/// Why an engine cannot be stopped for its cache.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEnginePlace {
    /// It cannot be.
    #[error("the cache of engine `{host}` cannot be read or written whole: {why}")]
    Unfit {
        /// The engine.
        host: HostId,
        /// Why.
        why: String,
    },
    /// Nobody knows how it is stopped and started.
    #[error("how engine `{host}` is stopped and started is not known: no systemd unit runs it")]
    NoCommands {
        /// The engine.
        host: HostId,
    },
    /// No engine is in force.
    #[error("no engine answers at the context that is in force")]
    NoEngine,
}

impl Session<'_> {
    /// Returns the engine that is in force, as a plan that stops it needs it.
    pub async fn engine_place(
        &self,
        inventory: &Inventory,
        commands: &Commands,
    ) -> Result<EnginePlace, SessionError> {
        let host = host_in_force(inventory).ok_or(NoEnginePlace::NoEngine)?;
        let unfit = |why: &str| NoEnginePlace::Unfit {
            host: host.clone(),
            why: why.to_owned(),
        };
        let known = inventory.host(&host).and_then(|host| host.engine.known());
        let known = known.ok_or(NoEnginePlace::NoEngine)?;
        if self.surroundings.user() != 0 {
            return Err(unfit("that needs root on the engine's machine").into());
        }
        let data_root = path_of(&known.data_root);
        if !real::is_at(known.data_root.as_str(), &known.id, &data_root) {
            return Err(unfit("its data does not lie on this machine").into());
        }
        let layers = layers(known.image_store, &known.storage_driver);
        if !real::is_known(&layers) {
            let why = format!(
                "its layers are kept by {}, not as plain folders",
                known.storage_driver
            );
            return Err(unfit(&why).into());
        }
        if layers == (Layers::Containerd {}) && !data_root.join("containerd").is_dir() {
            return Err(unfit(
                "its images lie in a containerd of the machine's own, which serves others too",
            )
            .into());
        }
        let engine = self.world().engine(&host).await?;
        let what = "the engine does not answer";
        let info = engine
            .info()
            .await
            .map_err(|error| WorldError::failed(what, error))?;
        let running = real::running(&engine).await?;
        if info.0.live_restore_enabled && !running.is_empty() {
            return Err(unfit("with `live-restore` its containers go on writing while it is stopped; stop them first").into());
        }
        let service = inventory::unit_of(self.surroundings, &data_root);
        let (stop, start) = words(commands, service.as_deref())
            .ok_or(NoEnginePlace::NoCommands { host: host.clone() })?;
        Ok(EnginePlace {
            host,
            version: known.version.clone(),
            data_root: known.data_root.clone(),
            bytes: bytes(&data_root, &layers),
            layers,
            stop,
            start,
            running,
        })
    }

    /// Plans to archive the cache of an engine.
    pub fn plan_engine_backup(
        &self,
        inventory: &Inventory,
        engine: &EnginePlace,
        cut: bool,
        to: Option<&HostPath>,
    ) -> Result<Plan, SessionError> {
        let files = std::collections::BTreeMap::new();
        let ground = self.ground(inventory, &files, Purpose::Backup)?;
        Ok(engine_cache::archive(&ground, engine, cut, to))
    }

    /// Plans to bring the archived cache of an engine back.
    pub async fn plan_engine_restore(
        &self,
        inventory: &Inventory,
        engine: &EnginePlace,
        archived: &ArchivedEngine,
        cut: bool,
    ) -> Result<Plan, SessionError> {
        let holds = self.holds(engine).await?;
        let files = std::collections::BTreeMap::new();
        let ground = self.ground(inventory, &files, Purpose::Restore)?;
        engine_cache::restore(&ground, engine, archived, holds, cut)
            .map_err(SessionError::NoEngineRestore)
    }

    /// Returns what lies in an engine's folders that an archived cache would take the place of.
    async fn holds(&self, place: &EnginePlace) -> Result<Option<String>, SessionError> {
        let engine = self.world().engine(&place.host).await?;
        let failed = |error| WorldError::failed("containers and images cannot be listed", error);
        let containers = engine
            .containers_list(true, &Filters::none())
            .await
            .map_err(failed)?;
        let images = engine
            .images_list(true, &Filters::none())
            .await
            .map_err(failed)?;
        Ok(match (containers.len(), images.len()) {
            (0, 0) => None,
            (containers, images) => {
                Some(format!("{containers} container(s) and {images} image(s)"))
            }
        })
    }
}

/// Returns what the folders of an engine's cache hold, as far as it can be measured in time.
fn bytes(data_root: &Path, layers: &Layers) -> u64 {
    let deadline = Deadline::after(std::time::Duration::from_secs(MEASURE_SECONDS));
    let size = |part: &str| host::size_on_disk(&data_root.join(part), deadline).unwrap_or(0);
    layers.parts().into_iter().map(size).sum()
}

/// Returns what an archive of an engine's cache says of the engine; `None` for archives of other kinds.
pub fn archived(path: &Path, source: &StateSource) -> Option<ArchivedEngine> {
    let archive = rekit_archive::open(path).ok()?;
    let manifest: &Manifest = archive.manifest();
    let metadata = |key: &str| manifest.metadata.get(key).cloned();
    (metadata("kind")? == real::KIND).then_some(())?;
    Some(ArchivedEngine {
        source: source.clone(),
        version: metadata("version")?.as_str()?.to_owned(),
        layers: serde_json::from_value(metadata("layers")?).ok()?,
    })
}

fn host_in_force(inventory: &Inventory) -> Option<HostId> {
    let selected = &inventory.selection.context;
    let context = inventory.contexts.iter().find(|it| &it.name == selected);
    let of_context = context.and_then(|it| it.state.known()?.host.clone());
    of_context.or_else(|| inventory.hosts.first().map(|host| host.id.clone()))
}

fn layers(store: ImageStore, driver: &str) -> Layers {
    match store {
        ImageStore::Containerd => Layers::Containerd {},
        ImageStore::Graphdriver => Layers::Graphdriver {
            driver: driver.to_owned(),
        },
    }
}

/// Returns the commands that were given, else those of the unit. The socket's unit would start the engine again at the first call.
fn words(commands: &Commands, unit: Option<&str>) -> Option<(String, String)> {
    let of_unit = |verb: &str| {
        let unit = unit?;
        let socket = unit.replace(".service", ".socket");
        Some(format!("systemctl {verb} {socket} {unit}"))
    };
    let stop = commands.stop.clone().or_else(|| of_unit("stop"))?;
    let start = commands.start.clone().or_else(|| of_unit("start"))?;
    Some((stop, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_stopped_with_its_socket_unless_commands_are_given() {
        let (stop, start) = words(&Commands::default(), Some("docker.service")).unwrap();
        assert_eq!(stop, "systemctl stop docker.socket docker.service");
        assert_eq!(start, "systemctl start docker.socket docker.service");
        assert_eq!(words(&Commands::default(), None), None);
        let commands = Commands {
            stop: Some("service docker stop".to_owned()),
            start: Some("service docker start".to_owned()),
        };
        assert_eq!(words(&commands, None).unwrap().0, "service docker stop");
    }
}
