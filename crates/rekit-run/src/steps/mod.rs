//! What each kind of step means: how to see where it stands, how to take it back, how to bring it about.
//!
//! Invariants: `observe` and `prepare_undo` only read; `effect` and `undo` may run twice.

mod archive;
mod builder;
mod builds;
mod criteria;
mod engine;
mod file;
mod folder;
mod mounts;
mod node;
mod removal;
mod socket;
mod standalone;
mod theirs;
mod tree;
mod undo;
mod wait;

use rekit_core::{
    criteria::Measure,
    name::{ContainerName, HostId},
    next::{Observed, Stage},
    step::{Action, NodePlace, StateSource},
    undo::{Outcome, Undo},
};

pub use self::{standalone::StoppedDaemon, undo::undo};
use crate::{
    journal::{Journal, JournalError},
    world::{ChangeWorld, Labels, ReadWorld, WorldError},
};

/// A step as the executor hands it over.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// What it does.
    pub action: &'a Action,
    /// Where it stands.
    pub stage: &'a Stage,
    /// The labels of what it makes.
    pub labels: Labels,
    /// The archived state that a node begins with, as the plan names it or as this run proved it.
    pub source: Option<StateSource>,
    /// What was measured before anything changed, for a step that decides by it.
    pub baseline: &'a [Measure],
    /// Whether a person accepted what was measured at this step.
    pub accepted: bool,
    /// What the stop of the daemon left that the step starts.
    pub stopped: Option<StoppedDaemon>,
}

impl Scene<'_> {
    /// Returns the undo of a started step.
    fn undo(&self) -> Option<&Undo> {
        match self.stage {
            Stage::Started(undo) | Stage::Finished(undo, _) => Some(undo),
            _ => None,
        }
    }

    /// Returns whether this run has begun the step.
    fn is_started(&self) -> bool {
        self.undo().is_some()
    }
}

/// Returns where the world stands with regard to a step.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of step")]
pub async fn observe<W: ReadWorld>(scene: &Scene<'_>, world: &W) -> Result<Observed, WorldError> {
    match scene.action {
        Action::RewriteRecord { .. }
        | Action::WriteFile { .. }
        | Action::EditJson { .. }
        | Action::SilenceLines { .. }
        | Action::RemoveFile { .. }
        | Action::RestoreFile { .. }
        | Action::BringFile { .. } => file::observe(scene, world).await,
        Action::RemoveTree { path, .. } => tree::observe_removal(path, scene, world).await,
        Action::RestoreTree { path, .. } => tree::observe_restoring(path, scene, world).await,
        Action::RemoveSocket { path, socket } => socket::observe_removal(path, socket, world).await,
        Action::RestoreSocket { path, .. } => socket::observe_restoring(path, world).await,
        Action::BootNode { .. } => builder::observe(scene, world).await,
        Action::ProbeNode {
            host, container, ..
        } => wait::observe_probe(host, container, world).await,
        Action::Drain { node, .. } => wait::observe_drain(node, world).await,
        Action::StopNode { node, .. } => node::observe_stop(node, world).await,
        Action::Park { node } => node::observe_park(node, world).await,
        Action::StartNode {
            node,
            restart_policy,
            ..
        } => node::observe_start(node, restart_policy, world).await,
        Action::SaveConfiguration { archive, .. } | Action::ExportMounts { archive, .. } => {
            archive::observe(archive, scene, world).await
        }
        Action::ArchiveState {
            archive,
            volume,
            container,
        } => archive::observe_state(archive, volume, container.as_ref(), scene, world).await,
        Action::CopyState { archive, node } => {
            archive::observe_copy(archive, node, scene, world).await
        }
        Action::SaveImage { archive, .. } => archive::observe(archive, scene, world).await,
        Action::LoadImage { host, image, .. } => Ok(if world.has_image(host, image).await? {
            Observed::After
        } else {
            Observed::Before
        }),
        Action::ArchiveFolder { archive, folder } => {
            folder::observe_archive(archive, folder, scene, world).await
        }
        Action::RestoreFolder { folder, .. } => folder::observe_restore(folder, scene, world).await,
        Action::StopEngine { engine, .. } => engine::observe_stop(engine, scene, world).await,
        Action::StartEngine { engine } => engine::observe_start(engine, world).await,
        Action::ArchiveEngine { archive, engine } => {
            engine::observe_archive(archive, engine, scene, world).await
        }
        Action::RestoreEngine { engine, .. } => engine::observe_restore(engine, scene, world).await,
        Action::StopDaemon {
            daemon, process, ..
        } => standalone::observe_stop(daemon, *process, scene, world).await,
        Action::StartDaemon { daemon, .. } => standalone::observe_start(daemon, scene, world).await,
        Action::ProbeDaemon { daemon, .. } => standalone::observe_probe(daemon, world).await,
        Action::ParkState {
            root: from,
            parked: to,
            ..
        }
        | Action::UnparkState {
            parked: from,
            root: to,
        } => standalone::observe_move(from, to, scene, world).await,
        Action::RemoveState { folder, .. } => {
            standalone::observe_removal(folder, scene, world).await
        }
        Action::VerifyArchive { archive } => archive::observe_proof(archive, world).await,
        Action::RemoveContainer { node } => removal::observe_container(node, world).await,
        Action::RemoveVolume { volume, .. } | Action::DropVolume { volume } => {
            removal::observe_volume(volume, world).await
        }
        Action::RestoreVolume { host, volume, .. }
        | Action::RecreateVolume { host, volume, .. } => {
            removal::observe_restored_volume(host, volume, scene, world).await
        }
        Action::RecreateContainer {
            host, container, ..
        } => removal::observe_recreated(host, container, scene, world).await,
        // What mounts hold only a build could tell: the effect looks before it writes.
        Action::ImportMounts { .. } | Action::TakeBaseline { .. } | Action::Validate { .. } => {
            Ok(Observed::Before)
        }
    }
}

