//! What a node's container was made with, against what its record asks for: buildx starts an existing container, it never changes one.
//!
//! Invariant: only names of settings leave this file. Values of variables may be secrets.

use std::collections::BTreeMap;

use rekit_buildkit::{ContainerDetail, Engine as Connection};
use rekit_core::{
    goal::DEFAULT_IMAGE,
    inventory::{NodeFile, NodeRecord},
    mask,
    name::Digest,
};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use crate::{inventory::record::NodeAddress, world::real::bytes_as_docker_writes_them};

/// Where buildx puts a node's files.
const FOLDER: &str = "/etc/buildkit";
/// A configuration is small.
const FILE_LIMIT: u64 = 1 << 20;

/// What a record asks for.
pub(super) struct AskedFor {
    options: BTreeMap<String, String>,
    flags: Vec<String>,
    files: Vec<NodeFile>,
}

/// What a container was made with.
pub(super) struct Made<'a> {
    pub(super) detail: &'a ContainerDetail,
    pub(super) raw: &'a Value,
}

impl AskedFor {
    pub(super) fn of(node: &NodeRecord, address: &NodeAddress) -> Self {
        Self {
            options: address.options.clone(),
            flags: node.flags.clone(),
            files: node.files.clone(),
        }
    }

    /// Returns whether the image for the container is on the engine; `None`: the engine does not say.
    pub(super) async fn image_is_on(&self, engine: &Connection) -> Option<bool> {
        let image = self
            .options
            .get("image")
            .map_or(DEFAULT_IMAGE, String::as_str);
        match engine.image_inspect(image).await {
            Ok(_) => Some(true),
            Err(error) if error.is_not_found() => Some(false),
            Err(_) => None,
        }
    }

    /// Lists the settings that a container was not made with.
    pub(super) async fn missing_in(&self, made: &Made<'_>, engine: &Connection) -> Vec<String> {
        let options = self.options.iter();
        let mut missing: Vec<String> = options
            .filter(|(option, value)| made.has_option(option, value) == Some(false))
            .map(|(option, _)| option.clone())
            .collect();
        let flags = self.flags.iter().filter(|flag| !made.has_flag(flag));
        missing.extend(flags.map(|flag| flag.split('=').next().unwrap_or(flag).to_owned()));
        for file in &self.files {
            if is_in(engine, &made.detail.id, file).await == Some(false) {
                missing.push(file.name.clone());
            }
        }
        missing
    }
}

impl Made<'_> {
    /// Returns whether the container was made with an option of the driver; `None`: it is none of the container's.
    fn has_option(&self, option: &str, value: &str) -> Option<bool> {
        let host = &self.detail.host_config;
        if let Some(name) = option.strip_prefix("env.") {
            return Some(self.detail.config.env.contains(&format!("{name}={value}")));
        }
        Some(match option {
            "image" => self.detail.config.image == value,
            "network" => host.network_mode == value,
            "memory" => bytes_as_docker_writes_them(value)? == host.memory,
            "memory-swap" => self.host_number("MemorySwap") == bytes_as_docker_writes_them(value),
            "cpu-period" => self.host_number("CpuPeriod") == value.parse().ok(),
            "cpu-quota" => self.host_number("CpuQuota") == value.parse().ok(),
            "cpu-shares" => self.host_number("CpuShares") == value.parse().ok(),
            "cpuset-cpus" => self.host_text("CpusetCpus") == Some(value),
            "cpuset-mems" => self.host_text("CpusetMems") == Some(value),
            "restart-policy" => host.restart_policy.name == value.split(':').next()?,
            // Systemd's cgroups have no parent to choose.
            "cgroup-parent" if !host.cgroup_parent.is_empty() => host.cgroup_parent == value,
            _ => return None,
        })
    }

    fn host_value(&self, key: &str) -> Option<&Value> {
        self.raw.get("HostConfig")?.get(key)
    }

    fn host_number(&self, key: &str) -> Option<i64> {
        self.host_value(key)?.as_i64()
    }

    fn host_text(&self, key: &str) -> Option<&str> {
        self.host_value(key)?.as_str()
    }

    /// Returns whether the daemon got a flag; secrets are hidden on both sides.
    fn has_flag(&self, flag: &str) -> bool {
        let arguments = self.raw.get("Args").and_then(Value::as_array);
        let mut arguments = arguments.into_iter().flatten().filter_map(Value::as_str);
        arguments.any(|argument| mask::text(argument) == flag)
    }
}

/// Returns whether a container holds a file as it is in the record; `None`: the engine does not say.
async fn is_in(engine: &Connection, container: &str, file: &NodeFile) -> Option<bool> {
    let path = format!("{FOLDER}/{}", file.name);
    let stream = match engine.get_archive(container, &path).await {
        Ok((_, stream)) => stream,
        Err(error) => return error.is_not_found().then_some(false),
    };
    let mut packed = Vec::new();
    stream
        .take(FILE_LIMIT)
        .read_to_end(&mut packed)
        .await
        .ok()?;
    let mut archive = tar::Archive::new(packed.as_slice());
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut entry, &mut content).ok()?;
    Some(Digest::of(&content) == file.digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn r1_1_2_only_what_a_container_lacks_is_named_and_never_its_value() {
        let raw = json!({
            "Id": "x", "Args": ["--config", "/etc/buildkit/buildkitd.toml", "--debug"],
            "Config": {"Env": ["PASSWORD=hunter2", "A=1"], "Image": "moby/buildkit:a"},
            "HostConfig": {"Memory": 67_108_864, "NetworkMode": "host", "RestartPolicy": {"Name": "always"}, "CpuShares": 5}
        });
        let detail: ContainerDetail = serde_json::from_value(raw.clone()).unwrap();
        let made = Made {
            detail: &detail,
            raw: &raw,
        };
        for (option, value, has) in [
            ("env.PASSWORD", "hunter2", Some(true)),
            ("env.PASSWORD", "other", Some(false)),
            ("env.B", "", Some(false)),
            ("image", "moby/buildkit:b", Some(false)),
            ("memory", "64m", Some(true)),
            ("memory", "1g", Some(false)),
            ("network", "host", Some(true)),
            ("restart-policy", "always", Some(true)),
            ("cpu-shares", "5", Some(true)),
            ("cpuset-cpus", "0", Some(false)),
            ("default-load", "true", None),
            ("of-the-future", "x", None),
        ] {
            assert_eq!(made.has_option(option, value), has, "{option}={value}");
        }
        assert!(made.has_flag("--debug") && !made.has_flag("--trace"));
    }
}
