//! From an [`Endpoint`] to an open stream. The only file that knows how bytes reach a daemon.
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;
use crate::ssh;
use crate::tls::{TlsError, TlsMaterial};

/// A stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Any open stream to a daemon.
pub type BoxIo = Box<dyn Duplex>;

impl fmt::Debug for dyn Duplex {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Duplex")
    }
}

/// Why an endpoint could not be reached.
#[derive(Debug, Error)]
pub enum DialError {
    /// This operating system has no such protocol, or it is one to listen on only.
    #[error("protocol `{protocol}` is not available here")]
    NotAvailable {
        /// `npipe` or `fd`.
        protocol: &'static str,
    },
    /// Nobody listens, no permission, no such host, or `ssh` did not start.
    #[error("could not connect to `{endpoint}`")]
    Connect {
        /// Where to.
        endpoint: Endpoint,
        /// The system's reason.
        source: io::Error,
    },
    /// No connection within the time.
    #[error("no connection to `{endpoint}` within {after:?}")]
    TimedOut {
        /// Where to.
        endpoint: Endpoint,
        /// The timeout that ended it.
        after: Duration,
    },
    /// The TLS material is unusable.
    #[error("could not use the TLS material for `{endpoint}`")]
    Material {
        /// Where to.
        endpoint: Endpoint,
        /// What is wrong with it.
        source: TlsError,
    },
    /// The endpoint wants TLS and no material is given.
    #[error("`{endpoint}` wants TLS, but no certificates are given")]
    NoMaterial {
        /// Where to.
        endpoint: Endpoint,
    },
    /// The TLS handshake failed: wrong authority, wrong name, or no TLS on the other side.
    #[error("no trusted connection to `{endpoint}`")]
    Handshake {
        /// Where to.
        endpoint: Endpoint,
        /// rustls' reason.
        source: io::Error,
    },
}

/// What is to be spoken on a connection; TLS negotiates it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speaks {
    Http1,
    Http2,
}

/// Opens a stream within `timeout`, TLS handshake included.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    tls: Option<&TlsMaterial>,
    speaks: Speaks,
    timeout: Duration,
) -> Result<BoxIo, DialError> {
    match tokio::time::timeout(timeout, open(endpoint, tls, speaks, timeout)).await {
        Ok(result) => result,
        Err(_) => Err(DialError::TimedOut {
            endpoint: endpoint.clone(),
            after: timeout,
        }),
    }
}

async fn open(
    endpoint: &Endpoint,
    tls: Option<&TlsMaterial>,
    speaks: Speaks,
    timeout: Duration,
) -> Result<BoxIo, DialError> {
    let failed = |source| DialError::Connect {
        endpoint: endpoint.clone(),
        source,
    };
    match endpoint {
        #[cfg(unix)]
        Endpoint::Unix(path) => Ok(Box::new(
            tokio::net::UnixStream::connect(path)
                .await
                .map_err(failed)?,
        )),
        #[cfg(not(unix))]
        Endpoint::Unix(_) => Err(DialError::NotAvailable { protocol: "unix" }),
        Endpoint::Tcp {
            host,
            port,
            tls: demanded,
        } => {
            let stream = TcpStream::connect((host.as_str(), *port))
                .await
                .map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            match tls {
                None if *demanded => Err(DialError::NoMaterial {
                    endpoint: endpoint.clone(),
                }),
                None => Ok(Box::new(stream)),
                Some(material) => secure(stream, endpoint, host, material, speaks).await,
            }
        }
        Endpoint::Ssh { .. } => Ok(Box::new(ssh::start(endpoint, timeout).map_err(failed)?)),
        Endpoint::Npipe(_) => Err(DialError::NotAvailable { protocol: "npipe" }),
        Endpoint::Fd(_) => Err(DialError::NotAvailable { protocol: "fd" }),
    }
}

async fn secure(
    stream: TcpStream,
    endpoint: &Endpoint,
    host: &str,
    tls: &TlsMaterial,
    speaks: Speaks,
) -> Result<BoxIo, DialError> {
    let unusable = |source| DialError::Material {
        endpoint: endpoint.clone(),
        source,
    };
    let alpn: &[u8] = match speaks {
        Speaks::Http1 => b"http/1.1",
        Speaks::Http2 => b"h2",
    };
    let config = tls.config(alpn).map_err(unusable)?;
    let name = tls.name_for(host).map_err(unusable)?;
    let secured = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    Ok(Box::new(secured.map_err(|source| {
        DialError::Handshake {
            endpoint: endpoint.clone(),
            source,
        }
    })?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pipe_of_windows_is_named_as_not_available() {
        let endpoint: Endpoint = "npipe:////./pipe/dockerDesktopLinuxEngine".parse().unwrap();
        let error = dial(&endpoint, None, Speaks::Http1, Duration::from_secs(1))
            .await
            .map(drop)
            .unwrap_err();
        assert_eq!(error.to_string(), "protocol `npipe` is not available here");
    }

    #[tokio::test]
    async fn a_missing_socket_names_the_place_and_the_cause() {
        let endpoint: Endpoint = "unix:///nowhere/docker.sock".parse().unwrap();
        let error = dial(&endpoint, None, Speaks::Http1, Duration::from_secs(1))
            .await
            .map(drop)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not connect to `unix:///nowhere/docker.sock`"
        );
        assert!(
            matches!(error, DialError::Connect { source, .. } if source.kind() == io::ErrorKind::NotFound)
        );
    }
}
