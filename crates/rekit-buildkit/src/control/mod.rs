//! BuildKit's control API: one [`Control`] per connection; clone it to make calls at once.
mod client;
mod history;
mod platform;
mod solve;
mod status;
mod usage;
mod workers;

pub use client::{Control, ControlError, ControlTimeouts};
pub use history::{BuildEvent, BuildRecord, BuildRef, HistoryFilter};
pub use platform::{Platform, PlatformError};
pub use solve::SolveRequest;
pub use status::{BuildReport, LogLine, Vertex};
pub use usage::{CacheRecord, PruneScope};
pub use workers::{DaemonVersion, GcRule, Worker};
