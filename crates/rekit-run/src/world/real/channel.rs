//! The way between rekit and its helper: a socket in a folder that both see, where they do; else the engine's own streams.
//!
//! Through the engine, each byte passes three more processes. The socket is only offered: a helper that does not find it says so on its
//! stdout and goes on there, and an engine that does not take the folder gets the container without it.

use std::io::{self, BufReader, BufWriter, Read, Write};

use rekit_archive::wire::SOCKET;
use rekit_buildkit::{Attached, Endpoint, Engine};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt as _, net::UnixListener};
use tokio_util::io::SyncIoBridge;

/// Where the folder lies in the helper's container.
pub(super) const FOLDER: &str = "/rekit/channel";
/// Bytes on their way, on each side.
const BUFFER: usize = 256 << 10;

/// A socket that a helper may come to.
pub(super) struct Offer {
    folder: TempDir,
    listener: UnixListener,
}

impl Offer {
    /// Returns an offer to an engine that may see this machine's files. It is only a faster way: whatever fails, there is the other one.
    pub(super) fn to(engine: &Engine) -> Option<Self> {
        if !matches!(engine.endpoint(), Endpoint::Unix(_)) {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("rekit-").tempdir().ok()?;
        let listener = UnixListener::bind(folder.path().join(SOCKET)).ok()?;
        Some(Self { folder, listener })
    }

    /// Returns the mount that brings the folder into the helper's container.
    pub(super) fn mount(&self) -> Value {
        json!({ "Type": "bind", "Source": self.folder.path(), "Target": FOLDER })
    }
}

/// What is read from a helper and what is written to it.
pub(super) struct Ends {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) writer: Box<dyn Write + Send>,
}

/// Waits for the helper at either way. To be called once the helper has started.
pub(super) async fn meet(offer: Option<Offer>, attached: Attached) -> io::Result<Ends> {
    let (mut reader, writer) = tokio::io::split(attached);
    if let Some(offer) = offer {
        let came = tokio::select! {
            came = offer.listener.accept() => Some(came?.0),
            said = reader.read_u8() => {
                said?;
                None
            }
        };
        if let Some(stream) = came {
            let stream = stream.into_std()?;
            stream.set_nonblocking(false)?;
            return Ok(ends(stream.try_clone()?, stream));
        }
    }
    Ok(ends(SyncIoBridge::new(reader), SyncIoBridge::new(writer)))
}

fn ends(reader: impl Read + Send + 'static, writer: impl Write + Send + 'static) -> Ends {
    Ends {
        reader: Box::new(BufReader::with_capacity(BUFFER, reader)),
        writer: Box::new(BufWriter::with_capacity(BUFFER, writer)),
    }
}
