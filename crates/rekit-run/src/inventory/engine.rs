//! Asks engines and daemons.

use rekit_core::{
    fact::Fact,
    inventory::{CachePlace, Host, Standalone, Store},
    name::HostId,
};

use super::{Limits, foundations::Foundations};
use crate::world::clock::Deadline;

/// What engines and daemons answered.
pub(super) struct Asked {
    hosts: Vec<Host>,
}

/// Asks every endpoint.
pub(super) async fn ask(base: &Foundations, _deadline: Deadline, _limits: Limits) -> Asked {
    let hosts = base
        .endpoints
        .all()
        .iter()
        .map(|endpoint| Host {
            id: endpoint.id.clone(),
            named_by: endpoint.named_by.clone(),
            engine: Fact::Unreadable {
                reason: "not asked".to_owned(),
            },
        })
        .collect();
    Asked { hosts }
}

/// Asks a standalone daemon.
pub(super) async fn ask_standalone(
    daemon: Standalone,
    _deadline: Deadline,
    _limits: Limits,
) -> Standalone {
    daemon
}

impl Asked {
    /// Fills in what the nodes answered.
    pub(super) fn fill_nodes(&self, _stores: &mut [Store]) {}

    /// Returns what the engine at an endpoint said of itself.
    pub(super) fn said(&self, _id: &HostId) -> Fact<String> {
        Fact::Unreadable {
            reason: "not asked".to_owned(),
        }
    }

    /// Returns the places where the engines keep cache.
    pub(super) fn places(&self, _stores: &[Store]) -> Vec<CachePlace> {
        Vec::new()
    }

    /// Returns the hosts.
    pub(super) fn into_hosts(self) -> Vec<Host> {
        self.hosts
    }
}
