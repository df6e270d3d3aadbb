//! Configuration that is refused, or accepted and not followed.

use super::builder;
use crate::lab::Lab;
use anyhow::Result;
use serde_json::json;
use std::{fs, path::PathBuf};

/// What the first user wrote by hand: `gc` is a switch, not a table, so buildkitd 0.32 says `unhandled kv part: bool` and names no line.
pub(crate) const INVALID: &str = r#"# BuildKit daemon, tuned for our team
debug = false

[log]
  format = "text"

[worker.oci]
  enabled = true
  max-parallelism = 4
  gc.enabled = true
  reservedSpace = "20GB"

[registry."docker.io"]
  mirrors = ["mirror.example.com"]
"#;

/// One of three limits is set by its old name; the other two become zero instead of their defaults.
pub(super) fn gc_keys(lab: &Lab) -> Result<()> {
    boot_with(
        lab,
        "gc",
        "[worker.oci]\n  gc = true\n  gckeepstorage = \"2GB\"\n",
    )
}

/// Keys that don't exist, in a file that is accepted.
pub(super) fn toml_keys_ignored(lab: &Lab) -> Result<()> {
    boot_with(
        lab,
        "typo",
        "bogus = 1\n\n[limits]\n  memory = \"2GB\"\n\n[worker.oci]\n  max_parallelism = 1\n",
    )
}

/// Own rules that all spare what was used lately: they replace the defaults, and nothing bounds the cache.
pub(super) fn gc_keep_duration(lab: &Lab) -> Result<()> {
    let rule = "[[worker.oci.gcpolicy]]\n  all = true\n  keepDuration = \"720h\"\n  reservedSpace = \"1GB\"\n  maxUsedSpace = \"2GB\"\n  minFreeSpace = \"1GB\"\n";
    boot_with(lab, "young", &format!("[worker.oci]\n  gc = true\n{rule}"))
}

/// An engine without root would not start with this any more: two values of one filter.
pub(super) fn rootless_engine_gc(lab: &Lab) -> Result<()> {
    let folder = lab.home().join(".config/docker");
    fs::create_dir_all(&folder)?;
    let policy = json!([{"keepStorage": "1GB", "filter": ["type=source.local", "type=exec.cachemount"]}, {"keepStorage": "9GB", "all": true}]);
    let config =
        json!({"log-level": "warn", "builder": {"gc": {"enabled": true, "policy": policy}}});
    Ok(fs::write(
        folder.join("daemon.json"),
        format!("{config:#}\n"),
    )?)
}

/// A rootless daemon's configuration that the daemon refuses.
pub(super) fn standalone_config_invalid(lab: &Lab) -> Result<()> {
    let file = standalone_config(lab);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(file, INVALID)?)
}

/// Returns the place of a rootless daemon's configuration in the lab's home.
pub(crate) fn standalone_config(lab: &Lab) -> PathBuf {
    lab.home().join(".config/buildkit/buildkitd.toml")
}

fn boot_with(lab: &Lab, name: &str, config: &str) -> Result<()> {
    let file = lab.home().join("project").join(format!("{name}.toml"));
    fs::write(&file, config)?;
    builder::boot(
        lab,
        name,
        &["--buildkitd-config", &file.display().to_string()],
    )
}
