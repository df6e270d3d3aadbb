//! `rekit backup prune`: archives of rekit's own directory that nothing needs any more go.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use rekit_core::{
    name::ArchiveId,
    retention::{self, Rule},
};
use rekit_run::{archives::archives, retention::Pruning};

use crate::{
    call::Call,
    change,
    document::{KeptArchive, Pruned, PrunedArchive, document},
    exit::Exit,
    failure::Failure,
    ui,
};

/// What stays although nothing needs it.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("rule").required(true).multiple(true)))]
pub(crate) struct Arguments {
    /// Keep the newest N archives of each volume, folder, builder and engine, and of the configuration
    #[arg(long, value_name = "N", group = "rule")]
    keep: Option<usize>,
    /// Remove only what is older: hours, days or weeks, such as `30d`
    #[arg(long, value_name = "AGE", value_parser = age, group = "rule")]
    older_than: Option<SignedDuration>,
    /// Show what would go, and what that frees
    #[arg(long)]
    dry_run: bool,
}

fn age(text: &str) -> Result<SignedDuration, &'static str> {
    retention::age(text).ok_or("a whole number and `h`, `d` or `w`")
}

pub(super) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    // Beside a run that is at work nothing is certain; one that broke off keeps what it needs.
    call.open_run()?;
    let rule = Rule {
        newest: arguments.keep,
        younger_than: arguments.older_than,
    };
    let session = call.silent();
    let pruning = session.choose_prune(rule)?;
    let mut pruned = pruned(call, &pruning);
    if arguments.dry_run || pruned.removed.is_empty() {
        call.output
            .give(&document("rekit/pruned", &pruned), |style| {
                ui::archives::pruned(&pruned, style)
            });
        return Ok(Exit::Done);
    }
    let style = &call.output.note_style;
    call.output.note(&ui::archives::pruned(&pruned, style));
    let count = ui::style::counted(pruned.removed.len(), "archive");
    change::agree(
        call,
        &format!("Remove {count}? There is no way back from it."),
    )
    .await?;
    // The list was read before; that it is gone now is said with the bytes.
    pruned.freed_bytes = session.prune(&pruning.choice.remove, rule)?;
    pruned.changed = true;
    call.output
        .give(&document("rekit/pruned", &pruned), |style| {
            ui::archives::freed(&pruned, style)
        });
    Ok(Exit::Done)
}

fn pruned(call: &Call<'_>, pruning: &Pruning) -> Pruned {
    // What cannot be listed now was listed a moment ago; without its size it is told all the same.
    let stored = archives(&call.silent().home_path()).unwrap_or_default();
    let known: BTreeMap<ArchiveId, (String, u64)> = stored
        .into_iter()
        .filter_map(|archive| {
            let content = archive.content.ok()?;
            Some((archive.id, (content.subject(), content.packed_bytes)))
        })
        .collect();
    let of = |id: &ArchiveId| known.get(id).cloned().unzip();
    let removed = pruning.choice.remove.iter().map(|id| {
        let (subject, packed_bytes) = of(id);
        PrunedArchive {
            id: id.clone(),
            subject,
            packed_bytes,
        }
    });
    let kept = pruning.choice.keep.iter().map(|(id, reason)| KeptArchive {
        id: id.clone(),
        reason: reason.clone(),
    });
    Pruned {
        changed: false,
        removed: removed.collect(),
        kept: kept.collect(),
        freed_bytes: pruning.freed_bytes,
    }
}
