//! The nouns and decisions of rekit. No I/O: no files, network, clock, randomness or environment.

pub mod fact;
pub mod finding;
pub mod inventory;
pub mod mask;
pub mod name;
