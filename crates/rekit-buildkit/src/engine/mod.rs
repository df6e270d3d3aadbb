//! The Docker Engine API: one [`Engine`] per endpoint, API version negotiated, every answer typed and tolerant.
//!
//! Split by what is talked about; `http` holds the wire, `types` the answers.
mod answer;
mod archive;
mod body;
mod container_types;
mod containers;
mod error;
mod exec;
mod filters;
mod http;
mod images;
mod types;
mod version;
mod volumes;

pub use archive::ArchiveStat;
pub use body::{ByteStream, Upload};
pub use container_types::{
    ContainerConfig, ContainerDetail, ContainerState, ContainerSummary, HealthState, HostConfig,
    Mount, RestartPolicy,
};
pub use containers::{Attached, Logs};
pub use error::ApiError;
pub use exec::{ExecLimit, ExecOutput, ExecSpec};
pub use filters::Filters;
pub use http::{Engine, Timeouts};
pub use types::{
    EngineInfo, EngineVersion, ImageDetail, ImageSummary, NetworkSummary, PruneReport, Volume,
    VolumeUsage,
};
pub use version::ApiVersion;
