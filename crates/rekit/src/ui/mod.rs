//! What people see: pure functions from facts to text, and the progress of a run. Data goes to stdout by the verbs that call them.

pub(crate) mod archives;
pub(crate) mod bundle;
pub(crate) mod causes;
pub(crate) mod collection;
mod decisions;
pub(crate) mod doctor;
mod estimate;
pub(crate) mod exchange;
pub(crate) mod failure;
pub(crate) mod front_ends;
pub(crate) mod generations;
pub(crate) mod inventory;
mod leftovers;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod result;
pub(crate) mod status;
pub(crate) mod style;
pub(crate) mod words;
