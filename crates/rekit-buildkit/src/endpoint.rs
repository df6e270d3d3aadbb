//! Where an engine or daemon listens, as Docker writes it: `unix://`, `tcp://`, `http(s)://`, `ssh://`, `npipe://`, `fd://`.
//!
//! Parsing never fails for an address that merely cannot be reached from here (`npipe` on Linux): that is said when dialling, so that an
//! inventory can still show the address.
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// An address of an engine or daemon. Displays as the URL it was parsed from, in normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP port; `tls` is set by `https://` and may be switched on by TLS material for `tcp://`.
    Tcp {
        /// Host name or address, IPv6 without brackets.
        host: String,
        /// Port; `tcp://host` alone means 2375, `https://host` 2376.
        port: u16,
        /// Whether the scheme itself demands TLS.
        tls: bool,
    },
    /// An engine behind `ssh`, reached through `docker system dial-stdio` there.
    Ssh {
        /// User to log in as, when given.
        user: Option<String>,
        /// Host name or alias of the ssh configuration.
        host: String,
        /// Port, when given.
        port: Option<u16>,
        /// Path of a socket on the far side, when given.
        socket: Option<PathBuf>,
    },
    /// A Windows named pipe; the text after `npipe://`.
    Npipe(String),
    /// A file descriptor handed over by systemd: an address to listen on, never to dial.
    Fd(String),
}

/// Why a text is no endpoint.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EndpointError {
    /// There is no `scheme://`.
    #[error("`{0}` has no protocol such as `unix://`")]
    NoProtocol(String),
    /// The scheme is not one that Docker knows.
    #[error("unknown protocol `{protocol}` in `{endpoint}`")]
    UnknownProtocol {
        /// The scheme found.
        protocol: String,
        /// The whole text.
        endpoint: String,
    },
    /// A unix socket or host is missing.
    #[error("`{0}` names no host or path")]
    Empty(String),
    /// The port is not a number from 1 to 65535.
    #[error("`{port}` in `{endpoint}` is not a port")]
    Port {
        /// The text in the port's place.
        port: String,
        /// The whole text.
        endpoint: String,
    },
    /// A TCP endpoint with a path, a query or a user, or an ssh endpoint with a password.
    #[error("`{part}` in `{endpoint}` is not supported")]
    Unsupported {
        /// What is too much.
        part: &'static str,
        /// The whole text, without the part.
        endpoint: String,
    },
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let Some((protocol, rest)) = text.split_once("://") else {
            return Err(EndpointError::NoProtocol(text.to_owned()));
        };
        if rest.is_empty() {
            return Err(EndpointError::Empty(text.to_owned()));
        }
        match protocol {
            "unix" => Ok(Self::Unix(PathBuf::from(rest))),
            "tcp" | "http" => tcp(text, rest, 2375, false),
            "https" => tcp(text, rest, 2376, true),
            "ssh" => ssh(text, rest),
            "npipe" => Ok(Self::Npipe(rest.to_owned())),
            "fd" => Ok(Self::Fd(rest.to_owned())),
            _ => Err(EndpointError::UnknownProtocol {
                protocol: protocol.to_owned(),
                endpoint: text.to_owned(),
            }),
        }
    }
}

fn tcp(text: &str, rest: &str, default_port: u16, tls: bool) -> Result<Endpoint, EndpointError> {
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err(EndpointError::Unsupported {
            part: "a path",
            endpoint: text.to_owned(),
        });
    }
    if let Some((_, host)) = authority.rsplit_once('@') {
        return Err(EndpointError::Unsupported {
            part: "a user",
            endpoint: host.to_owned(),
        });
    }
    let (host, port) = host_port(text, authority)?;
    Ok(Endpoint::Tcp {
        host,
        port: port.unwrap_or(default_port),
        tls,
    })
}

