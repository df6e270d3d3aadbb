//! Garbage collection foreseen: the rules of a daemon and the records of its cache in, what the daemon will delete out.
//!
//! Invariant: it follows what BuildKit does, also where that surprises. Each fact names the file and the releases it was read in; what a
//! daemon decides by chance is told as such. `collection.rs` in `rekit/tests/e2e` compares it with real collections.

mod behaviour;
mod daemons;
mod filter;
mod forecast;
mod kept;
mod limit;
mod next;
mod order;
mod record;
mod report;
mod rule;
mod words;

#[cfg(test)]
mod tests;

pub use behaviour::Behaviour;
pub use daemons::{Collector, Reach, collectors};
pub use filter::FilterFault;
pub use forecast::{Deletion, Forecast, Turn, Unforeseen, forecast};
pub use kept::{Kept, Why};
pub use next::{Next, Room};
pub use record::{Cache, CacheRecord, Started};
pub use report::{
    CacheTold, Collections, DaemonTold, Deleted, DiskTold, ForecastTold, KeptTold, LimitTold, Read,
    RuleTold, TurnTold, report,
};
