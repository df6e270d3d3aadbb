//! The one place that writes: data to stdout, everything else to stderr.
//!
//! Invariant: with `--format json` stdout gets one document and nothing else.

use std::{
    cell::Cell,
    io::{self, ErrorKind, IsTerminal, Write},
};

use rekit_run::world::environment::Surroundings;
use serde::Serialize;

use crate::{
    command_line::{Color, Format, Manner},
    ui::style::Style,
};

/// Columns where there is no terminal.
const WIDTH: usize = 100;

/// How this call talks.
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    /// How text on stdout looks.
    pub(crate) data_style: Style,
    /// How text on stderr looks.
    pub(crate) note_style: Style,
    /// Whether something could not be written to stdout.
    broken: Cell<bool>,
    /// Whether stdout carries a stream, and text must not.
    lent: Cell<bool>,
}

impl Output {
    /// Opens the output.
    pub(crate) fn new(manner: &Manner, surroundings: &Surroundings) -> Self {
        let plain = surroundings.variable("NO_COLOR").is_some()
            || surroundings.variable("TERM") == Some("dumb");
        let style = |terminal: bool| Style {
            colour: match manner.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => terminal && !plain,
            },
            width: terminal.then(terminal_width).flatten().unwrap_or(WIDTH),
            now: rekit_run::world::clock::now(),
        };
        Self {
            format: manner.format,
            quiet: manner.quiet,
            data_style: style(io::stdout().is_terminal()),
            note_style: style(io::stderr().is_terminal()),
            broken: Cell::new(false),
            lent: Cell::new(false),
        }
    }

    /// Returns whether documents are wanted instead of text.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Returns whether only what was asked for is wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Returns whether a person sits at both ends: can read the question, and can answer.
    pub(crate) fn can_ask() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Returns whether progress can be shown in place.
    pub(crate) fn is_live() -> bool {
        io::stderr().is_terminal()
    }

    /// Returns stdout for bytes that are no text, after which data goes to stderr; `None`: a terminal would show them.
    pub(crate) fn stream(&self) -> Option<io::Stdout> {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            return None;
        }
        self.lent.set(true);
        Some(stdout)
    }

    /// Returns stdin for bytes; `None`: a person would have to type them.
    pub(crate) fn source() -> Option<io::Stdin> {
        let stdin = io::stdin();
        (!stdin.is_terminal()).then_some(stdin)
    }

    /// Gives what was asked for: the document, or its text.
    pub(crate) fn give<T: Serialize>(&self, document: &T, text: impl FnOnce(&Style) -> String) {
        if self.is_json() {
            match serde_json::to_string_pretty(document) {
                Ok(json) => self.data(&(json + "\n")),
                Err(error) => unreachable!("BUG: a document holds something JSON cannot: {error}"),
            }
        } else {
            self.data(&text(&self.data_style));
        }
    }

    /// Writes to stdout, or to stderr where stdout carries a stream.
    pub(crate) fn data(&self, text: &str) {
        if self.lent.get() {
            return self.note(text);
        }
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
            // A reader that has seen enough, such as `head`, is no failure.
            && error.kind() != ErrorKind::BrokenPipe
        {
            self.broken.set(true);
        }
    }

    /// Writes to stderr what is not data; nothing where quiet is asked for.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            alarm(text);
        }
    }

    /// Returns whether something could not be written to stdout.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get()
    }
}

/// Writes to stderr, whatever is asked for. Nobody is left to be told of a stderr that cannot be written.
pub(crate) fn alarm(text: &str) {
    let mut stderr = io::stderr().lock();
    drop(
        stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush()),
    );
}

/// Reads one line from the person.
pub(crate) fn answer() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}

fn terminal_width() -> Option<usize> {
    let width = comfy_table::Table::new().width().map(usize::from);
    // A terminal that does not know its size says 0.
    width.filter(|width| *width > 0)
}
