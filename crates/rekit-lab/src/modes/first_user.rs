//! The whole machine of the first user: everything that was wrong there at once, and beside it things that are nobody's business.

use super::{
    Survey, builder, configuration, contexts, project,
    store::{cut_record, leave_refs},
};
use crate::{
    lab::Lab,
    process::{text, words},
};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
};

/// How much the warm cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CacheSize {
    /// A few megabytes and some hundred files: seconds to plant
    #[default]
    Small,
    /// More than 500 MB and 10,000 files
    Full,
}

/// What was planted; `first-user.json` in the lab's root holds it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstUser {
    /// The builder with the warm cache; its node is the name and `0`.
    pub builder: String,
    /// What lay on disk in the builder's state volume when all was planted.
    pub state: Survey,
    /// The builder whose record is cut in half; its container runs and its volume is there.
    pub broken_record: String,
    /// The state volume without container and record.
    pub orphan_volume: String,
    /// The context that names a Windows pipe.
    pub ghost_context: String,
    /// The configuration that no daemon accepts, relative to the home.
    pub invalid_config: String,
    /// The builder that `current` names and that is gone.
    pub dangling_selection: String,
    /// What is left in buildx's folder of builders that are gone, relative to that folder.
    pub leftovers: Vec<String>,
    /// What a killed daemon left, relative to the lab's root: a socket on which nobody listens, and a temporary folder.
    pub left_behind: Vec<String>,
    /// A second engine stands in for Docker Desktop.
    pub desktop: bool,
    /// What is not BuildKit's and must stay as it is.
    pub foreign: Foreign,
}

/// Things of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// A running container.
    pub container: String,
    /// A volume with files.
    pub volume: String,
    /// A network that the container is on.
    pub network: String,
    /// A context that works.
    pub context: String,
    /// The container's image.
    pub image: String,
    /// A folder of temporary files whose name begins as one of BuildKit's, relative to the lab's root.
    pub notes: String,
    /// Keys of config.json.
    pub config_keys: Vec<String>,
}

