//! Archives for a person.

use std::collections::BTreeMap;

use rekit_core::{rehearsal::Rehearsal, retention::Reason};
use rekit_run::archives::Tree;

use super::{
    style::{Style, Tone, bytes, clean, counted},
    words,
};
use crate::document::{
    Archive, ArchiveContent, KeptArchive, Pruned, PrunedArchive, VerifiedArchive,
};

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
    let holds = match (&archive.fault, &archive.subject) {
        (Some(fault), _) => style.paint(Tone::Care, &clean(&format!("not whole: {fault}"))),
        (None, subject) => clean(subject.as_deref().unwrap_or_default()),
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

/// Returns what a rehearsal proved.
pub(crate) fn rehearsed(rehearsal: &Rehearsal, style: &Style) -> String {
    let sound = style.paint(Tone::Good, "Sound");
    let took = &rehearsal.milliseconds;
    let snapshotter = rehearsal.snapshotter.as_deref().unwrap_or("unknown");
    let compared = if rehearsal.records_compared {
        "as counted at the backup"
    } else {
        "not compared"
    };
    let build = if rehearsal.cache_hit {
        format!(
            "the 3 steps that were left at the backup all came from the cache ({})",
            words::seconds(took.build)
        )
    } else {
        format!(
            "no canary in this archive: the cache was not tried; a build ran ({})",
            words::seconds(took.build)
        )
    };
    let lines = [
        ("unpacked", words::seconds(took.unpack)),
        (
            "daemon",
            format!(
                "BuildKit {} of image {}, snapshotter {snapshotter}, up in {}; no database was put aside",
                rehearsal.buildkit,
                rehearsal.image,
                words::seconds(took.boot)
            ),
        ),
        (
            "records",
            format!("{}, {compared}", records(&rehearsal.records)),
        ),
        ("build", build),
    ];
    let notes = rehearsal.notes.iter().map(|note| ("note", note.clone()));
    let archive = clean(&rehearsal.archive);
    let engine = rehearsal.engine.as_str();
    format!(
        "{sound}: a daemon on a copy of {archive} works. Engine {engine} is as before.\n{}",
        facts(lines.into_iter().chain(notes), style)
    )
}

/// Returns counts of records: `9 records (3 internal, 6 regular)`.
fn records(records: &BTreeMap<String, u64>) -> String {
    let parts: Vec<_> = records
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let total = usize::try_from(records.values().sum::<u64>()).unwrap_or(usize::MAX);
    let total = counted(total, "record");
    if parts.is_empty() {
        total
    } else {
        format!("{total} ({})", parts.join(", "))
    }
}

/// Returns facts, one a line, behind their names.
fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>, style: &Style) -> String {
    const INDENT: usize = 14;
    let lines = facts.into_iter().flat_map(|(name, fact)| {
        let named = std::iter::once(name).chain(std::iter::repeat(""));
        let lines = named.zip(style.wrapped(INDENT, &clean(&fact)));
        lines.map(|(name, line)| format!("  {name:<12}{line}\n"))
    });
    lines.collect()
}

/// Returns what an archive holds.
pub(crate) fn content(content: &ArchiveContent, style: &Style) -> String {
    let detail = &content.detail;
    let mut lines = vec![("holds", detail.kind.clone())];
    let optional = [
        ("volume", &detail.volume),
        ("folder", &detail.folder),
        ("node", &detail.node),
        ("image", &detail.image),
        ("BuildKit", &detail.buildkit),
        ("snapshotter", &detail.snapshotter),
    ];
    lines.extend(
        optional
            .into_iter()
            .filter_map(|(name, fact)| Some((name, fact.clone()?))),
    );
    if let Some(made) = detail.made {
        let second = made.strftime("%Y-%m-%d %H:%M:%S UTC");
        lines.push(("made", format!("{second}, {}", style.ago(made))));
    }
    lines.push(("read", consistency(detail)));
    if detail.volume.is_some() {
        let canary = match (&detail.records, detail.canary) {
            (Some(counted), true) => format!("yes; {} were counted with it", records(counted)),
            (_, true) => "yes".to_owned(),
            _ => "no: a rehearsal cannot try the cache".to_owned(),
        };
        lines.push(("canary", canary));
    }
    lines.extend(
        detail
            .trees
            .iter()
            .map(|tree| ("tree", tree_in_words(tree))),
    );
    lines.extend(detail.mounts.iter().map(|it| ("mount", it.clone())));
    lines.extend(detail.left_out.iter().map(|it| ("left out", it.clone())));
    let file = |(name, size): &(String, u64)| format!("{name} ({})", bytes(*size));
    let files: Vec<_> = detail.files.iter().map(file).collect();
    if !files.is_empty() {
        lines.push(("files", files.join(", ")));
    }
    let name = style.paint(Tone::Heading, &clean(&content.path));
    format!("{name}\n{}", facts(lines, style))
}

