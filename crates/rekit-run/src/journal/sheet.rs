//! The file of a run's rollback sheet, renewed with the journal.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rekit_core::{
    next::{Entry, RunState},
    plan::Plan,
    sheet,
};

use super::blobs::write_durably;
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
        let text = sheet::sheet(self.plan, &self.state);
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        write_durably(folder, &self.path, text.as_bytes())
    }
}
