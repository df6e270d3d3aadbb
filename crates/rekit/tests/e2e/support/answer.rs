//! What a program answered: how it ended and what it printed.

use serde_json::Value;
use std::{
    os::unix::process::ExitStatusExt,
    process::{Command, Output},
};

/// How a program ended and what it printed.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The command line.
    pub(crate) line: String,
    /// Its exit code, none where a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("could not start {command:?}: {error}"));
        Self::from(command, &output)
    }

    /// Takes what a command answered that was started before.
    pub(crate) fn from(command: &Command, output: &Output) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        Self {
            line: words.join(" "),
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails unless the program ended with `code`.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Fails unless the program ended well.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        self.ends_with(0)
    }

    /// Fails unless the program refused, changed nothing, and said where things stand and what to do.
    #[track_caller]
    pub(crate) fn refused(self) -> Self {
        assert!(matches!(self.code, Some(2 | 4)), "{self}");
        for word in ["error:", "state:", "next:"] {
            assert!(self.stderr.contains(word), "no `{word}` in\n{self}");
        }
        self
    }

    /// Fails unless `text` was printed, on one line or wrapped.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let said = self.text();
        let words: Vec<_> = said.split_whitespace().collect();
        let is_said = said.contains(text) || words.join(" ").contains(text);
        assert!(is_said, "no `{text}` in\n{self}");
        self
    }

    /// Returns the one JSON document on stdout, which bears its schema and version.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not one JSON document ({error}):\n{self}"));
        assert!(
            value["schema"].is_string() && value["version"].is_u64(),
            "no schema or version in\n{self}"
        );
        value
    }

    /// Returns all that was printed.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            line,
            code,
            signal,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "$ {line}\nexit code {code:?}, signal {signal:?}\n── stdout\n{stdout}\n── stderr\n{stderr}"
        )
    }
}
