//! The door to the world. Reading and changing are two traits, so that what only looks cannot change anything.

pub mod clock;
pub mod environment;
mod error;
mod facts;
#[cfg(feature = "fake")]
pub mod fake;
pub mod host;
pub mod real;
mod standalone;

use std::future::Future;

pub use error::WorldError;
pub use facts::{
    ArchiveState, Archived, ContainerFacts, FolderState, ForeignBytes, Labels, NodeRequest,
    Stopped, VolumeFacts,
};
pub use host::{SocketState, path_of};
use rekit_core::{
    collection::{CacheRecord, Reach},
    engine_cache::{EnginePlace, RunningContainer},
    event::Event,
    folders::CacheFolder,
    inventory::ActiveBuild,
    mounts::{ArchivedMount, CacheMount},
    name::{ArchiveId, ContainerName, Digest, HostId, HostPath, ImageRef, Platform, VolumeName},
    socket::DeadSocket,
    step::{BuildPlace, Claim, DaemonPlace, FileState, NodePlace, StateSource},
};
pub use standalone::{ChangeStandalone, DaemonAnswer, DaemonEnd, ReadStandalone};

type Answer<T> = Result<T, WorldError>;

/// Looks, and changes nothing.
pub trait ReadWorld: ReadStandalone {
    /// Returns the time of day.
    fn time(&self) -> jiff::Timestamp;
    /// Returns a container, `None` if there is none of this name.
    fn container(
        &self,
        host: &HostId,
        name: &ContainerName,
    ) -> impl Future<Output = Answer<Option<ContainerFacts>>>;
    /// Returns the engine's whole description of a container, enough to make it again.
    fn describe_container(
        &self,
        host: &HostId,
        name: &ContainerName,
    ) -> impl Future<Output = Answer<ForeignBytes>>;
    /// Returns the last lines of a container's log.
    fn last_lines(
        &self,
        host: &HostId,
        name: &ContainerName,
    ) -> impl Future<Output = Answer<ForeignBytes>>;
    /// Returns a volume, `None` if there is none of this name.
    fn volume(
        &self,
        host: &HostId,
        name: &VolumeName,
    ) -> impl Future<Output = Answer<Option<VolumeFacts>>>;
    /// Returns a volume's options and labels, enough to make it again, empty.
    fn describe_volume(
        &self,
        host: &HostId,
        name: &VolumeName,
    ) -> impl Future<Output = Answer<ForeignBytes>>;
    /// Returns whether the host has an image.
    fn has_image(&self, host: &HostId, image: &ImageRef) -> impl Future<Output = Answer<bool>>;
    /// Returns the builds that run on a node now.
    fn active_builds(
        &self,
        host: &HostId,
        container: &ContainerName,
    ) -> impl Future<Output = Answer<Vec<ActiveBuild>>>;
    /// Returns once no client is connected to the daemon in a container, or after a few seconds; returns whether none is.
    fn clients_leave(
        &self,
        host: &HostId,
        container: &ContainerName,
    ) -> impl Future<Output = Answer<bool>>;
    /// Returns whether a file is there, and its digest.
    fn file(&self, path: &HostPath) -> impl Future<Output = Answer<FileState>>;
    /// Returns a file's content and permission bits, `None` if it is absent.
    fn read_file(
        &self,
        path: &HostPath,
    ) -> impl Future<Output = Answer<Option<(ForeignBytes, u32)>>>;
    /// Returns whether a folder is there.
    fn has_tree(&self, path: &HostPath) -> impl Future<Output = Answer<bool>>;
    /// Returns a folder with all in it, as a tar whose entries begin with the folder's own name.
    fn read_tree(&self, path: &HostPath) -> impl Future<Output = Answer<ForeignBytes>>;
    /// Returns what a path is, as a socket.
    fn socket(&self, path: &HostPath) -> impl Future<Output = Answer<SocketState>>;
    /// Returns how far an archive is.
    fn archive(&self, archive: &ArchiveId) -> impl Future<Output = Answer<ArchiveState>>;
    /// Returns whether a folder is there and holds anything.
    fn folder(&self, path: &HostPath) -> impl Future<Output = Answer<FolderState>>;
    /// Returns a file as an archive of configuration holds it; any other content than the one that is meant is refused.
    fn archived_file(
        &self,
        source: &StateSource,
        path: &HostPath,
        content: &Digest,
    ) -> impl Future<Output = Answer<ForeignBytes>>;
    /// Returns whether an engine answers; another one in its place is an error.
    fn engine_runs(&self, engine: &EnginePlace) -> impl Future<Output = Answer<bool>>;
    /// Returns the containers that run on an engine.
    fn running_containers(
        &self,
        engine: &EnginePlace,
    ) -> impl Future<Output = Answer<Vec<RunningContainer>>>;
    /// Returns the builds that run inside an engine and in the nodes on it.
    fn builds_on(&self, engine: &EnginePlace) -> impl Future<Output = Answer<Vec<ActiveBuild>>>;
    /// Returns the ids of the records of a builder's cache mounts.
    fn mount_records(&self, place: &BuildPlace) -> impl Future<Output = Answer<Vec<String>>>;
    /// Lists the records of a daemon's cache.
    fn cache_records(&self, daemon: &Reach) -> impl Future<Output = Answer<Vec<CacheRecord>>>;
    /// Returns the digest of the sizes and times of an archive's files, without reading them.
    fn archive_fingerprint(&self, archive: &ArchiveId) -> impl Future<Output = Answer<Digest>>;
}