fn consistency(detail: &rekit_run::archives::Detail) -> String {
    use rekit_run::archives::Consistency;
    let words = match detail.consistency {
        Consistency::CleanStop if detail.volume.is_none() => "as the files were",
        Consistency::CleanStop => "after the daemon had ended and closed its databases",
        Consistency::Frozen => {
            let stood = detail.freeze_microseconds.unwrap_or(0).div_ceil(1000);
            return format!("while the daemon ran; it stood still for {stood} ms");
        }
        Consistency::CrashConsistent => "as after a power failure",
    };
    words.to_owned()
}

/// Returns a tree with what counts for an exact copy.
fn tree_in_words(tree: &Tree) -> String {
    let counts = &tree.counts;
    let of_note = [
        (counts.files, "file"),
        (counts.directories, "folder"),
        (counts.symlinks, "symbolic link"),
        (counts.hard_links, "hard link"),
        (counts.whiteouts, "whiteout"),
        (counts.opaque_directories, "opaque folder"),
        (counts.xattrs, "extended attribute"),
        (counts.capabilities, "capability mark"),
        (counts.sparse_files, "sparse file"),
        (counts.devices, "device"),
        (counts.fifos, "pipe"),
    ];
    let counted_all = of_note
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| counted(usize::try_from(count).unwrap_or(usize::MAX), word));
    let text = format!(
        "{}: {}; {} packed to {} in {}",
        tree.name,
        counted_all.collect::<Vec<_>>().join(", "),
        bytes(counts.bytes),
        bytes(tree.packed_bytes),
        counted(tree.segments, "segment"),
    );
    let left_out = usize::try_from(tree.left_out).unwrap_or(usize::MAX);
    let left_out =
        (left_out > 0).then(|| format!("{} left out as scratch", counted(left_out, "place")));
    let changed = (tree.changed > 0)
        .then(|| format!("{} changed while being read", counted(tree.changed, "file")));
    let parts: Vec<_> = std::iter::once(text)
        .chain(left_out)
        .chain(changed)
        .collect();
    parts.join("; ")
}

/// Returns which archives go and which stay, and why.
pub(crate) fn pruned(pruned: &Pruned, style: &Style) -> String {
    let headed = |head: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return String::new();
        }
        format!("{}\n{}", style.paint(Tone::Heading, head), lines.concat())
    };
    let kept = headed("Kept", pruned.kept.iter().map(staying).collect());
    if pruned.removed.is_empty() {
        return format!("There is no archive to remove.\n{kept}");
    }
    let frees = format!(
        "  frees {}; what other archives share stays\n",
        bytes(pruned.freed_bytes)
    );
    let going = pruned.removed.iter().map(going).chain([frees]);
    headed("To be removed", going.collect()) + &kept
}

fn going(archive: &PrunedArchive) -> String {
    let what = match (&archive.subject, archive.packed_bytes) {
        (Some(subject), Some(size)) => format!("{subject}, {}", bytes(size)),
        _ => "never completed".to_owned(),
    };
    clean(&format!("  {}  {what}\n", archive.id))
}

fn staying(archive: &KeptArchive) -> String {
    let why = match &archive.reason {
        Reason::OpenRun { run } => format!("run {run} is open and needs it"),
        Reason::Parked { generation } => {
            format!("it holds what is parked of generation {generation}")
        }
        Reason::WayBack { run } => format!("the way back over run {run} needs it"),
        Reason::Newest {} => "one of the newest".to_owned(),
        Reason::Young {} => "young enough".to_owned(),
        Reason::Damaged { why } => format!("it cannot be read, look at it first: {why}"),
    };
    clean(&format!("  {}  {why}\n", archive.id))
}

/// Returns what was removed.
pub(crate) fn freed(pruned: &Pruned, style: &Style) -> String {
    let done = style.paint(Tone::Good, "Done");
    let count = counted(pruned.removed.len(), "archive");
    let verb = if pruned.removed.len() == 1 {
        "is"
    } else {
        "are"
    };
    format!(
        "{done}: {count} {verb} gone, {} free again.\n",
        bytes(pruned.freed_bytes)
    )
}
