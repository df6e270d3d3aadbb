//! RK320 to RK329: what the daemons in builders' containers were made with, and in what state they and their databases are.

use super::{
    case::{Case, quoted},
    check::Check,
    known::{Known, Node},
    remedy::{Change, Remedy},
};
use crate::{
    fact::Fact,
    finding::Severity,
    inventory::{Daemon, HostVolume},
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "RK320",
        title: "a builder does not run with its settings",
        severity: Severity::Warning,
        explain: "`docker buildx inspect` prints what the record says, not what runs. buildx restarts an existing container but never \
            makes it anew, so that new options, flags or a new buildkitd.toml have no effect; and a builder made under the name of a \
            container that was left behind adopts that container with its old settings.",
        find: unapplied,
    },
    Check {
        code: "RK321",
        title: "a builder's image is not on its engine",
        severity: Severity::Info,
        explain: "The builder has no container, and the image to make one from must be pulled first. Without a network, behind a \
            registry that limits pulls, or with an image that is gone, it will not boot.",
        find: image_missing,
    },
    Check {
        code: "RK322",
        title: "a builder ran out of memory",
        severity: Severity::Warning,
        explain: "The kernel ended a process in the builder's container for want of memory. Its limit covers the daemon and all that \
            it runs together; builds end with `error reading from server: EOF` or with exit code 137.",
        find: out_of_memory,
    },
    Check {
        code: "RK323",
        title: "a cache contradicts itself",
        severity: Severity::Error,
        explain: "The daemon answers, and a listing says `running`, but its databases name layers that are not there: after a power \
            loss, a full disk, or somebody who deleted files below the engine's data. Builds fail with `parent snapshot … does not \
            exist`, `no such file or directory` or `blob not found`, and `--load` may hang. A quick look sees what cannot be counted or \
            is not on the disk; `rekit doctor --deep` reads the databases on copies, and each packed layer against its digest. Pruning \
            was enough in most cases; if it is not, the state must be made anew.",
        find: contradiction,
    },
    Check {
        code: "RK324",
        title: "a daemon has put a damaged database aside",
        severity: Severity::Info,
        explain: "buildkitd found its cache index or its history damaged, kept it as a `.bak` file and began an empty one. What the \
            old one knew is built again; its layers may lie on the disk until a prune.",
        find: put_aside,
    },
    Check {
        code: "RK325",
        title: "a daemon answers and does not build",
        severity: Severity::Error,
        explain: "Health is a build with a deadline, not a word of a status: `rekit doctor --deep` had the daemon build three tiny steps, \
            which need no network and no image, and that failed or took longer than a minute. Its log says more; a daemon that is made \
            anew from the same image keeps its cache and loses whatever hangs.",
        find: not_building,
    },
    Check {
        code: "RK326",
        title: "a state cannot be read",
        severity: Severity::Info,
        explain: "`rekit doctor --deep` reads the databases of each state on copies: directly where it may, else through a helper \
            container. A copy between two writes cannot be had while builds write all the time.",
        find: unread,
    },
    Check {
        code: "RK327",
        title: "a stopped builder would not build",
        severity: Severity::Warning,
        explain: "The next build starts a stopped builder, and ends with its error. `rekit doctor --deep` made a stand-in of it: a container \
            with its image, its settings and an empty state, without a network; that did not come up, or did not build three tiny steps \
            within a minute. It is gone again, and the builder was not touched.",
        find: not_to_be_started,
    },
];

/// How a Go program refuses a flag.
const UNKNOWN_FLAG: &str = "flag provided but not defined";

fn about(node: Node<'_>) -> Case {
    let case = Case::of("node", &node.facts.name).store(&node.store.path);
    match &node.facts.host {
        Some(host) => case.host(host),
        None => case,
    }
}

fn unapplied(known: &Known<'_>) -> Vec<Case> {
    let nodes = known
        .nodes()
        .filter(|node| !node.facts.unapplied.is_empty());
    nodes
        .map(|node| {
            let list: Vec<String> = node
                .facts
                .unapplied
                .iter()
                .map(|setting| format!("`{setting}`"))
                .collect();
            let list = list.join(", ");
            let builder = quoted(&node.builder.name);
            about(node)
                .cause(format!(
                    "Builder `{}` has settings that its container was not made with: {list}.",
                    node.builder.name
                ))
                .seen(format!(
                    "{}: {list} of node `{}`",
                    node.builder.file.path, node.facts.name
                ))
                .seen(format!(
                    "container `{}` was made with something else",
                    node.facts.name.container()
                ))
                .with_consent(
                    Remedy::Renew(node.owner(), Change::default()),
                    "make the container anew under the same names, which keeps the cache",
                )
                .run(format!("docker buildx rm --keep-state {builder}"))
                .run(format!(
                    "docker buildx create --name {builder} --node {} …",
                    node.facts.name
                ))
        })
        .collect()
}

