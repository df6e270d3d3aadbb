//! The engine's framing of stdout and stderr on one connection: `[stream, 0, 0, 0, length as u32 big endian]`, then the payload.
//!
//! Source: Engine API, "Stream format" of `ContainerAttach`. It is used whenever there is no TTY. [`FrameDecoder`] does no I/O;
//! [`Demux`] puts it on a connection: stdout is what one reads, stderr is kept aside as a diagnosis.
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const HEADER: usize = 8;
/// What is kept of stderr: its end says why something died.
const DIAGNOSIS_LIMIT: usize = 16 * 1024;
const READ_SIZE: usize = 64 * 1024;

/// Which of a program's outputs a frame is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output (1; also 0, which the engine uses for stdin echoes).
    Stdout,
    /// Standard error (2).
    Stderr,
    /// An error of the engine itself while streaming (3).
    Engine,
}

/// A piece of one output, not necessarily a whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where it came from.
    pub output: Output,
    /// The bytes, never empty.
    pub bytes: Bytes,
}

/// Why a stream is not framed as it should be.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// The header is none: most often the container has a TTY, so that there are no frames.
    #[error("byte {0:#04x} opens no frame: does the container have a TTY?")]
    Header(u8),
    /// The connection ended within a frame.
    #[error("the stream ended within a frame")]
    CutShort,
}

/// Splits a byte stream into frames; gives out payload as soon as it is there.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: BytesMut,
    open: Option<(Output, usize)>,
}

impl FrameDecoder {
    /// Adds bytes as they came from the wire.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next piece, or `None` when more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some((output, left)) = self.open.take() {
                let now = left.min(self.buffer.len());
                if now < left {
                    self.open = Some((output, left - now));
                }
                if now > 0 {
                    return Ok(Some(Frame {
                        output,
                        bytes: self.buffer.split_to(now).freeze(),
                    }));
                }
                if left > 0 {
                    return Ok(None);
                }
            }
            if self.buffer.len() < HEADER {
                return Ok(None);
            }
            let output = match self.buffer[..4] {
                [0 | 1, 0, 0, 0] => Output::Stdout,
                [2, 0, 0, 0] => Output::Stderr,
                [3, 0, 0, 0] => Output::Engine,
                [first, ..] => return Err(FrameError::Header(first)),
                [] => return Err(FrameError::CutShort),
            };
            self.buffer.advance(4);
            self.open = Some((output, self.buffer.get_u32() as usize));
        }
    }

    /// Says whether the stream may end here.
    pub fn finish(&self) -> Result<(), FrameError> {
        let open = self.open.is_some_and(|(_, left)| left > 0);
        if open || !self.buffer.is_empty() {
            Err(FrameError::CutShort)
        } else {
            Ok(())
        }
    }
}

/// The end of a program's stderr, shared with whoever has to explain a failure.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(Arc<Mutex<Vec<u8>>>);

impl Diagnostics {
    /// The last 16 KiB of stderr so far, trimmed; not UTF-8 is replaced.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    pub(crate) fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        let surplus = kept.len().saturating_sub(DIAGNOSIS_LIMIT);
        kept.drain(..surplus);
    }
}

/// A framed connection as a plain one: reading gives stdout, writing is stdin, stderr goes to [`Diagnostics`].
#[derive(Debug)]
pub struct Demux<S> {
    inner: S,
    decoder: FrameDecoder,
    ready: Bytes,
    scratch: Box<[u8]>,
    diagnostics: Diagnostics,
    any: bool,
}

impl<S> Demux<S> {
    /// Wraps a hijacked connection of a container or exec without TTY.
    pub fn new(inner: S) -> Self {
        let scratch = vec![0; READ_SIZE].into_boxed_slice();
        Self {
            inner,
            decoder: FrameDecoder::default(),
            ready: Bytes::new(),
            scratch,
            diagnostics: Diagnostics::default(),
            any: false,
        }
    }

    /// Collects stderr in a handle that someone else already holds.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: Diagnostics) -> Self {
        self.diagnostics = diagnostics;
        self
    }

    /// The handle to what the program says on stderr.
    pub fn diagnostics(&self) -> Diagnostics {
        self.diagnostics.clone()
    }

    /// Sorts what the decoder holds; true when there is stdout to give.
    fn sort(&mut self) -> io::Result<bool> {
        while let Some(frame) = self
            .decoder
            .next_frame()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?
        {
            match frame.output {
                Output::Stdout => {
                    self.any = true;
                    self.ready = frame.bytes;
                    return Ok(true);
                }
                Output::Stderr => self.diagnostics.add(&frame.bytes),
                Output::Engine => {
                    return Err(io::Error::other(
                        String::from_utf8_lossy(&frame.bytes).into_owned(),
                    ));
                }
            }
        }
        Ok(false)
    }

    /// The end: an error when it comes within a frame, or when nothing but stderr ever came.
    fn end(&self) -> io::Result<()> {
        self.decoder
            .finish()
            .map_err(|error| io::Error::new(io::ErrorKind::UnexpectedEof, error))?;
        let said = self.diagnostics.text();
        if self.any || said.is_empty() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::BrokenPipe, said))
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Demux<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() || this.sort()? {
                let now = this.ready.len().min(out.remaining());
                out.put_slice(&this.ready.split_to(now));
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut this.scratch);
            ready!(Pin::new(&mut this.inner).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(this.end());
            }
            this.decoder.push(buffer.filled());
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Demux<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn framed(stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0][..], &length, payload].concat()
    }

    #[tokio::test]
    async fn stdout_is_read_whole_however_the_wire_cuts_it() {
        let wire = [
            framed(1, b"ab"),
            framed(2, b"oops\n"),
            framed(1, b""),
            framed(1, b"cde"),
        ]
        .concat();
        for size in 1..=wire.len() {
            let (mut far, near) = tokio::io::duplex(1024);
            let mut demux = Demux::new(near);
            let feed = async {
                for part in wire.chunks(size) {
                    tokio::io::AsyncWriteExt::write_all(&mut far, part)
                        .await
                        .unwrap();
                    tokio::task::yield_now().await;
                }
                drop(far);
            };
            let mut out = Vec::new();
            let (read, ()) = tokio::join!(demux.read_to_end(&mut out), feed);
            assert_eq!(
                (read.unwrap(), out.as_slice()),
                (5, &b"abcde"[..]),
                "cut at {size}"
            );
            assert_eq!(demux.diagnostics().text(), "oops");
        }
    }

    #[tokio::test]
    async fn a_program_that_only_complains_is_an_error_with_its_words() {
        let wire = framed(2, b"buildctl: not found\n");
        let error = Demux::new(wire_of(&wire))
            .read_to_end(&mut Vec::new())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "buildctl: not found");
    }

    #[tokio::test]
    async fn a_cut_frame_and_a_tty_are_errors() {
        let cut = &framed(1, b"abc")[..9];
        let error = Demux::new(wire_of(cut))
            .read_to_end(&mut Vec::new())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let error = Demux::new(wire_of(b"plain text here"))
            .read_to_end(&mut Vec::new())
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "byte 0x70 opens no frame: does the container have a TTY?"
        );
    }

    fn wire_of(bytes: &[u8]) -> &[u8] {
        bytes
    }
}
