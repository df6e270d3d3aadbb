//! Steps that stop an engine, archive or replace its cache meanwhile, and start it again.
//!
//! Invariant: no build that runs on the engine is cut unless a person agreed; what ran on it runs again, whichever way the run ends.

use rekit_core::{
    engine_cache::EnginePlace,
    inventory::ActiveBuild,
    name::{ArchiveId, ContainerId},
    next::Observed,
    step::StateSource,
    undo::{Outcome, Undo},
};

use super::{Scene, archive, builds};
use crate::world::{ChangeWorld, ReadWorld, WorldError};

pub(super) async fn observe_stop<W: ReadWorld>(
    engine: &EnginePlace,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    if !world.engine_runs(engine).await? {
        return Ok(if scene.is_started() {
            Observed::After
        } else {
            Observed::Foreign(format!("engine `{}` does not run", engine.host))
        });
    }
    let running = world.running_containers(engine).await?;
    let known = |id: &ContainerId| engine.running.iter().any(|it| &it.id == id);
    let started = running.iter().find(|it| !known(&it.id));
    Ok(match started {
        Some(container) if !scene.is_started() => Observed::Foreign(format!(
            "container `{}` was started since, and would stop unannounced",
            container.name
        )),
        _ => Observed::Before,
    })
}

pub(super) async fn observe_start<W: ReadWorld>(
    engine: &EnginePlace,
    world: &W,
) -> Result<Observed, WorldError> {
    if !world.engine_runs(engine).await? {
        return Ok(Observed::Before);
    }
    let running = world.running_containers(engine).await?;
    let runs = |id: &ContainerId| running.iter().any(|it| &it.id == id);
    let all = engine.running.iter().all(|it| runs(&it.id));
    Ok(if all {
        Observed::After
    } else {
        Observed::Partly
    })
}

pub(super) async fn observe_archive<W: ReadWorld>(
    archive: &ArchiveId,
    engine: &EnginePlace,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    match runs(engine, world).await? {
        Some(foreign) => Ok(foreign),
        None => archive::observe(archive, scene, world).await,
    }
}

pub(super) async fn observe_restore<W: ReadWorld>(
    engine: &EnginePlace,
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    Ok(match runs(engine, world).await? {
        Some(foreign) => foreign,
        None if scene.is_started() => Observed::Partly,
        None => Observed::Before,
    })
}

async fn runs<W: ReadWorld>(
    engine: &EnginePlace,
    world: &W,
) -> Result<Option<Observed>, WorldError> {
    let runs = world.engine_runs(engine).await?;
    let what = || format!("engine `{}` was started again", engine.host);
    Ok(runs.then(|| Observed::Foreign(what())))
}

pub(super) fn prepare_stop(engine: &EnginePlace) -> Undo {
    Undo::StartEngine {
        engine: engine.clone(),
    }
}

pub(super) fn prepare_start(engine: &EnginePlace) -> Undo {
    Undo::StopEngine {
        engine: engine.clone(),
    }
}

pub(super) fn prepare_restore(engine: &EnginePlace, before: &ArchiveId) -> Undo {
    Undo::RestoreEngine {
        engine: engine.clone(),
        archive: before.clone(),
    }
}

pub(super) async fn stop<W: ChangeWorld>(
    engine: &EnginePlace,
    limit_seconds: u32,
    cut: bool,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    let on = format!("engine `{}`", engine.host);
    let mut waited = 0;
    let mut left: Vec<ActiveBuild> = Vec::new();
    while world.engine_runs(engine).await? {
        left = match world.builds_on(engine).await {
            Ok(builds) => builds,
            Err(_) if cut => Vec::new(), // A person agreed to cut whatever runs.
            Err(error) => return Err(error),
        };
        if left.is_empty() || (cut && waited >= limit_seconds) {
            world.stop_engine(engine).await?;
            break;
        }
        if waited >= limit_seconds {
            return Err(builds::still_run(&on, &left, limit_seconds));
        }
        let event = builds::awaited(&on, left.clone(), waited, limit_seconds);
        world.pass_second(event).await?;
        waited += 1;
    }
    Ok(Outcome::Drained {
        waited_seconds: u64::from(waited),
        cut: left.iter().map(ActiveBuild::told).collect(),
    })
}

pub(super) async fn start<W: ChangeWorld>(
    engine: &EnginePlace,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    world.start_engine(engine).await?;
    Ok(Outcome::Done {})
}

pub(super) async fn restore<W: ChangeWorld>(
    source: &StateSource,
    engine: &EnginePlace,
    world: &mut W,
) -> Result<Outcome, WorldError> {
    world.restore_engine_from(source, engine).await?;
    Ok(Outcome::Done {})
}
