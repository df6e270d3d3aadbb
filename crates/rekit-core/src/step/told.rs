//! How a step is told: its kind, what it works on, and the archive it makes.

use super::Action;
use crate::name::ArchiveId;

impl Action {
    /// Returns the name of the kind, as it stands in plans and journals.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TakeBaseline { .. } => "take-baseline",
            Self::SaveConfiguration { .. } => "save-configuration",
            Self::BootNode { .. } => "boot-node",
            Self::ProbeNode { .. } => "probe-node",
            Self::RewriteRecord { .. } => "rewrite-record",
            Self::WriteFile { .. } => "write-file",
            Self::EditJson { .. } => "edit-json",
            Self::SilenceLines { .. } => "silence-lines",
            Self::RemoveFile { .. } => "remove-file",
            Self::RemoveTree { .. } => "remove-tree",
            Self::RemoveSocket { .. } => "remove-socket",
            Self::Drain { .. } => "drain",
            Self::StopNode { .. } => "stop-node",
            Self::ArchiveState { .. } => "archive-state",
            Self::CopyState { .. } => "copy-state",
            Self::ExportMounts { .. } => "export-mounts",
            Self::ImportMounts { .. } => "import-mounts",
            Self::SaveImage { .. } => "save-image",
            Self::LoadImage { .. } => "load-image",
            Self::ArchiveFolder { .. } => "archive-folder",
            Self::RestoreFolder { .. } => "restore-folder",
            Self::StopEngine { .. } => "stop-engine",
            Self::StartEngine { .. } => "start-engine",
            Self::ArchiveEngine { .. } => "archive-engine",
            Self::RestoreEngine { .. } => "restore-engine",
            Self::StopDaemon { .. } => "stop-daemon",
            Self::StartDaemon { .. } => "start-daemon",
            Self::ProbeDaemon { .. } => "probe-daemon",
            Self::ParkState { .. } => "park-state",
            Self::UnparkState { .. } => "unpark-state",
            Self::RemoveState { .. } => "remove-state",
            Self::BringFile { .. } => "bring-file",
            Self::VerifyArchive { .. } => "verify-archive",
            Self::Park { .. } => "park",
            Self::RemoveContainer { .. } => "remove-container",
            Self::RemoveVolume { .. } => "remove-volume",
            Self::DropVolume { .. } => "drop-volume",
            Self::RecreateVolume { .. } => "recreate-volume",
            Self::StartNode { .. } => "start-node",
            Self::RestoreVolume { .. } => "restore-volume",
            Self::RecreateContainer { .. } => "recreate-container",
            Self::RestoreFile { .. } => "restore-file",
            Self::RestoreTree { .. } => "restore-tree",
            Self::RestoreSocket { .. } => "restore-socket",
            Self::Validate { .. } => "validate",
        }
    }

    /// Returns the archive that the step makes.
    pub fn made_archive(&self) -> Option<&ArchiveId> {
        match self {
            Self::SaveConfiguration { archive, .. }
            | Self::ArchiveState { archive, .. }
            | Self::CopyState { archive, .. }
            | Self::ExportMounts { archive, .. }
            | Self::SaveImage { archive, .. }
            | Self::ArchiveFolder { archive, .. }
            | Self::ArchiveEngine { archive, .. } => Some(archive),
            _ => None,
        }
    }

    /// Returns what the step works on, for people.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of step")]
    pub fn subject(&self) -> String {
        match self {
            Self::SaveConfiguration { archive, paths } => {
                format!("{} places → archive {archive}", paths.len())
            }
            Self::BootNode { node, .. } => format!("node {node}"),
            Self::RewriteRecord { edit, .. } => format!("builder {}", edit.builder),
            Self::WriteFile { path, .. }
            | Self::EditJson { path, .. }
            | Self::RemoveFile { path, .. }
            | Self::RemoveTree { path, .. }
            | Self::RestoreFile { path, .. }
            | Self::BringFile { path, .. }
            | Self::RestoreTree { path, .. }
            | Self::RemoveSocket { path, .. }
            | Self::RestoreSocket { path, .. } => path.to_string(),
            Self::SilenceLines { path, lines, .. } => {
                let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
                format!("{path}, line {}", lines.join(", "))
            }
            Self::Drain { node, .. }
            | Self::StopNode { node, .. }
            | Self::Park { node }
            | Self::RemoveContainer { node }
            | Self::StartNode { node, .. } => format!("container {}", node.container),
            Self::ArchiveState {
                volume, archive, ..
            } => format!("volume {} → archive {archive}", volume.volume),
            Self::CopyState { node, archive } => {
                format!("volume {} → archive {archive}", node.volume)
            }
            Self::ExportMounts {
                archive,
                place,
                mounts,
            } => format!(
                "{} cache mounts of builder {} → archive {archive}",
                mounts.len(),
                place.builder
            ),
            Self::ImportMounts {
                source,
                place,
                mounts,
            } => format!(
                "archive {} → {} cache mounts of builder {}",
                source.archive.file_name(),
                mounts.len(),
                place.builder
            ),
            Self::SaveImage { image, archive, .. } => format!("image {image} → archive {archive}"),
            Self::LoadImage { source, image, .. } => {
                format!("archive {} → image {image}", source.archive.file_name())
            }
            Self::ArchiveFolder { folder, archive } => {
                format!("folder {} → archive {archive}", folder.path)
            }
            Self::RestoreFolder { source, folder } => {
                format!(
                    "archive {} → folder {}",
                    source.archive.file_name(),
                    folder.path
                )
            }
            Self::StopEngine { engine, .. } => {
                format!("engine {} by `{}`", engine.host, engine.stop)
            }
            Self::StartEngine { engine } => format!("engine {} by `{}`", engine.host, engine.start),
            Self::ArchiveEngine { archive, engine } => {
                format!("cache of engine {} → archive {archive}", engine.host)
            }
            Self::RestoreEngine { source, engine, .. } => format!(
                "archive {} → cache of engine {}",
                source.archive.file_name(),
                engine.host
            ),
            Self::StopDaemon { daemon, .. }
            | Self::StartDaemon { daemon, .. }
            | Self::ProbeDaemon { daemon, .. } => format!("daemon at {}", daemon.address),
            Self::ParkState { root, parked, .. } => format!("state {root} → {parked}"),
            Self::UnparkState { parked, root } => format!("state {parked} → {root}"),
            Self::RemoveState { folder, .. } => format!("state {folder}"),
            Self::VerifyArchive { archive } => format!("archive {archive}"),
            Self::RemoveVolume { volume, .. } | Self::DropVolume { volume } => {
                format!("volume {}", volume.volume)
            }
            Self::RecreateVolume { volume, .. } => format!("volume {volume}"),
            Self::RestoreVolume {
                volume, archive, ..
            } => format!("archive {archive} → volume {volume}"),
            Self::ProbeNode { container, .. } | Self::RecreateContainer { container, .. } => {
                format!("container {container}")
            }
            Self::TakeBaseline { builders, .. } | Self::Validate { builders, .. } => builders
                .iter()
                .map(|claim| claim.builder.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}
