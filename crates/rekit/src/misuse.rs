//! A command line that makes no sense, told as every other failure is; and the help texts, which are no failure.

use std::ffi::OsString;

use clap::error::ErrorKind;
use rekit_run::world::environment::Surroundings;

use crate::{
    command_line::{Color, Format, Manner},
    exit::Exit,
    failure::Failure,
    output::Output,
    ui,
};

/// Answers a command line that clap did not take.
pub(crate) fn answer(error: &clap::Error, words: &[OsString], surroundings: &Surroundings) -> Exit {
    let help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let manner = Manner {
        format: if wants_json(words) && !help {
            Format::Json
        } else {
            Format::Table
        },
        color: Color::Auto,
        yes: false,
        quiet: false,
    };
    let output = Output::new(&manner, surroundings);
    let text = error.render();
    if help {
        let text = if output.data_style.colour {
            text.ansi().to_string()
        } else {
            text.to_string()
        };
        output.data(&text);
        return Exit::Done;
    }
    let failure = failure(error.kind(), &text.to_string());
    ui::failure::tell(&failure, &output);
    failure.exit
}

/// Returns whether the words ask for JSON, as far as words can that make no sense together.
fn wants_json(words: &[OsString]) -> bool {
    let pairs = words.windows(2);
    words.iter().any(|word| word == "--format=json")
        || pairs
            .into_iter()
            .any(|pair| pair[0] == "--format" && pair[1] == "json")
}

/// Takes clap's text apart: its first paragraph is the message, tips and usage are what to do.
fn failure(kind: ErrorKind, text: &str) -> Failure {
    if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::new(Exit::Misuse, "usage", "a verb is missing")
            .then("`rekit --help` lists them");
    }
    let mut paragraphs = text.trim().split("\n\n").map(joined);
    let message = paragraphs.next().unwrap_or_default();
    let message = message
        .strip_prefix("error: ")
        .unwrap_or(&message)
        .to_owned();
    paragraphs.filter(|paragraph| !paragraph.is_empty()).fold(
        Failure::new(Exit::Misuse, "usage", message),
        |failure, paragraph| {
            let next = paragraph.strip_prefix("tip: ").unwrap_or(&paragraph);
            failure.then(next)
        },
    )
}

fn joined(paragraph: &str) -> String {
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}
