//! A failure for people, as blocks, and for scripts, as a document.

use super::style::{Style, Tone, clean};
use crate::{
    document,
    exit::Exit,
    failure::Failure,
    output::{self, Output},
};

/// Columns before the text of a block.
const INDENT: usize = 7;

/// Tells a failure: as the document where documents are wanted, else on stderr.
pub(crate) fn tell(failure: &Failure, output: &Output) {
    if output.is_json() {
        output.give(&document::error(failure), |_| String::new());
    } else {
        output::alarm(&blocks(failure, &output.note_style));
    }
}

/// Returns the failure as text.
pub(crate) fn blocks(failure: &Failure, style: &Style) -> String {
    let tone = if failure.exit == Exit::Interrupted {
        Tone::Care
    } else {
        Tone::Bad
    };
    let mut text = block("error", tone, &failure.message, style);
    if let Some(place) = &failure.place {
        for line in place.lines() {
            let tone = if line.trim_start_matches([' ', '|']).starts_with('^') {
                Tone::Bad
            } else {
                Tone::Plain
            };
            text.extend(["      ", &style.paint(tone, line), "\n"]);
        }
    }
    text.push_str(&list("cause", &failure.cause, style));
    text.push_str(&block("state", Tone::Heading, &failure.state, style));
    text.push_str(&list("next", &failure.next, style));
    text
}

/// Returns one text behind each other's label; only the first bears it.
pub(crate) fn list(label: &str, texts: &[String], style: &Style) -> String {
    let blocks = texts.iter().enumerate().map(|(number, text)| {
        let label = if number == 0 { label } else { "" };
        block(label, Tone::Heading, text, style)
    });
    blocks.collect()
}

/// Returns a text behind its label, wrapped.
pub(crate) fn block(label: &str, tone: Tone, text: &str, style: &Style) -> String {
    let mut result = String::new();
    for (number, line) in style.wrapped(INDENT, &clean(text)).iter().enumerate() {
        let head = if number == 0 && !label.is_empty() {
            style.paint(tone, &format!("{label:>5}:"))
        } else {
            " ".repeat(INDENT - 1)
        };
        result.extend([&head, " ", line, "\n"]);
    }
    result
}
