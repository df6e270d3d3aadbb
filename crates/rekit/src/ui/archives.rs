//! Archives for a person.

use super::style::{Style, Tone, bytes, clean, table};
use crate::document::{Archive, VerifiedArchive};

/// Returns the archives as a table.
pub(crate) fn archives(archives: &[Archive], style: &Style) -> String {
    if archives.is_empty() {
        return "There are no archives yet; `rekit backup create` makes one.\n".to_owned();
    }
    let row = |archive: &Archive| {
        let size = |size: Option<u64>| size.map(bytes).unwrap_or_default();
        let holds = match (&archive.kind, &archive.volume, &archive.fault) {
            (_, _, Some(fault)) => format!("not whole: {fault}"),
            (_, Some(volume), _) => format!("state of volume {volume}"),
            (Some(kind), ..) => kind.clone(),
            _ => String::new(),
        };
        let files = archive
            .files
            .map(|files| files.to_string())
            .unwrap_or_default();
        vec![
            archive.id.to_string(),
            holds,
            files,
            size(archive.bytes),
            size(archive.packed_bytes),
        ]
    };
    table(
        &["ARCHIVE", "HOLDS", "FILES", "SIZE", "PACKED"],
        archives.iter().map(row).collect(),
        style,
    )
}

/// Returns what was read back.
pub(crate) fn verified(archive: &VerifiedArchive, style: &Style) -> String {
    let sound = style.paint(Tone::Good, "Sound");
    format!(
        "{sound}: every byte of {} was read back and matches.\nSHA256SUMS {}\n",
        clean(&archive.path),
        archive.identity
    )
}
