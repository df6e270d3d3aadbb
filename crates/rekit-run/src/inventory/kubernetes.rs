//! Nodes in Kubernetes: rekit does not speak to a cluster, but sees whether anybody on this machine could.

use std::path::PathBuf;

use rekit_core::{fact::Fact, inventory::NodeRecord};

use super::record::NodeAddress;
use crate::world::{environment::Surroundings, host};

/// Notes for each node why it cannot be reached, or that it was not asked.
pub(super) fn look(
    surroundings: &Surroundings,
    nodes: &mut [NodeRecord],
    addresses: &[NodeAddress],
) {
    for (node, address) in nodes.iter_mut().zip(addresses) {
        let missing = missing_configuration(surroundings, &address.endpoint);
        if missing.is_some() {
            "error".clone_into(&mut node.status);
        }
        let reason = missing.unwrap_or_else(|| "rekit does not ask nodes in Kubernetes".to_owned());
        node.daemon = Fact::Unreadable { reason };
    }
}

/// Says which configuration of a cluster is not there, looked for as buildx does: the one that was in force when the node was made, which
/// its endpoint names, else KUBECONFIG, else the usual place; within a cluster none is needed.
fn missing_configuration(surroundings: &Surroundings, endpoint: &str) -> Option<String> {
    let query = endpoint.split_once('?').map_or("", |(_, query)| query);
    let named = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("kubeconfig="))
        .filter(|path| !path.is_empty())
        .map(|path| path.replace("%2F", "/").replace("%2f", "/"));
    let files: Vec<PathBuf> = match (named, surroundings.variable("KUBECONFIG")) {
        (Some(path), _) => vec![PathBuf::from(path)],
        (None, Some(paths)) => std::env::split_paths(paths).collect(),
        (None, None) if surroundings.variable("KUBERNETES_SERVICE_HOST").is_some() => return None,
        (None, None) => vec![surroundings.home().join(".kube/config")],
    };
    let is_there = files.iter().any(|file| host::status(file).is_ok());
    let shown = files.iter().map(|file| file.display().to_string());
    (!is_there).then(|| format!("there is no `{}`", shown.collect::<Vec<_>>().join("`, `")))
}
