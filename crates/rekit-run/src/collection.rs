//! `rekit explain gc`: reads the caches whose collection is foreseen. Looks only.

use rekit_core::{
    collection::{self, Collections, Collector, Read},
    fact::{Fact, chain},
    inventory::Inventory,
};

use crate::{
    session::Session,
    world::{ReadWorld, host, path_of},
};

impl Session<'_> {
    /// Tells of the garbage collection of the daemons that a person calls by a word; `None`: of all. `None` comes back where none is called so.
    pub async fn collections(
        &self,
        inventory: &Inventory,
        called: Option<&str>,
    ) -> Option<Collections> {
        let mut meant = collection::collectors(inventory);
        meant.retain(|it| called.is_none_or(|word| it.is_called(word)));
        if meant.is_empty() && called.is_some() {
            return None;
        }
        let world = self.world();
        let mut read = Vec::new();
        for collector in meant {
            let cache = read_cache(&world, &collector).await;
            read.push((collector, cache));
        }
        Some(collection::report(inventory, &read, world.time()))
    }
}

async fn read_cache(world: &impl ReadWorld, collector: &Collector<'_>) -> Read {
    let unreadable = |reason: String| Fact::Unreadable { reason };
    if let Some(reason) = collector.daemon.reason() {
        return unreadable(reason.to_owned());
    }
    let Some(reach) = &collector.reach else {
        return unreadable("rekit has no way to it".to_owned());
    };
    match world.cache_records(reach).await {
        Ok(records) => Fact::Known((records, free_bytes(collector))),
        Err(error) => unreadable(rekit_core::mask::text(&chain(&error))),
    }
}

/// Returns the bytes that the disk of a cache has free, where that disk is seen from here.
fn free_bytes(collector: &Collector<'_>) -> Option<i64> {
    let place = collector.place?;
    place.disk.as_ref()?;
    let free = host::unused_bytes(&path_of(&place.path)).ok()?;
    i64::try_from(free).ok()
}
