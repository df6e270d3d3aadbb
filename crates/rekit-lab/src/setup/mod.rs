//! `setup`: installs, unpacks and builds what is missing. Quick when nothing is, and safe to run twice at once.

mod apt;
mod emulators;
mod engines;
mod go;
mod machine;

use crate::{cache::Cache, image, versions};
use anyhow::Result;

/// What to set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Debian packages, and the engines with their command lines
    Engine,
    /// BuildKit and buildx, built from their pinned Go modules
    Go,
    /// Emulators of other processors, and arm64 base programs
    Emulators,
    /// All of these, and the builder images
    #[default]
    All,
}

/// Installs what is missing of `what`; `say` is told each piece of work that takes time.
pub fn setup(what: What, say: &(dyn Fn(&str) + Sync)) -> Result<()> {
    let cache = Cache::open()?;
    let wanted = |this: What| what == What::All || what == this;
    machine::install_packages(&cache, say)?;
    std::thread::scope(|scope| {
        let go = wanted(What::Go).then(|| scope.spawn(|| go::build_all(&cache, say)));
        if wanted(What::Engine) {
            engines::unpack_all(&cache, say)?;
        }
        if wanted(What::Emulators) {
            emulators::enable(&cache, say)?;
        }
        match go.map(std::thread::ScopedJoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    })?;
    if what == What::All {
        for version in versions::versions_of("buildkit") {
            image::archive(&cache, version)?;
        }
    }
    Ok(())
}
