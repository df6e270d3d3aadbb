//! The files of a run's rollback sheet, renewed with the journal: text for a shell, a page for a browser.

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

use super::{blobs::write_durably, page::page};
use crate::world::path_of;

/// The sheet of one run.
pub(super) struct SheetFile<'a> {
    path: PathBuf,
    page: PathBuf,
    plan: &'a Plan,
    state: RunState,
}

impl<'a> SheetFile<'a> {
    pub(super) fn new(plan: &'a Plan, entries: &[Entry]) -> Self {
        Self {
            path: path_of(&sheet::place(&plan.home, &plan.run)),
            page: path_of(&sheet::page_place(&plan.home, &plan.run)),
            plan,
            state: RunState::replay(plan.steps.len(), entries),
        }
    }

    /// Takes one more entry in and renews the file where that changes the way back.
    pub(super) fn note(&mut self, entry: &Entry) {
        self.state.enter(entry);
        let changes_it = matches!(
            entry,
            Entry::Started { .. }
                | Entry::Held { .. }
                | Entry::Accepted { .. }
                | Entry::Turned { .. }
                | Entry::Undone { .. }
                | Entry::Ended { .. }
        ) || matches!(entry, Entry::Finished { outcome, .. } if outcome.decision().is_some());
        if changes_it {
            // The journal has the same and more: a sheet that cannot be written must not stop a run half-way.
            drop(self.write());
        }
    }

    /// Writes the sheet as text and as a page: each whole, or as it was.
    pub(super) fn write(&self) -> io::Result<()> {
        let text = sheet::sheet(self.plan, &self.state);
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        write_durably(folder, &self.path, text.as_bytes())?;
        let title = format!("Way back from run {}", self.plan.run);
        write_durably(folder, &self.page, page(&title, &text).as_bytes())
    }
}
