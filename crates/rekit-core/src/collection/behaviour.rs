//! Where releases of BuildKit collect differently.

use crate::config::Release;

/// How a daemon collects, as far as releases differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one change between releases"
)]
pub struct Behaviour {
    /// Whether a rule that has only a least free space keeps all there is while the disk has enough; before 0.21 it then deletes down to what
    /// is reserved. `cache/manager.go`: absent in 0.20.0, present in 0.21.0.
    pub spares_while_enough_is_free: bool,
    /// Whether ranks of age and of use count from 1 and not from 0, which weighs them otherwise. `cache/manager.go`: 0 in 0.21.0, 1 in 0.22.0.
    pub ranks_from_one: bool,
    /// Whether a filter may ask for the description. `cache/manager.go`: not in 0.13.2, in 0.14.0.
    pub filters_by_description: bool,
    /// Whether the daemon did not tell its release, and the newest is assumed.
    pub is_assumed: bool,
}

impl Behaviour {
    /// Returns how a daemon of this version collects.
    pub fn of(version: &str) -> Self {
        // An engine of a distribution calls its BuildKit v0.0.0+unknown.
        let told = Release::of_version(version).filter(|_| !version.contains("v0.0.0"));
        let release = told.unwrap_or(Release::NEWEST);
        let since = |version: &str| Release::of_version(version).is_some_and(|it| it <= release);
        Self {
            spares_while_enough_is_free: since("0.21"),
            ranks_from_one: since("0.22"),
            filters_by_description: since("0.14"),
            is_assumed: told.is_none(),
        }
    }
}
