//! Builders whose containers were made with other settings, and daemons that end, are ended, or cannot begin.

use super::builder::{self, container};
use crate::{
    engine::wait_for,
    lab::Lab,
    process::{succeeds, text},
};
use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{fs, time::Duration};

const PATIENCE: Duration = Duration::from_secs(20);

fn write(lab: &Lab, name: &str, content: &str) -> Result<String> {
    let file = lab.home().join("project").join(name);
    fs::write(&file, content)?;
    Ok(file.display().to_string())
}

/// The account's folder was deleted, the container was not; a new builder of the name adopts it and says nothing.
pub(super) fn adopted(lab: &Lab) -> Result<()> {
    builder::boot(lab, "orc", &[])?;
    fs::remove_dir_all(lab.buildx_config())?;
    let limits = "[worker.oci]\n  reservedSpace = \"1GB\"\n  maxUsedSpace = \"2GB\"\n  minFreeSpace = \"1GB\"\n";
    let config = write(lab, "new.toml", limits)?;
    let options = ["--buildkitd-config", &config, "--driver-opt", "env.FOO=bar"];
    builder::boot(lab, "orc", &options)
}

/// New settings for a builder that runs: buildx warns once, and restarts the old container for ever.
pub(super) fn not_applied(lab: &Lab) -> Result<()> {
    builder::boot(lab, "upd", &["--driver-opt", "env.A=1"])?;
    let change = ["buildx", "create", "--name", "upd", "--node", "upd0"];
    lab.docker(&[&change[..], &["--driver-opt", "env.A=2"]].concat())?;
    Ok(())
}

/// Boots a builder whose daemon does not start, and leaves as soon as it is restarted again and again.
fn boot_in_vain(lab: &Lab, name: &str) -> Result<()> {
    let mut boot = lab.command("timeout");
    boot.args(["3", "docker", "buildx", "inspect", "--bootstrap", name]);
    // It fails or is ended: both are what a person sees.
    succeeds(&mut boot);
    wait_until_it_loops(lab, name)
}

fn wait_until_it_loops(lab: &Lab, name: &str) -> Result<()> {
    let ask = ["inspect", "--format", "{{.RestartCount}}", &container(name)];
    wait_for(PATIENCE, || {
        let count = lab.docker(&ask).unwrap_or_default();
        count.trim().parse::<u32>().is_ok_and(|count| count > 1)
    })
    .context("the container is not restarted")
}

/// A flag that only the daemon checks.
pub(super) fn bad_flag(lab: &Lab) -> Result<()> {
    lab.buildkit_image(crate::versions::BUILDKIT_DEFAULT)?;
    let create = ["buildx", "create", "--name", "loop", "--node", "loop0"];
    let flag = ["--buildkitd-flags", "--oci-worker-snapshotter=bogus"];
    lab.docker(&[&create[..], &flag].concat())?;
    boot_in_vain(lab, "loop")
}

/// Boots builder `name`, builds on it, and damages its state.
fn damaged(
    lab: &Lab,
    name: &str,
    damage: impl FnOnce(&std::path::Path) -> Result<()>,
) -> Result<()> {
    builder::boot(lab, name, &[])?;
    build(lab, name)?;
    damage_state(lab, name, damage)
}

/// Stops builder `name`, hands its state to `damage`, and starts it again.
fn damage_state(
    lab: &Lab,
    name: &str,
    damage: impl FnOnce(&std::path::Path) -> Result<()>,
) -> Result<()> {
    lab.docker(&["stop", &container(name)])?;
    let state = lab.volume(&builder::volume(name))?;
    damage(&state)?;
    lab.docker(&["start", &container(name)])?;
    Ok(())
}

/// A build with results of some megabytes that stand on each other.
fn build(lab: &Lab, name: &str) -> Result<()> {
    build_to(lab, name, "type=cacheonly")
}

/// The same with a result.
fn build_to(lab: &Lab, name: &str, output: &str) -> Result<()> {
    let project = lab.home().join("project");
    fs::copy("/bin/busybox", project.join("busybox"))?;
    let steps = "FROM scratch\nCOPY busybox /bin/sh\nRUN dd if=/dev/urandom of=/a bs=1M count=16\nRUN echo b > /b\n";
    let file = write(lab, "Dockerfile.lab", steps)?;
    let mut build = lab.command("docker");
    build.args(["buildx", "build", "--builder", name, "--file", &file, "."]);
    text(build.args(["--output", output]))?;
    Ok(())
}

/// Bytes that are no database.
static NOISE: [u8; 65536] = [0x5a; 65536];

/// The index of the cache, which a daemon sees to by itself.
pub(super) fn cache_index(lab: &Lab) -> Result<()> {
    damaged(lab, "index", |state| {
        Ok(fs::write(state.join("cache.db"), NOISE)?)
    })?;
    let state = lab.volume(&builder::volume("index"))?;
    wait_for(PATIENCE, || {
        let entries = fs::read_dir(&state).into_iter().flatten().flatten();
        entries
            .into_iter()
            .any(|entry| entry.file_name().to_string_lossy().ends_with(".bak"))
    })
    .context("the daemon did not put its database aside")
}

