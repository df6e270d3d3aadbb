//! RK6: the disks under the caches.

use std::collections::BTreeMap;

use super::{
    case::Case,
    check::Check,
    known::{Known, Node},
    remedy::{Change, Remedy},
};
use crate::{
    finding::Severity,
    inventory::{CachePlace, Daemon, Disk, ImageStore, Inventory, PlaceKind},
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "RK601",
        title: "caches may grow beyond their disk",
        severity: Severity::Warning,
        explain: "Each daemon bounds its own cache and nothing adds the bounds up. A least free space (minFreeSpace) makes a daemon \
            clean up before the disk is full, but never below its reservedSpace. What the caches of one disk may keep together is more \
            than the disk holds, so that builds will fail with `no space left on device` though garbage collection works.",
        find: overcommitted,
    },
    Check {
        code: "RK602",
        title: "a cache's disk is full",
        severity: Severity::Error,
        explain: "Builds fail with `no space left on device`, and a prune may fail too: the databases need free pages even to delete. \
            `docker buildx du` counts less than there is. Free something else on that disk first (old images, stopped containers, \
            volumes that no builder names), then prune.",
        find: full,
    },
    Check {
        code: "RK603",
        title: "an engine has images in a store that it does not use",
        severity: Severity::Warning,
        explain: "The classic image store and containerd's are two worlds over one data folder. After a switch (an upgrade, a toggle \
            of Desktop) images, containers and cache of the other are hidden, not gone: they take room, and come back with a switch \
            back. State volumes belong to both; builders must be removed before a switch.",
        find: hidden_store,
    },
];

/// With less room than this, bbolt cannot be relied on to delete.
const NEARLY_NOTHING: u64 = 64 << 20;

/// The caches of each disk that is known.
fn by_disk<'a>(known: &Known<'a>) -> BTreeMap<&'a Disk, Vec<&'a CachePlace>> {
    let mut disks: BTreeMap<&Disk, Vec<&CachePlace>> = BTreeMap::new();
    for place in &known.inventory.caches {
        if let Some(disk) = &place.disk {
            disks.entry(disk).or_default().push(place);
        }
    }
    disks
}

/// Returns the node whose state lies in a place.
fn node_at<'a>(known: &Known<'a>, place: &CachePlace) -> Option<Node<'a>> {
    let host = place.host.as_ref();
    known.nodes().find(|node| {
        let volume = node.facts.volume.as_ref();
        let is_there = volume.is_some_and(|volume| volume.as_str() == place.name);
        place.kind == PlaceKind::StateVolume && node.facts.host.as_ref() == host && is_there
    })
}

/// Gives the builders whose states lie in these places fresh nodes; `None`: something else lies there too.
fn renewed(known: &Known<'_>, places: &[&CachePlace], change: &Change) -> Option<Vec<Remedy>> {
    let renewed = places.iter().map(|place| {
        let node = node_at(known, place).filter(Node::in_container)?;
        Some(Remedy::Renew(node.owner(), change.clone()))
    });
    renewed.collect()
}

/// Returns the daemon that keeps its cache in a place.
fn keeper<'a>(known: &Known<'a>, place: &CachePlace) -> Option<&'a Daemon> {
    let host = place.host.as_ref();
    match place.kind {
        PlaceKind::StateVolume => node_at(known, place)?.facts.daemon.known(),
        PlaceKind::Embedded => known
            .inventory
            .host(host?)?
            .engine
            .known()?
            .embedded
            .known(),
        PlaceKind::StandaloneRoot => known
            .inventory
            .standalone
            .iter()
            .find(|standalone| standalone.root.as_ref() == Some(&place.path))?
            .daemon
            .known(),
        PlaceKind::OrphanVolume | PlaceKind::LocalExport => None,
    }
}

