//! The records of a daemon's cache, whatever the way to the daemon.

use std::{collections::BTreeSet, time::Duration};

use rekit_buildkit::{CacheRecord, Control, ControlTimeouts, PruneScope};
use rekit_core::step::BuildPlace;

use super::super::{
    Answer, RealWorld, WorldError, engine,
    proof::{self, failed},
};
use crate::{inventory, world::path_of};

/// How long one connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a record that a build has just let go is tried to be removed.
const RELEASE_TRIES: u32 = 50;
const RELEASE: Duration = Duration::from_millis(100);

/// Connects to the daemon; `None`: it is a node whose container buildx has yet to make or to start.
pub(super) async fn connect(world: &RealWorld<'_>, place: &BuildPlace) -> Answer<Option<Control>> {
    let Some(daemon) = &place.daemon else {
        let store = place.store.as_ref().map(path_of).unwrap_or_default();
        let what = format!(
            "the daemon of builder `{}` cannot be reached",
            place.builder
        );
        let daemon = inventory::remote_daemon(&store, &place.builder);
        let daemon = daemon.map_err(|why| WorldError::failed(what.clone(), why))?;
        return daemon
            .connect(CONNECT)
            .await
            .map_err(failed(what))
            .map(Some);
    };
    let engine = world.engine(&daemon.host).await?;
    if let Some(container) = &daemon.container {
        let found = engine::container(&engine, container).await?;
        if !found.is_some_and(|found| found.running) {
            return Ok(None);
        }
    }
    proof::connect(engine, daemon.container.as_ref())
        .await
        .map(Some)
}

pub(super) async fn mount_records(
    control: &Control,
    place: &BuildPlace,
) -> Answer<Vec<CacheRecord>> {
    records(control, place, "exec.cachemount").await
}

/// Lists the records of a type.
async fn records(control: &Control, place: &BuildPlace, kind: &str) -> Answer<Vec<CacheRecord>> {
    let filter = [format!("type=={kind}")];
    let records = control
        .disk_usage(&filter, ControlTimeouts::DISK_USAGE)
        .await;
    let what = format!("the cache of builder `{}` cannot be listed", place.builder);
    records.map_err(failed(what))
}

/// Removes records, once the builds that hold them have let go.
pub(super) async fn remove(
    control: &Control,
    place: &BuildPlace,
    is_meant: impl Fn(&CacheRecord) -> bool,
) -> Answer<()> {
    let what = format!(
        "what rekit left in the cache of builder `{}`",
        place.builder
    );
    for _ in 0..RELEASE_TRIES {
        let records = control.disk_usage(&[], ControlTimeouts::DISK_USAGE).await;
        let mut records = records.map_err(failed(what.clone()))?;
        records.retain(&is_meant);
        let Some(scope) = PruneScope::records(records.iter().map(|record| &record.id)) else {
            return Ok(());
        };
        let pruned = control.prune(&scope, ControlTimeouts::PRUNE).await;
        pruned.map_err(failed(what.clone()))?;
        // A build that has ended still holds its records for a moment.
        tokio::time::sleep(RELEASE).await;
    }
    let why = "a build holds it".to_owned();
    Err(WorldError::failed(format!("{what} cannot be removed"), why))
}

/// Returns the ids of what builds sent to the daemon.
pub(super) async fn sources(world: &RealWorld<'_>, place: &BuildPlace) -> Answer<BTreeSet<String>> {
    let Some(control) = connect(world, place).await? else {
        return Ok(BTreeSet::new());
    };
    let records = records(&control, place, "source.local").await?;
    Ok(records.into_iter().map(|record| record.id).collect())
}

/// Removes what rekit's builds sent, which bears no name of theirs: what is new and not in use. That of another build would only be sent anew.
pub(super) async fn forget_sources(
    world: &RealWorld<'_>,
    place: &BuildPlace,
    known: &BTreeSet<String>,
) {
    let Ok(now) = sources(world, place).await else {
        return;
    };
    if let (Ok(Some(control)), Some(scope)) = (
        connect(world, place).await,
        PruneScope::records(now.difference(known)),
    ) {
        // What stays is a few bytes, and goes with the next garbage collection.
        drop(control.prune(&scope, ControlTimeouts::PRUNE).await);
    }
}
