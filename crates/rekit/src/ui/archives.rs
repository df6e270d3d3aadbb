//! Archives for a person.

use super::style::{Style, Tone, bytes, clean, counted};
use crate::document::{Archive, VerifiedArchive};

/// Returns the archives, by name.
pub(crate) fn archives(archives: &[Archive], style: &Style) -> String {
    if archives.is_empty() {
        return "There are no archives yet; `rekit backup create` makes one.\n".to_owned();
    }
    archives
        .iter()
        .map(|archive| entry(archive, style))
        .collect()
}

/// Returns an archive in two lines: its name whole, to be copied, and what it holds.
fn entry(archive: &Archive, style: &Style) -> String {
    let name = style.paint(Tone::Heading, archive.id.as_str());
    let holds = match (&archive.fault, &archive.volume, &archive.kind) {
        (Some(fault), ..) => style.paint(Tone::Care, &clean(&format!("not whole: {fault}"))),
        (_, Some(volume), _) => clean(&format!("state of volume {volume}")),
        (_, _, kind) => clean(kind.as_deref().unwrap_or_default()),
    };
    let sizes = match (archive.files, archive.bytes, archive.packed_bytes) {
        (Some(files), Some(size), Some(packed)) => {
            format!(
                ", {}, {} packed to {}",
                counted_large(files),
                bytes(size),
                bytes(packed)
            )
        }
        _ => String::new(),
    };
    format!("{name}\n    {holds}{sizes}\n")
}

fn counted_large(files: u64) -> String {
    counted(usize::try_from(files).unwrap_or(usize::MAX), "file")
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
