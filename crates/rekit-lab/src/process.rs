//! Starts programs and says clearly which one failed, with what it printed.

use anyhow::{Context, Result, bail};
use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// Returns a command from words.
pub(crate) fn words<I: IntoIterator>(program: impl AsRef<std::ffi::OsStr>, arguments: I) -> Command
where
    I::Item: AsRef<std::ffi::OsStr>,
{
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs `command` and returns what it printed on stdout; a failure carries the end of its stderr.
pub(crate) fn text(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("could not start `{}`", line(command)))?;
    check(command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Says whether `command` ran and ended well; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Returns the last `count` lines of a file, or nothing.
pub(crate) fn tail(file: &Path, count: usize) -> String {
    let text = std::fs::read(file)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn check(command: &Command, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = stderr.trim_end().lines().collect();
    let end = lines[lines.len().saturating_sub(30)..].join("\n");
    bail!("`{}` failed ({}):\n{end}", line(command), output.status);
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
