//! The order of entries: a walk that enters each directory at once, names sorted by their bytes.
//!
//! So no path comes twice, every parent comes before its children, and a directory is done when the
//! first entry outside it comes.

use thiserror::Error;

use crate::entry::{Entry, Kind};
use crate::path::TreePath;

/// The entry stands at a wrong place.
#[derive(Debug, Error)]
pub enum OrderError {
    /// The first entry must be the root directory.
    #[error("the first entry is `{0}`, not the root directory")]
    NoRoot(TreePath),
    /// The path comes twice or after one that should follow it.
    #[error("`{0}` comes twice or out of order")]
    NotAscending(TreePath),
    /// The entry has no parent directory in the tree.
    #[error("`{0}` has no parent directory")]
    NoParent(TreePath),
    /// A hard link must name an earlier entry.
    #[error("hard link `{0}` names a later entry")]
    LinkForward(TreePath),
}

/// The last entry seen.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    path: TreePath,
    is_directory: bool,
}

impl Last {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            path: entry.path.clone(),
            is_directory: entry.kind == Kind::Directory,
        }
    }

    /// Checks that `entry` may follow `last`; nothing came before the first entry of a tree.
    pub(crate) fn may_precede(last: Option<&Self>, entry: &Entry) -> Result<(), OrderError> {
        let path = &entry.path;
        if let Kind::HardLink { target } = &entry.kind
            && target >= path
        {
            return Err(OrderError::LinkForward(path.clone()));
        }
        match (last, path.split()) {
            (None, None) if entry.kind == Kind::Directory => Ok(()),
            (None, _) => Err(OrderError::NoRoot(path.clone())),
            (Some(last), _) if *path <= last.path => Err(OrderError::NotAscending(path.clone())),
            (Some(last), Some((parent, _))) => {
                let inside = last.path.is_within(&parent);
                let is_file = last.path == parent && !last.is_directory;
                if inside && !is_file {
                    Ok(())
                } else {
                    Err(OrderError::NoParent(path.clone()))
                }
            }
            (Some(_), None) => Err(OrderError::NotAscending(path.clone())),
        }
    }
}
