//! The undo of a step, and its outcome: what the journal holds of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    criteria::{Decision, Measure},
    engine_cache::EnginePlace,
    name::{
        ArchiveId, BlobId, ContainerName, Digest, HostId, HostPath, NodeName, Platform, RunId,
        VolumeName,
    },
    plan::LeftOut,
    standalone::{ProcessIdentity, StandalonePlace},
    step::{BuildPlace, FileState, Kept, NodePlace, StateSource, StepId},
};

/// How to take a step back. Prepared by reading only, on disk before the effect, and never prepared again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "undo", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Undo {
    /// The step leaves nothing to take back.
    Nothing {},
    /// Removes an archive that is not whole, so that its name is free.
    DropPartialArchive {
        /// The archive.
        archive: ArchiveId,
    },
    /// Puts a file back.
    RestoreFile {
        /// The file.
        path: HostPath,
        /// buildx's store whose lock protects it.
        store: Option<HostPath>,
        /// What it was; `None`: absent.
        was: Option<Kept>,
        /// What the step makes of it; `None`: absent. A file that is neither is somebody's change.
        made: Option<Digest>,
    },
    /// Puts a folder back.
    RestoreTree {
        /// The folder.
        path: HostPath,
        /// buildx's store whose lock protects it.
        store: Option<HostPath>,
        /// Its content.
        blob: BlobId,
    },
    /// Removes a folder that the step put back, unless somebody wrote into it since.
    RemoveTree {
        /// The folder.
        path: HostPath,
        /// buildx's store whose lock protects it.
        store: Option<HostPath>,
        /// Its content as it was put back.
        made: BlobId,
    },
    /// Makes a socket again that nobody listens on.
    RestoreSocket {
        /// The socket.
        path: HostPath,
        /// What it was.
        socket: crate::socket::DeadSocket,
    },
    /// Removes a socket that the step made again, unless somebody listens on it since.
    RemoveSocket {
        /// The socket.
        path: HostPath,
        /// What it was made as.
        socket: crate::socket::DeadSocket,
    },
    /// Removes the node that this step of this run made.
    RemoveNode {
        /// The engine.
        host: HostId,
        /// The node.
        node: NodeName,
        /// The run whose label the container and the volume carry.
        run: RunId,
        /// The step whose label they carry.
        step: StepId,
        /// The archived state that it began with, which must still be sound.
        state: Option<StateSource>,
    },
    /// Brings a container back to how it was started and stopped.
    RestoreContainerState {
        /// The node.
        node: NodePlace,
        /// Whether it ran.
        running: bool,
        /// Whether its processes ended again and again: then nobody waits for an answer.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        looping: bool,
        /// Its restart policy.
        restart_policy: String,
    },
    /// Makes a container again.
    RecreateContainer {
        /// The engine.
        host: HostId,
        /// The container.
        container: ContainerName,
        /// The blob with the engine's description of it.
        description: BlobId,
    },
    /// Makes a volume again from its archive.
    RestoreVolume {
        /// The engine.
        host: HostId,
        /// The volume.
        volume: VolumeName,
        /// Its archive.
        archive: ArchiveId,
        /// The blob with its options and labels.
        options: BlobId,
    },
    /// Makes a volume again, empty: its cache was given up.
    RecreateVolume {
        /// The engine.
        host: HostId,
        /// The volume.
        volume: VolumeName,
        /// The blob with its options and labels.
        options: BlobId,
    },
    /// Removes an empty volume that the step made again.
    RemoveRecreatedVolume {
        /// The engine.
        host: HostId,
        /// The volume.
        volume: VolumeName,
    },
    /// Removes a container that the step made again.
    RemoveRecreated {
        /// The engine.
        host: HostId,
        /// The container.
        container: ContainerName,
    },
    /// Removes a volume that the step made again; its archive is still there.
    RemoveRestored {
        /// The engine.
        host: HostId,
        /// The volume.
        volume: VolumeName,
        /// The archive.
        archive: ArchiveId,
    },
    /// Empties a folder that the step filled; its archive is still there.
    EmptyFolder {
        /// The folder.
        path: HostPath,
        /// The archive.
        source: StateSource,
        /// Whether the folder goes too: it was not there.
        remove: bool,
    },
    /// Starts an engine and the containers that ran on it.
    StartEngine {
        /// The engine.
        engine: EnginePlace,
    },
    /// Stops an engine that the step started.
    StopEngine {
        /// The engine.
        engine: EnginePlace,
    },
    /// Puts the cache of a stopped engine back as it was archived before the step.
    RestoreEngine {
        /// The engine.
        engine: EnginePlace,
        /// The archive.
        archive: ArchiveId,
    },
    /// Starts a standalone daemon again, unless it runs.
    StartDaemon {
        /// The daemon.
        daemon: StandalonePlace,
        /// The process that the step ends.
        process: ProcessIdentity,
        /// The blob with its start as a shell script; `None`: its service starts it.
        script: Option<BlobId>,
    },
    /// Ends a standalone daemon that the step started, once no build runs on it.
    StopDaemon {
        /// The daemon.
        daemon: StandalonePlace,
    },
    /// Brings a state back that the step parked.
    UnparkState {
        /// Where it is parked.
        parked: HostPath,
        /// Where it lay.
        root: HostPath,
        /// Whether what lies there now was made since the step, and goes.
        renewed: bool,
    },
    /// Parks a state again that the step put back.
    ParkState {
        /// Where it lies.
        root: HostPath,
        /// Where it was parked.
        parked: HostPath,
    },
    /// Brings a removed state back from its archive.
    RestoreState {
        /// The folder.
        folder: HostPath,
        /// The archive.
        source: StateSource,
    },
    /// Removes the cache mounts that an import made.
    ForgetMounts {
        /// The builder.
        place: BuildPlace,
        /// Ids of the cache mounts.
        ids: Vec<String>,
        /// Cache records that were there before, which stay.
        known: Vec<String>,
    },
}

