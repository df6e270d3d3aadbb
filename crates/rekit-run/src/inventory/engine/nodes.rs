//! The daemons of builders' nodes, and those that no engine knows of.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rekit_buildkit::{ContainerDetail, Daemon as Address, Engine as Connection};
use rekit_core::{
    fact::Fact,
    inventory::{Daemon, Standalone},
    name::ContainerName,
};

use super::{
    daemon, dial,
    host::Inspected,
    made::{AskedFor, Made},
};
use crate::{
    inventory::{Limits, endpoints::TlsFiles, record::NodeAddress, store},
    world::{clock::Deadline, host},
};

/// Which node: the places of its store, builder and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodePlace {
    pub(super) store: usize,
    pub(super) builder: usize,
    pub(super) node: usize,
}

/// A node of docker-container, to be asked through its engine.
pub(super) struct NodeQuestion {
    pub(super) place: NodePlace,
    pub(super) container: ContainerName,
    /// What its container should have been made with.
    pub(super) asked_for: Option<AskedFor>,
}

/// What a node answered.
pub(super) struct NodeAnswer {
    pub(super) place: NodePlace,
    pub(super) status: String,
    /// Settings that its container was not made with.
    pub(super) unapplied: Vec<String>,
    /// Whether its image is on the engine, where there is no container.
    pub(super) image_is_here: Option<bool>,
    pub(super) daemon: Fact<Daemon>,
}

/// The engine through which a node is asked.
#[derive(Clone)]
pub(super) struct Through {
    pub(super) connection: Connection,
    pub(super) is_local: bool,
    pub(super) deadline: Deadline,
    pub(super) limit: Duration,
}

impl NodeQuestion {
    /// Answers for a node that cannot be asked.
    pub(super) fn unanswered(self, status: &str, reason: &str) -> NodeAnswer {
        NodeAnswer {
            place: self.place,
            status: status.to_owned(),
            unapplied: Vec::new(),
            image_is_here: None,
            daemon: Fact::Unreadable {
                reason: reason.to_owned(),
            },
        }
    }

    /// Asks the daemon in the node's container, if it runs and is one.
    pub(super) fn ask(
        self,
        container: Option<&Inspected>,
        through: Through,
    ) -> impl Future<Output = NodeAnswer> + Send + 'static {
        let found = container.cloned();
        async move {
            let name = self.container.clone();
            let Some(Inspected {
                detail,
                container,
                raw,
            }) = found
            else {
                let image_is_here = match &self.asked_for {
                    Some(asked_for) => asked_for.image_is_on(&through.connection).await,
                    None => None,
                };
                let reason = format!("there is no container `{name}`");
                return NodeAnswer {
                    image_is_here,
                    ..self.unanswered("inactive", &reason)
                };
            };
            let status = match container.status.as_str() {
                "exited" | "created" | "dead" | "removing" => "stopped",
                other => other,
            };
            if !container.is_buildkit {
                let reason = format!("the container `{name}` is no BuildKit daemon");
                return self.unanswered(status, &reason);
            }
            let unapplied = match &self.asked_for {
                Some(asked_for) => {
                    let made = Made {
                        detail: &detail,
                        raw: &raw,
                    };
                    asked_for.missing_in(&made, &through.connection).await
                }
                None => Vec::new(),
            };
            if status != "running" {
                let said = &container.status;
                return NodeAnswer {
                    unapplied,
                    ..self.unanswered(status, &format!("the container `{name}` is {said}"))
                };
            }
            let address = direct(&detail, through.is_local).unwrap_or(Address::InContainer {
                engine: through.connection,
                container: container.id.to_string(),
            });
            NodeAnswer {
                place: self.place,
                status: status.to_owned(),
                unapplied,
                image_is_here: None,
                daemon: daemon::ask(&address, through.deadline, through.limit).await,
            }
        }
    }
}

