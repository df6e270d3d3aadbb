//! What dockerd makes of the builder's part of its daemon.json.

mod advice;
mod fields;
mod filter;
mod read;
mod remark;
mod rules;

pub use read::{EngineRelease, judge_engine};
pub use remark::engine_remarks;
pub use rules::engine_gc_rules;