/// Changes the world. Every method may be called twice: what is done already is success.
pub trait ChangeWorld: ReadWorld + ChangeStandalone {
    /// Makes an empty volume.
    fn create_volume(
        &mut self,
        host: &HostId,
        name: &VolumeName,
        labels: &Labels,
    ) -> impl Future<Output = Answer<()>>;
    /// Makes an empty volume as described, with more labels.
    fn recreate_volume(
        &mut self,
        host: &HostId,
        name: &VolumeName,
        like: &ForeignBytes,
        labels: &Labels,
    ) -> impl Future<Output = Answer<()>>;
    /// Removes a volume.
    fn remove_volume(
        &mut self,
        host: &HostId,
        name: &VolumeName,
    ) -> impl Future<Output = Answer<()>>;
    /// Makes a node's container with its files, stopped.
    fn create_node(
        &mut self,
        host: &HostId,
        node: &NodeRequest,
        labels: &Labels,
    ) -> impl Future<Output = Answer<()>>;
    /// Makes a container as described, stopped, with more labels.
    fn recreate_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        like: &ForeignBytes,
        labels: &Labels,
    ) -> impl Future<Output = Answer<()>>;
    /// Starts a container.
    fn start_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
    ) -> impl Future<Output = Answer<()>>;
    /// Stops a container; the engine kills it after `timeout` seconds.
    fn stop_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        timeout: u32,
    ) -> impl Future<Output = Answer<Stopped>>;
    /// Asks a container to end and waits for it. It is never killed: one that still runs after `limit` seconds is refused.
    fn end_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        limit: u32,
    ) -> impl Future<Output = Answer<Stopped>>;
    /// Cuts the builds that run on a node, as if each of their clients had given up; the daemon goes on.
    fn cut_builds(
        &mut self,
        host: &HostId,
        container: &ContainerName,
    ) -> impl Future<Output = Answer<()>>;
    /// Removes a stopped container, keeping its named volumes.
    fn remove_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
    ) -> impl Future<Output = Answer<()>>;
    /// Sets a container's restart policy.
    fn set_restart_policy(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        policy: &str,
    ) -> impl Future<Output = Answer<()>>;
    /// Waits until a node's daemon answers; returns its version.
    fn wait_ready(
        &mut self,
        host: &HostId,
        container: &ContainerName,
    ) -> impl Future<Output = Answer<String>>;
    /// Runs one probe; returns its milliseconds.
    fn probe(
        &mut self,
        host: &HostId,
        container: &ContainerName,
        platform: &Platform,
    ) -> impl Future<Output = Answer<u64>>;
    /// Returns once a daemon answers, now or not at all. A node that stands still is not started for it.
    fn try_daemon(&mut self, daemon: &DaemonPlace) -> impl Future<Output = Answer<()>>;
    /// Builds for a platform with a cold cache and with a warm one; returns the milliseconds of both.
    fn try_build(
        &mut self,
        daemon: &DaemonPlace,
        platform: &Platform,
    ) -> impl Future<Output = Answer<(u64, u64)>>;
    /// Builds with a front end on a copy of the store; `compose`: Compose, else buildx.
    fn try_front_end(
        &mut self,
        store: &HostPath,
        claim: &Claim,
        compose: bool,
    ) -> impl Future<Output = Answer<()>>;
    /// Proves builders with real builds; returns one line per proof.
    fn validate(
        &mut self,
        store: &HostPath,
        claims: &[Claim],
    ) -> impl Future<Output = Answer<Vec<String>>>;
    /// Lets time pass, and says for what.
    fn wait(&mut self, seconds: u32, what: &str) -> impl Future<Output = Answer<()>>;
    /// Lets a second of a longer wait pass, and tells of it.
    fn pass_second(&mut self, why: Event) -> impl Future<Output = Answer<()>>;
    /// Writes a file in one atomic change, under the store's lock, if it still is as expected.
    fn write_file(
        &mut self,
        file: FileChange<'_>,
        content: &ForeignBytes,
        mode: u32,
    ) -> impl Future<Output = Answer<()>>;
    /// Removes a file, under the store's lock, if it still is as expected.
    fn remove_file(&mut self, file: FileChange<'_>) -> impl Future<Output = Answer<()>>;
    /// Puts a folder's content back from a tar.
    fn write_tree(
        &mut self,
        path: &HostPath,
        store: Option<&HostPath>,
        tree: &ForeignBytes,
    ) -> impl Future<Output = Answer<()>>;
    /// Removes a folder with all in it.
    fn remove_tree(
        &mut self,
        path: &HostPath,
        store: Option<&HostPath>,
    ) -> impl Future<Output = Answer<()>>;
    /// Makes a socket that nobody listens on, where nothing lies.
    fn make_socket(
        &mut self,
        path: &HostPath,
        like: &DeadSocket,
    ) -> impl Future<Output = Answer<()>>;
    /// Removes a socket, if it is this one and nobody listens on it.
    fn remove_socket(
        &mut self,
        path: &HostPath,
        known: &DeadSocket,
    ) -> impl Future<Output = Answer<()>>;
    /// Archives files and folders.
    fn archive_paths(
        &mut self,
        archive: &ArchiveId,
        paths: &[HostPath],
    ) -> impl Future<Output = Answer<Archived>>;
    /// Archives a stopped state.
    fn archive_state(
        &mut self,
        archive: &ArchiveId,
        host: &HostId,
        volume: &VolumeName,
    ) -> impl Future<Output = Answer<Archived>>;
    /// Archives the state of a running node; its daemon stands still only for a moment, whatever happens.
    fn copy_state(
        &mut self,
        archive: &ArchiveId,
        node: &NodePlace,
    ) -> impl Future<Output = Answer<Archived>>;
    /// Archives an image.
    fn save_image(
        &mut self,
        archive: &ArchiveId,
        host: &HostId,
        image: &ImageRef,
    ) -> impl Future<Output = Answer<Archived>>;
    /// Loads an archived image.
    fn load_image(
        &mut self,
        source: &StateSource,
        host: &HostId,
    ) -> impl Future<Output = Answer<()>>;
    /// Archives a folder of cache; a daemon that runs on it stands still only for a moment, whatever happens.
    fn archive_folder(
        &mut self,
        archive: &ArchiveId,
        folder: &CacheFolder,
    ) -> impl Future<Output = Answer<Archived>>;
    /// Brings an archived folder of cache back into an empty one, which is made if it is absent.
    fn restore_folder(
        &mut self,
        source: &StateSource,
        folder: &CacheFolder,
    ) -> impl Future<Output = Answer<()>>;
    /// Empties a folder of cache that no daemon works on, and removes it if asked; one that is absent is empty.
    fn empty_folder(&mut self, path: &HostPath, remove: bool) -> impl Future<Output = Answer<()>>;
    /// Stops an engine by its command, and waits for its end.
    fn stop_engine(&mut self, engine: &EnginePlace) -> impl Future<Output = Answer<()>>;
    /// Starts an engine by its command, if it does not answer, and the containers that ran on it.
    fn start_engine(&mut self, engine: &EnginePlace) -> impl Future<Output = Answer<()>>;
    /// Archives the cache of a stopped engine.
    fn archive_engine(
        &mut self,
        archive: &ArchiveId,
        engine: &EnginePlace,
    ) -> impl Future<Output = Answer<Archived>>;
    /// Puts the archived cache of a stopped engine in the place of the present one.
    fn restore_engine(
        &mut self,
        archive: &ArchiveId,
        engine: &EnginePlace,
    ) -> impl Future<Output = Answer<()>>;
    /// The same from an archive that may lie anywhere, once it was read back and is the one that is meant.
    fn restore_engine_from(
        &mut self,
        source: &StateSource,
        engine: &EnginePlace,
    ) -> impl Future<Output = Answer<()>>;
    /// Archives cache mounts through builds.
    fn export_mounts(
        &mut self,
        archive: &ArchiveId,
        place: &BuildPlace,
        mounts: &[CacheMount],
    ) -> impl Future<Output = Answer<Archived>>;
    /// Fills empty cache mounts from an archive that may lie anywhere, and reads them back; one that holds something else is refused.
    fn import_mounts(
        &mut self,
        source: &StateSource,
        place: &BuildPlace,
        mounts: &[ArchivedMount],
    ) -> impl Future<Output = Answer<()>>;
    /// Removes those cache mounts of these ids that an import made; `known` are records that stay.
    fn forget_mounts(
        &mut self,
        place: &BuildPlace,
        ids: &[String],
        known: &[String],
    ) -> impl Future<Output = Answer<()>>;
    /// Removes what there is of an archive that is not whole.
    fn drop_partial_archive(&mut self, archive: &ArchiveId) -> impl Future<Output = Answer<()>>;
    /// Reads a whole archive back and matches it; returns the digest of its SHA256SUMS.
    fn verify_archive(&mut self, archive: &ArchiveId) -> impl Future<Output = Answer<Digest>>;
    /// Reads an archive back that may lie anywhere; one that is not the one that is meant is refused.
    fn verify_source(&mut self, source: &StateSource) -> impl Future<Output = Answer<()>>;
    /// Proves that a daemon that began with an archived state found its cache.
    fn prove_state(
        &mut self,
        source: &StateSource,
        host: &HostId,
        container: &ContainerName,
        volume: &VolumeName,
    ) -> impl Future<Output = Answer<()>>;
    /// Brings an archived state back into an empty volume.
    fn restore_state(
        &mut self,
        archive: &ArchiveId,
        host: &HostId,
        volume: &VolumeName,
    ) -> impl Future<Output = Answer<()>>;
    /// The same from an archive that may lie anywhere, once it was read back and is the one that is meant.
    fn restore_from(
        &mut self,
        source: &StateSource,
        host: &HostId,
        volume: &VolumeName,
    ) -> impl Future<Output = Answer<()>>;
}

/// A file to change, and what it must be for that.
#[derive(Clone, Copy, Debug)]
pub struct FileChange<'a> {
    /// The file.
    pub path: &'a HostPath,
    /// buildx's store whose lock protects it.
    pub store: Option<&'a HostPath>,
    /// What it must be.
    pub expect: &'a FileState,
}

/// Ends the program at once, as a power cut would.
pub(crate) fn die() -> ! {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test asked for a crash at this point; only this process is killed"
    )]
    drop(
        std::process::Command::new("kill")
            .arg("-9")
            .arg(std::process::id().to_string())
            .status(),
    );
    unreachable!("BUG: the process outlived its own kill")
}
