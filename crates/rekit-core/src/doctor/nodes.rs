//! RK3: nodes, their containers and volumes, and daemons that no builder names.

use super::{
    case::{Case, quoted},
    check::Check,
    known::{Known, Node, node_of},
    remedy::{Change, Remedy},
};
use crate::{
    finding::Severity,
    inventory::HostContainer,
    name::{HostId, NodeName},
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "RK301",
        title: "a state volume that no builder names",
        severity: Severity::Warning,
        explain: "The cache of a builder outlives it when its container was removed by hand or by `docker system prune`, or with \
            `rm --keep-state`. Nothing prunes such volumes; they can be hundreds of gigabytes. It may also belong to another \
            account or another WSL distribution, so it is saved before it is removed.",
        find: orphan_volume,
    },
    Check {
        code: "RK302",
        title: "a builder's container that no builder names",
        severity: Severity::Warning,
        explain: "The container runs on although its record is gone. A new builder of the same name silently adopts it, with its \
            old settings.",
        find: orphan_container,
    },
    Check {
        code: "RK303",
        title: "a foreign container bears a builder's name",
        severity: Severity::Error,
        explain: "The name is all that ties a builder to its container. This one is no BuildKit: booting the builder starts it, \
            and `docker buildx rm` deletes it. rekit never touches it.",
        find: foreign_claimed,
    },
    Check {
        code: "RK304",
        title: "a container is named like a builder's, but is none",
        severity: Severity::Info,
        explain: "No builder claims the name now. One that did would start this container instead of BuildKit.",
        find: foreign_unclaimed,
    },
    Check {
        code: "RK305",
        title: "a builder's container is gone, its cache is not",
        severity: Severity::Warning,
        explain: "The container was removed behind buildx's back. The next build makes a new one on the old volume; \
            `docker buildx rm` would now leave the volume behind.",
        find: container_gone,
    },
    Check {
        code: "RK306",
        title: "a builder was never booted",
        severity: Severity::Info,
        explain: "Its record exists, its container does not yet. The first build boots it.",
        find: never_booted,
    },
    Check {
        code: "RK307",
        title: "a builder is stopped",
        severity: Severity::Info,
        explain: "It was stopped cleanly; the next build starts it. `du` and `prune` do not.",
        find: stopped,
    },
    Check {
        code: "RK308",
        title: "a builder's daemon was killed",
        severity: Severity::Warning,
        explain: "The container did not end by a clean stop: out of memory, SIGKILL, or a crash. The databases of its cache are \
            in the state of that instant.",
        find: killed,
    },
    Check {
        code: "RK309",
        title: "a builder restarts again and again",
        severity: Severity::Error,
        explain: "The daemon ends as soon as it starts: a buildkitd.toml or flag that it refuses, or a damaged database. Its \
            restart policy starts it for ever, and buildx waits for it.",
        find: crash_loop,
    },
    Check {
        code: "RK310",
        title: "a running builder does not answer",
        severity: Severity::Error,
        explain: "The container runs, the daemon in it does not answer. Clients that build with it hang.",
        find: hung,
    },
    Check {
        code: "RK311",
        title: "a builder is paused",
        severity: Severity::Warning,
        explain: "Somebody paused its container. Builds fail until it goes on.",
        find: paused,
    },
    Check {
        code: "RK312",
        title: "a remote node does not answer",
        severity: Severity::Error,
        explain: "A node that buildx reaches over the network or in Kubernetes does not answer: it is down, its certificates \
            are gone or expired, or its address is wrong. buildx shows it as `inactive` and hides the reason.",
        find: remote_dead,
    },
    Check {
        code: "RK313",
        title: "remains of a standalone daemon",
        severity: Severity::Warning,
        explain: "State, a socket or a unit of a buildkitd that does not run and that no builder names.",
        find: standalone_remains,
    },
    Check {
        code: "RK314",
        title: "a standalone daemon does not answer",
        severity: Severity::Error,
        explain: "The process runs, but its control API does not answer.",
        find: standalone_hung,
    },
    Check {
        code: "RK315",
        title: "the engine's own BuildKit does not answer",
        severity: Severity::Error,
        explain: "The engine answers, the BuildKit inside it does not: `docker build` fails or hangs.",
        find: embedded_dead,
    },
];

