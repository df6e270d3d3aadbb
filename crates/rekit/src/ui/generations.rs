//! Generations for a person.

use rekit_core::history::Generation;

use super::style::{Style, table};

/// Returns the generations as a table, oldest first.
pub(crate) fn generations(generations: &[Generation], style: &Style) -> String {
    let row = |generation: &Generation| {
        let brought = match (&generation.run, generation.purpose) {
            (Some(run), Some(purpose)) => format!("{purpose} ({run})"),
            _ => "before rekit".to_owned(),
        };
        let since = generation
            .since
            .map(|since| style.ago(since))
            .unwrap_or_default();
        let current = if generation.current { "in force" } else { "" };
        vec![
            generation.number.to_string(),
            current.to_owned(),
            brought,
            since,
        ]
    };
    table(
        &["GENERATION", "", "BROUGHT BY", "SINCE"],
        generations.iter().map(row).collect(),
        style,
    )
}
