//! Containers and volumes through the Engine API. What is done already is success.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rekit_buildkit::{ApiError, ContainerDetail, Engine, RestartPolicy};
use rekit_core::name::{ContainerName, ImageRef, VolumeName};
use serde::{Deserialize, Serialize};

use crate::world::clock;

use super::{Answer, ContainerFacts, ForeignBytes, Labels, Stopped, VolumeFacts, WorldError};

/// The exit code of a process that was killed.
pub(super) const KILLED: i64 = 137;
/// How long an engine may take to remove a stopped container.
const REMOVAL: Duration = Duration::from_secs(30);
/// For how long a daemon that was started again must run to be taken for one that lives.
const LIVES: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);
/// How often a container that was asked to end or to go is looked at.
const POLL: Duration = Duration::from_millis(100);

/// What makes a volume again. The local driver's options hold no secret in practice, yet they are foreign, so this is only stored as a blob.
#[derive(Serialize, Deserialize)]
struct VolumeDescription {
    driver: String,
    options: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    created_at: String,
}

fn failed(what: String) -> impl FnOnce(ApiError) -> WorldError {
    move |error| WorldError::failed(what, error)
}

/// Returns `None` for what is not there.
fn found<T>(result: Result<T, ApiError>, what: String) -> Answer<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(WorldError::failed(what, error)),
    }
}

pub(super) async fn container(
    engine: &Engine,
    name: &ContainerName,
) -> Answer<Option<ContainerFacts>> {
    let what = format!("container `{name}` cannot be looked at");
    let Some((detail, _)) = found(engine.container_inspect(name.as_str()).await, what.clone())?
    else {
        return Ok(None);
    };
    let id = detail
        .id
        .parse()
        .map_err(|error: rekit_core::name::NameError| WorldError::failed(what, error))?;
    Ok(Some(ContainerFacts {
        id,
        running: detail.state.running || detail.state.restarting,
        looping: is_looping(&detail, clock::now()),
        exit_code: detail.state.exit_code,
        restart_policy: detail.host_config.restart_policy.name,
        labels: detail.config.labels,
    }))
}

pub(super) async fn describe_container(
    engine: &Engine,
    name: &ContainerName,
) -> Answer<ForeignBytes> {
    let what = format!("container `{name}` cannot be described");
    let (_, raw) = engine
        .container_inspect(name.as_str())
        .await
        .map_err(failed(what))?;
    Ok(ForeignBytes::new(raw.to_string().into_bytes()))
}

/// Returns the last 200 lines of a container's log, of both its streams: what it said goes wrong on the one, what it answered on the other.
pub(super) async fn last_lines(engine: &Engine, name: &ContainerName) -> Answer<ForeignBytes> {
    let what = format!("the log of container `{name}` cannot be read");
    let logs = engine.container_logs(name.as_str(), 200, 512 << 10).await;
    let logs = logs.map_err(failed(what))?;
    let mut lines = [logs.stderr, logs.stdout].concat();
    if logs.cut {
        lines.extend_from_slice(b"\n(cut here: the lines are very long)\n");
    }
    Ok(ForeignBytes::new(lines))
}

pub(super) async fn volume(engine: &Engine, name: &VolumeName) -> Answer<Option<VolumeFacts>> {
    let what = format!("volume `{name}` cannot be looked at");
    let volume = found(engine.volume_inspect(name.as_str()).await, what)?;
    Ok(volume.map(|(volume, _)| VolumeFacts {
        created_at: volume.created_at,
        labels: volume.labels,
    }))
}

pub(super) async fn describe_volume(engine: &Engine, name: &VolumeName) -> Answer<ForeignBytes> {
    let what = format!("volume `{name}` cannot be described");
    let (volume, _) = engine
        .volume_inspect(name.as_str())
        .await
        .map_err(failed(what.clone()))?;
    let description = VolumeDescription {
        driver: volume.driver,
        options: volume.options,
        labels: volume.labels,
        created_at: volume.created_at,
    };
    let bytes =
        serde_json::to_vec(&description).map_err(|error| WorldError::failed(what, error))?;
    Ok(ForeignBytes::new(bytes))
}

pub(super) async fn has_image(engine: &Engine, image: &ImageRef) -> Answer<bool> {
    let what = format!("image `{image}` cannot be looked at");
    Ok(found(engine.image_inspect(image.as_str()).await, what)?.is_some())
}

pub(super) async fn create_volume(
    engine: &Engine,
    name: &VolumeName,
    labels: &Labels,
) -> Answer<()> {
    let created = engine.volume_create(name.as_str(), &labels.to_map()).await;
    created
        .map(drop)
        .map_err(failed(format!("volume `{name}` cannot be made")))
}

