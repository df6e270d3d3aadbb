//! Archives that left in one file, or came in one, for a person.

use super::style::{Style, Tone, clean};
use crate::document::{ExportedFile, ImportedArchives};

/// What a person has to know of a file that only went through a pipe.
pub(crate) const UNPROVEN: &str = "What was streamed is unproven until `rekit backup import` has taken it, or `sha256sum -c SHA256SUMS` was run where it was unpacked.\n";

/// What a person has to know of archives that were made to be streamed.
pub(crate) const STREAMED: &str =
    "The archives were streamed, and are no longer in rekit's own directory.\n";

/// Returns what was exported.
pub(crate) fn exported(file: &ExportedFile, style: &Style) -> String {
    let ids: Vec<_> = file.archives.iter().map(|it| it.id.as_str()).collect();
    let done = style.paint(Tone::Good, "Done");
    clean(&format!(
        "{done}: {} is whole in {}; every byte was compared on its way.\n",
        ids.join(", "),
        file.path
    ))
}

/// Returns what was imported.
pub(crate) fn imported(imported: &ImportedArchives, style: &Style) -> String {
    let line = |archive: &crate::document::ImportedArchive| {
        let done = style.paint(Tone::Good, "Done");
        let what = if archive.was_there {
            "was there already; `rekit backup verify` reads it back"
        } else {
            "is in rekit's own directory; every byte was read back and matches"
        };
        format!("{done}: {} {what}.\n", clean(&archive.id))
    };
    imported.archives.iter().map(line).collect()
}
