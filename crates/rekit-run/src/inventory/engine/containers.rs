//! An engine's containers and volumes, as far as they are BuildKit's by name, image or use.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rekit_buildkit::{ContainerDetail, ContainerSummary, Volume};
use rekit_core::{
    fact::Fact,
    inventory::{HostContainer, HostVolume},
    mask,
    name::{CONTAINER_PREFIX, ContainerName, HostPath, VOLUME_SUFFIX},
};
use serde_json::Value;

/// Where a BuildKit daemon keeps its state inside a container.
const STATE_MOUNT: &str = "/var/lib/buildkit";

/// Returns the name of a listed container.
pub(super) fn name(container: &ContainerSummary) -> &str {
    // Links give a container further names such as `/other/alias`.
    container
        .names
        .iter()
        .map(|name| name.trim_start_matches('/'))
        .find(|name| !name.contains('/'))
        .unwrap_or_default()
}

/// Returns whether a container is worth a closer look.
pub(super) fn may_be_buildkit(container: &ContainerSummary) -> bool {
    name(container).starts_with(CONTAINER_PREFIX)
        || container.image.contains("buildkit")
        || container
            .mounts
            .iter()
            .any(|mount| is_state(&mount.destination))
}

fn is_state(destination: &str) -> bool {
    destination == STATE_MOUNT || destination.ends_with("/.local/share/buildkit")
}

/// Describes a container. `None` where the engine gives no usable name or id.
pub(super) fn container(detail: &ContainerDetail, raw: &Value) -> Option<HostContainer> {
    let program = raw.get("Path").and_then(Value::as_str).unwrap_or_default();
    let arguments: Vec<String> = raw
        .get("Args")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(mask::text)
        .collect();
    let runs = |word: &str| word.rsplit('/').next() == Some("buildkitd");
    // Rootless images start buildkitd through rootlesskit, `--init` images may name it as an argument.
    let is_daemon = runs(program) || arguments.iter().any(|word| runs(word));
    let has_state = detail
        .mounts
        .iter()
        .any(|mount| is_state(&mount.destination));
    Some(HostContainer {
        parked: None,
        name: detail.name.trim_start_matches('/').parse().ok()?,
        id: detail.id.parse().ok()?,
        image: detail.config.image.clone(),
        image_id: detail.image.clone(),
        status: detail.state.status.clone(),
        exit_code: detail.state.exit_code,
        started_at: detail.state.started_at.clone(),
        restart_count: u64::try_from(detail.restart_count).unwrap_or_default(),
        restart_policy: detail.host_config.restart_policy.name.clone(),
        volumes: detail
            .mounts
            .iter()
            .filter_map(|mount| Some((mount.name.parse().ok()?, mount.destination.clone())))
            .collect(),
        labels: labels(&detail.config.labels),
        is_buildkit: is_daemon && has_state,
        arguments,
        out_of_memory: detail.state.oom_killed,
        last_words: None,
        proxies: proxies(&detail.config.env),
        stand_in: None,
    })
}

/// Lists the proxy variables that are set, by name.
fn proxies(variables: &[String]) -> Vec<String> {
    let set = variables
        .iter()
        .filter_map(|variable| variable.split_once('='));
    set.filter(|(name, value)| name.to_ascii_lowercase().ends_with("_proxy") && !value.is_empty())
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Returns the databases among the files of a state that a daemon put aside.
pub(super) fn set_aside<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names
        .filter(|name| name.contains(".db"))
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "bak"))
        .map(str::to_owned)
        .collect()
}

/// Returns labels without their secrets.
fn labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(name, value)| (name.clone(), mask::value(name, value)))
        .collect()
}

/// Lists the volumes that are BuildKit's by name, or that a BuildKit container keeps its state in; not yet measured.
pub(super) fn volumes(
    volumes: &[Volume],
    all: &[ContainerSummary],
    containers: &[HostContainer],
) -> Vec<HostVolume> {
    let states: BTreeSet<&str> = containers
        .iter()
        .filter(|container| container.is_buildkit)
        .flat_map(|container| &container.volumes)
        .filter(|(_, destination)| is_state(destination))
        .map(|(name, _)| name.as_str())
        .collect();
    volumes
        .iter()
        .filter(|volume| {
            let by_name =
                volume.name.starts_with(CONTAINER_PREFIX) && volume.name.ends_with(VOLUME_SUFFIX);
            by_name || states.contains(volume.name.as_str())
        })
        .filter_map(|volume| describe(volume, all))
        .collect()
}

fn describe(volume: &Volume, all: &[ContainerSummary]) -> Option<HostVolume> {
    let used_by: Vec<ContainerName> = all
        .iter()
        .filter(|container| {
            container
                .mounts
                .iter()
                .any(|mount| mount.kind == "volume" && mount.name == volume.name)
        })
        .filter_map(|container| name(container).parse().ok())
        .collect();
    let not_local = || Fact::Unreadable {
        reason: "it lies on another machine".to_owned(),
    };
    Some(HostVolume {
        parked: None,
        name: volume.name.parse().ok()?,
        created_at: volume.created_at.clone(),
        driver: volume.driver.clone(),
        mountpoint: HostPath::from(volume.mountpoint.as_str()),
        used_by,
        labels: labels(&volume.labels),
        size_bytes: not_local(),
        holds_state: Fact::Unreadable {
            reason: "it lies on another machine".to_owned(),
        },
        set_aside: Vec::new(),
        contradictions: None,
    })
}
