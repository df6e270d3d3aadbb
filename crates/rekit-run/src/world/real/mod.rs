//! The real world: engines, files, archives. Each part has its file; here they are joined to the two traits.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the one door to the world"
)]

mod archive;
mod builds;
pub mod canary;
mod channel;
mod configuration;
mod deep;
mod docker;
mod engine;
pub(crate) mod engine_cache;
mod engines;
mod exchange;
mod file;
mod folder;
mod front_end;
mod front_ends;
mod helper;
mod image;
mod mounts;
mod namespace;
mod node;
mod proof;
mod records;
mod rehearsal;
mod script;
mod stand_in;
mod standalone;
mod tree;
mod trial;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use rekit_buildkit::Engine;
use rekit_core::{
    collection::{CacheRecord, Reach},
    config::files::ArchivedFile,
    engine_cache::{EnginePlace, RunningContainer},
    event::Event,
    folders::CacheFolder,
    inventory::ActiveBuild,
    mounts::{ArchivedMount, CacheMount},
    name::{ArchiveId, ContainerName, Digest, HostId, HostPath, ImageRef, Platform, VolumeName},
    socket::DeadSocket,
    step::{BuildPlace, Claim, DaemonPlace, FileState, NodePlace, StateSource},
};

use super::{
    ArchiveState, Archived, ChangeWorld, ContainerFacts, FileChange, FolderState, ForeignBytes,
    Labels, NodeRequest, ReadWorld, SocketState, Stopped, VolumeFacts, WorldError,
    environment::Surroundings, host, path_of,
};

use crate::inventory::{self, Limits};
pub use engines::Address;
pub(crate) use exchange::{export, import};
pub use front_ends::Tried;
pub(crate) use front_ends::try_all as try_front_ends;
pub(crate) use node::bytes as bytes_as_docker_writes_them;
pub use rehearsal::{NotProven, Proven, Rehearsed, Stage};

type Answer<T> = Result<T, WorldError>;

/// Reads every byte of an archive back; returns the digest of its SHA256SUMS.
pub async fn verify_archive(path: PathBuf, listener: &dyn Fn(Event)) -> Result<Digest, WorldError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    archive::verify(path, &name, listener).await
}

/// Returns the files of an archive of configuration, wherever it lies; they are unpacked in `home` for that.
pub fn archived_files(path: &Path, home: &Path) -> Result<Vec<ArchivedFile>, WorldError> {
    configuration::files(path, home)
}

/// The real world as one run sees it.
pub struct RealWorld<'a> {
    addresses: BTreeMap<HostId, Address>,
    engines: tokio::sync::Mutex<BTreeMap<HostId, Engine>>,
    home: PathBuf,
    archives: PathBuf,
    /// The archive of configuration that was unpacked last.
    unpacked: tokio::sync::Mutex<Option<configuration::Unpacked>>,
    surroundings: Surroundings,
    listener: &'a dyn Fn(Event),
    interrupt: &'a dyn Fn() -> bool,
}

impl<'a> RealWorld<'a> {
    /// Opens the world. Docker and buildx are run with the variables of `surroundings`.
    pub fn new(
        addresses: BTreeMap<HostId, Address>,
        home: PathBuf,
        surroundings: Surroundings,
        listener: &'a dyn Fn(Event),
        interrupt: &'a dyn Fn() -> bool,
    ) -> Self {
        let engines = tokio::sync::Mutex::new(BTreeMap::new());
        Self {
            addresses,
            engines,
            archives: home.join("archives"),
            home,
            unpacked: tokio::sync::Mutex::new(None),
            surroundings,
            listener,
            interrupt,
        }
    }

    /// Makes and finds archives in another folder than rekit's own.
    pub fn keep_archives_in(&mut self, folder: PathBuf) {
        self.archives = folder;
    }
}

