//! `install` as a plan of its own: makes what is missing.

use super::{NoPlan, Reinstall, Wishes, builders::CONTAINER_DRIVER};
use crate::{
    draft::Ground,
    goal::Goal,
    inventory::BuilderRecord,
    plan::{Plan, Purpose},
};

/// Plans to make the builder that the goal names, beside what is there; nothing where it is there.
pub fn install(ground: &Ground<'_>, goal: &Goal) -> Result<Plan, NoPlan> {
    let wishes = Wishes::default();
    let mut install = Reinstall::begin(ground, goal, &wishes, Purpose::Install)?;
    install.save_configuration();
    let saved = install.draft.next_id();
    if install.misses_builder() {
        install.create_builder();
    }
    install.select();
    install.validate();
    Ok(install.draft.finish_unless_at(saved))
}

impl Reinstall<'_> {
    /// Returns whether the goal's builder is to be made; one whose record does not parse is left to a reinstall, which keeps its cache.
    fn misses_builder(&mut self) -> bool {
        let is_wanted = |builder: &&BuilderRecord| match &self.goal.builder.name {
            Some(name) => builder.name.as_str().eq_ignore_ascii_case(name.as_str()),
            None => builder
                .record
                .known()
                .is_some_and(|record| record.driver == CONTAINER_DRIVER),
        };
        let Some(builder) = self.store.builders.iter().find(is_wanted) else {
            return true;
        };
        if let Some(reason) = builder.record.reason() {
            let why = format!(
                "its record does not parse ({reason}); `rekit reinstall` rebuilds it and keeps its cache"
            );
            self.draft
                .leave_out(format!("builder {}", builder.name), why);
        }
        false
    }
}
