//! Who builds where: for each front end the builder that it takes, by rule, and compared with what a trial saw.
//!
//! Invariants: the rule reads the inventory and nothing else; a trial never changes what the rule says, it stands beside it.

mod current;
mod document;
mod rule;
mod settings;
mod trial;

#[cfg(test)]
mod tests;

pub use current::{Chosen, ChosenBy, current};
pub use document::{Choice, FrontEnd, FrontEnds, Row};
pub use rule::front_ends;
pub use settings::loads_by_itself;
pub use trial::{Seen, Trial};
