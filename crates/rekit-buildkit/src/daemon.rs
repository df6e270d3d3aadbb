//! Where a BuildKit is, and the way to its gRPC port.
//!
//! * inside the engine: `POST /grpc`, upgrade `h2c` (docker driver),
//! * in a container: exec `buildctl dial-stdio` (docker-container driver),
//! * on a socket or port of its own (remote driver, standalone).
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use thiserror::Error;
use tonic::transport::{Endpoint as Target, Uri};

use crate::control::{Control, ControlError};
use crate::demux::Diagnostics;
use crate::dial::{self, BoxIo, DialError, Speaks};
use crate::endpoint::Endpoint;
use crate::engine::{ApiError, Engine, ExecSpec};
use crate::tls::TlsMaterial;

/// Where a BuildKit daemon is.
#[derive(Clone, Debug)]
pub enum Daemon {
    /// The one inside an engine.
    EngineEmbedded(Engine),
    /// One that runs in a container and has `buildctl` beside it.
    InContainer {
        /// The container's engine.
        engine: Engine,
        /// The container's name or id.
        container: String,
    },
    /// One on a unix socket.
    Unix(PathBuf),
    /// One on a TCP port.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// Certificates; without them the port is plain.
        tls: Option<TlsMaterial>,
    },
}

/// Why a daemon gives no control connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Its socket or port cannot be reached.
    #[error("could not reach the BuildKit daemon")]
    Dial(#[from] Box<DialError>),
    /// The engine in front of it refuses: no such container, paused, not running.
    #[error("the engine gives no way to the BuildKit daemon")]
    Engine(#[from] ApiError),
    /// What answers speaks no HTTP/2.
    #[error("what answers is no BuildKit daemon")]
    Transport(#[from] tonic::transport::Error),
    /// The first call failed. `said` is the stderr of `buildctl dial-stdio`, when there is any.
    #[error("the BuildKit daemon does not answer{}{said}", if said.is_empty() { "" } else { ": " })]
    FirstCall {
        /// Stderr of the program in between.
        said: String,
        /// What the call said.
        source: ControlError,
    },
    /// Not within the time.
    #[error("no BuildKit daemon answered within {after:?}{}{said}", if said.is_empty() { "" } else { ": " })]
    TimedOut {
        /// Stderr of the program in between.
        said: String,
        /// The timeout that ended it.
        after: Duration,
    },
}

impl Daemon {
    /// A daemon at a `unix://` or `tcp://` address, as a buildx node of the remote driver or `BUILDKIT_HOST` names it; `None` for others.
    pub fn at(endpoint: &Endpoint, tls: Option<TlsMaterial>) -> Option<Self> {
        match endpoint {
            Endpoint::Unix(path) => Some(Self::Unix(path.clone())),
            Endpoint::Tcp { host, port, .. } => Some(Self::Tcp {
                host: host.clone(),
                port: *port,
                tls,
            }),
            Endpoint::Ssh { .. } | Endpoint::Npipe(_) | Endpoint::Fd(_) => None,
        }
    }

    /// Connects and proves with one call (`Info`) that a BuildKit answers, all within `timeout`. One connection serves any number of
    /// calls at once; it is not renewed when it breaks: connect again.
    pub async fn connect(&self, timeout: Duration) -> Result<Control, ConnectError> {
        let diagnostics = Diagnostics::default();
        match tokio::time::timeout(timeout, self.open(timeout, &diagnostics)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::TimedOut {
                said: diagnostics.text(),
                after: timeout,
            }),
        }
    }

    async fn open(&self, timeout: Duration, shared: &Diagnostics) -> Result<Control, ConnectError> {
        let io = self.dial(timeout, shared).await?;
        let mut once = Some(TokioIo::new(io));
        let connector = tower::service_fn(move |_: Uri| {
            let io = once.take();
            async move { io.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected)) }
        });
        let channel = Target::from_static("http://buildkit")
            .connect_with_connector(connector)
            .await?;
        let control = Control::new(channel);
        match control.info(timeout).await {
            // Before 0.11 there is no `Info`; whoever knows that the call is unknown is alive.
            Ok(_) | Err(ControlError::Unsupported { .. }) => Ok(control),
            Err(source) => Err(ConnectError::FirstCall {
                said: shared.text(),
                source,
            }),
        }
    }

    async fn dial(
        &self,
        timeout: Duration,
        diagnostics: &Diagnostics,
    ) -> Result<BoxIo, ConnectError> {
        match self {
            Self::EngineEmbedded(engine) => Ok(engine.upgrade("/grpc", "h2c", None).await?),
            Self::InContainer { engine, container } => {
                let (_id, io) = engine
                    .exec_duplex(container, &ExecSpec::new(["buildctl", "dial-stdio"]))
                    .await?;
                Ok(Box::new(io.with_diagnostics(diagnostics.clone())))
            }
            Self::Unix(path) => {
                Ok(
                    dial::dial(&Endpoint::Unix(path.clone()), None, Speaks::Http2, timeout)
                        .await
                        .map_err(Box::new)?,
                )
            }
            Self::Tcp { host, port, tls } => {
                let endpoint = Endpoint::Tcp {
                    host: host.clone(),
                    port: *port,
                    tls: tls.is_some(),
                };
                Ok(dial::dial(&endpoint, tls.as_ref(), Speaks::Http2, timeout)
                    .await
                    .map_err(Box::new)?)
            }
        }
    }
}