fn orphan_volume(known: &Known<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (host, engine) in known.engines() {
        for volume in &engine.volumes {
            let Some(node) = NodeName::of_volume(volume.name.as_str()) else {
                continue;
            };
            if !volume.used_by.is_empty()
                || known.claims(&node, &host.id)
                || volume.parked.is_some()
            {
                continue;
            }
            let case = Case::of("volume", &volume.name)
                .host(&host.id)
                .cause("The state of a builder that does not exist any more; no container uses it and nothing prunes it.".to_owned())
                .seen(format!("volume `{}`, made {}", volume.name, volume.created_at))
                .seen(format!("no record of any store names the node `{node}`"));
            let case = match (&volume.size_bytes.known(), &volume.holds_state.known()) {
                (Some(size), _) => case.seen(format!("{size} bytes")),
                (None, Some(false)) => case.seen("its content is no BuildKit state"),
                (None, _) => case,
            };
            cases.push(
                case.with_consent(
                    Remedy::RemoveVolume(host.id.clone(), volume.name.clone()),
                    "save it, then remove it by its name",
                )
                .run(format!("docker volume rm {}", volume.name)),
            );
        }
    }
    cases
}

fn orphan_container(known: &Known<'_>) -> Vec<Case> {
    stray_containers(known, true, false)
        .into_iter()
        .map(|(host, container)| {
            Case::of("container", &container.name)
                .host(&host)
                .cause("The container of a builder that does not exist any more; a new builder of its name would adopt it with its old settings.")
                .seen(format!("container `{}` from {}, {}", container.name, container.image, container.status))
                .with_consent(
                    Remedy::RemoveNode(host.clone(), container.name.clone()),
                    "save its state, then remove the container and its volume",
                )
                .run(format!("docker rm -f {}", container.name))
        })
        .collect()
}

/// Returns containers with a builder's name, by whether they are BuildKit's and whether a record claims them.
fn stray_containers<'a>(
    known: &Known<'a>,
    buildkit: bool,
    claimed: bool,
) -> Vec<(HostId, &'a HostContainer)> {
    let mut found = Vec::new();
    for (host, engine) in known.engines() {
        for container in &engine.containers {
            let Some(node) = node_of(container) else {
                continue;
            };
            if container.is_buildkit == buildkit
                && known.claims(&node, &host.id) == claimed
                && container.parked.is_none()
            {
                found.push((host.id.clone(), container));
            }
        }
    }
    found
}

fn foreign_claimed(known: &Known<'_>) -> Vec<Case> {
    stray_containers(known, false, true)
        .into_iter()
        .map(|(host, container)| {
            foreign(&host, container)
                .cause("A builder claims this container by its name, but it is no BuildKit; booting or removing the builder would start or delete it.")
                .by_hand("rename the container, or the builder; do not run `docker buildx rm` before")
                .run(format!("docker rename {0} {0}-mine", container.name))
        })
        .collect()
}

fn foreign_unclaimed(known: &Known<'_>) -> Vec<Case> {
    stray_containers(known, false, false)
        .into_iter()
        .map(|(host, container)| {
            foreign(&host, container)
                .cause("The name is a builder's, the container is no BuildKit; a builder of that name would start it.")
                .by_hand("give it another name")
                .run(format!("docker rename {0} {0}-mine", container.name))
        })
        .collect()
}

fn foreign(host: &HostId, container: &HostContainer) -> Case {
    Case::of("container", &container.name)
        .host(host)
        .seen(format!(
            "container `{}` from image {}",
            container.name, container.image
        ))
        .seen("its program and mounts are not those of a BuildKit daemon")
}

/// Begins a case about a node.
fn about(node: Node<'_>) -> Case {
    let case = Case::of("node", &node.facts.name)
        .store(&node.store.path)
        .seen(format!(
            "{}: builder `{}`, node `{}`, driver {}, endpoint `{}`",
            node.builder.file.path,
            node.builder.name,
            node.facts.name,
            node.record.driver,
            node.facts.endpoint
        ));
    match &node.facts.host {
        Some(host) => case.host(host),
        None => case,
    }
}

/// Returns nodes that live in containers, on engines that answered, with their containers.
fn containers<'a>(known: &Known<'a>) -> Vec<(Node<'a>, &'a HostContainer)> {
    let nodes = known.nodes().filter(Node::in_container);
    nodes
        .filter_map(|node| Some((node, known.container(node)?)))
        .filter(|(_, container)| container.is_buildkit)
        .collect()
}

/// Returns nodes without a container, on engines that answered, by whether their state volume exists.
fn without_container<'a>(known: &Known<'a>, with_volume: bool) -> Vec<Node<'a>> {
    let nodes = known.nodes().filter(Node::in_container);
    nodes
        .filter(|&node| known.engine(node).is_some() && known.container(node).is_none())
        .filter(|&node| known.volume(node).is_some() == with_volume)
        .collect()
}

fn boot(node: Node<'_>) -> String {
    format!(
        "docker buildx inspect --bootstrap {}",
        quoted(&node.builder.name)
    )
}

