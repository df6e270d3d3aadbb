//! The doctor: an inventory in, a diagnosis out.
//!
//! Invariant: a check reads the inventory and nothing else, so the same inventory has the same diagnosis.
//! To add a check, write it as one entry of its family's table.

mod case;
mod check;
mod configuration;
mod contexts;
mod daemons;
mod disks;
mod known;
mod nodes;
mod platforms;
mod registries;
mod remedy;
mod selection;
mod store;
mod tools;

pub use check::{Check, checks, examine, explain, mendable};
pub(crate) use disks::bounds;
pub use remedy::{Change, Mendable, Owner, Remedy};

#[cfg(test)]
mod tests;
