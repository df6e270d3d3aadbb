//! An engine behind `ssh`: a child process whose stdin and stdout are the connection.
//!
//! As Docker's own connection helper does it: `ssh DEST -- docker system dial-stdio`. Never asks (`BatchMode`): a password prompt would hang.
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::demux::Diagnostics;
use crate::endpoint::Endpoint;

/// The command's arguments after `ssh`, for an ssh endpoint; empty for any other.
fn arguments(endpoint: &Endpoint, timeout: Duration) -> Vec<String> {
    let Endpoint::Ssh {
        user,
        host,
        port,
        socket,
    } = endpoint
    else {
        return Vec::new();
    };
    let mut list = vec!["-T".to_owned(), "-o".to_owned(), "BatchMode=yes".to_owned()];
    list.extend([
        "-o".to_owned(),
        format!("ConnectTimeout={}", timeout.as_secs().max(1)),
    ]);
    if let Some(user) = user {
        list.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(port) = port {
        list.extend(["-p".to_owned(), port.to_string()]);
    }
    list.extend(["--".to_owned(), host.clone(), "docker".to_owned()]);
    if let Some(socket) = socket {
        // The far shell parses this line: the path is quoted for it.
        let path = socket.display().to_string().replace('\'', r"'\''");
        list.extend(["--host".to_owned(), format!("'unix://{path}'")]);
    }
    list.extend(["system".to_owned(), "dial-stdio".to_owned()]);
    list
}

/// Starts `ssh`. Whether the far side answers shows only with the first bytes.
pub(crate) fn start(endpoint: &Endpoint, timeout: Duration) -> io::Result<ChildIo> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one door to `ssh`: it brings the user's keys, agent and host configuration"
    )]
    let mut command = Command::new("ssh");
    let mut child = command
        .args(arguments(endpoint, timeout))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let missing = || io::Error::other("a pipe to ssh is missing");
    Ok(ChildIo {
        stdin: child.stdin.take(),
        stdout: child.stdout.take().ok_or_else(missing)?,
        stderr: child.stderr.take(),
        diagnostics: Diagnostics::default(),
        any: false,
        _child: child,
    })
}

/// A child process as one stream; killed when dropped.
#[derive(Debug)]
pub(crate) struct ChildIo {
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    diagnostics: Diagnostics,
    any: bool,
    _child: Child,
}

impl ChildIo {
    /// Reads what is there of stderr, so that the child never blocks on it; ready at its end.
    fn poll_stderr(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        while let Some(stderr) = &mut self.stderr {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(stderr).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                self.stderr = None;
            }
            self.diagnostics.add(buffer.filled());
        }
        Poll::Ready(())
    }
}

impl AsyncRead for ChildIo {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let stderr_ended = this.poll_stderr(context);
        let before = out.filled().len();
        ready!(Pin::new(&mut this.stdout).poll_read(context, out))?;
        if out.filled().len() > before {
            this.any = true;
        } else if !this.any && out.remaining() > 0 {
            ready!(stderr_ended);
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                this.diagnostics.text(),
            )));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ChildIo {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stdin {
            Some(stdin) => Pin::new(stdin).poll_write(context, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .stdin
            .as_mut()
            .map_or(Poll::Ready(Ok(())), |stdin| {
                Pin::new(stdin).poll_flush(context)
            })
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Closing the pipe is what ends a child's stdin.
        self.get_mut().stdin = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_never_asks_and_quotes_for_the_far_shell() {
        let endpoint: Endpoint = "ssh://me@far:2222/run/it's.sock".parse().unwrap();
        let line = arguments(&endpoint, Duration::from_millis(200)).join(" ");
        assert_eq!(
            line,
            r"-T -o BatchMode=yes -o ConnectTimeout=1 -l me -p 2222 -- far docker --host 'unix:///run/it'\''s.sock' system dial-stdio"
        );
    }
}
