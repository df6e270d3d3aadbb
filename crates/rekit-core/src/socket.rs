//! A unix socket that nobody listens on: what is needed to know it again, and to make one like it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A socket that a daemon left behind. Known again by the nanosecond in which it was made: inodes are given out anew at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadSocket {
    /// When it was made.
    #[schemars(with = "String")]
    pub made: Timestamp,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub owner: u32,
    /// Numeric group.
    pub group: u32,
}