fn image_missing(known: &Known<'_>) -> Vec<Case> {
    let nodes = known
        .nodes()
        .filter(|node| node.facts.image_is_here == Some(false));
    nodes
        .map(|node| {
            let image = image(node);
            about(node)
                .cause(format!(
                    "Builder `{}` has no container, and its image `{image}` is not on the engine: it boots only if the image can be pulled.",
                    node.builder.name
                ))
                .seen(format!("no container `{}` and no image `{image}`", node.facts.name.container()))
                .by_hand("pull the image while the registry can be reached, or load a saved one")
                .run(format!("docker pull {}", quoted(image)))
        })
        .collect()
}

/// Returns the image that buildx makes a node's container from.
fn image(node: Node<'_>) -> &str {
    let option = node.facts.driver_opts.get("image");
    option.map_or(crate::goal::DEFAULT_IMAGE, String::as_str)
}

fn out_of_memory(known: &Known<'_>) -> Vec<Case> {
    let nodes = known.nodes().filter(Node::in_container);
    nodes
        .filter_map(|node| Some((node, known.container(node)?)))
        .filter(|(_, container)| container.is_buildkit && container.out_of_memory)
        .map(|(node, container)| {
            let limit = node.facts.driver_opts.get("memory");
            let bound = limit.map_or("of the machine".to_owned(), |limit| format!("of `memory={limit}`"));
            about(node)
                .cause(format!(
                    "The kernel ended a process in node `{}`: the memory {bound} did not suffice for the daemon and its builds.",
                    node.facts.name
                ))
                .seen(format!(
                    "container `{}`: OOMKilled, {}, exit code {}",
                    container.name, container.status, container.exit_code
                ))
                .by_hand("give it more memory, or let it do fewer steps at a time (max-parallelism)")
                .run(format!("docker update --memory 4g --memory-swap 8g {}", container.name))
        })
        .collect()
}

/// What a count may be off by: sizes are asked for and measured one after the other.
const NOTEWORTHY: u64 = 4 << 20;
/// Snapshotters that keep each layer as files of their own, so that what they count lies on the disk.
const PLAIN: &[&str] = &["overlayfs", "native", "fuse-overlayfs"];

/// Says how a daemon's account of its cache and the disk differ, if they do.
fn mismatch(daemon: &Daemon, volume: Option<&HostVolume>) -> Option<String> {
    if let Some(damage) = &daemon.damage {
        return Some(format!("asked for its cache, the daemon says: {damage}"));
    }
    let label = "org.mobyproject.buildkit.worker.snapshotter";
    let is_plain = daemon.workers.iter().all(|worker| {
        let snapshotter = worker.labels.get(label);
        snapshotter.is_some_and(|name| PLAIN.contains(&name.as_str()))
    });
    // A build that runs changes the one while the other is measured.
    let is_idle = daemon.active.known().is_some_and(Vec::is_empty);
    let counted = daemon.cache.known()?.bytes;
    let on_disk = *volume?.size_bytes.known()?;
    let most = on_disk
        .saturating_add(on_disk / 10)
        .saturating_add(NOTEWORTHY);
    (is_plain && is_idle && counted > most).then(|| {
        format!("the daemon counts {counted} bytes in its cache, its whole state has {on_disk} bytes on the disk")
    })
}

/// Returns what a deep look found in a state.
fn found_in(contradictions: Option<&Fact<Vec<String>>>) -> Vec<String> {
    let found = contradictions.and_then(Fact::known);
    found.cloned().unwrap_or_default()
}

fn contradiction(known: &Known<'_>) -> Vec<Case> {
    let nodes = known.nodes().map(|node| {
        let volume = known.volume(node);
        let daemon = node.facts.daemon.known();
        let mut said: Vec<String> = daemon
            .and_then(|daemon| mismatch(daemon, volume))
            .into_iter()
            .collect();
        said.extend(found_in(
            volume.and_then(|volume| volume.contradictions.as_ref()),
        ));
        let prune = format!(
            "docker buildx prune -af --builder {}",
            quoted(&node.builder.name)
        );
        let case = about(node).run(prune).with_consent(
            Remedy::Renew(node.owner(), Change::empty()),
            "save its state, and give the builder a fresh one",
        );
        (case, format!("node `{}`", node.facts.name), said)
    });
    let engines = known.engines().map(|(host, engine)| {
        let daemon = engine.embedded.known();
        let said = daemon.and_then(|daemon| mismatch(daemon, None));
        let case = Case::of("host", &host.id)
            .host(&host.id)
            .run("docker builder prune -af")
            .by_hand(
                "save what can be saved, then prune it; if builds still fail, make its state anew",
            );
        (case, "the engine".to_owned(), said.into_iter().collect())
    });
    let alone = known.inventory.standalone.iter().filter_map(|daemon| {
        let root = daemon.root.as_ref()?;
        let case = Case::of("standalone", root).by_hand(
            "save its state (`rekit backup create`), then prune it; if builds still fail, begin with an empty root",
        );
        let said = found_in(daemon.contradictions.as_ref());
        Some((case, format!("the daemon in `{root}`"), said))
    });
    let all = nodes.chain(engines).chain(alone);
    all.filter(|(_, _, said)| !said.is_empty())
        .map(|(mut case, whose, said)| {
            case.evidence.extend(said);
            case.cause(format!(
                "The databases of {whose} name layers that are not on the disk; builds fail although it runs."
            ))
        })
        .collect()
}

