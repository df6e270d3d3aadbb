//! What a daemon does with its configuration file, and the same file corrected.

mod buildkitd;
mod correct;
pub mod files;
mod gc;
mod place;
mod scalar;
mod schema;

pub use buildkitd::{Release, judge_buildkitd, judge_buildkitd_as};
pub use correct::{Correction, corrected_buildkitd};
pub use gc::{GcAdvice, GcSizes, gc_advice};