/// Returns the daemon's own socket, seen through its process: ten times faster than a program started in the container. Only for root on the
/// engine's machine, and only if that process is in this container.
fn direct(detail: &ContainerDetail, is_local: bool) -> Option<Address> {
    if !is_local || detail.state.pid <= 0 {
        return None;
    }
    let process = PathBuf::from(format!("/proc/{}", detail.state.pid));
    let groups = host::read_text(&process.join("cgroup")).ok()?;
    if !groups.contains(&detail.id) {
        return None;
    }
    let socket = process.join("root/run/buildkit/buildkitd.sock");
    host::status(&socket).ok()?;
    Some(Address::Unix(socket))
}

/// Asks the daemon of a node of the remote driver.
pub(super) async fn ask_remote(
    place: NodePlace,
    address: NodeAddress,
    deadline: Deadline,
    limits: Limits,
) -> NodeAnswer {
    let tls = tls_of(&address);
    let daemon = ask_at(&address.endpoint, tls, deadline, limits).await;
    let status = if daemon.known().is_some() {
        "running"
    } else {
        "error"
    };
    NodeAnswer {
        place,
        status: status.to_owned(),
        unapplied: Vec::new(),
        image_is_here: None,
        daemon,
    }
}

/// Returns the TLS files that the driver options of a remote node name.
fn tls_of(address: &NodeAddress) -> Option<TlsFiles> {
    let file = |name: &str| address.options.get(name).map(PathBuf::from);
    let files = TlsFiles {
        authority: file("cacert"),
        certificate: file("cert"),
        key: file("key"),
        skip_verify: false,
        server_name: address.options.get("servername").cloned(),
    };
    (files != TlsFiles::default()).then_some(files)
}

/// Returns the way to the daemon of a builder of the remote driver with one node.
pub(crate) fn remote_daemon(store: &Path, builder: &str) -> Result<Address, String> {
    remote_node(store, builder, 0)
}

/// Returns the way to a node of a builder of the remote driver, by its place in the builder's record.
pub(crate) fn remote_node(store: &Path, builder: &str, node: usize) -> Result<Address, String> {
    let read = store::store(store);
    let builders = read.store.builders.iter().zip(&read.addresses);
    let found = builders
        .filter(|(found, _)| found.name.as_str() == builder)
        .find_map(|(_, addresses)| addresses.get(node));
    let address = found.ok_or_else(|| format!("there is no builder `{builder}` any more"))?;
    address_of(&address.endpoint, tls_of(address).as_ref())
}

/// Returns the way to a standalone daemon: with the keys that a builder of the remote driver names for it, where there is one.
pub(crate) fn standalone_daemon(
    address: &str,
    client: Option<(&Path, &str)>,
) -> Result<Address, String> {
    let keys = client.and_then(|(store, builder)| {
        let read = store::store(store);
        let builders = read.store.builders.iter().zip(&read.addresses);
        let own = builders.filter(|(found, _)| found.name.as_str() == builder);
        let mut nodes = own.flat_map(|(_, addresses)| addresses);
        tls_of(nodes.find(|node| node.endpoint == address)?)
    });
    address_of(address, keys.as_ref())
}

fn address_of(address: &str, tls: Option<&TlsFiles>) -> Result<Address, String> {
    let material = tls.map(dial::tls_material).transpose()?;
    let endpoint = address
        .parse()
        .map_err(|error: rekit_buildkit::EndpointError| dial::reason(&error))?;
    Address::at(&endpoint, material)
        .ok_or_else(|| "rekit cannot reach a daemon at such an address".to_owned())
}

/// Asks a daemon at an address of its own.
async fn ask_at(
    address: &str,
    tls: Option<TlsFiles>,
    deadline: Deadline,
    limits: Limits,
) -> Fact<Daemon> {
    match address_of(address, tls.as_ref()) {
        Ok(daemon) => daemon::ask(&daemon, deadline, limits.endpoint).await,
        Err(reason) => Fact::Unreadable { reason },
    }
}

/// Asks a standalone daemon, where it has an address.
pub(in crate::inventory) async fn ask_standalone(
    mut standalone: Standalone,
    deadline: Deadline,
    limits: Limits,
) -> Standalone {
    if let Some(address) = standalone.address.clone() {
        standalone.daemon = ask_at(&address, None, deadline, limits).await;
    }
    standalone
}
