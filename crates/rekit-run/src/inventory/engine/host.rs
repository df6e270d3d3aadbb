//! One engine: what it is, what it holds of BuildKit, and the daemons in it.

use std::{path::Path, time::Duration};

use rekit_buildkit::{
    ContainerDetail, ContainerSummary, Daemon as Address, Engine as Connection, EngineInfo,
    Filters, Timeouts,
};
use rekit_core::{
    fact::Fact,
    inventory::{Engine, Host, HostContainer, HostVolume, ImageStore},
    name::HostPath,
};

use super::{
    containers, daemon, dial,
    nodes::{NodeAnswer, NodeQuestion, Through},
};
use crate::{
    inventory::{
        Limits, caches, endpoints::Endpoint, machine::docker_architecture, standalone, together,
    },
    world::{clock::Deadline, host as files},
};

/// What an engine answered.
pub(in crate::inventory) struct AskedHost {
    /// What goes into the inventory.
    pub(super) host: Host,
    /// Whether its files lie on this machine.
    pub(super) is_local: bool,
    /// What its nodes answered.
    pub(super) nodes: Vec<NodeAnswer>,
}

/// Asks an engine, then at once the daemons in it.
pub(super) async fn ask(
    endpoint: Endpoint,
    questions: Vec<NodeQuestion>,
    deadline: Deadline,
    limits: Limits,
) -> AskedHost {
    let limit = deadline.within(limits.endpoint);
    let looked =
        tokio::time::timeout_at(limit.instant(), Box::pin(look(&endpoint, limits.endpoint))).await;
    let answer = looked.unwrap_or_else(|_| {
        Err(format!(
            "no answer within {} ms",
            limits.endpoint.as_millis()
        ))
    });
    let named = Host {
        id: endpoint.id,
        named_by: endpoint.named_by,
        engine: Fact::Unreadable {
            reason: String::new(),
        },
    };
    match answer {
        Ok(seen) => seen.complete(named, questions, deadline, limits).await,
        Err(reason) => AskedHost {
            nodes: questions
                .into_iter()
                .map(|question| question.unanswered("error", &format!("its engine: {reason}")))
                .collect(),
            host: Host {
                engine: Fact::Unreadable { reason },
                ..named
            },
            is_local: false,
        },
    }
}

/// What an engine says in its first answers.
struct Seen {
    connection: Connection,
    info: EngineInfo,
    all: Vec<ContainerSummary>,
    volumes: Vec<rekit_buildkit::Volume>,
    details: Vec<(ContainerDetail, HostContainer)>,
}

/// Connects and asks for all that the engine itself knows.
async fn look(endpoint: &Endpoint, limit: Duration) -> Result<Seen, String> {
    let address = endpoint
        .address
        .parse()
        .map_err(|error: rekit_buildkit::EndpointError| dial::reason(&error))?;
    let tls = endpoint.tls.as_ref().map(dial::tls_material).transpose()?;
    let timeouts = Timeouts {
        connect: limit,
        look: limit,
        change: limit,
        stream_head: limit,
    };
    let connection = Connection::connect(address, tls, timeouts)
        .await
        .map_err(|error| dial::reason(&error))?;
    let none = Filters::none();
    let (info, all, volumes) = tokio::try_join!(
        connection.info(),
        connection.containers_list(true, &none),
        connection.volumes_list(&none),
    )
    .map_err(|error| dial::reason(&error))?;
    let inspections: Vec<_> = all
        .iter()
        .filter(|container| containers::may_be_buildkit(container))
        .map(|container| inspect(connection.clone(), container.id.clone()))
        .collect();
    let details = together::all(inspections)
        .await
        .into_iter()
        .flatten()
        .collect();
    Ok(Seen {
        connection,
        info: info.0,
        all,
        volumes,
        details,
    })
}

/// Inspects a container; one that has gone meanwhile is no container.
async fn inspect(connection: Connection, id: String) -> Option<(ContainerDetail, HostContainer)> {
    let (detail, raw) = connection.container_inspect(&id).await.ok()?;
    let container = containers::container(&detail, &raw)?;
    Some((detail, container))
}