/// Returns how to take a step back, by reading only; foreign bytes go to the journal's blobs.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of step")]
pub async fn prepare_undo<W: ReadWorld, J: Journal>(
    scene: &Scene<'_>,
    world: &W,
    journal: &mut J,
) -> Result<Undo, WorldError> {
    match scene.action {
        Action::RewriteRecord { .. }
        | Action::WriteFile { .. }
        | Action::EditJson { .. }
        | Action::SilenceLines { .. }
        | Action::RemoveFile { .. }
        | Action::RestoreFile { .. }
        | Action::BringFile { .. } => file::prepare_undo(scene, world, journal).await,
        Action::RemoveTree { path, store } | Action::RestoreTree { path, store, .. } => {
            tree::prepare_undo(path, store.as_ref(), scene, world, journal).await
        }
        Action::RemoveSocket { .. } | Action::RestoreSocket { .. } => {
            Ok(socket::prepare_undo(scene.action))
        }
        Action::BootNode { .. } => builder::prepare_undo(scene, world).await,
        Action::StopNode { node, .. } | Action::Park { node } | Action::StartNode { node, .. } => {
            node::prepare_undo(node, world).await
        }
        Action::SaveConfiguration { archive, .. }
        | Action::ArchiveState { archive, .. }
        | Action::CopyState { archive, .. }
        | Action::ExportMounts { archive, .. }
        | Action::SaveImage { archive, .. }
        | Action::ArchiveFolder { archive, .. }
        | Action::ArchiveEngine { archive, .. } => Ok(Undo::DropPartialArchive {
            archive: archive.clone(),
        }),
        Action::ImportMounts { place, mounts, .. } => {
            mounts::prepare_import(place, mounts, world).await
        }
        Action::StopEngine { engine, .. } => Ok(engine::prepare_stop(engine)),
        Action::StartEngine { engine } => Ok(engine::prepare_start(engine)),
        Action::RestoreEngine { engine, before, .. } => Ok(engine::prepare_restore(engine, before)),
        Action::RestoreFolder { source, folder } => {
            folder::prepare_restore(source, folder, world).await
        }
        Action::StopDaemon { .. }
        | Action::StartDaemon { .. }
        | Action::ParkState { .. }
        | Action::UnparkState { .. }
        | Action::RemoveState { .. } => standalone::prepare_undo(scene, world, journal).await,
        Action::RemoveContainer { node } => removal::prepare_container(node, world, journal).await,
        Action::RemoveVolume {
            volume, archive, ..
        } => removal::prepare_volume(volume, archive, world, journal).await,
        Action::DropVolume { volume } => removal::prepare_drop(volume, world, journal).await,
        Action::RecreateVolume { host, volume, .. } => Ok(Undo::RemoveRecreatedVolume {
            host: host.clone(),
            volume: volume.clone(),
        }),
        Action::RestoreVolume {
            host,
            volume,
            archive,
            ..
        } => Ok(Undo::RemoveRestored {
            host: host.clone(),
            volume: volume.clone(),
            archive: archive.clone(),
        }),
        Action::RecreateContainer {
            host, container, ..
        } => Ok(Undo::RemoveRecreated {
            host: host.clone(),
            container: container.clone(),
        }),
        // An image more does no harm.
        Action::LoadImage { .. }
        | Action::TakeBaseline { .. }
        | Action::ProbeNode { .. }
        | Action::ProbeDaemon { .. }
        | Action::Drain { .. }
        | Action::VerifyArchive { .. }
        | Action::Validate { .. } => Ok(Undo::Nothing {}),
    }
}

