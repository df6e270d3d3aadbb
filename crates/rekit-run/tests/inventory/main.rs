//! The inventory against truths written down by hand: on sample trees without any engine, and on real engines with planted defects.
//!
//! The lab's parts must be there: `cargo run -p rekit-lab -- setup` as root.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "tests make the world that is looked at, fail where they stand, and keep one truth in one piece"
)]

mod endpoints;
mod first_user;
mod leftovers;
mod programs;
mod sample;
mod speed;
mod standalone;

use std::time::{Duration, Instant};

use rekit_core::inventory::{BuilderRecord, Inventory, NodeRecord, Record};
use rekit_lab::{Lab, LabOptions};
use rekit_run::{
    inventory::{Limits, inventory},
    world::environment::Surroundings,
};

/// Starts a lab, or says what to do.
fn lab(options: LabOptions) -> Lab {
    Lab::up(options).unwrap_or_else(|error| {
        panic!("no lab: {error:#}\nRun `cargo run -p rekit-lab -- setup` as root and try again.")
    })
}

/// Makes a builder that runs, from the image that the lab has.
fn boot(lab: &Lab, name: &str) {
    lab.buildkit_image("0.32.2").unwrap();
    let words = "buildx create --driver docker-container --bootstrap --name";
    let words: Vec<&str> = words.split(' ').chain([name, "--node"]).collect();
    let node = format!("{name}0");
    let words: Vec<&str> = words.into_iter().chain([node.as_str()]).collect();
    lab.docker(&words).unwrap();
}

/// The surroundings of a program that runs in the lab.
fn surroundings(lab: &Lab) -> Surroundings {
    Surroundings::new(lab.env().clone(), lab.home().join("project"), 0)
}

/// Looks, and says how long it took.
fn look_with(surroundings: &Surroundings, limits: Limits) -> (Inventory, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let started = Instant::now();
    let found = runtime.block_on(inventory(surroundings, limits));
    let took = started.elapsed();
    runtime.shutdown_background();
    (found, took)
}

/// Looks as a program in the lab would.
fn look(lab: &Lab) -> (Inventory, Duration) {
    look_with(&surroundings(lab), Limits::default())
}

/// Returns the builder's entry in the active store.
fn builder<'a>(found: &'a Inventory, name: &str) -> &'a BuilderRecord {
    found.stores[0]
        .builders
        .iter()
        .find(|builder| builder.name.as_str() == name)
        .unwrap_or_else(|| panic!("no builder {name}"))
}

/// Returns the builder's readable record.
fn record<'a>(found: &'a Inventory, name: &str) -> &'a Record {
    builder(found, name).record.known().unwrap()
}

/// Returns the only node of a builder.
fn node<'a>(found: &'a Inventory, name: &str) -> &'a NodeRecord {
    let [node] = record(found, name).nodes.as_slice() else {
        panic!("{name} has one node")
    };
    node
}