/// What only the change itself reveals; later steps name the step that has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// Done; there is nothing to tell.
    Done {},
    /// The daemon answers.
    Booted {
        /// Its version.
        version: String,
    },
    /// What the builders could do before anything changed.
    Baseline {
        /// What was measured.
        measures: Vec<Measure>,
    },
    /// The probes passed.
    Probed {
        /// Each platform with the milliseconds its probe took; one that failed and was no loss is not among them.
        platforms: Vec<(Platform, u64)>,
        /// What was decided; `None`: each platform had to pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Decision>,
    },
    /// No build runs any more.
    Drained {
        /// How long it was waited for.
        waited_seconds: u64,
        /// Builds that were cut, each by its reference and what is known of it.
        cut: Vec<String>,
    },
    /// The daemon ended.
    Stopped {
        /// Its exit code.
        exit_code: i64,
        /// Whether it ended by itself and left its databases closed.
        clean: bool,
    },
    /// The standalone daemon ended.
    DaemonStopped {
        /// How long builds were waited for.
        waited_seconds: u64,
        /// References of builds that were cut.
        cut: Vec<String>,
        /// Whether it left its databases closed.
        clean: bool,
        /// When it was told to end; `None`: it had ended before, in an attempt that was broken off.
        #[schemars(with = "Option<String>")]
        at: Option<jiff::Timestamp>,
    },
    /// The standalone daemon answers.
    DaemonStarted {
        /// Its version.
        version: String,
        /// Milliseconds for which nobody answered at its address; `None`: not known, as the run was broken off meanwhile.
        silent_milliseconds: Option<u64>,
    },
    /// The archive is written.
    Archived {
        /// Files in it.
        files: u64,
        /// Bytes before packing.
        bytes: u64,
        /// Bytes on disk.
        packed_bytes: u64,
        /// What turned out not to be keepable, and why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<LeftOut>,
    },
    /// The archive was read back and matched.
    Verified {
        /// The digest of its SHA256SUMS.
        identity: Digest,
        /// The digest of its files' sizes and times, to see later without reading whether somebody wrote to it since.
        fingerprint: Digest,
    },
    /// The builders were proven.
    Validated {
        /// One line per proof.
        proofs: Vec<String>,
        /// What was decided; `None`: each proof had to succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Decision>,
    },
}

impl Outcome {
    /// Returns what was decided at the step's decision point.
    pub fn decision(&self) -> Option<&Decision> {
        match self {
            Self::Probed { decision, .. } | Self::Validated { decision, .. } => decision.as_ref(),
            _ => None,
        }
    }
}

impl Undo {
    /// Returns what the file must be for the undo to be done already, `None` for undos of another kind.
    pub fn file_goal(&self) -> Option<FileState> {
        match self {
            Self::RestoreFile {
                was: Some(kept), ..
            } => kept
                .blob
                .as_str()
                .parse()
                .ok()
                .map(|digest| FileState::Present { digest }),
            Self::RestoreFile { was: None, .. } => Some(FileState::Absent {}),
            _ => None,
        }
    }
}
