//! A world in memory that can be made to fail or crash at an exact point. For the model check and nothing else.
//!
//! Invariant: each operation is atomic, so a crash falls between two of them; what an operation does twice it does once.

mod change;
mod objects;
mod standalone;

use std::collections::{BTreeMap, BTreeSet};

use rekit_core::{
    collection::{CacheRecord, Reach},
    engine_cache::{EnginePlace, RunningContainer},
    inventory::ActiveBuild,
    name::{ArchiveId, ContainerName, Digest, HostId, HostPath, ImageRef, VolumeName},
    socket::DeadSocket,
    step::{BuildPlace, FileState, StateSource},
};

use super::{
    ArchiveState, Archived, ContainerFacts, FileChange, FolderState, ForeignBytes, ReadWorld,
    SocketState, VolumeFacts, WorldError,
};

pub use objects::{FakeArchive, FakeContainer, FakeEngine, FakeVolume, Fault};
pub use standalone::FakeDaemon;

type Answer<T> = Result<T, WorldError>;
type At<T> = (HostId, T);
type InBuilder = (String, String);

/// The fake world.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct FakeWorld {
    /// Containers.
    pub containers: BTreeMap<At<ContainerName>, FakeContainer>,
    /// Volumes.
    pub volumes: BTreeMap<At<VolumeName>, FakeVolume>,
    /// Images.
    pub images: BTreeSet<At<ImageRef>>,
    /// Files.
    pub files: BTreeMap<HostPath, (Vec<u8>, u32)>,
    /// Folders that steps remove whole.
    pub trees: BTreeMap<HostPath, Vec<u8>>,
    /// Sockets; `None`: somebody listens.
    pub sockets: BTreeMap<HostPath, Option<DeadSocket>>,
    /// Engines whose own caches matter.
    pub engines: BTreeMap<HostId, FakeEngine>,
    /// Standalone daemons by their state folders.
    pub daemons: BTreeMap<HostPath, FakeDaemon>,
    /// Cache mounts by builder and id, with what lies in them; here the id is the record's too.
    pub mounts: BTreeMap<InBuilder, String>,
    /// Archives.
    pub archives: BTreeMap<ArchiveId, FakeArchive>,
    /// Containers whose daemons answer and build nothing.
    pub unfit: BTreeSet<ContainerName>,
    /// Containers on which a build runs that never ends.
    pub busy: BTreeSet<At<ContainerName>>,
    /// Files as reads tell them, whatever they are: somebody changed them, and it is not seen.
    pub hidden: BTreeMap<HostPath, (Vec<u8>, u32)>,
    /// What the next changing operations do.
    pub fault: Option<Fault>,
    /// A number for each object made.
    pub made: u64,
}