fn ssh(text: &str, rest: &str) -> Result<Endpoint, EndpointError> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, authority),
    };
    if user.as_ref().is_some_and(|user| user.contains(':')) {
        return Err(EndpointError::Unsupported {
            part: "a password",
            endpoint: place.to_owned(),
        });
    }
    let (host, port) = host_port(text, place)?;
    // A leading dash would be read by `ssh` as an option.
    if host.starts_with('-')
        || user
            .as_ref()
            .is_some_and(|user| user.starts_with('-') || user.is_empty())
    {
        return Err(EndpointError::Unsupported {
            part: "a leading dash",
            endpoint: text.to_owned(),
        });
    }
    let socket = (!path.is_empty()).then(|| PathBuf::from(format!("/{path}")));
    Ok(Endpoint::Ssh {
        user,
        host,
        port,
        socket,
    })
}

fn host_port(text: &str, authority: &str) -> Result<(String, Option<u16>), EndpointError> {
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (host, after) = inner
            .split_once(']')
            .ok_or_else(|| EndpointError::Empty(text.to_owned()))?;
        (host, after.strip_prefix(':'))
    } else {
        match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() {
        return Err(EndpointError::Empty(text.to_owned()));
    }
    let bad = |port: &str| EndpointError::Port {
        port: port.to_owned(),
        endpoint: text.to_owned(),
    };
    let port = port
        .map(|port| {
            port.parse::<u16>()
                .ok()
                .filter(|&port| port != 0)
                .ok_or_else(|| bad(port))
        })
        .transpose()?;
    Ok((host.to_owned(), port))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix://{}", path.display()),
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "https" } else { "tcp" };
                if host.contains(':') {
                    write!(out, "{scheme}://[{host}]:{port}")
                } else {
                    write!(out, "{scheme}://{host}:{port}")
                }
            }
            Self::Ssh {
                user,
                host,
                port,
                socket,
            } => {
                write!(out, "ssh://")?;
                if let Some(user) = user {
                    write!(out, "{user}@")?;
                }
                if host.contains(':') {
                    write!(out, "[{host}]")?;
                } else {
                    write!(out, "{host}")?;
                }
                if let Some(port) = port {
                    write!(out, ":{port}")?;
                }
                socket
                    .as_ref()
                    .map_or(Ok(()), |socket| write!(out, "{}", socket.display()))
            }
            Self::Npipe(rest) => write!(out, "npipe://{rest}"),
            Self::Fd(rest) => write!(out, "fd://{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match text.parse::<Endpoint>() {
            Ok(endpoint) => endpoint.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn endpoints_parse_to_their_normal_form() {
        for (text, expected) in [
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("tcp://10.0.0.1", "tcp://10.0.0.1:2375"),
            ("tcp://[::1]:1234", "tcp://[::1]:1234"),
            ("http://h:80/", "tcp://h:80"),
            ("https://h", "https://h:2376"),
            (
                "ssh://me@far:2222/run/x.sock",
                "ssh://me@far:2222/run/x.sock",
            ),
            ("ssh://far", "ssh://far"),
            (
                "npipe:////./pipe/dockerDesktopLinuxEngine",
                "npipe:////./pipe/dockerDesktopLinuxEngine",
            ),
            ("fd://", "error: `fd://` names no host or path"),
            ("fd://3", "fd://3"),
            (
                "/var/run/docker.sock",
                "error: `/var/run/docker.sock` has no protocol such as `unix://`",
            ),
            ("tcp://h:0", "error: `0` in `tcp://h:0` is not a port"),
            (
                "tcp://h:http",
                "error: `http` in `tcp://h:http` is not a port",
            ),
            ("tcp://:1", "error: `tcp://:1` names no host or path"),
            (
                "tcp://h:1/v1",
                "error: `a path` in `tcp://h:1/v1` is not supported",
            ),
            (
                "ssh://-oProxyCommand=x",
                "error: `a leading dash` in `ssh://-oProxyCommand=x` is not supported",
            ),
            (
                "ssh://me:secret@h",
                "error: `a password` in `h` is not supported",
            ),
            (
                "gopher://h",
                "error: unknown protocol `gopher` in `gopher://h`",
            ),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