impl ReadWorld for RealWorld<'_> {
    fn time(&self) -> jiff::Timestamp {
        super::clock::now()
    }

    async fn container(
        &self,
        host: &HostId,
        name: &ContainerName,
    ) -> Answer<Option<ContainerFacts>> {
        engine::container(&self.engine(host).await?, name).await
    }

    async fn describe_container(
        &self,
        host: &HostId,
        name: &ContainerName,
    ) -> Answer<ForeignBytes> {
        engine::describe_container(&self.engine(host).await?, name).await
    }

    async fn last_lines(&self, host: &HostId, name: &ContainerName) -> Answer<ForeignBytes> {
        engine::last_lines(&self.engine(host).await?, name).await
    }

    async fn volume(&self, host: &HostId, name: &VolumeName) -> Answer<Option<VolumeFacts>> {
        engine::volume(&self.engine(host).await?, name).await
    }

    async fn describe_volume(&self, host: &HostId, name: &VolumeName) -> Answer<ForeignBytes> {
        engine::describe_volume(&self.engine(host).await?, name).await
    }

    async fn has_image(&self, host: &HostId, image: &ImageRef) -> Answer<bool> {
        engine::has_image(&self.engine(host).await?, image).await
    }

    async fn active_builds(
        &self,
        host: &HostId,
        container: &ContainerName,
    ) -> Answer<Vec<ActiveBuild>> {
        builds::active(self, host, container).await
    }

    async fn clients_leave(&self, host: &HostId, container: &ContainerName) -> Answer<bool> {
        builds::clients_leave(&self.engine(host).await?, container).await
    }

    async fn file(&self, path: &HostPath) -> Answer<FileState> {
        file::state(path)
    }

    async fn read_file(&self, path: &HostPath) -> Answer<Option<(ForeignBytes, u32)>> {
        file::read(path)
    }

    async fn has_tree(&self, path: &HostPath) -> Answer<bool> {
        tree::exists(path)
    }

    async fn read_tree(&self, path: &HostPath) -> Answer<ForeignBytes> {
        tree::read(path)
    }

    async fn socket(&self, path: &HostPath) -> Answer<SocketState> {
        let state = host::socket(&path_of(path));
        state.map_err(|error| WorldError::failed(format!("socket `{path}` cannot be seen"), error))
    }

    async fn archive(&self, archive: &ArchiveId) -> Answer<ArchiveState> {
        Ok(archive::state(&self.archives, archive))
    }

    async fn folder(&self, path: &HostPath) -> Answer<FolderState> {
        folder::state(path)
    }

    async fn archived_file(
        &self,
        source: &StateSource,
        path: &HostPath,
        content: &Digest,
    ) -> Answer<ForeignBytes> {
        let mut unpacked = self.unpacked.lock().await;
        configuration::archived_file(&self.home, &mut unpacked, source, path, content)
    }

    async fn engine_runs(&self, engine: &EnginePlace) -> Answer<bool> {
        engine_cache::runs(self, engine).await
    }

    async fn running_containers(&self, engine: &EnginePlace) -> Answer<Vec<RunningContainer>> {
        engine_cache::running(&self.engine(&engine.host).await?).await
    }

    async fn builds_on(&self, engine: &EnginePlace) -> Answer<Vec<ActiveBuild>> {
        engine_cache::builds(self, engine).await
    }

    async fn mount_records(&self, place: &BuildPlace) -> Answer<Vec<String>> {
        mounts::records(self, place).await
    }

    async fn cache_records(&self, daemon: &Reach) -> Answer<Vec<CacheRecord>> {
        records::of(self, daemon).await
    }

    async fn archive_fingerprint(&self, archive: &ArchiveId) -> Answer<Digest> {
        archive::fingerprint(&self.archives.join(archive.as_str()))
    }
}

