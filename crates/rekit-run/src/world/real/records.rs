//! The records of a daemon's cache, as a collection sees them. Looks only.

use std::time::SystemTime;

use jiff::Timestamp;
use rekit_buildkit::{Control, ControlTimeouts, Daemon};
use rekit_core::collection::{CacheRecord, Reach};

use super::{
    Answer, RealWorld, WorldError,
    proof::{self, CONNECT, failed},
};
use crate::{inventory, world::path_of};

/// Lists the records of a daemon's cache.
pub(super) async fn of(world: &RealWorld<'_>, daemon: &Reach) -> Answer<Vec<CacheRecord>> {
    let control = connect(world, daemon).await?;
    let records = control.disk_usage(&[], ControlTimeouts::DISK_USAGE).await;
    let records = records.map_err(failed("the cache cannot be listed".to_owned()))?;
    Ok(records.into_iter().map(record).collect())
}

/// Connects to a daemon, whichever way leads to it.
pub(super) async fn connect(world: &RealWorld<'_>, daemon: &Reach) -> Answer<Control> {
    let what = || "the daemon cannot be reached".to_owned();
    let address: Result<Daemon, String> = match daemon {
        Reach::Engine(place) => {
            let engine = world.engine(&place.host).await?;
            return proof::connect(engine, place.container.as_ref()).await;
        }
        Reach::Remote {
            store,
            builder,
            node,
        } => inventory::remote_node(&path_of(store), builder, *node),
        Reach::Address(address) => inventory::standalone_daemon(address, None),
    };
    let address = address.map_err(|why| WorldError::failed(what(), why))?;
    address.connect(CONNECT).await.map_err(failed(what()))
}

fn record(from: rekit_buildkit::CacheRecord) -> CacheRecord {
    CacheRecord {
        id: from.id,
        kind: from.kind,
        description: from.description,
        parents: from.parents,
        bytes: from.size,
        created: moment(from.created),
        last_used: moment(from.last_used),
        uses: from.usage_count,
        mutable: from.mutable,
        in_use: from.in_use,
        shared: from.shared,
    }
}

fn moment(time: Option<SystemTime>) -> Option<Timestamp> {
    Timestamp::try_from(time?).ok()
}
