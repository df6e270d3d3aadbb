//! The machines that plans are searched on, in memory.

use rekit_core::{
    name::{HostId, HostPath},
    socket::DeadSocket,
    step::{Identity, NodePlace, VolumePlace},
};
use rekit_run::world::fake::FakeWorld;
use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

pub(crate) const RECORD: &[u8] =
    br#"{"Name":"team","Driver":"docker-container","Nodes":[{"Name":"team0","Endpoint":"unix:///a"}],"Dynamic":false}"#;
/// What somebody else writes in its place.
pub(crate) const THEIRS: &[u8] = br#"{"Name":"team"}"#;

/// Runs a future that never waits for anything but the fake world.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("BUG: the fake world made somebody wait"),
    }
}

pub(crate) fn name<T: std::str::FromStr<Err = rekit_core::name::NameError>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn path(text: &str) -> HostPath {
    HostPath::from(text)
}

/// A machine with one warm builder, a record cut in half, leftovers, and things that are nobody's business.
pub(crate) fn machine() -> FakeWorld {
    let mut world = FakeWorld::default();
    let host: HostId = name("unix:///a");
    world.images.insert((host.clone(), name("image")));
    world.add_volume(
        &host,
        &name("buildx_buildkit_team0_state"),
        Some("warm"),
        [].into(),
    );
    world.add_container(
        &host,
        &name("buildx_buildkit_team0"),
        &name("buildx_buildkit_team0_state"),
        true,
        [].into(),
    );
    world.add_volume(&host, &name("foreign"), Some("theirs"), [].into());
    world.add_container(&host, &name("foreign"), &name("foreign"), true, [].into());
    world
        .files
        .insert(path("/s/instances/team"), (RECORD.to_vec(), 0o600));
    world
        .files
        .insert(path("/s/instances/cut"), (b"{".to_vec(), 0o600));
    world
        .files
        .insert(path("/s/current"), (b"gone".to_vec(), 0o600));
    world
        .files
        .insert(path("/home/foreign"), (b"theirs".to_vec(), 0o644));
    world.trees.insert(path("/s/refs/old"), b"tree".to_vec());
    let socket = Some(dead_socket());
    world.sockets.insert(path("/run/dead.sock"), socket);
    world.sockets.insert(path("/run/alive.sock"), None);
    world
}

pub(crate) fn dead_socket() -> DeadSocket {
    DeadSocket {
        made: jiff::Timestamp::UNIX_EPOCH,
        mode: 0o660,
        owner: 0,
        group: 0,
    }
}

pub(crate) fn node(world: &FakeWorld, node: &str) -> NodePlace {
    let container = format!("buildx_buildkit_{node}");
    let found = &world.containers[&(name("unix:///a"), name(&container))];
    NodePlace {
        host: name("unix:///a"),
        container: name(&container),
        identity: Identity::Id {
            id: found.facts.id.clone(),
        },
        volume: found.volume.clone(),
    }
}

pub(crate) fn volume(world: &FakeWorld, volume: &str) -> VolumePlace {
    let found = &world.volumes[&(name("unix:///a"), name(volume))];
    VolumePlace {
        host: name("unix:///a"),
        volume: name(volume),
        created_at: found.facts.created_at.clone(),
    }
}

/// The machine with a second node of the builder, on which a build runs.
pub(crate) fn machine_of_two_nodes() -> FakeWorld {
    let mut world = machine();
    let host: HostId = name("unix:///a");
    let (container, volume) = (
        name("buildx_buildkit_team1"),
        name("buildx_buildkit_team1_state"),
    );
    world.add_volume(&host, &volume, Some("warm"), [].into());
    world.add_container(&host, &container, &volume, true, [].into());
    world.busy.insert((host, container));
    let record = br#"{"Name":"team","Nodes":[{"Name":"team0"},{"Name":"silent","Endpoint":"tcp://gone"},{"Name":"team1"}]}"#;
    world
        .files
        .insert(path("/s/instances/team"), (record.to_vec(), 0o600));
    world
}