impl ChangeWorld for RealWorld<'_> {
    async fn create_volume(
        &mut self,
        host: &HostId,
        name: &VolumeName,
        labels: &Labels,
    ) -> Answer<()> {
        engine::create_volume(&self.engine(host).await?, name, labels).await
    }

    async fn recreate_volume(
        &mut self,
        host: &HostId,
        name: &VolumeName,
        like: &ForeignBytes,
        labels: &Labels,
    ) -> Answer<()> {
        engine::recreate_volume(&self.engine(host).await?, name, like, labels).await
    }

    async fn remove_volume(&mut self, host: &HostId, name: &VolumeName) -> Answer<()> {
        engine::remove_volume(&self.engine(host).await?, name).await
    }

    async fn create_node(
        &mut self,
        host: &HostId,
        request: &NodeRequest,
        labels: &Labels,
    ) -> Answer<()> {
        node::create(&self.engine(host).await?, request, labels).await
    }

    async fn recreate_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        like: &ForeignBytes,
        labels: &Labels,
    ) -> Answer<()> {
        node::recreate(&self.engine(host).await?, name, like, labels).await
    }

    async fn start_container(&mut self, host: &HostId, name: &ContainerName) -> Answer<()> {
        engine::start(&self.engine(host).await?, name).await
    }

    async fn stop_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        timeout: u32,
    ) -> Answer<Stopped> {
        engine::stop(&self.engine(host).await?, name, timeout).await
    }

    async fn end_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        limit: u32,
    ) -> Answer<Stopped> {
        engine::end(&self.engine(host).await?, name, limit).await
    }

    async fn cut_builds(&mut self, host: &HostId, container: &ContainerName) -> Answer<()> {
        builds::cut(&self.engine(host).await?, container).await
    }

    async fn remove_container(&mut self, host: &HostId, name: &ContainerName) -> Answer<()> {
        engine::remove_container(&self.engine(host).await?, name).await
    }

    async fn set_restart_policy(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        policy: &str,
    ) -> Answer<()> {
        engine::set_restart_policy(&self.engine(host).await?, name, policy).await
    }

    async fn wait_ready(&mut self, host: &HostId, container: &ContainerName) -> Answer<String> {
        proof::wait_ready(&self.engine(host).await?, container).await
    }

    async fn probe(
        &mut self,
        host: &HostId,
        container: &ContainerName,
        platform: &Platform,
    ) -> Answer<u64> {
        proof::probe(self.engine(host).await?, container, platform).await
    }

    async fn try_daemon(&mut self, daemon: &DaemonPlace) -> Answer<()> {
        trial::daemon(self, daemon).await
    }

    async fn try_build(&mut self, daemon: &DaemonPlace, platform: &Platform) -> Answer<(u64, u64)> {
        trial::build(self, daemon, platform).await
    }

    async fn try_front_end(
        &mut self,
        store: &HostPath,
        claim: &Claim,
        compose: bool,
    ) -> Answer<()> {
        let (store, variables) = (super::path_of(store), self.surroundings.variables());
        let front = front_end::FrontEnd::new(self, &store, claim, variables)?;
        trial::front_end(&front, claim, compose, self.listener).await
    }

    async fn validate(&mut self, store: &HostPath, claims: &[Claim]) -> Answer<Vec<String>> {
        proof::validate(
            self,
            &super::path_of(store),
            claims,
            self.surroundings.variables(),
            self.listener,
        )
        .await
    }

    async fn wait(&mut self, seconds: u32, what: &str) -> Answer<()> {
        for passed in 0..seconds {
            let waiting = Event::Waiting {
                what: what.to_owned(),
                seconds: u64::from(passed),
                limit: u64::from(seconds),
            };
            (self.listener)(waiting);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if (self.interrupt)() {
                return Err(WorldError::Interrupted);
            }
        }
        Ok(())
    }

    async fn pass_second(&mut self, why: Event) -> Answer<()> {
        (self.listener)(why);
        tokio::time::sleep(Duration::from_secs(1)).await;
        if (self.interrupt)() {
            return Err(WorldError::Interrupted);
        }
        Ok(())
    }

    async fn write_file(
        &mut self,
        change: FileChange<'_>,
        content: &ForeignBytes,
        mode: u32,
    ) -> Answer<()> {
        file::write(change, content, mode).await
    }

    async fn remove_file(&mut self, change: FileChange<'_>) -> Answer<()> {
        file::remove(change).await
    }

    async fn write_tree(
        &mut self,
        path: &HostPath,
        store: Option<&HostPath>,
        content: &ForeignBytes,
    ) -> Answer<()> {
        tree::write(path, store, content).await
    }

    async fn remove_tree(&mut self, path: &HostPath, store: Option<&HostPath>) -> Answer<()> {
        tree::remove(path, store).await
    }

    async fn make_socket(&mut self, path: &HostPath, like: &DeadSocket) -> Answer<()> {
        let made = host::make_socket(&path_of(path), like);
        made.map_err(|error| WorldError::failed(format!("socket `{path}` cannot be made"), error))
    }

    async fn remove_socket(&mut self, path: &HostPath, known: &DeadSocket) -> Answer<()> {
        let gone = host::remove_socket(&path_of(path), known);
        gone.map_err(|error| {
            WorldError::failed(format!("socket `{path}` cannot be removed"), error)
        })
    }

    async fn archive_paths(&mut self, archive: &ArchiveId, paths: &[HostPath]) -> Answer<Archived> {
        let inventory = inventory::inventory(&self.surroundings, Limits::default()).await;
        configuration::save(&self.archives, archive, paths, &inventory)
    }

    async fn archive_state(
        &mut self,
        archive: &ArchiveId,
        host: &HostId,
        volume: &VolumeName,
    ) -> Answer<Archived> {
        let engine = self.engine(host).await?;
        archive::save_state(&self.archives, archive, &engine, volume, self.listener).await
    }

    async fn copy_state(&mut self, archive: &ArchiveId, node: &NodePlace) -> Answer<Archived> {
        let engine = self.engine(&node.host).await?;
        archive::copy_state(&self.archives, archive, &engine, node, self.listener).await
    }

    async fn save_image(
        &mut self,
        archive: &ArchiveId,
        host: &HostId,
        image: &ImageRef,
    ) -> Answer<Archived> {
        image::save(self, archive, host, image).await
    }

    async fn load_image(&mut self, source: &StateSource, host: &HostId) -> Answer<()> {
        image::load(self, &path_of(&source.archive), host).await
    }

    async fn archive_folder(
        &mut self,
        archive: &ArchiveId,
        folder: &CacheFolder,
    ) -> Answer<Archived> {
        folder::archive(self, archive, folder).await
    }

    async fn restore_folder(&mut self, source: &StateSource, folder: &CacheFolder) -> Answer<()> {
        folder::restore(self, source, folder).await
    }

    async fn empty_folder(&mut self, path: &HostPath, remove: bool) -> Answer<()> {
        folder::empty(path, remove)
    }

    async fn stop_engine(&mut self, engine: &EnginePlace) -> Answer<()> {
        engine_cache::stop(self, engine).await
    }

    async fn start_engine(&mut self, engine: &EnginePlace) -> Answer<()> {
        engine_cache::start(self, engine).await
    }

    async fn archive_engine(
        &mut self,
        archive: &ArchiveId,
        engine: &EnginePlace,
    ) -> Answer<Archived> {
        engine_cache::archive(self, archive, engine).await
    }

    async fn restore_engine(&mut self, archive: &ArchiveId, engine: &EnginePlace) -> Answer<()> {
        let path = self.archives.join(archive.as_str());
        engine_cache::restore(self, path, engine).await
    }

    async fn restore_engine_from(
        &mut self,
        source: &StateSource,
        engine: &EnginePlace,
    ) -> Answer<()> {
        self.verify_source(source).await?;
        let path = path_of(&source.archive);
        archive::refuse_damaged_databases(&path)?;
        engine_cache::restore(self, path, engine).await
    }

    async fn export_mounts(
        &mut self,
        archive: &ArchiveId,
        place: &BuildPlace,
        mounts: &[CacheMount],
    ) -> Answer<Archived> {
        mounts::export(self, archive, place, mounts).await
    }

    async fn import_mounts(
        &mut self,
        source: &StateSource,
        place: &BuildPlace,
        mounts: &[ArchivedMount],
    ) -> Answer<()> {
        mounts::import(self, &path_of(&source.archive), place, mounts).await
    }

    async fn forget_mounts(
        &mut self,
        place: &BuildPlace,
        ids: &[String],
        known: &[String],
    ) -> Answer<()> {
        mounts::forget(self, place, ids, known).await
    }

    async fn drop_partial_archive(&mut self, archive: &ArchiveId) -> Answer<()> {
        archive::discard(&self.archives, archive)
    }

    async fn verify_archive(&mut self, archive: &ArchiveId) -> Answer<Digest> {
        let path = self.archives.join(archive.as_str());
        let identity = archive::verify(path.clone(), archive.as_str(), self.listener).await?;
        configuration::compare(&path, &self.home, &self.surroundings)?;
        Ok(identity)
    }

    async fn restore_state(
        &mut self,
        archive: &ArchiveId,
        host: &HostId,
        volume: &VolumeName,
    ) -> Answer<()> {
        let engine = self.engine(host).await?;
        archive::restore_state(
            self.archives.join(archive.as_str()),
            &engine,
            volume,
            self.listener,
        )
        .await
    }

    async fn verify_source(&mut self, source: &StateSource) -> Answer<()> {
        let name = source.archive.to_string();
        let identity = archive::verify(path_of(&source.archive), &name, self.listener).await?;
        if identity == source.identity {
            return Ok(());
        }
        Err(WorldError::Refused {
            why: format!("archive `{name}` is another one than planned for"),
        })
    }

    async fn prove_state(
        &mut self,
        source: &StateSource,
        host: &HostId,
        container: &ContainerName,
        volume: &VolumeName,
    ) -> Answer<()> {
        let engine = self.engine(host).await?;
        rehearsal::prove(&path_of(&source.archive), &engine, container, volume).await
    }

    async fn restore_from(
        &mut self,
        source: &StateSource,
        host: &HostId,
        volume: &VolumeName,
    ) -> Answer<()> {
        self.verify_source(source).await?;
        let (engine, path) = (self.engine(host).await?, path_of(&source.archive));
        archive::refuse_damaged_databases(&path)?;
        archive::restore_state(path, &engine, volume, self.listener).await
    }
}
