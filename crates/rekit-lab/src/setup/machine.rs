//! Debian packages of the machine's own suite.

use crate::{
    cache::Cache,
    process::{text, words},
    versions::PACKAGES,
};
use anyhow::{Context, Result};
use std::path::Path;

/// Installs the packages of [`PACKAGES`] whose files are missing.
pub(super) fn install_packages(cache: &Cache, say: &(dyn Fn(&str) + Sync)) -> Result<()> {
    let missing = || {
        PACKAGES
            .iter()
            .filter(|(_, file)| !Path::new(file).exists())
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
    };
    if missing().is_empty() {
        return Ok(());
    }
    let _lock = cache.lock("packages")?;
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    say(&format!("installing {}", missing.join(" ")));
    let apt = |arguments: &[&str]| {
        let mut command = words(
            "apt-get",
            [
                "-qq",
                "-o",
                "DPkg::Lock::Timeout=300",
                "-o",
                "Acquire::Retries=3",
            ],
        );
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        text(&mut command)
    };
    apt(&["update"])?;
    apt(&[
        &["install", "-y", "--no-install-recommends"][..],
        &missing[..],
    ]
    .concat())
    .context("could not install Debian packages; the lab needs root on Debian 12 or later")?;
    Ok(())
}
