//! What an engine and its client know of registries, proxies and certificates, and builders do not.

use super::{builder, contexts::set_in_config, disks::restart_with};
use crate::lab::Lab;
use anyhow::Result;
use serde_json::json;
use std::fs;

/// A certificate that signed itself; nobody has its key.
const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----
MIIBmDCCAT+gAwIBAgIUGbKwTF/ICEzAt6IP1lCCeE3ZPO0wCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWdGhlIGF1dGhvcml0eSBvZiBhIGxhYjAgFw0yNjEyMDEwMzA3
MTlaGA8yMTI2MTEwNzAzMDcxOVowITEfMB0GA1UEAwwWdGhlIGF1dGhvcml0eSBv
ZiBhIGxhYjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABE/mS3qM+ykJyA5IIDpt
KIN7gQIzBrNli/3aWQBcOUJC/w/srMXN2BWbXNcW+7f5vtIO4XBiYzvEzzB4A62z
4zGjUzBRMB0GA1UdDgQWBBRFgOXXLR3oMvpvduItYT2lgJ1pUzAfBgNVHSMEGDAW
gBRFgOXXLR3oMvpvduItYT2lgJ1pUzAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49
BAMCA0cAMEQCIHNAtiuC6Hul1LKiKeEKyLEegrWHBCSC+gAc0ycMfJGqAiAknFUG
+4RVbSmb7HbO97V/1lAHoskw6cnA1QkA6oVnhA==
-----END CERTIFICATE-----
";

/// daemon.json has a mirror and a registry without TLS; the builder was never told.
pub(super) fn daemon_settings(lab: &Lab) -> Result<()> {
    restart_with(lab, "insecure-registries", json!(["registry.lab:5000"]))?;
    restart_with(lab, "registry-mirrors", json!(["http://mirror.lab:5001"]))?;
    builder::boot(lab, "plain", &[])
}

/// The engine finds the company's authority where an engine without root looks; the builder has only its image's.
pub(super) fn authority(lab: &Lab) -> Result<()> {
    let folder = lab.home().join(".config/docker/certs.d/registry.lab:5000");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("ca.crt"), AUTHORITY)?;
    builder::boot(lab, "trust", &[])
}

/// `proxies` reaches RUN; the daemon that pulls has none.
pub(super) fn proxy(lab: &Lab) -> Result<()> {
    let proxies = json!({"default": {"httpProxy": "http://proxy.lab:3128", "httpsProxy": "http://proxy.lab:3128"}});
    set_in_config(lab, "proxies", proxies)?;
    builder::boot(lab, "direct", &[])
}

/// A remote builder whose certificates were moved away: a listing says `inactive` and nothing else.
pub(super) fn certificates(lab: &Lab) -> Result<()> {
    let at = |name: &str| lab.home().join("certs").join(name).display().to_string();
    let options = json!({"cacert": at("ca.pem"), "cert": at("cert.pem"), "key": at("key.pem")});
    let node = json!({"Name": "far0", "Endpoint": "tcp://127.0.0.1:1", "Platforms": null, "DriverOpts": options, "Flags": null, "Files": null});
    record(lab, "far", "remote", &node)
}

/// A builder in a cluster whose configuration is gone.
pub(super) fn cluster(lab: &Lab) -> Result<()> {
    let config = lab.home().join(".kube/config").display().to_string();
    let endpoint = format!(
        "kubernetes:///kube?deployment=kube0&kubeconfig={}",
        config.replace('/', "%2F")
    );
    let node = json!({"Name": "kube0", "Endpoint": endpoint, "Platforms": null, "DriverOpts": {"namespace": "builds"}, "Flags": null, "Files": null});
    record(lab, "kube", "kubernetes", &node)
}

/// By hand and not by `buildx create`: that would ask the node.
fn record(lab: &Lab, name: &str, driver: &str, node: &serde_json::Value) -> Result<()> {
    let record = json!({"Name": name, "Driver": driver, "Nodes": [node], "Dynamic": false});
    let instances = lab.buildx_config().join("instances");
    fs::create_dir_all(&instances)?;
    Ok(fs::write(instances.join(name), record.to_string())?)
}

/// What Docker Desktop leaves when it is removed: its context is gone and still selected, its plugin is a link to nothing, its helper too.
pub(super) fn desktop_leftovers(lab: &Lab) -> Result<()> {
    super::contexts::npipe_context_ghost(lab)?;
    super::contexts::dead_current_context(lab)?;
    super::client::credential_helper(lab)?;
    super::client::plugin_dangling_link(lab)
}
