//! Generations for a person.

use rekit_core::{
    difference::{Builder, BuilderDifference, Change, Difference, FileDifference, Node},
    history::Generation,
};

use super::{
    plan::section,
    style::{Style, Tone, bytes, table},
};

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

/// Returns what differs between two generations.
pub(crate) fn difference(found: &Difference, style: &Style) -> String {
    let heading = format!("Generation {} against {}", found.to, found.from);
    let mut text = style.paint(Tone::Heading, &heading) + "\n";
    if found.builders.is_empty() && found.files.is_empty() {
        text.push_str("Nothing differs that rekit changed.\n");
        return text;
    }
    let builders = found.builders.iter().map(builder);
    text += &section("Builders", Tone::Heading, builders, style);
    let files = found.files.iter().map(file);
    text + &section("Files", Tone::Heading, files, style)
}

fn builder(found: &BuilderDifference) -> String {
    let name = &found.builder;
    match (&found.from, &found.to) {
        (Builder::Absent {}, Builder::Known { nodes }) => format!("{name}: added, {}", list(nodes)),
        (Builder::Absent {}, _) => format!("{name}: added"),
        (_, Builder::Absent {}) => format!("{name}: removed"),
        (Builder::Known { nodes: from }, Builder::Known { nodes: to }) => {
            let gone: Vec<_> = from.iter().map(|node| node.name.as_str()).collect();
            format!("{name}: {} → {}", gone.join(", "), list(to))
        }
        (_, Builder::Known { nodes }) => format!("{name}: now {}", list(nodes)),
        (_, Builder::Present {}) => format!("{name}: another record"),
    }
}

/// Returns nodes with what rekit chose for them.
fn list(nodes: &[Node]) -> String {
    let nodes = nodes.iter().map(|node| {
        let image = node.image.as_ref().map(ToString::to_string);
        let settings = node.settings.iter().map(|settings| {
            format!(
                "cache limit {}, disk kept free {}",
                bytes(settings.max_used_bytes),
                bytes(settings.min_free_bytes)
            )
        });
        let facts: Vec<_> = image.into_iter().chain(settings).collect();
        if facts.is_empty() {
            node.name.to_string()
        } else {
            format!("{} ({})", node.name, facts.join("; "))
        }
    });
    nodes.collect::<Vec<_>>().join(", ")
}

fn file(found: &FileDifference) -> String {
    let change = match found.change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
    };
    format!("{}: {change}", found.path)
}