fn container_gone(known: &Known<'_>) -> Vec<Case> {
    without_container(known, true)
        .into_iter()
        .map(|node| {
            about(node)
                .cause(format!(
                    "The container of node `{}` was removed, its state volume is still there; buildx would not remove the volume any more.",
                    node.facts.name
                ))
                .seen(format!("no container `{}`, but volume `{}`", node.facts.name.container(), node.facts.name.volume()))
                .by_itself(
                    Remedy::Renew(node.owner(), Change::default()),
                    "boot the builder, which takes the old cache again",
                )
                .run(boot(node))
        })
        .collect()
}

fn never_booted(known: &Known<'_>) -> Vec<Case> {
    without_container(known, false)
        .into_iter()
        .map(|node| {
            about(node)
                .cause(format!(
                    "Node `{}` was not booted yet; the first build does it.",
                    node.facts.name
                ))
                .seen(format!("no container `{}`", node.facts.name.container()))
                .by_hand("nothing is to be done; or boot it now")
                .run(boot(node))
        })
        .collect()
}

fn start(node: Node<'_>, container: &HostContainer) -> Option<Remedy> {
    let host = node.facts.host.clone()?;
    Some(Remedy::Start(host, container.name.clone()))
}

/// A clean stop of buildkitd ends with 1, an older one with 0.
fn ended_cleanly(container: &HostContainer) -> bool {
    matches!(container.status.as_str(), "created") || matches!(container.exit_code, 0 | 1)
}

fn is_down(container: &HostContainer) -> bool {
    matches!(container.status.as_str(), "exited" | "created" | "dead")
}

fn stopped(known: &Known<'_>) -> Vec<Case> {
    let all = containers(known).into_iter();
    all.filter(|(_, container)| is_down(container) && ended_cleanly(container))
        .map(|(node, container)| {
            about(node)
                .cause(format!(
                    "Node `{}` is stopped; the next build starts it.",
                    node.facts.name
                ))
                .seen(format!(
                    "container `{}` is {}, exit code {}",
                    container.name, container.status, container.exit_code
                ))
                .with_consent(start(node, container), "start it")
                .run(boot(node))
        })
        .collect()
}

fn killed(known: &Known<'_>) -> Vec<Case> {
    let all = containers(known).into_iter();
    all.filter(|(_, container)| is_down(container) && !ended_cleanly(container))
        .map(|(node, container)| {
            let why = match container.exit_code {
                137 => "it was killed: out of memory, or stopped by force",
                139 => "it crashed",
                _ => "it failed",
            };
            about(node)
                .cause(format!(
                    "The daemon of node `{}` did not stop cleanly: {why}.",
                    node.facts.name
                ))
                .seen(format!(
                    "container `{}` is {}, exit code {}",
                    container.name, container.status, container.exit_code
                ))
                .by_itself(start(node, container), "start it and prove it with a build")
                .run(format!("docker logs --tail 50 {}", container.name))
                .run(boot(node))
        })
        .collect()
}

/// Between two ends a container that is started again and again runs for a moment, without an answer.
fn is_looping(node: Node<'_>, container: &HostContainer) -> bool {
    let silent = node.facts.daemon.known().is_none();
    match container.status.as_str() {
        "restarting" => true,
        "running" => silent && container.restart_count > 0 && container.last_words.is_some(),
        _ => false,
    }
}

/// Says whether a daemon ends over a damaged database, not over what it was started with.
fn is_damaged(container: &HostContainer) -> bool {
    let said = container.last_words.as_deref().unwrap_or_default();
    ["invalid database", "panic:", "freelist"]
        .iter()
        .any(|sign| said.contains(sign))
}

fn crash_loop(known: &Known<'_>) -> Vec<Case> {
    let all = containers(known).into_iter();
    all.filter(|(node, container)| is_looping(*node, container))
        .map(|(node, container)| {
            let case = about(node)
                .cause(format!(
                    "The daemon of node `{}` ends as soon as it starts, and is started again and again.",
                    node.facts.name
                ))
                .seen(format!(
                    "container `{}` is restarting, {} times so far, exit code {}, policy `{}`",
                    container.name, container.restart_count, container.exit_code, container.restart_policy
                ));
            let case = match &container.last_words {
                Some(said) => case.seen(format!("its daemon said: {said}")),
                None => case,
            };
            let change = Change {
                usual_flags: !is_damaged(container),
                ..Change::empty()
            };
            case.with_consent(
                    Remedy::Renew(node.owner(), change),
                    "give the builder a fresh node, without what its daemon refuses; its state is archived and kept",
                )
                .run(format!("docker logs {} 2>&1 | grep -m1 -E 'buildkitd:|panic:'", container.name))
        })
        .collect()
}