pub(super) async fn recreate_volume(
    engine: &Engine,
    name: &VolumeName,
    like: &ForeignBytes,
    labels: &Labels,
) -> Answer<()> {
    let what = || format!("volume `{name}` cannot be made again");
    let description: VolumeDescription =
        serde_json::from_slice(like.expose()).map_err(|error| WorldError::failed(what(), error))?;
    if description.driver != "local" || !description.options.is_empty() {
        let why = format!(
            "{}: its driver or options are not the plain local ones",
            what()
        );
        return Err(WorldError::Refused { why });
    }
    let all = labels.again(&description.labels, &description.created_at);
    engine
        .volume_create(name.as_str(), &all)
        .await
        .map(drop)
        .map_err(failed(what()))
}

pub(super) async fn remove_volume(engine: &Engine, name: &VolumeName) -> Answer<()> {
    let what = format!("volume `{name}` cannot be removed");
    found(engine.volume_remove(name.as_str()).await, what).map(drop)
}

pub(super) async fn start(engine: &Engine, name: &ContainerName) -> Answer<()> {
    let started = engine.container_start(name.as_str()).await;
    started.map_err(failed(format!("container `{name}` cannot be started")))
}

pub(super) async fn stop(engine: &Engine, name: &ContainerName, timeout: u32) -> Answer<Stopped> {
    let what = format!("container `{name}` cannot be stopped");
    let stopped = engine
        .container_stop(name.as_str(), Duration::from_secs(u64::from(timeout)))
        .await;
    stopped.map_err(failed(what.clone()))?;
    let (detail, _) = engine
        .container_inspect(name.as_str())
        .await
        .map_err(failed(what.clone()))?;
    if detail.state.running || detail.state.restarting {
        return Err(WorldError::Refused {
            why: format!("{what}: it still runs"),
        });
    }
    let exit_code = detail.state.exit_code;
    Ok(Stopped {
        exit_code,
        clean: exit_code != KILLED,
    })
}

/// Between two ends a container that is started again and again runs for a moment. After ten seconds the engine, too, takes it for one that
/// lives (moby, `restartmanager`).
fn is_looping(detail: &ContainerDetail, now: Timestamp) -> bool {
    let started: Option<Timestamp> = detail.state.started_at.parse().ok();
    let lives = started.is_none_or(|started| now.duration_since(started) > LIVES);
    detail.state.restarting || (detail.state.running && detail.restart_count > 0 && !lives)
}

/// Asks a container to end and waits for it; it is never killed.
pub(super) async fn end(engine: &Engine, name: &ContainerName, limit: u32) -> Answer<Stopped> {
    let what = format!("container `{name}` cannot be stopped");
    match engine.container_kill(name.as_str(), "SIGTERM").await {
        Err(error) if !error.is_conflict() => return Err(WorldError::failed(what, error)),
        _ => {} // One that does not run any more is fine.
    }
    let began = Instant::now();
    loop {
        let found = engine.container_inspect(name.as_str()).await;
        let (detail, _) = found.map_err(failed(what.clone()))?;
        if !detail.state.running && !detail.state.restarting {
            let exit_code = detail.state.exit_code;
            let clean = exit_code != KILLED;
            return Ok(Stopped { exit_code, clean });
        }
        if detail.state.restarting {
            // It has no process that could be asked: what would start the next one is told to stop.
            return stop(engine, name, limit).await;
        }
        let seconds = began.elapsed().as_secs();
        if seconds >= u64::from(limit) {
            let why = format!(
                "the daemon in `{name}` was asked to end {limit} s ago and still runs. It was not killed: that may tear its cache. \
                 `docker kill {name}` ends it all the same; its archive is then one of a crash, and says so"
            );
            return Err(WorldError::Refused { why });
        }
        tokio::time::sleep(POLL).await;
    }
}

pub(super) async fn remove_container(engine: &Engine, name: &ContainerName) -> Answer<()> {
    let what = || format!("container `{name}` cannot be removed");
    let began = Instant::now();
    loop {
        match engine.container_remove(name.as_str(), false, false).await {
            // The engine may still be at the removal that a killed run asked for.
            Err(error) if error.is_conflict() && began.elapsed() < REMOVAL => {
                let is_stopped = container(engine, name).await?.is_none_or(|it| !it.running);
                if !is_stopped {
                    return Err(WorldError::failed(what(), error));
                }
                tokio::time::sleep(POLL).await;
            }
            removed => return found(removed, what()).map(drop),
        }
    }
}

pub(super) async fn set_restart_policy(
    engine: &Engine,
    name: &ContainerName,
    policy: &str,
) -> Answer<()> {
    let policy = RestartPolicy {
        name: policy.to_owned(),
        maximum_retry_count: 0,
    };
    let set = engine.container_set_restart(name.as_str(), &policy).await;
    set.map_err(failed(format!(
        "the restart policy of container `{name}` cannot be set"
    )))
}