/// A database that no daemon starts without.
pub(super) fn metadata(lab: &Lab) -> Result<()> {
    damaged(lab, "meta", |state| {
        Ok(fs::write(
            state.join("runc-overlayfs/metadata_v2.db"),
            NOISE,
        )?)
    })?;
    wait_until_it_loops(lab, "meta")
}

/// The names of the layers are gone: all looks well until a build.
pub(super) fn layer_names(lab: &Lab) -> Result<()> {
    damaged(lab, "names", |state| {
        Ok(fs::write(
            state.join("runc-overlayfs/containerdmeta.db"),
            "",
        )?)
    })?;
    answers(lab, "names")
}

/// Somebody freed room below the engine's data by hand.
pub(super) fn layer_folders(lab: &Lab) -> Result<()> {
    damaged(lab, "layers", |state| {
        for entry in fs::read_dir(state.join("runc-overlayfs/snapshots/snapshots"))? {
            fs::remove_dir_all(entry?.path())?;
        }
        Ok(())
    })?;
    answers(lab, "layers")
}

/// The layers are there, the packed files that they came from are not.
pub(super) fn blobs(lab: &Lab) -> Result<()> {
    builder::boot(lab, "blobs", &[])?;
    // Layers are packed only for a result that takes them.
    let image = lab.root().join("tmp/blobs.tar");
    build_to(lab, "blobs", &format!("type=oci,dest={}", image.display()))?;
    damage_state(lab, "blobs", |state| {
        for entry in fs::read_dir(state.join("runc-overlayfs/content/blobs/sha256"))? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    })?;
    answers(lab, "blobs")
}

fn answers(lab: &Lab, name: &str) -> Result<()> {
    let container = container(name);
    wait_for(PATIENCE, || {
        lab.docker(&["exec", &container, "buildctl", "debug", "workers"])
            .is_ok()
    })
    .context("the daemon does not come back")
}

/// A limit of memory that a step passes: daemon and steps share it.
pub(super) fn out_of_memory(lab: &Lab) -> Result<()> {
    builder::boot(lab, "lean", &["--driver-opt", "memory=200m"])?;
    let project = lab.home().join("project");
    fs::copy("/bin/busybox", project.join("busybox"))?;
    let steps = "FROM scratch\nCOPY busybox /bin/sh\nRUN x=$(yes | head -c 300m); echo ${#x}\n";
    let file = write(lab, "Dockerfile.lab", steps)?;
    let mut build = lab.command("timeout");
    build.args([
        "60",
        "docker",
        "buildx",
        "build",
        "--builder=lean",
        "--file",
        &file,
        ".",
    ]);
    // The build fails, or its client is cut off.
    succeeds(build.args(["--output", "type=cacheonly"]));
    let ask = [
        "inspect",
        "--format",
        "{{.State.OOMKilled}}",
        &container("lean"),
    ];
    wait_for(PATIENCE, || {
        lab.docker(&ask).is_ok_and(|said| said.trim() == "true")
    })
    .context("the step did not run out of memory")
}

/// A builder that somebody stopped; `du` and `prune` fail on it.
pub(super) fn stopped(lab: &Lab) -> Result<()> {
    builder::boot(lab, "idle", &[])?;
    lab.docker(&["buildx", "stop", "idle"])?;
    Ok(())
}

/// A stored buildkitd.toml that was taken by the buildx of its day and is none today: an older buildx cannot even remove the builder.
pub(super) fn stored_configuration(lab: &Lab) -> Result<()> {
    let config = write(lab, "good.toml", "[worker.oci]\n  max-parallelism = 4\n")?;
    builder::boot(lab, "stored", &["--buildkitd-config", &config])?;
    let file = lab.buildx_config().join("instances/stored");
    let mut record: Value = serde_json::from_slice(&fs::read(&file)?)?;
    let broken = STANDARD.encode("[worker.oci\n  max-parallelism = 4\n");
    record["Nodes"][0]["Files"]["buildkitd.toml"] = json!(broken);
    Ok(fs::write(file, record.to_string())?)
}

/// An engine without a network and without the builder's image: the record is made, the container is not.
pub(super) fn no_image(lab: &Lab) -> Result<()> {
    lab.docker(&["buildx", "create", "--name", "bare", "--node", "bare0"])?;
    let mut boot = lab.command("timeout");
    boot.args(["20", "docker", "buildx", "inspect", "--bootstrap", "bare"]);
    anyhow::ensure!(!succeeds(&mut boot), "the builder booted without an image");
    Ok(())
}

/// A platform that somebody added by hand and that nothing here runs, as after a reboot without emulators.
pub(super) fn lost_platform(lab: &Lab) -> Result<()> {
    // The machine's own emulators are not taken away: other labs run on it. None of them is one for this platform.
    builder::boot(lab, "wide", &["--platform", "linux/amd64,linux/sparc64"])
}
