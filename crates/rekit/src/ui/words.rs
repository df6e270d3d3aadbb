//! Steps and outcomes in words.

use rekit_core::{
    step::{Action, Step},
    undo::Outcome,
};

use super::style::{bytes, clean, counted};

/// Returns a step's kind and what it works on.
pub(crate) fn step(step: &Step) -> String {
    clean(&format!("{} {}", step.action.kind(), step.action.subject()))
}

/// Returns what an outcome says, empty where there is nothing to tell.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done {} => String::new(),
        Outcome::DaemonStarted {
            version,
            silent_milliseconds: Some(silent),
        } => format!(
            "BuildKit {version}; nobody answered for {}",
            seconds(*silent)
        ),
        Outcome::Booted { version } | Outcome::DaemonStarted { version, .. } => {
            format!("BuildKit {version}")
        }
        Outcome::Baseline { measures } => {
            let good = measures.iter().filter(|it| it.found.is_good()).count();
            format!("{good} of {} work", counted(measures.len(), "trial"))
        }
        Outcome::Probed { platforms, .. } => platforms
            .iter()
            .map(|(platform, milliseconds)| format!("{platform} in {}", seconds(*milliseconds)))
            .collect::<Vec<_>>()
            .join(", "),
        Outcome::Drained { cut, .. } if !cut.is_empty() => {
            let count = counted(cut.len(), "build");
            clean(&format!("{count} cut: {}", cut.join("; ")))
        }
        Outcome::Drained { .. } => "no build runs".to_owned(),
        Outcome::Stopped { clean: true, .. } | Outcome::DaemonStopped { clean: true, .. } => {
            "ended by itself".to_owned()
        }
        Outcome::Stopped { exit_code, .. } => {
            format!("was killed, exit code {exit_code}: its state is as after a crash")
        }
        Outcome::DaemonStopped { .. } => "ended, its databases not closed".to_owned(),
        Outcome::Archived {
            files,
            bytes: size,
            packed_bytes,
            ..
        } => format!(
            "{files} files, {} packed to {}",
            bytes(*size),
            bytes(*packed_bytes)
        ),
        Outcome::Verified { .. } => "every byte read back".to_owned(),
        Outcome::Validated { proofs, .. } => counted(proofs.len(), "proof"),
    }
}

/// Returns what a step changed, in words of a person; `None` for a step that only looks or keeps.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of step")]
pub(crate) fn change(action: &Action) -> Option<String> {
    let words = match action {
        Action::BootNode { node, .. } => format!("node {node} is new and runs"),
        Action::RewriteRecord { edit, .. } => {
            let nodes: Vec<_> = edit.nodes.iter().map(|node| node.name.as_str()).collect();
            match nodes.as_slice() {
                [] => format!("builder {} was rewritten", edit.builder),
                nodes => format!("builder {} builds on {}", edit.builder, nodes.join(", ")),
            }
        }
        Action::WriteFile { path, .. } => format!("{path} was written"),
        Action::EditJson { path, edits, .. } => {
            let keys: Vec<_> = edits.iter().map(|edit| edit.keys.join(".")).collect();
            format!("{path}: {} changed, the rest kept", keys.join(", "))
        }
        Action::SilenceLines { .. } => format!("{} made a comment", action.subject()),
        Action::RemoveFile { path, .. } | Action::RemoveTree { path, .. } => {
            format!("{path} was removed")
        }
        Action::RemoveSocket { path, .. } => format!("socket {path} was removed"),
        Action::ImportMounts { place, mounts, .. } => format!(
            "builder {} has {} from the archive",
            place.builder,
            counted(mounts.len(), "cache mount")
        ),
        Action::Park { node } => format!("container {} is parked: stopped, kept", node.container),
        Action::StartDaemon { daemon, .. } => {
            format!("daemon at {} was started anew", daemon.address)
        }
        Action::ParkState { root, parked, .. } => {
            format!("state {root} is parked as {parked}: kept as it was")
        }
        Action::UnparkState { root, .. } => format!("state {root} is back, as warm as it was"),
        Action::RemoveState {
            folder, archive, ..
        } => format!("state {folder} was removed; archive {archive} holds it"),
        Action::RemoveContainer { node } => format!("container {} was removed", node.container),
        Action::RemoveVolume {
            volume, archive, ..
        } => {
            format!(
                "volume {} was removed; archive {archive} holds it",
                volume.volume
            )
        }
        Action::DropVolume { volume } => {
            format!(
                "volume {} was removed; its cache was given up",
                volume.volume
            )
        }
        Action::RecreateVolume { volume, .. } => format!("volume {volume} is back, empty"),
        Action::StartNode { node, .. } => format!("container {} runs again", node.container),
        Action::RestoreVolume { volume, .. } => {
            format!("volume {volume} is back from its archive")
        }
        Action::RecreateContainer { container, .. } => format!("container {container} is back"),
        Action::RestoreFile { path, blob, .. } => match blob {
            Some(_) => format!("{path} is as it was"),
            None => format!("{path} is gone, as it was"),
        },
        Action::BringFile { path, .. } => format!("{path} is as it was archived"),
        Action::RestoreEngine { engine, .. } => {
            format!("engine {} has the archived cache", engine.host)
        }
        Action::LoadImage { image, .. } => format!("image {image} is there"),
        Action::RestoreFolder { folder, .. } => {
            format!("{} is back from its archive", folder.path)
        }
        Action::RestoreTree { path, .. } | Action::RestoreSocket { path, .. } => {
            format!("{path} is as it was")
        }
        Action::TakeBaseline { .. }
        | Action::SaveConfiguration { .. }
        | Action::ProbeNode { .. }
        | Action::StopDaemon { .. }
        | Action::ProbeDaemon { .. }
        | Action::Drain { .. }
        | Action::StopNode { .. }
        | Action::ArchiveState { .. }
        | Action::CopyState { .. }
        | Action::ExportMounts { .. }
        | Action::SaveImage { .. }
        | Action::ArchiveFolder { .. }
        | Action::ArchiveEngine { .. }
        | Action::StopEngine { .. }
        | Action::StartEngine { .. }
        | Action::VerifyArchive { .. }
        | Action::Validate { .. } => return None,
    };
    Some(clean(&words))
}

/// Returns whether taking the step back leaves the world as it is: it only looked, waited, or made an archive, which is kept.
pub(crate) fn leaves_no_trace(action: &Action) -> bool {
    // A stop is no change that lasts, but its undo is a start.
    change(action).is_none()
        && !matches!(
            action,
            Action::StopNode { .. } | Action::StopEngine { .. } | Action::StartEngine { .. }
        )
}

/// Returns a duration in the unit that fits it.
pub(crate) fn seconds(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        10_000..120_000 => format!("{} s", milliseconds / 1000),
        _ => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds % 60_000 / 1000
        ),
    }
}
