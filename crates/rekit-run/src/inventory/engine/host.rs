//! One engine: what it is, what it holds of BuildKit, and the daemons in it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rekit_buildkit::{
    ContainerDetail, ContainerSummary, Daemon as Address, Engine as Connection, EngineInfo,
    Filters, Timeouts,
};
use rekit_core::{
    fact::Fact,
    inventory::{Engine, Host, HostContainer, HostVolume, ImageStore},
    name::HostPath,
};
use serde_json::Value;

use super::{
    containers, daemon, daemon_words, dial,
    nodes::{NodeAnswer, NodeQuestion, Through},
    settings,
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

/// Asks an engine, then at once the daemons in it; where a variable pins the API's version, also for the oldest that it takes.
pub(super) async fn ask(
    endpoint: Endpoint,
    questions: Vec<NodeQuestion>,
    pinned: bool,
    deadline: Deadline,
    limits: Limits,
) -> AskedHost {
    let limit = deadline.within(limits.endpoint);
    let looked = tokio::time::timeout_at(
        limit.instant(),
        Box::pin(look(&endpoint, pinned, limits.endpoint)),
    )
    .await;
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
    details: Vec<Inspected>,
    raw_info: Value,
    min_api_version: String,
}

/// A container that may be BuildKit's, as the engine describes it.
#[derive(Clone)]
pub(super) struct Inspected {
    pub(super) detail: ContainerDetail,
    pub(super) raw: Value,
    pub(super) container: HostContainer,
}

/// Connects and asks for all that the engine itself knows.
async fn look(endpoint: &Endpoint, pinned: bool, limit: Duration) -> Result<Seen, String> {
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
    // An engine starts two programs for this answer.
    let oldest = if pinned {
        let said = connection.version().await;
        said.ok().map(|said| said.min_api_version)
    } else {
        None
    };
    let details = together::all(inspections)
        .await
        .into_iter()
        .flatten()
        .collect();
    Ok(Seen {
        connection,
        min_api_version: oldest.unwrap_or_default(),
        info: info.0,
        raw_info: info.1,
        all,
        volumes,
        details,
    })
}

/// Inspects a container; one that has gone meanwhile is no container.
async fn inspect(connection: Connection, id: String) -> Option<Inspected> {
    let (detail, raw) = connection.container_inspect(&id).await.ok()?;
    let mut container = containers::container(&detail, &raw)?;
    let restarts = container.status == "restarting" || container.restart_count > 0;
    if container.is_buildkit && restarts {
        let logs = connection.container_logs(&id, 300, 128 << 10).await.ok();
        container.last_words = logs.and_then(|logs| daemon_words::last_words(&logs.stderr));
    }
    Some(Inspected {
        detail,
        raw,
        container,
    })
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
            .map(|inspected| inspected.container.clone())
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
                    .find(|inspected| inspected.container.name == question.container);
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
        let other_store = self.other_store(is_local, deadline).await;
        let engine = Engine {
            other_store,
            ..self.describe(embedded, containers, volumes)
        };
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

    /// Returns which of the two image stores is in use.
    fn image_store(&self) -> ImageStore {
        let mut pairs = self.info.driver_status.iter().flatten();
        if pairs.any(|text| text.contains("containerd.snapshotter")) {
            ImageStore::Containerd
        } else {
            ImageStore::Graphdriver
        }
    }

    /// Returns where images of the other store lie, if there are any.
    async fn other_store(&self, is_local: bool, deadline: Deadline) -> Option<HostPath> {
        if !is_local {
            return None;
        }
        let root = PathBuf::from(&self.info.docker_root_dir);
        let used = self.image_store();
        let look = move || settings::other_store(&root, used);
        together::on_thread(deadline, look).await.flatten()
    }

    fn describe(
        self,
        embedded: Fact<rekit_core::inventory::Daemon>,
        containers: Vec<HostContainer>,
        volumes: Vec<HostVolume>,
    ) -> Engine {
        let image_store = self.image_store();
        let info = self.info;
        Engine {
            registries: settings::registries(&self.raw_info),
            proxies: settings::proxies(&self.raw_info),
            min_api_version: self.min_api_version,
            other_store: None,
            id: info.id,
            version: info.server_version,
            api_version: self.connection.newest_api().to_owned(),
            os: info.os_type,
            architecture: docker_architecture(&info.architecture).to_owned(),
            storage_driver: info.driver,
            image_store,
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
        let entries = together::on_thread(deadline, look).await;
        if let Some(Ok(entries)) = &entries {
            volume.set_aside =
                containers::set_aside(entries.iter().map(|entry| entry.name.as_str()));
        }
        volume.holds_state = match entries {
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
