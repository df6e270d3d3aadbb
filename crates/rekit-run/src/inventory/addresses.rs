//! How to dial each host of an inventory. Holds credentials: goes to the world's door and nowhere else.

use std::collections::BTreeMap;

use rekit_core::name::HostId;

use super::{engine, foundations::foundations};
use crate::world::{environment::Surroundings, real::Address};

/// Returns the address of every host that contexts, builders and the environment name and that can be dialled from here.
pub fn addresses(surroundings: &Surroundings) -> BTreeMap<HostId, Address> {
    let base = foundations(surroundings);
    let address = |endpoint: &super::endpoints::Endpoint| {
        let tls = endpoint
            .tls
            .as_ref()
            .map(engine::tls_material)
            .transpose()
            .ok()?;
        Some((
            endpoint.id.clone(),
            Address {
                endpoint: endpoint.address.parse().ok()?,
                tls,
            },
        ))
    };
    base.endpoints.all().iter().filter_map(address).collect()
}
