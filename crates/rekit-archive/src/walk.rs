//! Walks a tree in the order of the stream and hands out segments to read. One thread, so that the first name of a hard
//! link is always the same.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::cut::{Cutter, Groups, Job, Scope};
use crate::entry::Time;
use crate::manifest::{SegmentKind, Skipped};
use crate::path::{PathError, TreePath};
use crate::rules::{Rules, Treatment};

/// The manifest names at most so many places that were left out.
const MOST_SKIPPED: usize = 10_000;

/// The walk could not go on.
#[derive(Debug, Error)]
pub enum WalkError {
    /// A place could not be looked at.
    #[error("could not read `{path}`")]
    Read {
        /// The place.
        path: TreePath,
        /// The cause.
        source: io::Error,
    },
    /// The root is no directory.
    #[error("`{0}` is not a directory")]
    NoDirectory(PathBuf),
    /// A path is too long for us.
    #[error("a path cannot be kept")]
    Path(#[source] PathError),
    /// Nobody takes the segments any more.
    #[error("packing ended early")]
    Ended,
}

/// A place as the walk saw it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: TreePath,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) blocks: u64,
    pub(crate) device: u64,
    pub(crate) modified: Time,
    pub(crate) changed: Time,
    /// An earlier name of the same thing.
    pub(crate) link: Option<TreePath>,
}

impl Found {
    pub(crate) fn new(path: TreePath, metadata: &Metadata) -> Self {
        let time = |seconds, nanoseconds: i64| Time {
            seconds,
            nanoseconds: u32::try_from(nanoseconds).unwrap_or(0),
        };
        Self {
            path,
            mode: metadata.mode(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            size: metadata.size(),
            blocks: metadata.blocks(),
            device: metadata.rdev(),
            modified: time(metadata.mtime(), metadata.mtime_nsec()),
            changed: time(metadata.ctime(), metadata.ctime_nsec()),
            link: None,
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    /// Returns true if nothing was written between the two looks.
    pub(crate) fn is_same(&self, later: &Self) -> bool {
        let key = |found: &Self| (found.mode, found.size, found.modified, found.changed);
        key(self) == key(later)
    }
}

/// What the walk learnt besides the segments.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) skipped_total: u64,
    pub(crate) sockets: u64,
}

pub(crate) struct Walk<'a> {
    root: PathBuf,
    rules: &'a Rules,
    file_system: u64,
    cutter: Cutter,
    links: HashMap<(u64, u64), (TreePath, u64)>,
    left: Left,
    give: &'a mut dyn FnMut(Job) -> bool,
}

/// Walks the tree at `root`; `give` takes each segment and says whether to go on. Returns the next free number.
pub(crate) fn walk(
    root: PathBuf,
    rules: &Rules,
    give: &mut dyn FnMut(Job) -> bool,
) -> Result<(Left, u32), WalkError> {
    let failed = |source| WalkError::Read {
        path: TreePath::default(),
        source,
    };
    let metadata = fs::symlink_metadata(&root).map_err(failed)?;
    if !metadata.is_dir() {
        return Err(WalkError::NoDirectory(root));
    }
    let scope = Arc::new(Scope {
        kind: SegmentKind::Rest,
        name: ".".to_owned(),
    });
    let mut walk = Walk {
        root,
        rules,
        file_system: metadata.dev(),
        cutter: Cutter::new(Arc::clone(&scope)),
        links: HashMap::new(),
        left: Left::default(),
        give,
    };
    walk.visit(&TreePath::default(), &metadata, &scope)?;
    if let Some(job) = walk.cutter.end() {
        walk.hand_out(job)?;
    }
    Ok((walk.left, walk.cutter.next_number()))
}

impl Walk<'_> {
    fn visit(
        &mut self,
        path: &TreePath,
        metadata: &Metadata,
        scope: &Arc<Scope>,
    ) -> Result<(), WalkError> {
        TreePath::parse(&path.member_name()).map_err(WalkError::Path)?;
        let rule = self.rules.rule_for(path.as_bytes());
        let treatment = rule.map(|rule| rule.treatment);
        let reason = rule.map_or("", |rule| rule.reason);
        if treatment == Some(Treatment::Skip) && !path.is_root() {
            self.skip(path, reason);
            return Ok(());
        }
        if metadata.file_type().is_socket() {
            self.left.sockets += 1;
            self.skip(path, "socket");
            return Ok(());
        }
        let mut found = Found::new(path.clone(), metadata);
        if !metadata.is_dir() {
            found.link = self.earlier_name(path, metadata);
            return self.push(scope, found);
        }
        let is_own = treatment == Some(Treatment::OwnSegment);
        let own = Scope {
            kind: SegmentKind::Own,
            name: path.to_string(),
        };
        let scope = if is_own { &Arc::new(own) } else { scope };
        self.push(scope, found)?;
        match treatment {
            _ if metadata.dev() != self.file_system => {
                self.skip_contents(path, "another file system is mounted here")
            }
            Some(Treatment::SkipContents) => self.skip_contents(path, reason),
            Some(Treatment::Group) => self.visit_group(path, scope),
            _ => self.visit_children(path, scope),
        }
    }

