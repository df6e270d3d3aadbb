//! Cache mounts where no file system reaches them: what a project says of them, what a daemon says, and what can be kept.

mod dockerfile;
mod mount;
mod plan;
mod words;

pub use dockerfile::{DeclaredMount, Dockerfile, Unclear, parse};
pub use mount::{ArchivedMount, CacheMount, MountOptions};
pub(crate) use plan::keep;
pub use plan::{Keepable, MountRestore, NoMountRestore, keepable, restore};
