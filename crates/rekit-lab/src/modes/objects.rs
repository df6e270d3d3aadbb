//! Containers and volumes in the engine that don't match the records.

use super::builder;
use crate::{
    engine::wait_for,
    lab::Lab,
    process::{text, words},
};
use anyhow::Result;
use std::{fs, time::Duration};

/// The container was removed by hand, then the builder with `buildx rm`: it reports success and never looks at the volume.
pub(super) fn orphan_state_volume(lab: &Lab) -> Result<()> {
    builder::boot(lab, "orphan", &[])?;
    lab.docker(&["rm", "-f", &builder::container("orphan")])?;
    lab.docker(&["buildx", "rm", "orphan"])?;
    Ok(())
}

/// A name is the only link between a builder and its container; here somebody else has it.
pub(super) fn foreign_container(lab: &Lab) -> Result<()> {
    lab.base_image("shop/db:1")?;
    lab.docker(&["buildx", "create", "--name", "cf", "--node", "cf0"])?;
    lab.docker(&[
        "run",
        "-d",
        "--name",
        &builder::container("cf"),
        "shop/db:1",
        "sleep",
        "100000",
    ])?;
    Ok(())
}

/// A daemon that holds its socket and answers nothing.
pub(super) fn hung_daemon(lab: &Lab) -> Result<()> {
    builder::boot(lab, "hung", &[])?;
    let processes = lab.docker(&["top", &builder::container("hung"), "-eo", "pid,comm"])?;
    for line in processes.lines().filter(|line| line.ends_with("buildkitd")) {
        let pid = line.split_whitespace().next().unwrap_or_default();
        text(&mut words("kill", ["-STOP", pid]))?;
        let stat = format!("/proc/{pid}/stat");
        wait_for(Duration::from_secs(5), || {
            fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "))
        })?;
    }
    Ok(())
}
