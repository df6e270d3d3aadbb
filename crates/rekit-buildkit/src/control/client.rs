//! The connection itself: timeouts and errors of every call.
use std::error::Error as _;
use std::time::{Duration, SystemTime};

use thiserror::Error;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::generated::moby::buildkit::v1::control_client::ControlClient;

/// The default of 4 MiB is too small for the disk usage of a big cache.
const MESSAGE_LIMIT: usize = 64 << 20;

/// A connection to a BuildKit daemon. Clones share it; calls on clones run at once.
#[derive(Clone, Debug)]
pub struct Control {
    client: ControlClient<Channel>,
}

/// Timeouts that fit most callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlTimeouts;

impl ControlTimeouts {
    /// Connecting, exec of `buildctl` included (it takes 40 to 400 ms).
    pub const CONNECT: Duration = Duration::from_secs(5);
    /// Info, workers, history.
    pub const LOOK: Duration = Duration::from_secs(10);
    /// Disk usage: a daemon computes sizes of new records when asked.
    pub const DISK_USAGE: Duration = Duration::from_mins(1);
    /// Prune of a big cache.
    pub const PRUNE: Duration = Duration::from_mins(10);
    /// One probe, emulation included.
    pub const PROBE: Duration = Duration::from_mins(1);
}

/// Why a call of the control API failed.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The daemon does not know the call: it is older, or something else.
    #[error("the BuildKit daemon does not know `{call}`")]
    Unsupported {
        /// gRPC method.
        call: &'static str,
    },
    /// The daemon or the connection failed.
    #[error("`{call}` failed: {}", status.message())]
    Failed {
        /// gRPC method.
        call: &'static str,
        /// Code and words of the daemon.
        status: Box<Status>,
    },
    /// No answer within the time. A change may still go on.
    #[error("no answer to `{call}` within {after:?}")]
    TimedOut {
        /// gRPC method.
        call: &'static str,
        /// The timeout that ended it.
        after: Duration,
    },
}

impl ControlError {
    /// The gRPC code, when the daemon or the connection gave one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Failed { status, .. } => Some(status.code()),
            Self::Unsupported { .. } => Some(Code::Unimplemented),
            Self::TimedOut { .. } => None,
        }
    }

    /// What the daemon itself said when it failed; nothing where the connection or the time failed.
    pub fn words_of_the_daemon(&self) -> Option<&str> {
        match self {
            Self::Failed { status, .. } => {
                let own = [
                    Code::Unknown,
                    Code::Internal,
                    Code::DataLoss,
                    Code::NotFound,
                ];
                // A transport's error has a source of its own.
                let is_own = own.contains(&status.code()) && status.source().is_none();
                is_own.then(|| status.message())
            }
            Self::Unsupported { .. } | Self::TimedOut { .. } => None,
        }
    }

    pub(super) fn from_status(call: &'static str, status: Status) -> Self {
        match status.code() {
            Code::Unimplemented => Self::Unsupported { call },
            _ => Self::Failed {
                call,
                status: Box::new(status),
            },
        }
    }
}

impl Control {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            client: ControlClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT),
        }
    }

    /// The generated client, for what the typed calls do not cover.
    pub fn raw(&self) -> ControlClient<Channel> {
        self.client.clone()
    }
}

/// Puts the limit and the name on a call.
pub(super) async fn within<T>(
    call: &'static str,
    after: Duration,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, ControlError> {
    match tokio::time::timeout(after, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(status)) => Err(ControlError::from_status(call, status)),
        Err(_) => Err(ControlError::TimedOut { call, after }),
    }
}

/// A protobuf time; `None` when it is missing or out of range.
pub(super) fn time(from: Option<prost_types::Timestamp>) -> Option<SystemTime> {
    from.and_then(|stamp| SystemTime::try_from(stamp).ok())
}
