//! Bodies: what goes to the engine and what streams back.
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};

use crate::driven::Driven;

const CHUNK: usize = 64 * 1024;

/// What is sent to the engine: bytes at hand, or a stream of unknown length.
pub enum Upload {
    /// All of it.
    Bytes(Bytes),
    /// A stream, sent in chunks as it is read.
    Stream(Pin<Box<dyn AsyncRead + Send>>),
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(out, "Upload({} bytes)", bytes.len()),
            Self::Stream(_) => out.write_str("Upload(stream)"),
        }
    }
}

impl Upload {
    /// Nothing.
    pub fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }

    /// A stream, read until its end.
    pub fn stream(reader: impl AsyncRead + Send + 'static) -> Self {
        Self::Stream(Box::pin(reader))
    }
}

impl From<Vec<u8>> for Upload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Bytes> for Upload {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(reader) => {
                let mut chunk = BytesMut::zeroed(CHUNK);
                let mut buffer = ReadBuf::new(&mut chunk);
                ready!(reader.as_mut().poll_read(context, &mut buffer))?;
                let read = buffer.filled().len();
                chunk.truncate(read);
                Poll::Ready((read > 0).then(|| Ok(Frame::data(chunk.freeze()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// A body that streams from the engine; dropping it ends the connection.
#[derive(Debug)]
pub struct ByteStream {
    body: Incoming,
    chunk: Bytes,
    _driven: Driven,
}

impl ByteStream {
    pub(super) fn new(body: Incoming, driven: Driven) -> Self {
        Self {
            body,
            chunk: Bytes::new(),
            _driven: driven,
        }
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.chunk.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                Some(Ok(frame)) => this.chunk = frame.into_data().unwrap_or_default(), // Trailers hold nothing for us.
            }
        }
        let now = this.chunk.len().min(out.remaining());
        out.put_slice(&this.chunk.split_to(now));
        Poll::Ready(Ok(()))
    }
}
