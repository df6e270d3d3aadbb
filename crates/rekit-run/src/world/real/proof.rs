//! Proofs: a daemon answers, a platform runs, a cache hits, the real front ends build.

use std::{collections::BTreeMap, path::Path, time::Duration};

use rekit_buildkit::{
    Control, Daemon, Engine,
    probe::{self, Nonce},
};
use rekit_core::{
    event::Event,
    fact::chain,
    name::{ContainerName, Platform},
    step::Claim,
};

use super::{Answer, RealWorld, WorldError, front_end};
use crate::inventory;

/// How long one connection may take.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// How long a new daemon may take to answer.
const READY: Duration = Duration::from_mins(1);
/// How long one probe may take; emulated ones are slow on a loaded machine.
pub(super) const PROBE: Duration = Duration::from_mins(2);

pub(super) fn failed<E: std::error::Error + Send + Sync + 'static>(
    what: String,
) -> impl FnOnce(E) -> WorldError {
    move |error| WorldError::failed(what, error)
}

pub(super) async fn connect(engine: Engine, container: Option<&ContainerName>) -> Answer<Control> {
    let (what, daemon) = match container {
        Some(name) => {
            let container = name.to_string();
            (
                format!("the daemon in container `{name}` does not answer"),
                Daemon::InContainer { engine, container },
            )
        }
        None => (
            "the BuildKit inside the engine does not answer".to_owned(),
            Daemon::EngineEmbedded(engine),
        ),
    };
    daemon.connect(CONNECT).await.map_err(failed(what))
}

pub(super) async fn wait_ready(engine: &Engine, container: &ContainerName) -> Answer<String> {
    let began = tokio::time::Instant::now();
    loop {
        let error = match connect(engine.clone(), Some(container)).await {
            Ok(control) => match control.info(CONNECT).await {
                Ok(info) => return Ok(info.version),
                Err(error) => WorldError::failed("the daemon does not tell its version", error),
            },
            Err(error) => error,
        };
        let (detail, _) = engine
            .container_inspect(container.as_str())
            .await
            .map_err(failed(format!("container `{container}`")))?;
        let given_up = !detail.state.running || detail.state.restarting || detail.restart_count > 1;
        if given_up || began.elapsed() > READY {
            let said = last_words(engine, container).await;
            return Err(WorldError::failed(
                format!("the daemon in `{container}` does not come up{said}"),
                error,
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Returns what a daemon said last, without the help text that follows an error of its configuration.
async fn last_words(engine: &Engine, container: &ContainerName) -> String {
    let Ok(logs) = engine
        .container_logs(container.as_str(), 200, 64 << 10)
        .await
    else {
        return String::new();
    };
    let all = [logs.stdout, logs.stderr].concat();
    inventory::last_words(&all).map_or_else(String::new, |said| format!(" ({said})"))
}

pub(super) async fn probe(
    engine: Engine,
    container: &ContainerName,
    platform: &Platform,
) -> Answer<u64> {
    let control = connect(engine, Some(container)).await?;
    run_probe(&control, platform).await
}

pub(super) async fn run_probe(control: &Control, platform: &Platform) -> Answer<u64> {
    let what = format!("the probe for {platform} failed");
    let wanted = platform.as_str().parse().map_err(failed(what.clone()))?;
    let outcome = probe::run_probe(control, &wanted, &nonce()?, PROBE)
        .await
        .map_err(failed(what))?;
    Ok(u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX))
}

/// Returns a text that no other probe has.
pub(super) fn nonce() -> Answer<Nonce> {
    random_text()
        .parse()
        .map_err(failed("a name for the probe".to_owned()))
}

/// Returns 16 hexadecimal digits.
pub(super) fn random_text() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish();
    format!("{random:016x}")
}

/// Proves each builder: its platforms, its cache, and builds by the real front ends.
pub(super) async fn validate(
    world: &RealWorld<'_>,
    store: &Path,
    claims: &[Claim],
    variables: &BTreeMap<String, String>,
    listener: &dyn Fn(Event),
) -> Answer<Vec<String>> {
    let mut proofs = Vec::new();
    let waiting = |what: String| {
        listener(Event::Waiting {
            what,
            seconds: 0,
            limit: 0,
        });
    };
    for claim in claims {
        let builder = &claim.builder;
        for daemon in &claim.daemons {
            let engine = world.engine(&daemon.host).await?;
            let control = connect(engine, daemon.container.as_ref()).await?;
            for platform in &claim.platforms {
                waiting(format!("{builder}: a {platform} program in a build"));
                let milliseconds = run_probe(&control, platform)
                    .await
                    .map_err(|error| in_builder(builder, &error))?;
                proofs.push(format!("{builder}: {platform} runs ({milliseconds} ms)"));
            }
            waiting(format!("{builder}: cache made, hit and invalidated"));
            proofs.push(format!(
                "{builder}: {}",
                prove_cache(&control, claim).await?
            ));
        }
        waiting(format!("{builder}: docker buildx build"));
        let front = front_end::FrontEnd::new(world, store, claim, variables)?;
        proofs.push(format!("{builder}: {}", front.buildx().await?));
        waiting(format!("{builder}: docker compose build"));
        proofs.push(format!("{builder}: {}", front.compose().await?));
        front.forget().await?;
    }
    Ok(proofs)
}

fn in_builder(builder: &str, error: &WorldError) -> WorldError {
    WorldError::failed(format!("builder `{builder}`"), chain(error))
}

async fn prove_cache(control: &Control, claim: &Claim) -> Answer<String> {
    let what = format!("builder `{}`: its cache cannot be proven", claim.builder);
    let Some(native) = claim.platforms.first() else {
        return Ok("no platform to prove its cache on".to_owned());
    };
    let (made, hit) = try_cache(control, native, PROBE)
        .await
        .map_err(|error| WorldError::failed(what, chain(&error)))?;
    Ok(format!(
        "cache made ({made} ms), hit ({hit} ms), invalidated only where an input changed"
    ))
}

/// Builds for a platform cold, warm, and with one input changed, each within `limit`; returns the milliseconds of the first two.
pub(super) async fn try_cache(
    control: &Control,
    platform: &Platform,
    limit: Duration,
) -> Answer<(u64, u64)> {
    let what = format!("a build for {platform}");
    let wanted = platform.as_str().parse().map_err(failed(what.clone()))?;
    let report = probe::run_cache_probe(control, &wanted, &nonce()?, limit).await;
    let report = report.map_err(failed(what.clone()))?;
    if !report.is_sound() {
        let rounds = [
            report.made.cached(),
            report.hit.cached(),
            report.invalidated.cached(),
        ];
        let why = format!("its cache is not sound: cached steps per round {rounds:?}");
        return Err(WorldError::failed(what, why));
    }
    let milliseconds =
        |round: probe::Round| u64::try_from(round.took.as_millis()).unwrap_or(u64::MAX);
    Ok((milliseconds(report.made), milliseconds(report.hit)))
}