/// Returns the bytes that a daemon may keep however full its disk is; `None`: nothing of it is known.
fn kept_at_least(daemon: &Daemon) -> Option<u64> {
    let last = daemon.workers.iter().filter_map(|worker| worker.gc.last());
    last.map(|rule| {
        let kept = if rule.min_free_bytes > 0 {
            rule.reserved_bytes
        } else {
            rule.reserved_bytes.max(rule.max_used_bytes)
        };
        u64::try_from(kept).unwrap_or(0)
    })
    .max()
}

/// Returns, for each disk, the caches on it whose daemons are known, with the bytes that each may keep however full the disk is.
pub(crate) fn bounds(inventory: &Inventory) -> Vec<(&Disk, Vec<(&CachePlace, u64)>)> {
    let known = Known::of(inventory);
    let disks = by_disk(&known).into_iter();
    let bound = |place| Some((place, kept_at_least(keeper(&known, place)?)?));
    disks
        .map(|(disk, places)| (disk, places.into_iter().filter_map(bound).collect()))
        .collect()
}

fn overcommitted(known: &Known<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (disk, bounds) in bounds(known.inventory) {
        let sum = bounds
            .iter()
            .fold(0_u64, |sum, (_, kept)| sum.saturating_add(*kept));
        let Some((first, _)) = bounds.first().filter(|_| sum > disk.total_bytes) else {
            continue;
        };
        let case = Case::of("disk", &first.path).cause(format!(
            "The caches on this disk may keep {sum} bytes together, the disk holds {}.",
            disk.total_bytes
        ));
        let case = bounds.iter().fold(case, |case, (place, kept)| {
            case.seen(format!(
                "{}: up to {kept} bytes whatever is free, by the daemon's own rules",
                place.path
            ))
        });
        let places: Vec<_> = bounds.iter().map(|(place, _)| *place).collect();
        let remedies = renewed(known, &places, &Change::default());
        cases.push(case.with_consent(
            remedies,
            "give each daemon a reservedSpace, a maxUsedSpace and a minFreeSpace that fit the disk together",
        ));
    }
    cases
}

fn full(known: &Known<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (disk, places) in by_disk(known) {
        let lowest = places
            .iter()
            .filter_map(|place| Some((place, *place.free_bytes.known()?)));
        let Some((place, free)) = lowest.min_by_key(|(_, free)| *free) else {
            continue;
        };
        // A disk that is itself tiny is full when a twentieth is left.
        if free >= NEARLY_NOTHING.min(disk.total_bytes / 20) {
            continue;
        }
        let case = Case::of("disk", &place.path).cause(format!(
            "The disk under `{}` has {free} of {} bytes left: builds fail, and a prune may fail as well.",
            place.path, disk.total_bytes
        ));
        let case = places.iter().fold(case, |case, place| {
            let size = place.size_bytes.known();
            case.seen(size.map_or_else(
                || format!("{} lies on it", place.path),
                |size| format!("{} lies on it: {size} bytes", place.path),
            ))
        });
        cases.push(
            case.with_consent(
                renewed(known, &places, &Change::empty()),
                "free something else on this disk first, then prune; keep backups elsewhere",
            )
            .run("docker system df")
            .run("docker image prune"),
        );
    }
    cases
}

fn hidden_store(known: &Known<'_>) -> Vec<Case> {
    let engines = known.engines();
    engines
        .filter_map(|(host, engine)| {
            let hidden = engine.other_store.as_ref()?;
            let (used, other) = match engine.image_store {
                ImageStore::Graphdriver => ("the classic store", "containerd's"),
                ImageStore::Containerd => ("containerd's store", "the classic one"),
            };
            Some(
                Case::of("host", &host.id)
                    .host(&host.id)
                    .cause(format!(
                        "The engine uses {used}, and {other} holds images too: what was built or run there is hidden and takes room."
                    ))
                    .seen(format!("{hidden} holds images; the storage driver is {}", engine.storage_driver))
                    .by_hand("switch back to get at it; once nobody needs it, remove that folder while the engine is stopped")
                    .run("docker info --format '{{.DriverStatus}}'"),
            )
        })
        .collect()
}