impl FirstUser {
    /// Reads what was planted into `lab`.
    pub fn of(lab: &Lab) -> Result<Self> {
        let text = fs::read(lab.root().join("first-user.json"))
            .context("the first user's machine is not planted in this lab")?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// Plants the machine with a small cache.
pub(super) fn plant_small(lab: &Lab) -> Result<()> {
    plant(lab, CacheSize::Small).map(drop)
}

/// Plants the machine.
pub fn plant(lab: &Lab, size: CacheSize) -> Result<FirstUser> {
    let (files, megabytes) = match size {
        CacheSize::Small => (300, 2),
        CacheSize::Full => (12_000, 270),
    };
    let foreign = plant_foreign(lab)?;
    project::write(lab, files, megabytes)?;
    plant_team(lab)?;
    builder::boot(lab, "ci", &[])?;
    build_hello(lab, "ci")?;
    plant_orphan(lab)?;
    leave_refs(lab, "departed", 2)?;
    configuration::standalone_config_invalid(lab)?;
    contexts::npipe_context_ghost(lab)?;
    let left_behind = leave_behind(lab)?;
    let state = Survey::of(&lab.volume(&builder::volume("team"))?)?;
    // Last, as buildx can do nothing more once it is so.
    cut_record(lab, "ci")?;
    let planted = FirstUser {
        builder: "team".to_owned(),
        state,
        broken_record: "ci".to_owned(),
        orphan_volume: builder::volume("legacy"),
        ghost_context: "desktop-linux".to_owned(),
        invalid_config: ".config/buildkit/buildkitd.toml".to_owned(),
        dangling_selection: "legacy".to_owned(),
        leftovers: [
            "activity/departed",
            "activity/legacy",
            "refs/departed",
            "refs/legacy",
        ]
        .map(str::to_owned)
        .to_vec(),
        left_behind,
        desktop: lab.options().desktop,
        foreign,
    };
    fs::write(
        lab.root().join("first-user.json"),
        format!("{:#}\n", serde_json::to_value(&planted)?),
    )?;
    Ok(planted)
}

/// What buildkitd leaves when it is killed while it builds for another platform.
fn leave_behind(lab: &Lab) -> Result<Vec<String>> {
    let socket = "run/buildkit/buildkitd.sock";
    let folder = "tmp/buildkit-qemu-emulator3141592653";
    let (socket_path, folder_path) = (lab.root().join(socket), lab.root().join(folder));
    fs::create_dir_all(lab.root().join("run/buildkit"))?;
    drop(UnixListener::bind(&socket_path)?);
    fs::create_dir_all(folder_path.join("dev"))?;
    let emulator = folder_path.join("dev/.buildkit_qemu_emulator");
    fs::write(&emulator, "an emulator")?;
    fs::set_permissions(&folder_path, fs::Permissions::from_mode(0o700))?;
    let mut touch = words("touch", ["-d", "2 days ago"]);
    let inner = folder_path.join("dev");
    text(touch.args([emulator, inner, folder_path, socket_path]))?;
    Ok([socket, folder].map(str::to_owned).to_vec())
}

fn plant_team(lab: &Lab) -> Result<()> {
    builder::boot(lab, "team", &["--driver-opt", "env.TEAM=blue"])?;
    text(lab.command(lab.home().join("project/build.sh")).args([
        "--tag",
        "team/app:latest",
        "--output",
        "type=cacheonly",
    ]))?;
    let both = [
        "buildx",
        "build",
        "--builder",
        "team",
        "--target",
        "hello",
        "--platform",
        "linux/amd64,linux/arm64",
        "--output",
        "type=cacheonly",
        ".",
    ];
    lab.docker(&both)?;
    Ok(())
}

/// A builder that was taken apart by hand while it was selected.
fn plant_orphan(lab: &Lab) -> Result<()> {
    builder::boot(lab, "legacy", &["--use"])?;
    build_hello(lab, "legacy")?;
    lab.docker(&["rm", "-f", &builder::container("legacy")])?;
    Ok(fs::remove_file(
        lab.buildx_config().join("instances/legacy"),
    )?)
}

fn build_hello(lab: &Lab, builder: &str) -> Result<()> {
    lab.docker(&[
        "buildx",
        "build",
        "--builder",
        builder,
        "--target",
        "hello",
        "--output",
        "type=cacheonly",
        ".",
    ])?;
    Ok(())
}

fn plant_foreign(lab: &Lab) -> Result<Foreign> {
    lab.base_image("shop/db:1")?;
    lab.docker(&["volume", "create", "shop-data"])?;
    lab.docker(&["network", "create", "shop-net"])?;
    let write = "echo precious > /data/orders; exec sleep 100000";
    lab.docker(&[
        "run",
        "-d",
        "--name",
        "shop-db",
        "--network",
        "shop-net",
        "-v",
        "shop-data:/data",
        "shop/db:1",
        "sh",
        "-c",
        write,
    ])?;
    lab.docker(&[
        "context",
        "create",
        "staging",
        "--docker",
        &format!("host=unix://{}", lab.socket().display()),
    ])?;
    let notes = "tmp/buildkit-notes";
    let folder = lab.root().join(notes);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("todo"), "tell the others")?;
    text(words("touch", ["-d", "2 days ago"]).arg(folder))?;
    let keys = [
        (
            "psFormat",
            json!("table {{.ID}}\\t{{.Names}}\\t{{.Status}}"),
        ),
        ("detachKeys", json!("ctrl-e,e")),
        ("HttpHeaders", json!({"X-Team": "blue"})),
    ];
    for (key, value) in keys.clone() {
        contexts::set_in_config(lab, key, value)?;
    }
    Ok(Foreign {
        container: "shop-db".to_owned(),
        volume: "shop-data".to_owned(),
        network: "shop-net".to_owned(),
        context: "staging".to_owned(),
        image: "shop/db:1".to_owned(),
        notes: notes.to_owned(),
        config_keys: keys.map(|(key, _)| key.to_owned()).to_vec(),
    })
}
