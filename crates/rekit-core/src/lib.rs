//! The nouns and decisions of rekit. No I/O: no files, network, clock, randomness or environment.

pub mod config;
pub mod doctor;
pub mod fact;
pub mod finding;
pub mod inventory;
pub mod mask;
pub mod name;
