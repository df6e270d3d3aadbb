//! What tells where to look: the CLI's configuration, contexts, stores, the selection, and the endpoints that all of them name.

use std::path::PathBuf;

use rekit_core::{
    inventory::{ContextEntry, Selection},
    name::HostPath,
};

use super::{
    cli::{CliConfig, cli_config},
    contexts::contexts,
    desktop::{self, Traces},
    endpoints::Endpoints,
    kubernetes,
    record::NodeAddress,
    selection,
    store::{self, ReadStore},
};
use crate::world::{environment::Surroundings, host};

/// What was read before anything was asked.
pub(super) struct Foundations {
    /// The CLI's configuration.
    pub(super) cli: CliConfig,
    /// Contexts.
    pub(super) contexts: Vec<ContextEntry>,
    /// The folders of the stores, the active one first.
    pub(super) store_folders: Vec<PathBuf>,
    /// The stores.
    pub(super) stores: Vec<ReadStore>,
    /// What is in force.
    pub(super) selection: Selection,
    /// Everything that can be dialled.
    pub(super) endpoints: Endpoints,
    /// Desktop's traces.
    pub(super) desktop: Option<Traces>,
    /// Whether a variable pins the version of the Engine API.
    pub(super) pins_api: bool,
    /// What could not be read.
    pub(super) unreadable: Vec<(HostPath, String)>,
}

impl Foundations {
    /// Lists the addresses that contexts, variables and builders name.
    pub(super) fn addresses(&self) -> Vec<String> {
        let nodes = self
            .stores
            .iter()
            .flat_map(|read| read.addresses.iter().flatten());
        let engines = self
            .endpoints
            .all()
            .iter()
            .map(|endpoint| &endpoint.address);
        engines
            .chain(nodes.map(|node| &node.endpoint))
            .cloned()
            .collect()
    }

    /// What is left when the files did not answer in time: the environment alone.
    pub(super) fn unreadable(surroundings: &Surroundings) -> Self {
        let cli = CliConfig::default();
        let context = selection::context(surroundings, &cli);
        let reason = "not read within the time of an inventory".to_owned();
        Self {
            contexts: Vec::new(),
            store_folders: Vec::new(),
            stores: Vec::new(),
            selection: selection::selection(surroundings, context, None, None),
            endpoints: Endpoints::default(),
            desktop: None,
            pins_api: false,
            unreadable: [surroundings.docker_config(), surroundings.buildx_store()]
                .map(|path| (host::host_path(&path), reason.clone()))
                .into(),
            cli,
        }
    }
}

/// Reads the foundations.
pub(super) fn foundations(surroundings: &Surroundings) -> Foundations {
    let cli = cli_config(surroundings);
    let context = selection::context(surroundings, &cli);
    let (mut endpoints, mut unreadable) = (Endpoints::default(), Vec::new());
    let contexts = contexts(surroundings, &context.0, &mut endpoints, &mut unreadable);
    let desktop = desktop::traces(surroundings, &contexts, &mut endpoints);
    usual_sockets(surroundings, &mut endpoints);
    let store_folders = store::folders(surroundings);
    let mut stores: Vec<ReadStore> = store_folders
        .iter()
        .map(|folder| store::store(folder))
        .collect();
    for read in &mut stores {
        name_hosts(surroundings, read, &contexts, &mut endpoints);
    }
    let selection = selection::selection(
        surroundings,
        context,
        cli.builder_alias.clone(),
        stores.first().map(|read| &read.store),
    );
    Foundations {
        cli,
        contexts,
        store_folders,
        stores,
        selection,
        endpoints,
        desktop,
        pins_api: surroundings.variable("DOCKER_API_VERSION").is_some(),
        unreadable,
    }
}

/// Adds the sockets at which an engine usually listens, where they are there: an engine that no context names may hold builders too.
fn usual_sockets(surroundings: &Surroundings, endpoints: &mut Endpoints) {
    let mut sockets = vec![surroundings.system("/var/run/docker.sock")];
    sockets.extend(
        surroundings
            .runtime_folder()
            .map(|folder| folder.join("docker.sock")),
    );
    for socket in sockets {
        if host::status(&socket).is_ok() {
            let address = format!("unix://{}", socket.display());
            // A path that makes no endpoint would be in no other list either.
            drop(endpoints.add(&address, None, "default socket".to_owned()));
        }
    }
}

/// Finds the host behind each node of docker's own drivers.
fn name_hosts(
    surroundings: &Surroundings,
    read: &mut ReadStore,
    contexts: &[ContextEntry],
    endpoints: &mut Endpoints,
) {
    for (builder, addresses) in read.store.builders.iter_mut().zip(&read.addresses) {
        let rekit_core::fact::Fact::Known(record) = &mut builder.record else {
            continue;
        };
        if record.driver == "kubernetes" {
            kubernetes::look(surroundings, &mut record.nodes, addresses);
        }
        let on_engine = matches!(record.driver.as_str(), "docker-container" | "docker");
        for (node, address) in record.nodes.iter_mut().zip(addresses) {
            if !on_engine {
                continue;
            }
            node.container = Some(node.name.container());
            node.volume = Some(node.name.volume());
            match node_host(address, contexts, endpoints, builder.name.as_str()) {
                Ok(host) => node.host = Some(host),
                Err(reason) => {
                    "error".clone_into(&mut node.status);
                    node.daemon = rekit_core::fact::Fact::Unreadable { reason };
                }
            }
        }
    }
}

/// Finds the host behind a node's endpoint: a context's name or a URL, as buildx reads it.
fn node_host(
    address: &NodeAddress,
    contexts: &[ContextEntry],
    endpoints: &mut Endpoints,
    builder: &str,
) -> Result<rekit_core::name::HostId, String> {
    let named_by = format!("builder {builder}");
    let endpoint = &address.endpoint;
    if let Some(context) = contexts.iter().find(|context| &context.name == endpoint) {
        let state = context.state.known().ok_or_else(|| {
            let reason = context.state.reason().unwrap_or_default();
            format!("its context `{endpoint}` cannot be read: {reason}")
        })?;
        return match (&state.host, &state.unusable) {
            (Some(host), _) => {
                endpoints.also_named_by(host, named_by);
                Ok(host.clone())
            }
            (None, Some(reason)) => Err(format!("its context `{endpoint}`: {reason}")),
            (None, None) => Err(format!("its context `{endpoint}` names no endpoint")),
        };
    }
    if endpoint.contains("://") {
        endpoints.add(endpoint, None, named_by)
    } else {
        Err(format!("there is no context `{endpoint}`"))
    }
}