impl Seen {
    /// Asks the daemons in the engine and measures its volumes, all at once.
    async fn complete(
        self,
        named: Host,
        questions: Vec<NodeQuestion>,
        deadline: Deadline,
        limits: Limits,
    ) -> AskedHost {
        let is_local = self.is_local(named.id.as_str());
        let containers: Vec<HostContainer> = self
            .details
            .iter()
            .map(|(_, container)| container.clone())
            .collect();
        let volumes = containers::volumes(&self.volumes, &self.all, &containers);
        let embedded = Address::EngineEmbedded(self.connection.clone());
        let through = Through {
            connection: self.connection.clone(),
            is_local,
            deadline,
            limit: limits.endpoint,
        };
        let nodes: Vec<_> = questions
            .into_iter()
            .map(|question| {
                let container = self
                    .details
                    .iter()
                    .find(|(_, container)| container.name == question.container);
                question.ask(container, through.clone())
            })
            .collect();
        let measures = volumes
            .into_iter()
            .map(|volume| measured(volume, is_local, deadline));
        let (embedded, nodes, volumes) = tokio::join!(
            daemon::ask(&embedded, deadline, limits.endpoint),
            together::all(nodes),
            together::all(measures.collect::<Vec<_>>()),
        );
        let engine = self.describe(embedded, containers, volumes);
        AskedHost {
            host: Host {
                engine: Fact::Known(engine),
                ..named
            },
            is_local,
            nodes,
        }
    }

    /// Returns whether the engine's files are this machine's: the id in its data root is its own. Without the right to read that file,
    /// a unix socket and the root folder's presence must do.
    fn is_local(&self, endpoint: &str) -> bool {
        let root = Path::new(&self.info.docker_root_dir);
        match files::read(&root.join("engine-id"), 4096) {
            Ok(id) => String::from_utf8_lossy(&id).trim() == self.info.id,
            Err(_) => endpoint.starts_with("unix://") && files::status(root).is_ok(),
        }
    }

    fn describe(
        self,
        embedded: Fact<rekit_core::inventory::Daemon>,
        containers: Vec<HostContainer>,
        volumes: Vec<HostVolume>,
    ) -> Engine {
        let info = self.info;
        let snapshotter = info.driver_status.iter().any(|pair| {
            pair.iter()
                .any(|text| text.contains("containerd.snapshotter"))
        });
        Engine {
            id: info.id,
            version: info.server_version,
            api_version: self.connection.newest_api().to_owned(),
            os: info.os_type,
            architecture: docker_architecture(&info.architecture).to_owned(),
            storage_driver: info.driver,
            image_store: if snapshotter {
                ImageStore::Containerd
            } else {
                ImageStore::Graphdriver
            },
            data_root: HostPath::from(info.docker_root_dir.as_str()),
            cgroup_version: info.cgroup_version,
            rootless: info
                .security_options
                .iter()
                .any(|option| option.starts_with("name=rootless")),
            embedded,
            containers,
            volumes,
        }
    }
}

/// Measures a volume where its files lie here.
async fn measured(mut volume: HostVolume, is_local: bool, deadline: Deadline) -> HostVolume {
    if is_local {
        let folder = files::path_of(&volume.mountpoint);
        let moved = folder.clone();
        let look = move || files::list(&moved, 10_000);
        volume.holds_state = match together::on_thread(deadline, look).await {
            Some(Ok(entries)) => Fact::Known(entries.iter().any(|entry| {
                entry.name == "buildkitd.lock"
                    || entry.name == "cache.db"
                    || standalone::is_worker(&entry.name)
            })),
            Some(Err(_)) if files::status(&folder).is_err() => Fact::Unreadable {
                reason: "needs root".to_owned(),
            },
            Some(Err(error)) => Fact::from_result(Err(error)),
            None => Fact::Unreadable {
                reason: "not read within the time of an inventory".to_owned(),
            },
        };
        volume.size_bytes = caches::measure(&folder, deadline).await;
    }
    volume
}