/// Says why a trial build failed, if one was tried.
fn why_not(daemon: &Fact<Daemon>) -> Option<&str> {
    daemon.known()?.trial.as_ref()?.why()
}

fn not_building(known: &Known<'_>) -> Vec<Case> {
    let nodes = known.nodes().filter_map(|node| {
        let why = why_not(&node.facts.daemon)?;
        let container = node.facts.name.container();
        let case = about(node);
        let case = if node.in_container() {
            case.run(format!("docker logs {container}")).with_consent(
                Remedy::Renew(node.owner(), Change::default()),
                "make its container anew, which keeps the cache",
            )
        } else {
            case.by_hand("look at the daemon's log, and start it again")
        };
        Some((case, format!("Node `{}`", node.facts.name), why))
    });
    let engines = known.engines().filter_map(|(host, engine)| {
        let case = Case::of("host", &host.id).host(&host.id);
        let case =
            case.by_hand("look at the engine's log; what runs on it ends if it is restarted");
        let whose = "The BuildKit inside the engine".to_owned();
        Some((case, whose, why_not(&engine.embedded)?))
    });
    let alone = known.inventory.standalone.iter().filter_map(|daemon| {
        let why = why_not(&daemon.daemon)?;
        let name = daemon.address.clone().unwrap_or_default();
        let case = Case::of("standalone", &name).by_hand("look at its log, and start it again");
        Some((case, "The daemon".to_owned(), why))
    });
    nodes
        .chain(engines)
        .chain(alone)
        .map(|(case, whose, why)| {
            case.cause(format!(
                "{whose} answers, and a build does not come through."
            ))
            .seen(why)
        })
        .collect()
}

fn not_to_be_started(known: &Known<'_>) -> Vec<Case> {
    let nodes = known.nodes().filter(Node::in_container);
    nodes
        .filter_map(|node| {
            let why = known.container(node)?.stand_in.as_ref()?.why()?;
            let change = Change {
                usual_flags: why.contains(UNKNOWN_FLAG),
                ..Change::default()
            };
            let container = node.facts.name.container();
            let case = about(node)
                .cause(format!(
                    "Node `{}` is stopped, and a daemon made like its own does not build: the next build would fail.",
                    node.facts.name
                ))
                .seen(format!("a stand-in of container `{container}`: {why}"))
                .with_consent(
                    Remedy::Renew(node.owner(), change),
                    "make its container anew without what its daemon refuses, which keeps the cache",
                );
            Some(case.run(format!("docker start --attach {container}")))
        })
        .collect()
}

fn unread(known: &Known<'_>) -> Vec<Case> {
    let volumes = known.engines().flat_map(|(host, engine)| {
        let volumes = engine.volumes.iter();
        volumes.filter_map(move |volume| {
            let reason = volume.contradictions.as_ref()?.reason()?;
            Some((Case::of("volume", &volume.name).host(&host.id), reason))
        })
    });
    let roots = known.inventory.standalone.iter().filter_map(|daemon| {
        let reason = daemon.contradictions.as_ref()?.reason()?;
        Some((Case::of("standalone", daemon.root.as_ref()?), reason))
    });
    volumes
        .chain(roots)
        .map(|(case, reason)| {
            case.cause("Whether its databases and its files agree could not be told.")
                .seen(reason)
                .by_hand("look again when no build runs on it")
        })
        .collect()
}

fn put_aside(known: &Known<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (host, engine) in known.engines() {
        let damaged = engine
            .volumes
            .iter()
            .filter(|volume| volume.parked.is_none() && !volume.set_aside.is_empty());
        cases.extend(damaged.map(|volume| {
            let mut nodes = known.nodes();
            let node = nodes.find(|node| known.volume(*node).is_some_and(|it| std::ptr::eq(it, volume)));
            let fresh = node.map(|node| Remedy::Renew(node.owner(), Change::empty()));
            Case::of("volume", &volume.name)
                .host(&host.id)
                .cause("A daemon found a database of this state damaged and began an empty one: what it knew is built again.")
                .seen(format!("{}: {}", volume.mountpoint, volume.set_aside.join(", ")))
                .with_consent(
                    fresh,
                    "nothing is urgent: save the state and give the builder a fresh one, or prune what nobody uses any more and remove the file",
                )
                .run(format!("sudo rm {}", quoted(&volume.mountpoint.join(&volume.set_aside[0]))))
        }));
    }
    cases
}
