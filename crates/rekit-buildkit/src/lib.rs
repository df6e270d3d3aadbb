//! Dials engines and BuildKit daemons. Knows nothing of rekit.
//!
//! * [`Engine`] speaks the Docker Engine API (HTTP/1); [`Daemon`] says where a BuildKit is and connects to its [`Control`] API (gRPC).
//! * Every call has a timeout with a name ([`Timeouts`], or an argument). Nothing here prints, reads files or the environment,
//!   or takes time and randomness by itself: certificates come as bytes, build references and nonces as arguments.
//! * [`llb`] writes build definitions, [`probe`] runs tiny self-made programs through a daemon and cleans up after itself.

mod control;
mod daemon;
mod demux;
mod dial;
mod driven;
mod endpoint;
mod engine;
mod generated;
pub mod llb;
pub mod probe;
mod ssh;
mod tls;

pub use control::{
    BuildEvent, BuildRecord, BuildRef, BuildReport, CacheRecord, Control, ControlError,
    ControlTimeouts, DaemonVersion, GcRule, HistoryFilter, LogLine, Platform, PlatformError,
    PruneScope, SolveRequest, Vertex, Worker,
};
pub use daemon::{ConnectError, Daemon};
pub use demux::{Demux, Diagnostics, Frame, FrameDecoder, FrameError, Output};
pub use dial::{BoxIo, DialError, Duplex};
pub use endpoint::{Endpoint, EndpointError};
pub use engine::{
    ApiError, ApiVersion, ArchiveStat, Attached, ByteStream, ContainerConfig, ContainerDetail,
    ContainerState, ContainerSummary, Engine, EngineInfo, EngineVersion, ExecLimit, ExecOutput,
    ExecSpec, Filters, HealthState, HostConfig, ImageDetail, ImageSummary, Logs, Mount,
    NetworkSummary, PruneReport, RestartPolicy, Timeouts, Upload, Volume, VolumeUsage,
};
pub use tls::{TlsError, TlsMaterial};

/// BuildKit's own messages, for what the typed API does not cover.
pub mod proto {
    pub use crate::generated::moby::buildkit::v1 as control;
    pub use crate::generated::pb;
}
