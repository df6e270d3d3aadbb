//! A canary: three tiny steps left in the cache of a running daemon before its state is copied, so that whoever has the copy can prove that
//! it is warm. Its records take some kilobytes; the next canary replaces them.

use std::time::Duration;

use rekit_buildkit::{
    Control, ControlTimeouts, Engine,
    probe::{self, Nonce},
};
use rekit_core::{
    name::{ContainerName, Platform},
    rehearsal::{Canary, RecordCounts},
};

use super::{
    Answer, WorldError,
    proof::{PROBE, failed, random_text},
};

/// What the nonces of all canaries begin with, by which earlier ones are found.
const PREFIX: &str = "rekitcanary";
/// What the second step depends on.
const INPUT: &str = "one";
/// The records of a canary: the program, and what each of the three steps leaves.
const RECORDS: usize = 4;
/// How long the records of a build that is over may stay in use.
const RELEASE: Duration = Duration::from_secs(5);
const RELEASE_POLL: Duration = Duration::from_millis(50);
/// The worker's label that names its snapshotter.
const SNAPSHOTTER: &str = "org.mobyproject.buildkit.worker.snapshotter";

/// Leaves a canary in a daemon's cache in the place of earlier ones, and counts the cache's records. `platform` is the daemon's own.
///
/// It belongs to the very next copy. A state that is copied after a clean stop must have exactly these records, so that no build may
/// run between; a state that is copied while the daemon runs may have others by then.
pub async fn leave(control: &Control, platform: &Platform) -> Answer<Canary> {
    let what = "no canary can be left in the cache";
    let earlier: Nonce = PREFIX.parse().map_err(failed(what.to_owned()))?;
    probe::forget(control, &earlier)
        .await
        .map_err(failed(what.to_owned()))?;
    let text = format!("{PREFIX}{}", random_text());
    let nonce: Nonce = text.parse().map_err(failed(what.to_owned()))?;
    let wanted = platform.as_str().parse().map_err(failed(what.to_owned()))?;
    probe::cache_round(control, &wanted, &nonce, (1, INPUT), PROBE)
        .await
        .map_err(failed(what.to_owned()))?;
    released(control, &nonce).await?;
    Ok(Canary {
        version: Canary::VERSION,
        nonce: text,
        platform: platform.clone(),
        input: INPUT.to_owned(),
        buildkit: version(control).await?,
        snapshotter: snapshotter(control).await?,
        records: records(control).await?,
    })
}

/// Leaves a canary in the cache of the daemon in a running container.
pub async fn leave_in(engine: &Engine, container: &ContainerName) -> Answer<Canary> {
    let control = super::proof::connect(engine.clone(), Some(container)).await?;
    leave(&control, &own_platform(engine).await?).await
}

/// Returns whether a canary is whole in the cache of the daemon in a running container. A prune takes it too.
pub(super) async fn is_whole_in(
    engine: &Engine,
    container: &ContainerName,
    canary: &Canary,
) -> Answer<bool> {
    let control = super::proof::connect(engine.clone(), Some(container)).await?;
    let filter = [format!("description~={}", canary.nonce)];
    let records = control
        .disk_usage(&filter, ControlTimeouts::DISK_USAGE)
        .await
        .map_err(failed("the canary cannot be looked for".to_owned()))?;
    Ok(records.len() >= RECORDS)
}

/// Returns the platform of an engine's machine, which needs no emulator.
pub(super) async fn own_platform(engine: &Engine) -> Answer<Platform> {
    let what = || "the engine does not tell its architecture".to_owned();
    let version = engine.version().await.map_err(failed(what()))?;
    format!("linux/{}", version.arch)
        .parse()
        .map_err(failed(what()))
}

/// Asks for a canary's steps again; returns which of the three came from the cache, and how long that took.
pub async fn is_kept(control: &Control, canary: &Canary) -> Answer<([bool; 3], Duration)> {
    let what = || "the canary cannot be asked for".to_owned();
    let nonce = canary.nonce.parse().map_err(failed(what()))?;
    let platform = canary.platform.as_str().parse().map_err(failed(what()))?;
    let round = probe::cache_round(control, &platform, &nonce, (2, &canary.input), PROBE)
        .await
        .map_err(failed(what()))?;
    Ok((round.cached(), round.took))
}

/// Counts the records of a cache.
pub async fn records(control: &Control) -> Answer<RecordCounts> {
    let records = control
        .disk_usage(&[], ControlTimeouts::DISK_USAGE)
        .await
        .map_err(failed(
            "the records of the cache cannot be counted".to_owned(),
        ))?;
    let counted = records
        .iter()
        .map(|record| (record.kind.as_str(), record.in_use));
    Ok(RecordCounts::of(counted))
}

/// Returns a daemon's version.
pub(super) async fn version(control: &Control) -> Answer<String> {
    let info = control.info(ControlTimeouts::LOOK).await;
    let what = "the daemon does not tell its version".to_owned();
    Ok(info.map_err(failed(what))?.version)
}

/// Returns the snapshotter of a daemon's first worker, if it names one.
pub(super) async fn snapshotter(control: &Control) -> Answer<Option<String>> {
    let workers = control.list_workers(ControlTimeouts::LOOK).await;
    let what = "the daemon does not list its workers".to_owned();
    let workers = workers.map_err(failed(what))?;
    Ok(workers
        .first()
        .and_then(|worker| worker.labels.get(SNAPSHOTTER).cloned()))
}

/// Waits until a build's records are in use no more, so that they are counted as they will be after a restart.
async fn released(control: &Control, nonce: &Nonce) -> Answer<()> {
    let filter = [format!("description~={nonce}")];
    let began = tokio::time::Instant::now();
    loop {
        let records = control
            .disk_usage(&filter, ControlTimeouts::DISK_USAGE)
            .await
            .map_err(failed("the canary cannot be looked for".to_owned()))?;
        if records.is_empty() {
            let why = "the canary is not in the cache that was just built with".to_owned();
            return Err(WorldError::Refused { why });
        }
        let held = records.iter().any(|record| record.in_use);
        if !held || began.elapsed() > RELEASE {
            return Ok(());
        }
        tokio::time::sleep(RELEASE_POLL).await;
    }
}
