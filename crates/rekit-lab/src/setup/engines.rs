//! Engines of newer Debian suites, unpacked side by side without being installed.

use super::apt::PrivateApt;
use crate::{
    cache::Cache,
    process::{text, words},
    versions::ENGINES,
};
use anyhow::Result;
use std::{fs, os::unix::fs::symlink};

/// Unpacks every engine that is missing.
pub(super) fn unpack_all(cache: &Cache, say: &(dyn Fn(&str) + Sync)) -> Result<()> {
    let architecture = text(&mut words("dpkg", ["--print-architecture"]))?;
    for engine in ENGINES {
        cache.provide(&format!("engine-{}", engine.version), |prefix| {
            say(&format!(
                "unpacking engine {} from Debian's {}",
                engine.version, engine.suite
            ));
            let state = prefix.join(".apt");
            let apt = PrivateApt::read(&state, engine.suite, architecture.trim())?;
            apt.unpack(
                &[
                    "docker.io",
                    "docker-cli",
                    "docker-buildx",
                    "docker-compose",
                    "containerd",
                ],
                prefix,
            )?;
            fs::remove_dir_all(state)?;
            // Newer suites' programs in C want a newer libc than Debian 12 has; the machine's own are used.
            for program in ["usr/bin/runc", "usr/sbin/runc", "usr/bin/docker-init"] {
                if prefix.join(program).symlink_metadata().is_ok() {
                    fs::remove_file(prefix.join(program))?;
                }
            }
            symlink("/usr/bin/tini-static", prefix.join("usr/bin/docker-init"))?;
            Ok(())
        })?;
    }
    Ok(())
}
