//! What BuildKit and buildx left on this machine's disk and nobody uses any more.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{name::HostPath, socket::DeadSocket};

/// A temporary folder, file or socket that an ended BuildKit or buildx left. What may still be in use is never listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leftover {
    /// Where it lies.
    pub path: HostPath,
    /// What it is.
    pub kind: LeftoverKind,
    /// Why it is surely BuildKit's.
    pub origin: String,
    /// Why it is surely unused.
    pub unused: String,
    /// Numeric owner.
    pub owner: u32,
    /// Bytes in it.
    pub size_bytes: u64,
    /// When it, or the newest in it, was last written to.
    #[schemars(with = "String")]
    pub modified: Timestamp,
    /// buildx's store whose lock protects it.
    pub store: Option<HostPath>,
    /// The socket, where it is one.
    pub socket: Option<DeadSocket>,
    /// Why rekit cannot remove it so that it could be put back; `None`: it can.
    pub stays: Option<String>,
}

/// What a leftover is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LeftoverKind {
    /// A unix socket.
    Socket,
    /// A folder with all in it.
    Folder,
    /// A file.
    File,
}
