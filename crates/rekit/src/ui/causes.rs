//! What is likely behind a pasted error, for a person: the likeliest last, because the end is what stays on the screen.

use rekit_core::symptom::{Cause, Causes};

use super::{
    doctor::{headline, labelled},
    style::{Style, Tone, clean, counted},
};

/// Returns the causes as text.
pub(crate) fn causes(causes: &Causes, style: &Style) -> String {
    let mut text = String::new();
    for (number, cause) in causes.likely.iter().enumerate().rev() {
        text.push_str(&block(number + 1, cause, style));
        text.push('\n');
    }
    text.push_str(&summary(causes, style));
    text
}

fn block(number: usize, cause: &Cause, style: &Style) -> String {
    let head = format!("{number}. {}", cause.name.replace('-', " "));
    let mut text = style.paint(Tone::Heading, &head) + "\n";
    let said = format!("line {}: {}", cause.line, clean(&cause.text));
    text.push_str(&labelled("said", &said, style));
    text.push_str(&labelled("cause", &cause.cause, style));
    if cause.found.is_empty() && !cause.codes.is_empty() {
        let codes = cause.codes.join(", ");
        let nothing = format!("nothing of the kind was found on this machine ({codes})");
        text.push_str(&labelled("here", &nothing, style));
    }
    for (number, finding) in cause.found.iter().enumerate() {
        let label = if number == 0 { "here" } else { "" };
        let line = headline(
            finding,
            &Style {
                colour: false,
                ..*style
            },
        );
        text.push_str(&labelled(label, line.trim_end(), style));
    }
    text.push_str(&labelled("next", &cause.next, style));
    text
}

fn summary(causes: &Causes, style: &Style) -> String {
    let lines = usize::try_from(causes.lines).unwrap_or(usize::MAX);
    let read = counted(lines, "line");
    if causes.likely.is_empty() {
        let words = style.paint(Tone::Care, "Nothing is recognised");
        return format!(
            "{words} in {read}. `rekit doctor` looks at the machine itself, `rekit validate` builds with every builder.\n"
        );
    }
    let confirmed = causes.likely.iter().filter(|cause| !cause.found.is_empty());
    let confirmed = match confirmed.count() {
        0 => "none of them was found by `rekit doctor` on this machine".to_owned(),
        count => format!("{count} of them found by `rekit doctor` on this machine"),
    };
    format!(
        "{} in {read}, the likeliest last; {confirmed}.\n",
        counted(causes.likely.len(), "likely cause")
    )
}
