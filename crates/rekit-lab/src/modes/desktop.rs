//! What stands in for Docker Desktop: a second private engine whose socket lies where Desktop's lies on Linux, its context, its settings.

use crate::{engine::Engine, lab::Lab, record::namespace};
use anyhow::Result;
use serde_json::json;
use std::{fs, path::PathBuf};

/// Returns where Desktop's socket lies in the lab's home.
pub fn socket(lab: &Lab) -> PathBuf {
    lab.home().join(".docker/desktop/docker.sock")
}

/// Starts the second engine and writes what Desktop leaves in a home.
pub(crate) fn install(lab: &Lab) -> Result<()> {
    let folder = lab.home().join(".docker/desktop");
    fs::create_dir_all(&folder)?;
    let engine = Engine {
        folder: lab.root().join("desktop"),
        socket: socket(lab),
        namespace: namespace(lab.name(), "desktop"),
        ..lab.engine()?
    };
    engine.start(lab.options().image_store)?;
    let settings = json!({
        "AutoStart": false, "BackupData": false, "Cpus": 2, "DiskSizeMiB": 65536, "DisplayedOnboarding": true, "EnableDockerAI": false,
        "EnableCLIHints": true, "ExposeDockerAPIOnTCP2375": false, "FilesharingDirectories": ["/home"], "LicenseTermsVersion": 2,
        "MemoryMiB": 4096, "OpenUIOnStartupDisabled": true, "SettingsVersion": 43, "SwapMiB": 1024, "UseContainerdSnapshotter": false,
        "UseResourceSaver": true, "AnalyticsEnabled": false
    });
    fs::write(
        folder.join("settings-store.json"),
        format!("{settings:#}\n"),
    )?;
    let daemon = json!({"builder": {"gc": {"defaultKeepStorage": "20GB", "enabled": true}}, "experimental": false, "features": {"buildkit": true}});
    fs::write(
        lab.home().join(".docker/daemon.json"),
        format!("{daemon:#}\n"),
    )?;
    let endpoint = format!("host=unix://{}", socket(lab).display());
    lab.docker(&[
        "context",
        "create",
        "desktop-linux",
        "--description",
        "Docker Desktop",
        "--docker",
        &endpoint,
    ])?;
    Ok(())
}
