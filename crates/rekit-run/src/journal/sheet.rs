//! The file of a run's rollback sheet, renewed with the journal.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
};

use rekit_core::{
    next::{Entry, RunState},
    plan::Plan,
    sheet,
};

use crate::world::path_of;

/// The sheet of one run.
pub(super) struct SheetFile<'a> {
    path: PathBuf,
    plan: &'a Plan,
    state: RunState,
}

impl<'a> SheetFile<'a> {
    pub(super) fn new(plan: &'a Plan, entries: &[Entry]) -> Self {
        Self {
            path: path_of(&sheet::place(&plan.home, &plan.run)),
            plan,
            state: RunState::replay(plan.steps.len(), entries),
        }
    }

    /// Takes one more entry in and renews the file where that changes the way back.
    pub(super) fn note(&mut self, entry: &Entry) {
        self.state.enter(entry);
        let changes_it = matches!(
            entry,
            Entry::Started { .. } | Entry::Undone { .. } | Entry::Ended { .. }
        );
        if changes_it {
            // The journal has the same and more: a sheet that cannot be written must not stop a run half-way.
            drop(self.write());
        }
    }

    /// Writes the file: whole, or as it was.
    pub(super) fn write(&self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let partial = self.path.with_extension("partial");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(sheet::sheet(self.plan, &self.state).as_bytes())?;
        std::fs::rename(&partial, &self.path)
    }
}