    fn visit_children(&mut self, path: &TreePath, scope: &Arc<Scope>) -> Result<(), WalkError> {
        for name in self.names(path)? {
            let child = path.child(&name);
            let metadata = self.look(&child)?;
            self.visit(&child, &metadata, scope)?;
        }
        Ok(())
    }

    fn visit_group(&mut self, path: &TreePath, scope: &Arc<Scope>) -> Result<(), WalkError> {
        let mut children = BTreeMap::new();
        for name in self.names(path)? {
            let metadata = self.look(&path.child(&name))?;
            children.insert(name, metadata);
        }
        let sizes = children
            .iter()
            .filter(|(_, metadata)| metadata.is_file())
            .map(|(name, metadata)| (name.clone(), metadata.size()))
            .collect();
        let groups = Groups::new(&sizes);
        let mut group = Arc::clone(scope);
        for (name, metadata) in &children {
            let child = path.child(name);
            if !metadata.is_file() {
                self.visit(&child, metadata, scope)?;
                continue;
            }
            let prefix = String::from_utf8_lossy(groups.prefix_of(name));
            let wanted = Scope {
                kind: SegmentKind::Group,
                name: format!("{path}/{prefix}*"),
            };
            if *group != wanted {
                group = Arc::new(wanted);
            }
            self.visit(&child, metadata, &group)?;
        }
        Ok(())
    }

    fn names(&self, path: &TreePath) -> Result<Vec<Vec<u8>>, WalkError> {
        let failed = |source| WalkError::Read {
            path: path.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(path.below(&self.root)).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name().into_vec());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn look(&self, path: &TreePath) -> Result<Metadata, WalkError> {
        let failed = |source| WalkError::Read {
            path: path.clone(),
            source,
        };
        fs::symlink_metadata(path.below(&self.root)).map_err(failed)
    }

    fn earlier_name(&mut self, path: &TreePath, metadata: &Metadata) -> Option<TreePath> {
        if metadata.nlink() < 2 {
            return None;
        }
        let key = (metadata.dev(), metadata.ino());
        let Some((first, left)) = self.links.get_mut(&key) else {
            self.links.insert(key, (path.clone(), metadata.nlink() - 1));
            return None;
        };
        let first = first.clone();
        *left -= 1;
        if *left == 0 {
            self.links.remove(&key);
        }
        Some(first)
    }

    fn skip_contents(&mut self, path: &TreePath, reason: &str) -> Result<(), WalkError> {
        let failed = |source| WalkError::Read {
            path: path.clone(),
            source,
        };
        let mut children = fs::read_dir(path.below(&self.root)).map_err(failed)?;
        if children.next().is_some() {
            self.skip(path, reason);
        }
        Ok(())
    }

    fn skip(&mut self, path: &TreePath, reason: &str) {
        self.left.skipped_total += 1;
        if self.left.skipped.len() < MOST_SKIPPED {
            let reason = reason.to_owned();
            self.left.skipped.push(Skipped {
                path: path.clone(),
                reason,
            });
        }
    }

    fn push(&mut self, scope: &Arc<Scope>, found: Found) -> Result<(), WalkError> {
        let ended = self.cutter.push(scope, found);
        ended.map_or(Ok(()), |job| self.hand_out(job))
    }

    fn hand_out(&mut self, job: Job) -> Result<(), WalkError> {
        if (self.give)(job) {
            Ok(())
        } else {
            Err(WalkError::Ended)
        }
    }
}
