//! The bundle: all that a helper needs of this machine in one file, its secrets hidden. Which entries it has, and how each is masked.
//!
//! Invariant: nothing enters a bundle but by [`Bundle`], which hides by the kind of file first and by the shape of secrets last.

mod known;
mod masked;
mod net;
mod packed;
mod readme;
mod setting;
mod wanted;

pub use masked::Kind;
pub use packed::{Bundle, Contents, Described, Entry, LeftOut, RunLine};
pub use wanted::{Source, Wanted, wanted};
