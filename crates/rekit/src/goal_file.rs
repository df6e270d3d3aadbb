//! The goal as a file: the one that was named, else `rekit.toml` in the working folder, else none.

use std::path::{Path, PathBuf};

use rekit_core::goal::{Goal, parse};
use rekit_run::world::host;

use crate::{call::Call, exit::Exit, failure::Failure, ui::place::underlined};

/// The file that is read when none is named.
const USUAL: &str = "rekit.toml";

/// Reads the goal.
pub(crate) fn read(call: &Call<'_>, named: Option<&Path>) -> Result<Goal, Failure> {
    let folder = call.surroundings.working_folder();
    let path: PathBuf = folder.join(named.unwrap_or(Path::new(USUAL)));
    let shown = named.unwrap_or(Path::new(USUAL)).display();
    match host::read_text(&path) {
        Ok(text) => parse(&text).map_err(|error| {
            let place = format!("{shown}:{}:{}", error.line, error.column);
            Failure::new(
                Exit::Misuse,
                "goal-invalid",
                format!("{place}: the goal cannot be read"),
            )
            .because(&error.message)
            .at(underlined(
                error.line,
                error.column,
                error.length,
                &error.excerpt,
            ))
            .then(format!(
                "correct line {} of `{shown}` and run the same command again",
                error.line
            ))
        }),
        Err(error) if error.is_absent() && named.is_none() => Ok(Goal::default()),
        Err(error) => Err(Failure::new(
            Exit::Misuse,
            "goal-unreadable",
            format!("`{shown}` cannot be read"),
        )
        .because(error.to_string())
        .then("name a goal file that this account can read")),
    }
}