/// Brings a step about. It may have begun before.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of step")]
pub async fn effect<W: ChangeWorld, J: Journal>(
    scene: &Scene<'_>,
    world: &mut W,
    journal: &mut J,
) -> Result<Outcome, WorldError> {
    match scene.action {
        Action::RewriteRecord { .. }
        | Action::WriteFile { .. }
        | Action::EditJson { .. }
        | Action::SilenceLines { .. }
        | Action::RemoveFile { .. }
        | Action::RestoreFile { .. }
        | Action::BringFile { .. } => file::effect(scene, world, journal).await,
        Action::RemoveTree { path, store } => tree::remove(path, store.as_ref(), world).await,
        Action::RestoreTree { path, store, blob } => {
            tree::restore(path, store.as_ref(), blob, world, journal).await
        }
        Action::RemoveSocket { path, socket } => {
            world.remove_socket(path, socket).await?;
            Ok(Outcome::Done {})
        }
        Action::RestoreSocket { path, socket } => {
            world.make_socket(path, socket).await?;
            Ok(Outcome::Done {})
        }
        Action::BootNode { .. } => builder::effect(scene, world).await,
        Action::TakeBaseline { store, builders } => {
            criteria::take_baseline(store, builders, world).await
        }
        Action::ProbeNode {
            judged: Some(judged),
            ..
        } => criteria::judge_node(scene, judged, world).await,
        Action::Validate {
            judged: Some(by), ..
        } => criteria::judge_builders(scene, by, world).await,
        Action::ProbeNode {
            host,
            container,
            platforms,
            ..
        } => wait::probe(host, container, platforms, world).await,
        Action::Drain { .. } => wait::drain(scene.action, world).await,
        Action::StopNode {
            node,
            timeout_seconds,
        } => node::stop(node, *timeout_seconds, world).await,
        Action::Park { node } => node::park(node, world).await,
        Action::StartNode {
            node,
            restart_policy,
            looping,
        } => node::start(node, restart_policy, *looping, world).await,
        Action::SaveConfiguration { archive, paths } => archive::save(archive, paths, world).await,
        Action::ArchiveState {
            archive, volume, ..
        } => archive::archive_state(archive, volume, world).await,
        Action::CopyState { archive, node } => archive::copy_state(archive, node, world).await,
        Action::ExportMounts {
            archive,
            place,
            mounts,
        } => archive::export_mounts(archive, place, mounts, world).await,
        Action::ImportMounts {
            source,
            place,
            mounts,
        } => mounts::import(source, place, mounts, world).await,
        Action::SaveImage {
            archive,
            host,
            image,
        } => archive::save_image(archive, host, image, world).await,
        Action::LoadImage { source, host, .. } => {
            world.verify_source(source).await?;
            world.load_image(source, host).await?;
            Ok(Outcome::Done {})
        }
        Action::ArchiveFolder { archive, folder } => {
            archive::archive_folder(archive, folder, world).await
        }
        Action::StopEngine {
            engine,
            limit_seconds,
            cut,
        } => engine::stop(engine, *limit_seconds, *cut, world).await,
        Action::StartEngine { engine } => engine::start(engine, world).await,
        Action::ArchiveEngine { archive, engine } => {
            archive::archive_engine(archive, engine, world).await
        }
        Action::RestoreEngine { source, engine, .. } => {
            engine::restore(source, engine, world).await
        }
        Action::RestoreFolder { source, folder } => folder::restore(source, folder, world).await,
        Action::StopDaemon { .. }
        | Action::StartDaemon { .. }
        | Action::ProbeDaemon { .. }
        | Action::ParkState { .. }
        | Action::UnparkState { .. }
        | Action::RemoveState { .. } => standalone::effect(scene, world, journal).await,
        Action::VerifyArchive { archive } => archive::verify(archive, world).await,
        Action::RemoveContainer { node } => removal::remove_container(node, world).await,
        Action::RemoveVolume { volume, .. } | Action::DropVolume { volume } => {
            removal::remove_volume(volume, world).await
        }
        Action::RecreateVolume {
            host,
            volume,
            options,
        } => {
            let like = kept(journal, options)?;
            removal::recreate_volume((host, volume), &like, &scene.labels, world).await
        }
        Action::RestoreVolume { .. } => removal::restore_volume(scene, world, journal).await,
        Action::RecreateContainer {
            host,
            container,
            description,
        } => {
            let like = kept(journal, description)?;
            world
                .recreate_container(host, container, &like, &scene.labels)
                .await?;
            Ok(Outcome::Done {})
        }
        Action::Validate {
            store, builders, ..
        } => Ok(Outcome::Validated {
            proofs: world.validate(store, builders).await?,
            decision: None,
        }),
    }
}

