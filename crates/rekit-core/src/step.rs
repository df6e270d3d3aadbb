//! A step: one change, as data. `rekit-run::steps` gives each kind its meaning.
//!
//! Invariants: a step holds no foreign bytes, only digests of them; a removal of state names the step that verified its archive.
//! Struct variants only: serde does not refuse unknown keys in the other kinds.

mod again;
mod told;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    criteria::{JudgedNode, Yardstick},
    engine_cache::EnginePlace,
    folders::CacheFolder,
    mounts::{ArchivedMount, CacheMount},
    name::{
        ArchiveId, ContainerId, ContainerName, Digest, HostId, HostPath, ImageRef, NodeName,
        Platform, RunId, VolumeName,
    },
    record::RecordEdit,
    standalone::{Launch, ProcessIdentity, StandalonePlace},
};
pub use again::AGAIN;

/// The restart policy of a parked container.
pub const PARKED_POLICY: &str = "no";

/// The number of a step in its plan, counted from 1.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl std::fmt::Display for StepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its number.
    pub id: StepId,
    /// Why it is there, in one sentence.
    pub why: String,
    /// What it does.
    pub action: Action,
}

/// What a file must look like before a step touches it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "file", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FileState {
    /// There is none.
    Absent {},
    /// There is one with this content.
    Present {
        /// Its digest.
        digest: Digest,
    },
}

/// How a step knows the container it means from another one of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "known-by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Identity {
    /// The engine's id.
    Id {
        /// The id.
        id: ContainerId,
    },
    /// The labels of the step that makes it.
    MadeBy {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
    },
}

/// A node as it lies on its host: what a step relies on when it touches one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodePlace {
    /// The engine.
    pub host: HostId,
    /// The container.
    pub container: ContainerName,
    /// Which container of that name, so that a foreign one is never touched.
    pub identity: Identity,
    /// The state volume.
    pub volume: VolumeName,
}

/// A state volume as it lies on its host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumePlace {
    /// The engine.
    pub host: HostId,
    /// The volume.
    pub volume: VolumeName,
    /// When the engine made it, so that a new one of the same name is never touched.
    pub created_at: String,
}