impl FakeWorld {
    /// Takes one changing operation into account.
    fn step(&mut self) -> Answer<()> {
        match &mut self.fault {
            None => Ok(()),
            Some(Fault::CrashAfter(0)) => Err(WorldError::Crashed),
            Some(Fault::FailAfter(0)) => {
                self.fault = None;
                Err(WorldError::failed("the operation", "the test asked for it"))
            }
            Some(Fault::CrashAfter(left) | Fault::FailAfter(left)) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn container_mut(&mut self, host: &HostId, name: &ContainerName) -> Answer<&mut FakeContainer> {
        let key = (host.clone(), name.clone());
        self.containers
            .get_mut(&key)
            .ok_or_else(|| WorldError::failed(format!("container `{name}`"), "no such container"))
    }

    fn fake_engine(&mut self, engine: &EnginePlace) -> Answer<&mut FakeEngine> {
        let found = self.engines.get_mut(&engine.host);
        found.ok_or_else(|| WorldError::failed("the engine", "there is none"))
    }

    fn check(&self, file: FileChange<'_>) -> Answer<()> {
        let now = self.state(file.path);
        if &now == file.expect {
            Ok(())
        } else {
            Err(WorldError::Changed {
                what: format!("`{}` was changed", file.path),
            })
        }
    }

    fn told(&self, path: &HostPath) -> Option<&(Vec<u8>, u32)> {
        self.hidden.get(path).or_else(|| self.files.get(path))
    }

    /// Returns what a file is.
    pub fn state(&self, path: &HostPath) -> FileState {
        match self.told(path) {
            Some((bytes, _)) => FileState::Present {
                digest: Digest::of(bytes),
            },
            None => FileState::Absent {},
        }
    }
}

impl ReadWorld for FakeWorld {
    fn time(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    async fn container(
        &self,
        host: &HostId,
        name: &ContainerName,
    ) -> Answer<Option<ContainerFacts>> {
        Ok(self
            .containers
            .get(&(host.clone(), name.clone()))
            .map(|container| container.facts.clone()))
    }

    async fn describe_container(
        &self,
        host: &HostId,
        name: &ContainerName,
    ) -> Answer<ForeignBytes> {
        let container = self.containers.get(&(host.clone(), name.clone()));
        let facts = container.map(|FakeContainer { volume, facts, .. }| {
            let (policy, labels) = (&facts.restart_policy, &facts.labels);
            (volume.as_str(), policy, facts.id.as_str(), labels)
        });
        Ok(ForeignBytes::new(
            serde_json::json!(facts).to_string().into_bytes(),
        ))
    }

    async fn last_lines(&self, _host: &HostId, name: &ContainerName) -> Answer<ForeignBytes> {
        Ok(ForeignBytes::new(format!("{name} speaks").into_bytes()))
    }

    async fn volume(&self, host: &HostId, name: &VolumeName) -> Answer<Option<VolumeFacts>> {
        Ok(self
            .volumes
            .get(&(host.clone(), name.clone()))
            .map(|volume| volume.facts.clone()))
    }

    async fn describe_volume(&self, host: &HostId, name: &VolumeName) -> Answer<ForeignBytes> {
        let volume = self.volumes.get(&(host.clone(), name.clone()));
        let facts = volume.map(|volume| (&volume.facts.created_at, &volume.facts.labels));
        Ok(ForeignBytes::new(
            serde_json::json!(facts).to_string().into_bytes(),
        ))
    }

    async fn has_image(&self, host: &HostId, image: &ImageRef) -> Answer<bool> {
        Ok(self.images.contains(&(host.clone(), image.clone())))
    }

    async fn active_builds(
        &self,
        host: &HostId,
        container: &ContainerName,
    ) -> Answer<Vec<ActiveBuild>> {
        let busy = self.busy.contains(&(host.clone(), container.clone()));
        let build = ActiveBuild {
            reference: "build".to_owned(),
            ..ActiveBuild::default()
        };
        Ok(busy.then_some(build).into_iter().collect())
    }

    async fn clients_leave(&self, host: &HostId, container: &ContainerName) -> Answer<bool> {
        Ok(!self.busy.contains(&(host.clone(), container.clone())))
    }

    async fn file(&self, path: &HostPath) -> Answer<FileState> {
        Ok(self.state(path))
    }

    async fn read_file(&self, path: &HostPath) -> Answer<Option<(ForeignBytes, u32)>> {
        Ok(self
            .told(path)
            .map(|(bytes, mode)| (ForeignBytes::new(bytes.clone()), *mode)))
    }

    async fn has_tree(&self, path: &HostPath) -> Answer<bool> {
        Ok(self.trees.contains_key(path))
    }

    async fn read_tree(&self, path: &HostPath) -> Answer<ForeignBytes> {
        Ok(ForeignBytes::new(
            self.trees.get(path).cloned().unwrap_or_default(),
        ))
    }

    async fn socket(&self, path: &HostPath) -> Answer<SocketState> {
        Ok(match self.sockets.get(path) {
            None => SocketState::Absent,
            Some(Some(dead)) => SocketState::Dead(dead.clone()),
            Some(None) => SocketState::Taken,
        })
    }

    async fn archive(&self, archive: &ArchiveId) -> Answer<ArchiveState> {
        Ok(match self.archives.get(archive) {
            None => ArchiveState::Absent,
            Some(found) if found.whole => ArchiveState::Whole,
            Some(_) => ArchiveState::Partial,
        })
    }

    async fn folder(&self, path: &HostPath) -> Answer<FolderState> {
        Ok(match self.trees.get(path) {
            None => FolderState::Absent,
            Some(content) if content.is_empty() => FolderState::Empty,
            Some(_) => FolderState::Full,
        })
    }

    async fn archived_file(
        &self,
        source: &StateSource,
        _path: &HostPath,
        _content: &Digest,
    ) -> Answer<ForeignBytes> {
        let found = self.archives.get(&archive_id(source));
        let content = found.map(|found| found.content.clone());
        Ok(ForeignBytes::new(content.unwrap_or_default().into_bytes()))
    }

    async fn engine_runs(&self, engine: &EnginePlace) -> Answer<bool> {
        Ok(self.engines.get(&engine.host).is_some_and(|it| it.runs))
    }

    async fn running_containers(&self, engine: &EnginePlace) -> Answer<Vec<RunningContainer>> {
        let here = self.containers.iter();
        let running = here.filter(|((at, _), it)| at == &engine.host && it.facts.running);
        Ok(running
            .map(|((_, name), it)| RunningContainer {
                id: it.facts.id.clone(),
                name: name.clone(),
            })
            .collect())
    }

    async fn builds_on(&self, _: &EnginePlace) -> Answer<Vec<ActiveBuild>> {
        Ok(Vec::new())
    }

    async fn mount_records(&self, place: &BuildPlace) -> Answer<Vec<String>> {
        let of_builder = self.mounts.keys().filter(|(at, _)| *at == place.builder);
        Ok(of_builder.map(|(_, id)| id.clone()).collect())
    }

    async fn cache_records(&self, _: &Reach) -> Answer<Vec<CacheRecord>> {
        Ok(Vec::new())
    }

    async fn archive_fingerprint(&self, archive: &ArchiveId) -> Answer<Digest> {
        Ok(Digest::of(
            format!("{:?}", self.archives.get(archive)).as_bytes(),
        ))
    }
}

impl FakeWorld {
    /// Packs in two operations, so that a crash can fall between them.
    fn pack(&mut self, archive: &ArchiveId, content: &str) -> Answer<Archived> {
        if self.archives.get(archive).is_some_and(|found| found.whole) {
            return Ok(Archived::default());
        }
        self.step()?;
        self.archives.insert(
            archive.clone(),
            FakeArchive {
                whole: false,
                content: content.to_owned(),
                damaged: false,
            },
        );
        self.step()?;
        if let Some(found) = self.archives.get_mut(archive) {
            found.whole = true;
        }
        Ok(Archived::default())
    }
}

/// The fake has all archives in one folder, each by its id.
fn archive_id(source: &StateSource) -> ArchiveId {
    match source.archive.file_name().parse() {
        Ok(id) => id,
        Err(error) => unreachable!("BUG: {error}"),
    }
}
