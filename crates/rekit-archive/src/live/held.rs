//! How a state was in the moment in which its daemon stood still.

use std::collections::{BTreeMap, HashMap};
use std::io;

use crate::cut::Work;
use crate::path::TreePath;
use crate::staging::Staged;
use crate::walk::{Found, Now, Scene};

/// What was seen and set aside. Everything else cannot change, only vanish, and is read from the tree as it is now.
pub(crate) struct Held {
    pub(crate) now: Now,
    /// The names in the directories that are no snapshots and not in one.
    pub(crate) names: BTreeMap<TreePath, Vec<Vec<u8>>>,
    /// The places in those directories.
    pub(crate) rest: BTreeMap<TreePath, (Found, Staged)>,
    /// The snapshots that might have changed since.
    pub(crate) snapshots: HashMap<TreePath, Vec<Work>>,
}

impl Scene for Held {
    fn names(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        let names = self.names.get(path).cloned();
        names.map_or_else(|| self.now.names(path), Ok)
    }

    fn look(&self, path: &TreePath) -> io::Result<Found> {
        let found = self.rest.get(path).map(|(found, _)| found.clone());
        found.map_or_else(|| self.now.look(path), Ok)
    }

    fn decided(&self, path: &TreePath) -> Option<Vec<Work>> {
        self.snapshots.get(path).cloned()
    }

    fn staged(&self, path: &TreePath) -> Option<&Staged> {
        self.rest.get(path).map(|(_, staged)| staged)
    }
}
