//! The folder of things that are made once and used by every lab.
//!
//! A part is made in a temporary folder and renamed when it is whole, so that a broken-off run is never taken for a finished one. Makers of the
//! same part wait for each other on a lock; readers need none.

use anyhow::{Context, Result, bail};
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

/// The cache folder: `$REKIT_LAB_CACHE`, else `$XDG_CACHE_HOME/rekit-lab`, else `~/.cache/rekit-lab`.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds the cache folder from the environment.
    pub(crate) fn open() -> Result<Self> {
        let set = |name: &str| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = set("REKIT_LAB_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("rekit-lab")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/rekit-lab")))
            .context("neither REKIT_LAB_CACHE nor XDG_CACHE_HOME nor HOME is set: the lab has no place for its parts")?;
        Ok(Self { root })
    }

    /// Names the cache folder.
    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Returns where `part` lies or would lie.
    pub(crate) fn path(&self, part: &str) -> PathBuf {
        self.root.join(part)
    }

    /// Returns where `part` lies, or says how to get it.
    pub(crate) fn need(&self, part: &str) -> Result<PathBuf> {
        let path = self.path(part);
        if !path.exists() {
            bail!(
                "the lab's part `{part}` is missing: run `rekit-lab setup` (looked in {})",
                self.root.display()
            );
        }
        Ok(path)
    }

    /// Returns `part`, made by `make` in an empty folder (or as a file there, see `make`'s argument) if it is not there yet.
    pub(crate) fn provide(
        &self,
        part: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let path = self.path(part);
        if path.exists() {
            return Ok(path);
        }
        let _lock = self.lock(part)?;
        if path.exists() {
            return Ok(path);
        }
        let unfinished = self
            .root
            .join(format!(".unfinished-{}", part.replace('/', "-")));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        fs::create_dir_all(&unfinished)?;
        make(&unfinished).with_context(|| format!("could not make the lab's part `{part}`"))?;
        fs::rename(&unfinished, &path)?;
        Ok(path)
    }

    /// Waits for and takes the lock `name`; it is free again when the file is dropped.
    pub(crate) fn lock(&self, name: &str) -> Result<File> {
        let folder = self.root.join(".locks");
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
        lock(&folder.join(name.replace('/', "-")))
    }
}

/// Waits for and takes the flock on `path`, which is made if needed.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("could not open {}", path.display()))?;
    file.lock()
        .with_context(|| format!("could not lock {}", path.display()))?;
    Ok(file)
}
