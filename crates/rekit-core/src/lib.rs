//! The nouns and decisions of rekit. No I/O: no files, network, clock, randomness or environment.

pub mod check;
pub mod event;
pub mod fact;
pub mod finding;
pub mod goal;
pub mod inventory;
pub mod json;
pub mod name;
pub mod next;
pub mod plan;
pub mod record;
pub mod step;
pub mod undo;