/// One kind of change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Measures what the builders can do before anything changes. No builder is booted or started for it.
    TakeBaseline {
        /// buildx's store.
        store: HostPath,
        /// The builders with their present daemons; those that cannot build are recorded as such.
        builders: Vec<Claim>,
    },
    /// Archives configuration: files and folders, as they are.
    SaveConfiguration {
        /// The archive to make.
        archive: ArchiveId,
        /// Files and folders; one that is absent is recorded as absent.
        paths: Vec<HostPath>,
    },
    /// Creates and starts a node's container and state volume, and waits until its daemon answers.
    BootNode {
        /// The engine.
        host: HostId,
        /// The node; its container and volume are named after it.
        node: NodeName,
        /// The image, which must be on the host.
        image: ImageRef,
        /// The record that the node's options, flags and files are taken from.
        record: HostPath,
        /// What that record must be.
        before: FileState,
        /// How that record will be rewritten.
        edit: RecordEdit,
        /// The state that it begins with; `None`: an empty one.
        state: Option<BootState>,
    },
    /// Runs one probe per platform on a node that no client uses yet.
    ProbeNode {
        /// The engine.
        host: HostId,
        /// The node's container.
        container: ContainerName,
        /// The platforms.
        platforms: Vec<Platform>,
        /// What decides; `None`: each platform must pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        judged: Option<JudgedNode>,
    },
    /// Rewrites a builder record in one atomic change under the store's lock.
    RewriteRecord {
        /// buildx's store.
        store: HostPath,
        /// The record.
        record: HostPath,
        /// What it must be.
        before: FileState,
        /// The change.
        edit: RecordEdit,
    },
    /// Writes a file whose whole content rekit knows.
    WriteFile {
        /// The file.
        path: HostPath,
        /// buildx's store whose lock protects it.
        store: Option<HostPath>,
        /// What it must be.
        before: FileState,
        /// Its permission bits.
        mode: u32,
        /// Its content.
        content: String,
    },
    /// Changes keys of a JSON file and keeps every other byte.
    EditJson {
        /// The file.
        path: HostPath,
        /// What it must be.
        before: FileState,
        /// The changes.
        edits: Vec<JsonEdit>,
    },
    /// Makes comments of lines of a text file and keeps every other byte.
    SilenceLines {
        /// The file.
        path: HostPath,
        /// What it must be.
        before: FileState,
        /// The lines, counted from 1.
        lines: Vec<u32>,
        /// What is set before each.
        mark: String,
    },
    /// Removes a file.
    RemoveFile {
        /// The file.
        path: HostPath,
        /// buildx's store whose lock protects it.
        store: Option<HostPath>,
        /// What it must be.
        before: FileState,
    },
    /// Removes a folder with all in it.
    RemoveTree {
        /// The folder.
        path: HostPath,
        /// buildx's store whose lock protects it.
        store: Option<HostPath>,
    },
    /// Removes a socket that nobody listens on.
    RemoveSocket {
        /// The socket.
        path: HostPath,
        /// Which one, so that a new one of the same name is never touched.
        socket: crate::socket::DeadSocket,
    },
    /// Waits until no build runs on a node.
    Drain {
        /// The node.
        node: NodePlace,
        /// Seconds to wait first, for clients that read the old record.
        grace_seconds: u32,
        /// Seconds to wait for running builds at most.
        limit_seconds: u32,
        /// Whether builds that still run then are cut; else the run stops.
        cut: bool,
    },
    /// Stops a node's daemon, which is never killed: one that does not end stops the run.
    StopNode {
        /// The node.
        node: NodePlace,
        /// Seconds that it has to end.
        timeout_seconds: u32,
    },
    /// Archives a stopped state.
    ArchiveState {
        /// The archive to make.
        archive: ArchiveId,
        /// The volume that holds it.
        volume: VolumePlace,
        /// The container that must stay stopped meanwhile; `None` for an orphan volume.
        container: Option<ContainerName>,
    },
    /// Archives the state of a running node, whose daemon stands still only for a moment.
    CopyState {
        /// The archive to make.
        archive: ArchiveId,
        /// The node, which goes on building.
        node: NodePlace,
    },
    /// Archives cache mounts of a daemon whose files nobody reaches, through builds.
    ExportMounts {
        /// The archive to make.
        archive: ArchiveId,
        /// The builder.
        place: BuildPlace,
        /// The cache mounts.
        mounts: Vec<CacheMount>,
    },
    /// Brings archived cache mounts into a builder, through builds; each of them must be empty there.
    ImportMounts {
        /// The archive.
        source: StateSource,
        /// The builder.
        place: BuildPlace,
        /// The cache mounts.
        mounts: Vec<ArchivedMount>,
    },
    /// Archives an image, so that a restore needs no registry.
    SaveImage {
        /// The archive to make.
        archive: ArchiveId,
        /// The engine that has it.
        host: HostId,
        /// The image.
        image: ImageRef,
    },
    /// Loads an archived image into an engine that lacks it.
    LoadImage {
        /// The archive.
        source: StateSource,
        /// The engine.
        host: HostId,
        /// The image.
        image: ImageRef,
    },
    /// Archives a folder of cache on this machine.
    ArchiveFolder {
        /// The archive to make.
        archive: ArchiveId,
        /// The folder; a daemon that runs on it stands still only for a moment.
        folder: CacheFolder,
    },
    /// Brings an archived folder of cache back to where nothing lies.
    RestoreFolder {
        /// The archive.
        source: StateSource,
        /// The folder, which must be absent or empty.
        folder: CacheFolder,
    },
    /// Stops an engine, with every container on it, once no build runs there.
    StopEngine {
        /// The engine.
        engine: EnginePlace,
        /// Seconds to wait for running builds at most.
        limit_seconds: u32,
        /// Whether builds that still run then are cut; else the run stops.
        cut: bool,
    },
    /// Starts an engine and the containers that ran on it.
    StartEngine {
        /// The engine.
        engine: EnginePlace,
    },
    /// Archives the cache of a stopped engine, with the layers and images that it hangs on.
    ArchiveEngine {
        /// The archive to make.
        archive: ArchiveId,
        /// The engine.
        engine: EnginePlace,
    },
    /// Puts the archived cache of an engine in the place of its present one, which was archived before.
    RestoreEngine {
        /// The archive.
        source: StateSource,
        /// The engine, stopped.
        engine: EnginePlace,
        /// The archive of what is there now.
        before: ArchiveId,
        /// The step of this plan that verified it.
        verified_by: StepId,
    },
    /// Ends a standalone daemon, once no build runs on it.
    StopDaemon {
        /// The daemon.
        daemon: StandalonePlace,
        /// Its process.
        process: ProcessIdentity,
        /// Seconds to wait for running builds at most.
        limit_seconds: u32,
        /// Whether builds that still run then are cut; else the run stops.
        cut: bool,
    },
    /// Starts a standalone daemon and waits until it answers.
    StartDaemon {
        /// The daemon.
        daemon: StandalonePlace,
        /// How.
        launch: Launch,
    },
    /// Runs one probe per platform on a standalone daemon.
    ProbeDaemon {
        /// The daemon.
        daemon: StandalonePlace,
        /// The platforms.
        platforms: Vec<Platform>,
    },
    /// Puts the state of a stopped standalone daemon aside, by a rename.
    ParkState {
        /// Where it lies.
        root: HostPath,
        /// Where it is parked, on the same file system.
        parked: HostPath,
        /// Whether an empty folder of the same owner takes its place.
        renew: bool,
    },
    /// Puts a parked state back, by a rename.
    UnparkState {
        /// Where it is parked.
        parked: HostPath,
        /// Where it lay.
        root: HostPath,
    },
    /// Removes a state that no daemon works on and whose archive was verified by an earlier step.
    RemoveState {
        /// The folder.
        folder: HostPath,
        /// The archive that holds its content.
        archive: ArchiveId,
        /// The step of this plan that verified it.
        verified_by: StepId,
    },
    /// Brings a file back as an archive of configuration holds it.
    BringFile {
        /// The archive.
        source: StateSource,
        /// The file.
        path: HostPath,
        /// buildx's store whose lock protects it.
        store: Option<HostPath>,
        /// What it must be.
        before: FileState,
        /// The digest of its archived content.
        content: Digest,
        /// Its permission bits.
        mode: u32,
    },
    /// Reads a whole archive back.
    VerifyArchive {
        /// The archive.
        archive: ArchiveId,
    },
    /// Keeps a stopped node from being started by the engine.
    Park {
        /// The node.
        node: NodePlace,
    },
    /// Removes a stopped container, keeping its volumes.
    RemoveContainer {
        /// The node.
        node: NodePlace,
    },
    /// Removes a state volume whose archive was verified by an earlier step.
    RemoveVolume {
        /// The volume.
        volume: VolumePlace,
        /// The archive that holds its content.
        archive: ArchiveId,
        /// The step of this plan that verified it.
        verified_by: StepId,
    },
    /// Removes a state volume that no archive holds: a person gave its cache up, naming the builder.
    DropVolume {
        /// The volume.
        volume: VolumePlace,
    },
    /// Starts a parked node again.
    StartNode {
        /// The node.
        node: NodePlace,
        /// The restart policy it had.
        restart_policy: String,
        /// Whether its processes ended again and again when it ran last: then nobody waits for an answer.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        looping: bool,
    },
    /// Makes a removed state volume again from its archive.
    RestoreVolume {
        /// The engine.
        host: HostId,
        /// The volume.
        volume: VolumeName,
        /// Its archive.
        archive: ArchiveId,
        /// The blob with the volume's options and labels.
        options: crate::name::BlobId,
    },
    /// Makes a state volume again, empty, whose cache was given up.
    RecreateVolume {
        /// The engine.
        host: HostId,
        /// The volume.
        volume: VolumeName,
        /// The blob with the volume's options and labels.
        options: crate::name::BlobId,
    },
    /// Makes a removed container again, stopped.
    RecreateContainer {
        /// The engine.
        host: HostId,
        /// The container.
        container: ContainerName,
        /// The blob with the engine's description of it.
        description: crate::name::BlobId,
    },
    /// Puts a file back as a blob holds it.
    RestoreFile {
        /// The file.
        path: HostPath,
        /// buildx's store whose lock protects it.
        store: Option<HostPath>,
        /// What it must be now.
        before: FileState,
        /// What it shall be; `None`: absent.
        blob: Option<Kept>,
    },
    /// Puts a folder back as a blob holds it.
    RestoreTree {
        /// The folder.
        path: HostPath,
        /// buildx's store whose lock protects it.
        store: Option<HostPath>,
        /// The blob.
        blob: crate::name::BlobId,
    },
    /// Makes a removed socket again: one that nobody listens on.
    RestoreSocket {
        /// The socket.
        path: HostPath,
        /// What it was.
        socket: crate::socket::DeadSocket,
    },
    /// Proves builders with real builds: the probe matrix, one buildx build, one Compose build.
    Validate {
        /// buildx's store.
        store: HostPath,
        /// The builders and the platforms that each must build for.
        builders: Vec<Claim>,
        /// What decides; `None`: each proof must succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        judged: Option<Yardstick>,
    },
}

