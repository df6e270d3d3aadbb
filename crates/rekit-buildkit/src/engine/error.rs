//! Why a call of the Engine API failed, so that callers match on the kind and never on a text.
use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::demux::FrameError;
use crate::dial::DialError;

/// A failed call. `call` is method and path, such as `GET /containers/x/json`.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The engine cannot be reached.
    #[error("could not reach the engine")]
    Dial(#[from] Box<DialError>),
    /// The connection broke, or the other side speaks no HTTP.
    #[error("`{call}` broke off")]
    Broken {
        /// Which call.
        call: String,
        /// hyper's reason.
        source: hyper::Error,
    },
    /// No answer within the call's timeout. A change may still have happened.
    #[error("no answer to `{call}` within {after:?}")]
    TimedOut {
        /// Which call.
        call: String,
        /// The timeout that ended it.
        after: Duration,
    },
    /// Status 404: no such container, volume, image, exec or path.
    #[error("`{call}`: not found: {message}")]
    NotFound {
        /// Which call.
        call: String,
        /// The engine's words.
        message: String,
    },
    /// Status 409: name taken, still in use, not in the right state.
    #[error("`{call}`: conflict: {message}")]
    Conflict {
        /// Which call.
        call: String,
        /// The engine's words.
        message: String,
    },
    /// Any other status of 300 and above.
    #[error("`{call}` was refused with status {status}: {message}")]
    Refused {
        /// Which call.
        call: String,
        /// HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// The engine accepted, but reported a failure inside its stream of answers (image load).
    #[error("`{call}` failed: {message}")]
    Reported {
        /// Which call.
        call: String,
        /// The engine's words.
        message: String,
    },
    /// The answer is not the JSON expected.
    #[error("could not read the answer to `{call}`")]
    Decode {
        /// Which call.
        call: String,
        /// serde's reason.
        source: serde_json::Error,
    },
    /// The answer or output is larger than the caller's or the crate's bound.
    #[error("the answer to `{call}` is longer than {limit} bytes")]
    TooLong {
        /// Which call.
        call: String,
        /// The bound in bytes.
        limit: usize,
    },
    /// The multiplexed output is broken.
    #[error("could not take the output of `{call}` apart")]
    Frames {
        /// Which call.
        call: String,
        /// What is wrong.
        source: FrameError,
    },
    /// Reading or writing a stream failed.
    #[error("the stream of `{call}` broke off")]
    Stream {
        /// Which call.
        call: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A name, path or filter makes no valid request.
    #[error("`{call}` is no valid request")]
    Request {
        /// Which call.
        call: String,
        /// hyper's reason.
        source: hyper::http::Error,
    },
}

impl ApiError {
    /// True for 404.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// True for 409.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Sorts a status by kind; the engine puts its words in `{"message": …}`.
    pub(super) fn from_status(call: &str, status: u16, body: &[u8]) -> Self {
        let said = serde_json::from_slice::<serde_json::Value>(body)
            .ok()
            .and_then(|value| Some(value.get("message")?.as_str()?.to_owned()));
        let message = said.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
        let call = call.to_owned();
        match status {
            404 => Self::NotFound { call, message },
            409 => Self::Conflict { call, message },
            _ => Self::Refused {
                call,
                status,
                message,
            },
        }
    }
}
