//! Looks at the world and changes it: inventory, executor, journal, steps. The only crate that does either.

pub mod archives;
pub mod bundle;
mod collection;
mod deep;
pub mod engine_cache;
pub mod estimate;
pub mod exchange;
pub mod executor;
mod images;
pub mod inventory;
pub mod journal;
pub mod rehearse;
pub mod retention;
pub mod running;
pub mod sealing;
pub mod session;
pub mod steps;
mod store_lock;
pub mod world;