/// The state that a node begins with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BootState {
    /// One that was archived before.
    Archived {
        /// Its archive.
        source: StateSource,
    },
    /// One that this run archives.
    Copied {
        /// The archive.
        archive: ArchiveId,
        /// The step of this plan that verified it.
        verified_by: StepId,
    },
}

/// An archived state that a node begins with, wherever its archive lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateSource {
    /// The archive's folder.
    pub archive: HostPath,
    /// The digest of its SHA256SUMS: any other content is refused.
    pub identity: Digest,
}

/// A file's content kept as a blob, with its permission bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The content.
    pub blob: crate::name::BlobId,
    /// The permission bits.
    pub mode: u32,
}

/// A builder and the platforms it claims.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The builder, as `--builder` takes it.
    pub builder: String,
    /// Its daemons.
    pub daemons: Vec<DaemonPlace>,
    /// The platforms.
    pub platforms: Vec<Platform>,
}

/// A daemon as it lies on its host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DaemonPlace {
    /// The engine.
    pub host: HostId,
    /// The container; `None`: the BuildKit inside the engine.
    pub container: Option<ContainerName>,
}

/// The way to build with a builder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildPlace {
    /// buildx's store; `None`: there is none.
    pub store: Option<HostPath>,
    /// The builder, as `--builder` takes it.
    pub builder: String,
    /// Its daemon; `None`: a remote one, whose address stands in the builder's record.
    pub daemon: Option<DaemonPlace>,
}

/// One change inside a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonEdit {
    /// The keys from the top to the value.
    pub keys: Vec<String>,
    /// The new text; `None` removes the key.
    pub value: Option<String>,
}