fn hung(known: &Known<'_>) -> Vec<Case> {
    let all = containers(known).into_iter();
    all.filter(|(node, container)| container.status == "running" && !is_looping(*node, container))
        .filter_map(|(node, container)| {
            let reason = node.facts.daemon.reason()?;
            Some(
                about(node)
                    .cause(format!(
                        "The container of node `{}` runs, but its daemon does not answer: {reason}.",
                        node.facts.name
                    ))
                    .seen(format!(
                        "container `{}` is running since {}; control API: {reason}",
                        container.name, container.started_at
                    ))
                    .by_hand("restart it; builds that hang on it fail")
                    .run(format!("docker restart --time 60 {}", container.name)),
            )
        })
        .collect()
}

fn paused(known: &Known<'_>) -> Vec<Case> {
    let all = containers(known).into_iter();
    all.filter(|(_, container)| container.status == "paused")
        .map(|(node, container)| {
            about(node)
                .cause(format!(
                    "The container of node `{}` is paused; builds fail.",
                    node.facts.name
                ))
                .seen(format!("container `{}` is paused", container.name))
                .by_hand("let it go on")
                .run(format!("docker unpause {}", container.name))
        })
        .collect()
}

fn remote_dead(known: &Known<'_>) -> Vec<Case> {
    known
        .nodes()
        .filter(|node| match node.record.driver.as_str() {
            "remote" => true,
            // rekit does not speak to Kubernetes: only what keeps anybody from it is known.
            "kubernetes" => node.facts.status == "error",
            _ => false,
        })
        .filter_map(|node| {
            let reason = node.facts.daemon.reason()?;
            Some(
                about(node)
                    .cause(format!("Node `{}` at `{}` does not answer: {reason}.", node.facts.name, node.facts.endpoint))
                    .seen(format!("control API: {reason}"))
                    .with_consent(
                        gone_for_good(node),
                        "make the daemon reachable again, or remove the builder if it is gone for good",
                    )
                    .run(format!("docker buildx inspect {}", quoted(&node.builder.name))),
            )
        })
        .collect()
}

/// Removes a builder all of whose nodes are silent; one node among others is a person's to decide on.
fn gone_for_good(node: Node<'_>) -> Option<Remedy> {
    let mut nodes = node.record.nodes.iter();
    nodes
        .all(|node| node.daemon.known().is_none())
        .then(|| Remedy::RetireRecord(node.owner()))
}

fn standalone_name(standalone: &crate::inventory::Standalone) -> String {
    standalone
        .unit
        .clone()
        .or_else(|| standalone.address.clone())
        .or_else(|| standalone.root.as_ref().map(ToString::to_string))
        .or_else(|| standalone.known_by.first().cloned())
        .unwrap_or_else(|| "buildkitd".to_owned())
}

fn standalone_remains(known: &Known<'_>) -> Vec<Case> {
    let all = known.inventory.standalone.iter();
    all.filter(|standalone| standalone.pid.is_none() && standalone.daemon.known().is_none())
        .map(|standalone| {
            let mut case = Case::of("standalone", &standalone_name(standalone)).cause(
                "A standalone buildkitd left something behind: it does not run, and no builder names it.",
            );
            for known_by in &standalone.known_by {
                case = case.seen(known_by.clone());
            }
            if let Some(reason) = standalone.daemon.reason() {
                case = case.seen(format!("control API: {reason}"));
            }
            let case = case.by_hand("start it if it is needed; else save its state and remove the remains");
            match &standalone.unit {
                Some(unit) => case.run(format!("systemctl status {}", quoted(unit))),
                None => case,
            }
        })
        .collect()
}

fn standalone_hung(known: &Known<'_>) -> Vec<Case> {
    let all = known.inventory.standalone.iter();
    all.filter_map(|standalone| {
        let (pid, reason) = (standalone.pid?, standalone.daemon.reason()?);
        Some(
            Case::of("standalone", &standalone_name(standalone))
                .cause(format!(
                    "The standalone buildkitd (process {pid}) does not answer: {reason}."
                ))
                .seen(standalone.known_by.join(", "))
                .by_hand("restart it")
                .run(match &standalone.unit {
                    Some(unit) => format!("sudo systemctl restart {}", quoted(unit)),
                    None => format!("kill {pid}"),
                }),
        )
    })
    .collect()
}

fn embedded_dead(known: &Known<'_>) -> Vec<Case> {
    known
        .engines()
        .filter_map(|(host, engine)| {
            let reason = engine.embedded.reason()?;
            Some(
                Case::of("host", &host.id)
                    .host(&host.id)
                    .cause(format!(
                        "The engine's own BuildKit does not answer: {reason}."
                    ))
                    .seen(format!(
                        "engine {} answers, its control API does not: {reason}",
                        engine.version
                    ))
                    .by_hand("restart the engine; running containers are interrupted")
                    .run("sudo systemctl restart docker"),
            )
        })
        .collect()
}
