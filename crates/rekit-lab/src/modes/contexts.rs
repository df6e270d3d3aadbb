//! Contexts that lead nowhere.

use crate::lab::Lab;
use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{fmt::Write, fs, path::PathBuf};

/// A Linux home that carries the context of Docker Desktop for Windows.
pub(super) fn npipe_context_ghost(lab: &Lab) -> Result<()> {
    let meta = json!({
        "Name": "desktop-linux",
        "Metadata": {"Description": "Docker Desktop"},
        "Endpoints": {"docker": {"Host": "npipe:////./pipe/dockerDesktopLinuxEngine", "SkipTLSVerify": false}},
    });
    write_meta(lab, "desktop-linux", &meta.to_string())
}

/// Desktop was removed; config.json still selects its context.
pub(super) fn dead_current_context(lab: &Lab) -> Result<()> {
    set_in_config(lab, "currentContext", json!("gone"))
}

/// The machine lost power while the context was written.
pub(super) fn context_metadata_garbage(lab: &Lab) -> Result<()> {
    write_meta(lab, "broken", "")
}

/// Returns the file that describes context `name`.
pub(crate) fn meta_file(lab: &Lab, name: &str) -> PathBuf {
    let digest = Sha256::digest(name.as_bytes())
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        });
    lab.home()
        .join(".docker/contexts/meta")
        .join(digest)
        .join("meta.json")
}

/// Sets one key of the command line's config.json, keeping the others.
pub(crate) fn set_in_config(lab: &Lab, key: &str, value: Value) -> Result<()> {
    let file = lab.home().join(".docker/config.json");
    let mut config: Value = if file.exists() {
        serde_json::from_slice(&fs::read(&file)?)?
    } else {
        json!({})
    };
    config[key] = value;
    Ok(fs::write(file, format!("{config:#}\n"))?)
}

fn write_meta(lab: &Lab, name: &str, text: &str) -> Result<()> {
    let file = meta_file(lab, name);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(file, text)?)
}
