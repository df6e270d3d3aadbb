//! Walks a tree in the order of the stream and hands out segments to read. One thread, so that the first name of a hard
//! link is always the same.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;
use thiserror::Error;

use crate::cut::{Cutter, Groups, Job, Scope, Work};
use crate::digest::Hasher;
use crate::entry::Time;
use crate::manifest::{SegmentKind, Skipped};
use crate::path::{PathError, TreePath};
use crate::rules::{Rules, Treatment};
use crate::staging::Staged;

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
    NoDirectory(TreePath),
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
    /// The file system, the inode on it, and how many names that has.
    pub(crate) file_system: u64,
    pub(crate) inode: u64,
    pub(crate) names: u64,
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
            file_system: metadata.dev(),
            inode: metadata.ino(),
            names: metadata.nlink(),
            link: None,
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    pub(crate) fn is_socket(&self) -> bool {
        self.mode & 0o170_000 == 0o140_000
    }

    /// Adds all that tells whether it was changed to a digest.
    pub(crate) fn hash_into(&self, hasher: &mut Hasher) {
        let link = self.link.as_ref().map(TreePath::as_bytes);
        for text in [self.path.as_bytes(), link.unwrap_or_default()] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        let Self {
            modified, changed, ..
        } = self;
        let times =
            [modified, changed].map(|time| [time.seconds.cast_unsigned(), time.nanoseconds.into()]);
        let owner = u64::from(self.uid) << 32 | u64::from(self.gid);
        let kind = u64::from(self.mode) << 1 | u64::from(link.is_some());
        let numbers = [kind, owner, self.size, self.device, self.inode];
        for number in numbers.iter().chain(times.as_flattened()) {
            hasher.update(&number.to_le_bytes());
        }
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

/// Where the walk looks. The tree as it is now, unless something was kept of how it was at another moment.
pub(crate) trait Scene: Sync {
    /// Returns the names in a directory, sorted by their bytes.
    fn names(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>>;
    /// Looks at a place.
    fn look(&self, path: &TreePath) -> io::Result<Found>;
    /// Returns what is to be done with a directory that is a segment of its own, where that was decided before.
    fn decided(&self, _: &TreePath) -> Option<Vec<Work>> {
        None
    }
    /// Returns what was set aside of a place.
    fn staged(&self, _: &TreePath) -> Option<&Staged> {
        None
    }
}

/// The tree as it is now.
#[derive(Clone)]
pub(crate) struct Now {
    pub(crate) root: PathBuf,
}

impl Scene for Now {
    fn names(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path.below(&self.root))? {
            names.push(entry?.file_name().into_vec());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn look(&self, path: &TreePath) -> io::Result<Found> {
        let metadata = fs::symlink_metadata(path.below(&self.root))?;
        Ok(Found::new(path.clone(), &metadata))
    }
}

/// How to walk.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    /// What is left out and what is a segment of its own.
    pub(crate) rules: &'a Rules,
    /// Whether what vanishes meanwhile is passed over.
    pub(crate) may_vanish: bool,
}

pub(crate) struct Walk<'a> {
    scene: &'a dyn Scene,
    way: Way<'a>,
    file_system: u64,
    cutter: Cutter,
    links: HashMap<(u64, u64), (TreePath, u64)>,
    left: Left,
    give: &'a mut dyn FnMut(Job) -> bool,
}

/// Walks a tree from `path` on; `give` takes each segment and says whether to go on. Returns the next free number.
pub(crate) fn walk(
    scene: &dyn Scene,
    path: &TreePath,
    way: Way<'_>,
    give: &mut dyn FnMut(Job) -> bool,
) -> Result<(Left, u32), WalkError> {
    let failed = |source| WalkError::Read {
        path: path.clone(),
        source,
    };
    let found = scene.look(path).map_err(failed)?;
    if !found.is_directory() {
        return Err(WalkError::NoDirectory(path.clone()));
    }
    let scope = Arc::new(Scope {
        kind: SegmentKind::Rest,
        name: ".".to_owned(),
    });
    let mut walk = Walk {
        scene,
        way,
        file_system: found.file_system,
        cutter: Cutter::new(Arc::clone(&scope)),
        links: HashMap::new(),
        left: Left::default(),
        give,
    };
    walk.visit(path, found, &scope)?;
    if let Some(job) = walk.cutter.end() {
        walk.hand_out(job)?;
    }
    Ok((walk.left, walk.cutter.next_number()))
}

impl Walk<'_> {
    fn visit(
        &mut self,
        path: &TreePath,
        mut found: Found,
        scope: &Arc<Scope>,
    ) -> Result<(), WalkError> {
        TreePath::parse(&path.member_name()).map_err(WalkError::Path)?;
        let rule = self.way.rules.rule_for(path.as_bytes());
        let treatment = rule.map(|rule| rule.treatment);
        let reason = rule.map_or("", |rule| rule.reason);
        if found.is_socket() {
            self.left.sockets += 1;
            self.skip(path, "socket");
            return Ok(());
        }
        if !found.is_directory() {
            found.link = self.earlier_name(&found);
            return self.push(scope, found);
        }
        let is_elsewhere = found.file_system != self.file_system;
        let is_own = treatment == Some(Treatment::OwnSegment);
        let own = Scope {
            kind: SegmentKind::Own,
            name: path.to_string(),
        };
        let scope = if is_own { &Arc::new(own) } else { scope };
        if is_own && let Some(works) = self.scene.decided(path) {
            return self.hand_out_all(works, scope);
        }
        self.push(scope, found)?;
        match treatment {
            _ if is_elsewhere => self.skip_contents(path, "another file system is mounted here"),
            Some(Treatment::SkipContents) => self.skip_contents(path, reason),
            Some(Treatment::Group) => self.visit_group(path, scope),
            _ => self.visit_children(path, scope),
        }
    }

    fn visit_children(&mut self, path: &TreePath, scope: &Arc<Scope>) -> Result<(), WalkError> {
        for name in self.names(path)? {
            let child = path.child(&name);
            if let Some(found) = self.look(&child)? {
                self.visit(&child, found, scope)?;
            }
        }
        Ok(())
    }

    fn visit_group(&mut self, path: &TreePath, scope: &Arc<Scope>) -> Result<(), WalkError> {
        let mut children = BTreeMap::new();
        for name in self.names(path)? {
            if let Some(found) = self.look(&path.child(&name))? {
                children.insert(name, found);
            }
        }
        let sizes = children
            .iter()
            .filter(|(_, found)| found.is_file())
            .map(|(name, found)| (name.clone(), found.size))
            .collect();
        let groups = Groups::new(&sizes);
        let mut group = Arc::clone(scope);
        for (name, found) in children {
            let child = path.child(&name);
            if !found.is_file() {
                self.visit(&child, found, scope)?;
                continue;
            }
            let prefix = String::from_utf8_lossy(groups.prefix_of(&name));
            let wanted = Scope {
                kind: SegmentKind::Group,
                name: format!("{path}/{prefix}*"),
            };
            if *group != wanted {
                group = Arc::new(wanted);
            }
            self.visit(&child, found, &group)?;
        }
        Ok(())
    }

    fn names(&self, path: &TreePath) -> Result<Vec<Vec<u8>>, WalkError> {
        match self.scene.names(path) {
            Err(error) if self.may_pass_over(&error) => Ok(Vec::new()),
            result => result.map_err(|source| WalkError::Read {
                path: path.clone(),
                source,
            }),
        }
    }

    /// Looks at a place, unless it is to be left out.
    fn look(&mut self, path: &TreePath) -> Result<Option<Found>, WalkError> {
        if let Some(rule) = self.way.rules.rule_for(path.as_bytes())
            && rule.treatment == Treatment::Skip
        {
            self.skip(path, rule.reason);
            return Ok(None);
        }
        match self.scene.look(path) {
            Err(error) if self.may_pass_over(&error) => Ok(None),
            result => result.map(Some).map_err(|source| WalkError::Read {
                path: path.clone(),
                source,
            }),
        }
    }

    fn may_pass_over(&self, error: &io::Error) -> bool {
        self.way.may_vanish && has_vanished(error)
    }

    fn earlier_name(&mut self, found: &Found) -> Option<TreePath> {
        if found.names < 2 {
            return None;
        }
        let key = (found.file_system, found.inode);
        let Some((first, left)) = self.links.get_mut(&key) else {
            self.links
                .insert(key, (found.path.clone(), found.names - 1));
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
        if !self.names(path)?.is_empty() {
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

    fn hand_out_all(&mut self, works: Vec<Work>, scope: &Arc<Scope>) -> Result<(), WalkError> {
        if let Some(job) = self.cutter.end() {
            self.hand_out(job)?;
        }
        for work in works {
            let job = self.cutter.number(scope, work);
            self.hand_out(job)?;
        }
        Ok(())
    }

    fn hand_out(&mut self, job: Job) -> Result<(), WalkError> {
        if (self.give)(job) {
            Ok(())
        } else {
            Err(WalkError::Ended)
        }
    }
}

/// Returns true if a place is no longer there, or no longer what it was.
pub(crate) fn has_vanished(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    ) || error.raw_os_error() == Some(Errno::STALE.raw_os_error())
}
