//! The selected builder, and what is left of a selection.

use super::builder;
use crate::{lab::Lab, versions::BUILDKIT_DEFAULT};
use anyhow::Result;
use serde_json::json;
use std::fs;

/// Somebody made a builder and selected it, as every guide says.
pub(super) fn selected(lab: &Lab) -> Result<()> {
    lab.buildkit_image(BUILDKIT_DEFAULT)?;
    builder::boot(lab, "sel", &["--use"])
}

/// A builder was the default of this endpoint; `rm` removes it and leaves the default.
pub(super) fn removed_default(lab: &Lab) -> Result<()> {
    lab.docker(&["buildx", "create", "--name", "passed"])?;
    lab.docker(&["buildx", "use", "--default", "passed"])?;
    lab.docker(&["buildx", "rm", "passed"])?;
    Ok(())
}

/// The record of a cloud builder, which only Docker Desktop's buildx knows.
pub(super) fn cloud(lab: &Lab) -> Result<()> {
    let record = json!({"Name": "cloud-acme-team", "Driver": "cloud", "Dynamic": false, "Nodes": [
        {"Name": "linux-amd64", "Endpoint": "cloud://acme/team_linux-amd64", "Platforms": null, "DriverOpts": null, "Flags": null, "Files": null}]});
    let instances = lab.buildx_config().join("instances");
    fs::create_dir_all(&instances)?;
    Ok(fs::write(
        instances.join("cloud-acme-team"),
        record.to_string(),
    )?)
}

/// Windows and WSL keep a store each, both with a builder of the same name on the one engine. `BUILDX_CONFIG` leads to the second.
pub(super) fn two_stores(lab: &Lab) -> Result<()> {
    builder::boot(lab, "shared", &[])?;
    let other = lab.home().join(".windows/buildx");
    fs::create_dir_all(other.join("instances"))?;
    fs::copy(
        lab.buildx_config().join("instances/shared"),
        other.join("instances/shared"),
    )?;
    Ok(())
}
