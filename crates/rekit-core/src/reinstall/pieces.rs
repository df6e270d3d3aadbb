//! The smaller pieces of a reinstall as plans of their own: `install` makes what is missing, `doctor --fix` mends what needs no new node.

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

/// Plans to mend what needs no new node: contexts, configuration, the store's leftovers, the selection.
pub fn fix(ground: &Ground<'_>, goal: &Goal) -> Result<Plan, NoPlan> {
    let wishes = Wishes::default();
    let mut fix = Reinstall::begin(ground, goal, &wishes, Purpose::Fix)?;
    fix.save_configuration();
    let saved = fix.draft.next_id();
    fix.mend_contexts();
    fix.retire_configuration();
    fix.drop_hopeless_records();
    fix.sweep_store();
    fix.sweep_leftovers();
    fix.select();
    fix.validate();
    Ok(fix.draft.finish_unless_at(saved))
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

    /// Removes records that do not parse and have no container; the others are left to a reinstall.
    fn drop_hopeless_records(&mut self) {
        let broken = self
            .store
            .builders
            .iter()
            .filter(|builder| builder.record.known().is_none());
        for builder in broken {
            if self.containers_of(&builder.name).is_none() {
                self.drop_record(builder);
            } else {
                let why = "its record does not parse, and a container bears its name; `rekit reinstall` rebuilds it";
                self.draft
                    .leave_out(format!("builder {}", builder.name), why);
            }
        }
    }
}
