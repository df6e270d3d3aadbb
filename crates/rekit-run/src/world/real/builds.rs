//! Builds that run on a node: which they are, and how they are cut.

use std::time::{Duration, Instant};

use rekit_buildkit::{BuildRecord, Engine, ExecLimit, ExecSpec};
use rekit_core::{
    inventory::ActiveBuild,
    name::{ContainerName, HostId},
};

use super::{Answer, RealWorld, WorldError, proof};
use crate::inventory;

/// How long a client that is connected gets to begin its build.
const CLIENT_BEGINS: Duration = Duration::from_secs(3);

const POLL: Duration = Duration::from_millis(20);

/// Ends the program through which each client speaks to the daemon in a node's container: the daemon gives up the build of a client that is
/// gone. Made of what the smallest shell has; the zeros between the words of a command line fall away.
const END_CLIENTS: &str = r#"for p in /proc/[0-9]*; do c=$(cat "$p/cmdline" 2>/dev/null) || continue
case $c in buildctl*dial-stdio*|/*/buildctl*dial-stdio*) kill "${p#/proc/}" ;; esac; done; true"#;

pub(super) async fn active(
    world: &RealWorld<'_>,
    host: &HostId,
    container: &ContainerName,
) -> Answer<Vec<ActiveBuild>> {
    let control = proof::connect(world.engine(host).await?, Some(container)).await?;
    let what = format!("the builds in `{container}` cannot be listed");
    let active = control.active_builds(proof::CONNECT).await;
    let active = active.map_err(proof::failed(what))?;
    Ok(named(world, active))
}

/// Adds what the clients' stores tell of builds.
pub(super) fn named(world: &RealWorld<'_>, active: Vec<BuildRecord>) -> Vec<ActiveBuild> {
    let mut builds: Vec<_> = active.into_iter().map(inventory::active_build).collect();
    inventory::name_builds(&mut builds, &world.surroundings);
    builds
}

/// A client of a node in a container is a program in that container, so the engine knows of each. A program that is no client delays this.
pub(super) async fn clients_leave(engine: &Engine, container: &ContainerName) -> Answer<bool> {
    all_leave(async || {
        let found = engine.container_inspect(container.as_str()).await;
        let (detail, _) = found.map_err(|error| {
            WorldError::failed(format!("the clients of `{container}` are unknown"), error)
        })?;
        Ok(!detail.exec_ids.is_empty())
    })
    .await
}

/// Returns once there are no clients, or after a client's moment; returns whether there are none.
pub(super) async fn all_leave(have_clients: impl AsyncFn() -> Answer<bool>) -> Answer<bool> {
    let began = Instant::now();
    while have_clients().await? {
        if began.elapsed() > CLIENT_BEGINS {
            return Ok(false);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(true)
}

/// Ends the connections of all clients. A signal to the daemon would not do: it waits for its builds, and a killed one leaves its databases open.
pub(super) async fn cut(engine: &Engine, container: &ContainerName) -> Answer<()> {
    let what = || format!("the builds in `{container}` cannot be cut");
    let spec = ExecSpec::new(["sh", "-c", END_CLIENTS]);
    let ended = engine.exec(container.as_str(), &spec, &[], ExecLimit::default());
    let ended = ended
        .await
        .map_err(|error| WorldError::failed(what(), error))?;
    if ended.exit_code == 0 {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    let why = format!(
        "{}: its shell ends with code {}: {said}",
        what(),
        ended.exit_code
    );
    Err(WorldError::Refused { why })
}
