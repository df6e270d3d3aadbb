//! Runs programs that answer a question, for a short time.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one door to programs"
)]

use std::{io, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

/// How much of a program's output is kept.
const OUTPUT_LIMIT: u64 = 64 << 10;

/// What a program said.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code; `None`: ended by a signal.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started.
    #[error("does not start: {}", start_failure(.0))]
    Start(io::Error),
    /// There was no time to ask it.
    #[error("not asked: there was no time for it")]
    NotAsked,
    /// It did not end in time; it and its children were ended.
    #[error("no answer within {} ms", .0.as_millis())]
    OutOfTime(Duration),
    /// Its output broke off.
    #[error("its output broke off")]
    Broken(#[source] io::Error),
}

/// Says why a program does not start, as execve says it.
fn start_failure(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or(&text)
        .to_lowercase()
}

/// Runs a program with just these variables, in a process group of its own, which is ended when `limit` is over. Without
/// any time it is not started at all.
pub async fn run(
    program: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
    limit: Duration,
) -> Result<Output, RunError> {
    if limit.is_zero() {
        return Err(RunError::NotAsked);
    }
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(RunError::Start)?;
    let group = Group::of(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let answer = async {
        let (stdout, stderr, status) = tokio::join!(limited(stdout), limited(stderr), child.wait());
        let status = status.map_err(RunError::Broken)?;
        Ok(Output {
            code: status.code(),
            stdout,
            stderr,
        })
    };
    let answer = tokio::time::timeout(limit, answer)
        .await
        .unwrap_or(Err(RunError::OutOfTime(limit)));
    if answer.is_ok() {
        group.has_ended();
    }
    answer
}

/// Reads text up to the limit.
async fn limited(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // A broken pipe ends the text; the exit code tells the rest.
        let mut kept = stream.take(OUTPUT_LIMIT);
        drop(kept.read_to_end(&mut bytes).await);
        // A program that cannot get rid of its words would end for it.
        drop(tokio::io::copy(&mut kept.into_inner(), &mut tokio::io::sink()).await);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A process group that is ended when this is dropped, also when the caller gave up waiting.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(leader: Option<u32>) -> Self {
        Self(
            leader
                .and_then(|pid| i32::try_from(pid).ok())
                .and_then(rustix::process::Pid::from_raw),
        )
    }

    /// Lets the group be: its leader ended by itself.
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may have ended a moment ago; then there is nothing left to end.
            rustix::process::kill_process_group(leader, rustix::process::Signal::KILL).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn a_program_that_never_answers_is_ended_with_its_children() {
        let run = run(
            Path::new("/bin/sh"),
            &["-c", "sleep 60 & sleep 60"],
            &[("PATH", "/usr/bin:/bin")],
            Duration::from_millis(200),
        );
        let started = tokio::time::Instant::now();
        assert!(matches!(block_on(run), Err(RunError::OutOfTime(_))));
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_file_that_is_no_program_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), &[], &[], Duration::from_secs(1));
        let error = block_on(run).unwrap_err();
        assert_eq!(error.to_string(), "does not start: permission denied");
    }
}
