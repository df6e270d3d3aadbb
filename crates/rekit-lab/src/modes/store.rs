//! Damage in buildx's own folder.

use super::builder;
use crate::lab::Lab;
use anyhow::Result;
use serde_json::json;
use std::fs;

/// The record was cut by a full disk.
pub(super) fn instance_file_corrupt(lab: &Lab) -> Result<()> {
    builder::boot(lab, "cut", &[])?;
    cut_record(lab, "cut")
}

/// Cuts the record of builder `name` in half.
pub(super) fn cut_record(lab: &Lab, name: &str) -> Result<()> {
    let record = lab.buildx_config().join("instances").join(name);
    let text = fs::read(&record)?;
    Ok(fs::write(record, &text[..text.len() / 2])?)
}

/// An editor's backup and a folder, both in the place where each name is a builder.
pub(super) fn stray_file_in_instances(lab: &Lab) -> Result<()> {
    let instances = lab.buildx_config().join("instances");
    fs::create_dir_all(instances.join("adir"))?;
    Ok(fs::write(instances.join("mybuilder.bak~"), "{}")?)
}

/// A selected builder was removed: `rm` leaves the selection.
pub(super) fn selection_silently_reset(lab: &Lab) -> Result<()> {
    lab.docker(&["buildx", "create", "--name", "chosen", "--use"])?;
    Ok(fs::remove_file(
        lab.buildx_config().join("instances/chosen"),
    )?)
}

/// A machine whose builds made a builder each and removed none.
pub(super) fn many_records(lab: &Lab) -> Result<()> {
    let instances = lab.buildx_config().join("instances");
    fs::create_dir_all(&instances)?;
    for number in 0..500 {
        let name = format!("bulk{number:03}");
        let record = json!({
            "Name": name, "Driver": "docker-container", "Dynamic": false,
            "Nodes": [{"Name": format!("{name}0"), "Endpoint": format!("unix://{}", lab.socket().display()), "Platforms": null, "DriverOpts": null,
                       "Flags": ["--allow-insecure-entitlement=network.host"], "Files": null}],
        });
        fs::write(instances.join(name), record.to_string())?;
    }
    Ok(())
}

/// What builds of a builder leave beside its record.
pub(super) fn refs_and_activity_leftovers(lab: &Lab) -> Result<()> {
    leave_refs(lab, "departed", 3)
}

/// Leaves `count` refs and the activity of builder `name`.
pub(super) fn leave_refs(lab: &Lab, name: &str, count: usize) -> Result<()> {
    let store = lab.buildx_config();
    let refs = store.join("refs").join(name).join(format!("{name}0"));
    fs::create_dir_all(&refs)?;
    fs::create_dir_all(store.join("activity"))?;
    let project = lab.home().join("project").display().to_string();
    for number in 0..count {
        let reference = json!({"Target": "default", "LocalPath": project, "DockerfilePath": format!("{project}/Dockerfile")});
        fs::write(
            refs.join(format!("q0rekitlab{number:015}")),
            reference.to_string(),
        )?;
    }
    if !store.join("refs/version").exists() {
        fs::write(store.join("refs/version"), "2")?;
    }
    Ok(fs::write(
        store.join("activity").join(name),
        "2025-01-31T08:00:00Z",
    )?)
}
