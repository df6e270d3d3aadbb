//! What a daemon does with its configuration file, and the same file corrected.

mod buildkitd;
mod correct;
mod cure;
mod engine;
pub mod files;
mod gc;
mod goal;
mod mend;
mod place;
mod policy;
mod remark;
mod rules;
mod scalar;
mod schema;
mod words;

pub use buildkitd::{Release, judge_buildkitd, judge_buildkitd_as};
pub use correct::{Correction, corrected_buildkitd};
pub use engine::{EngineRelease, engine_gc_rules, engine_remarks, judge_engine};
pub use gc::GcSizes;
pub use goal::goal_remarks;
pub use mend::mended_buildkitd;
pub use policy::gc_rules;
pub use remark::buildkitd_remarks;
