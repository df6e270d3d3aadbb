//! Disks that are too small or full, and an engine that was switched to its other store of images.

use super::builder::{self, volume};
use crate::lab::Lab;
use anyhow::Result;
use serde_json::{Value, json};
use std::{fs, io::Write as _};

/// Boots builder `name` with its state on a disk of 48 MiB.
fn on_small_disk(lab: &Lab, name: &str) -> Result<()> {
    let options = ["type=tmpfs", "device=tmpfs", "o=size=48m"];
    let mut create = vec!["volume", "create"];
    for option in &options {
        create.extend(["--opt", option]);
    }
    let volume = volume(name);
    create.push(&volume);
    lab.docker(&create)?;
    builder::boot(lab, name, &[])
}

/// Percentages of a small disk are rounded up to limits of a gigabyte: garbage collection never begins.
pub(super) fn small(lab: &Lab) -> Result<()> {
    on_small_disk(lab, "tight")
}

/// The disk is full to the last page, and the databases on it cannot even delete.
pub(super) fn full(lab: &Lab) -> Result<()> {
    on_small_disk(lab, "full")?;
    let mut filler = fs::File::create(lab.volume(&volume("full"))?.join("somebody-elses"))?;
    let chunk = vec![7; 4096];
    while filler.write_all(&chunk).is_ok() {}
    Ok(())
}

/// Changes the engine's daemon.json and starts the engine anew.
pub(super) fn restart_with(lab: &Lab, key: &str, value: Value) -> Result<()> {
    lab.stop_engine()?;
    let file = lab.daemon_json();
    let mut config: Value = serde_json::from_slice(&fs::read(&file)?)?;
    config[key] = value;
    fs::write(&file, format!("{config:#}\n"))?;
    lab.start_engine()
}

/// The engine was switched to containerd's store while a builder ran.
pub(super) fn switched(lab: &Lab) -> Result<()> {
    builder::boot(lab, "mig", &[])?;
    restart_with(lab, "features", json!({"containerd-snapshotter": true}))
}

/// A rule with two filters: `dockerd --validate` takes it, the engine does not start.
pub(super) fn engine_down(lab: &Lab) -> Result<()> {
    let policy =
        json!([{"filter": ["type=source.local", "type=exec.cachemount"], "keepStorage": "1GB"}]);
    let gc = json!({"gc": {"enabled": true, "policy": policy}});
    anyhow::ensure!(
        restart_with(lab, "builder", gc).is_err(),
        "the engine started with a policy of two filters"
    );
    Ok(())
}