/// Returns a container if it is the one that the plan means.
async fn same_container<W: ReadWorld>(
    node: &NodePlace,
    world: &W,
) -> Result<Result<crate::world::ContainerFacts, Observed>, WorldError> {
    let found = world.container(&node.host, &node.container).await?;
    Ok(match found {
        None => Err(Observed::Foreign(format!(
            "container `{}` is gone",
            node.container
        ))),
        Some(facts) if !facts.is(&node.identity) => Err(Observed::Foreign(format!(
            "container `{}` is another one than planned for",
            node.container
        ))),
        Some(facts) => Ok(facts),
    })
}

/// Returns whether a container runs; one that is gone does not.
async fn is_running<W: ReadWorld>(
    host: &HostId,
    container: &ContainerName,
    world: &W,
) -> Result<bool, WorldError> {
    Ok(world
        .container(host, container)
        .await?
        .is_some_and(|facts| facts.running))
}

/// Keeps bytes in the journal.
fn keep<J: Journal>(
    journal: &mut J,
    bytes: &crate::world::ForeignBytes,
) -> Result<rekit_core::name::BlobId, WorldError> {
    journal.keep(bytes).map_err(journal_failed)
}

/// Returns bytes kept in the journal.
fn kept<J: Journal>(
    journal: &J,
    blob: &rekit_core::name::BlobId,
) -> Result<crate::world::ForeignBytes, WorldError> {
    journal.kept(blob).map_err(journal_failed)
}

fn journal_failed(error: JournalError) -> WorldError {
    WorldError::failed("what an undo needs cannot be kept or read", error)
}

/// Returns what of the things that a plan relies on is no longer as planned: checked once before its first step.
pub async fn moved<W: ReadWorld>(
    plan: &rekit_core::plan::Plan,
    world: &W,
) -> Result<Vec<String>, WorldError> {
    let mut moved = Vec::new();
    let mut touched = Vec::new();
    for step in &plan.steps {
        if let Some((path, before)) = file::guard(&step.action)
            && !touched.contains(path)
        {
            touched.push(path.clone());
            if &world.file(path).await? != before {
                moved.push(format!("step {}: `{path}` was changed", step.id));
            }
        }
        if let Some(node) = node::guard(&step.action)
            && matches!(node.identity, rekit_core::step::Identity::Id { .. })
            && let Err(Observed::Foreign(what)) = same_container(node, world).await?
        {
            moved.push(format!("step {}: {what}", step.id));
        }
        if let Action::StopDaemon {
            daemon, process, ..
        } = &step.action
            && let Some(what) = standalone::same_daemon(daemon, *process, world).await?
        {
            moved.push(format!("step {}: {what}", step.id));
        }
        if let Action::ArchiveState { volume, .. }
        | Action::RemoveVolume { volume, .. }
        | Action::DropVolume { volume } = &step.action
            && let Err(Observed::Foreign(what)) = removal::same_volume(volume, world).await?
        {
            moved.push(format!("step {}: {what}", step.id));
        }
    }
    Ok(moved)
}
