//! A stand-in for a daemon that stands still: a container like its own, with its image, its settings and its files, on an empty state.
//!
//! Invariants: the container that it stands in for is only read; the stand-in has no network and reaches nothing outside it; it ends when
//! rekit ends, however that is, and goes with its state afterwards or before the next one is made.

use std::time::Duration;

use rekit_buildkit::{Engine, Upload};
use rekit_core::name::ContainerName;
use serde_json::{Value, json};

use super::{
    Answer, WorldError, canary,
    helper::{LABEL, PROGRAM, helper_tar, sweep},
    node::{CONFIG_FOLDER, STATE_FOLDER},
    proof::{self, failed},
    script::host_part,
};

/// Boots a stand-in and builds on it; returns the milliseconds of a cold and of a warm build.
pub(super) async fn try_build(
    engine: &Engine,
    container: &ContainerName,
    limit: Duration,
) -> Answer<(u64, u64)> {
    sweep(engine).await;
    let name = format!("rekit-stand-in-{}", proof::random_text());
    let name: ContainerName = name.parse().map_err(failed("its name".to_owned()))?;
    let tried = async {
        create(engine, container, &name).await?;
        build(engine, &name, limit).await
    };
    let tried = tried.await;
    drop(engine.container_remove(name.as_str(), true, true).await);
    tried
}

async fn build(engine: &Engine, name: &ContainerName, limit: Duration) -> Answer<(u64, u64)> {
    let what = || "the stand-in cannot be started".to_owned();
    let attended = engine.container_attach(name.as_str()).await;
    let (mut said, _attending) = tokio::io::split(attended.map_err(failed(what()))?);
    tokio::spawn(async move { tokio::io::copy(&mut said, &mut tokio::io::sink()).await });
    let started = engine.container_start(name.as_str()).await;
    started.map_err(failed(what()))?;
    proof::wait_ready(engine, name).await?;
    let control = proof::connect(engine.clone(), Some(name)).await?;
    proof::try_cache(&control, &canary::own_platform(engine).await?, limit).await
}

async fn create(engine: &Engine, like: &ContainerName, name: &ContainerName) -> Answer<()> {
    let what = || format!("a stand-in for container `{like}` cannot be made");
    let described = engine.container_inspect(like.as_str()).await;
    let (_, described) = described.map_err(failed(what()))?;
    engine
        .container_create(name.as_str(), &body(&described, like))
        .await
        .map_err(failed(what()))?;
    let put = async |folder: &str, tar: Upload| {
        let put = engine.put_archive(name.as_str(), folder, tar).await;
        put.map_err(failed(what()))
    };
    let program = helper_tar().map_err(failed(what()))?;
    put("/", program.into()).await?;
    match engine.get_archive(like.as_str(), CONFIG_FOLDER).await {
        Ok((_, files)) => put("/etc", Upload::stream(files)).await,
        Err(error) if error.is_not_found() => Ok(()), // It has no files.
        Err(error) => Err(WorldError::failed(what(), error)),
    }
}

/// Returns the stand-in's container: its daemon runs while rekit attends.
fn body(described: &Value, like: &ContainerName) -> Value {
    let config = &described["Config"];
    let words = ["Entrypoint", "Cmd"].map(|part| config[part].as_array());
    let words = words.into_iter().flatten().flatten();
    // A volume without a name goes with its container.
    let state = json!({ "Type": "volume", "Target": STATE_FOLDER });
    json!({
        "Image": described["Image"],
        "Entrypoint": [PROGRAM, "attend"],
        "Cmd": words.collect::<Vec<_>>(),
        "Env": config["Env"],
        "User": config["User"].as_str().unwrap_or_default(),
        "OpenStdin": true, "StdinOnce": true, "AttachStdin": true, "Tty": false,
        "Labels": { LABEL: like.as_str() },
        "HostConfig": host_part(described, &state),
    })
}
