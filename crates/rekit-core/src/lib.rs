//! The nouns and decisions of rekit. No I/O: no files, network, clock, randomness or environment.

pub mod backup;
pub mod by_hand;
pub mod check;
pub mod config;
pub mod doctor;
pub mod draft;
pub mod event;
pub mod fact;
pub mod finalize;
pub mod finding;
pub mod goal;
pub mod history;
pub mod inventory;
pub mod json;
pub mod mask;
pub mod name;
pub mod next;
pub mod plan;
pub mod record;
pub mod reinstall;
pub mod rollback;
pub mod sheet;
pub mod socket;
pub mod step;
pub mod undo;
