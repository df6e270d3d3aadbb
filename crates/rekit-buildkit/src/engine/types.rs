//! Answers of the engine, as far as callers need them. Unknown fields are ignored, missing ones and `null` are the default:
//! engines of ten years differ, and an inventory must not fail on one odd container. For all the rest there is the raw JSON.
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `null` as the default.
fn lenient<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

macro_rules! answer {
    ($(#[$meta:meta])* $visibility:vis $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        $visibility struct $name { $($(#[$field_meta])* #[serde(deserialize_with = "lenient")] pub $field: $kind,)* }
    };
}

answer! {
    /// `GET /version`.
    pub EngineVersion {
        /// The engine's version, such as `28.5.2`.
        version: String,
        /// The newest API it speaks.
        api_version: String,
        /// The oldest API it accepts; empty before 1.24.
        #[serde(rename = "MinAPIVersion")]
        min_api_version: String,
        /// Operating system, such as `linux`.
        os: String,
        /// Go's name of the architecture, such as `amd64`.
        arch: String,
        /// The host's kernel.
        kernel_version: String,
    }
}

answer! {
    /// `GET /info`, in part.
    pub EngineInfo {
        /// The engine's own id, kept over restarts.
        #[serde(rename = "ID")]
        id: String,
        /// Host name.
        name: String,
        /// The engine's version.
        server_version: String,
        /// Such as `Debian GNU/Linux 12` or `Docker Desktop`.
        operating_system: String,
        /// `linux` or `windows`.
        #[serde(rename = "OSType")]
        os_type: String,
        /// The kernel's name of the architecture, such as `x86_64`.
        architecture: String,
        /// Storage driver, such as `overlay2` or `overlayfs` (containerd image store).
        driver: String,
        /// Pairs that describe the storage driver; `driver-type` names the containerd snapshotter.
        driver_status: Vec<Vec<String>>,
        /// The data root.
        docker_root_dir: String,
        /// Such as `name=rootless`, `name=userns`, `name=seccomp,profile=builtin`.
        security_options: Vec<String>,
        /// `1` or `2`.
        cgroup_version: String,
        /// `cgroupfs` or `systemd`.
        cgroup_driver: String,
        /// The engine's labels, `key=value`.
        labels: Vec<String>,
        /// Warnings the engine prints about itself.
        warnings: Vec<String>,
        /// CPUs.
        #[serde(rename = "NCPU")]
        cpus: i64,
        /// Memory in bytes.
        mem_total: i64,
        /// Containers in any state.
        containers: i64,
        /// Images.
        images: i64,
    }
}

answer! {
    /// One container of a list.
    pub ContainerSummary {
        /// Full id.
        id: String,
        /// Names with a leading slash.
        names: Vec<String>,
        /// Image as it was named at creation.
        image: String,
        /// Image id.
        #[serde(rename = "ImageID")]
        image_id: String,
        /// `running`, `exited`, `paused`, `created`, `restarting`, `dead`.
        state: String,
        /// For people, such as `Up 2 hours`.
        status: String,
        /// Unix seconds.
        created: i64,
        /// Labels.
        labels: BTreeMap<String, String>,
        /// Mounts.
        mounts: Vec<Mount>,
    }
}

answer! {
    /// A mount of a container.
    pub Mount {
        /// `volume`, `bind` or `tmpfs`.
        #[serde(rename = "Type")]
        kind: String,
        /// The volume's name.
        name: String,
        /// Path on the engine's host.
        source: String,
        /// Path in the container.
        destination: String,
        /// Volume driver.
        driver: String,
        /// Whether it may be written to.
        #[serde(rename = "RW")]
        writable: bool,
    }
}

answer! {
    /// `GET /containers/x/json`, in part.
    pub ContainerDetail {
        /// Full id.
        id: String,
        /// Name with a leading slash.
        name: String,
        /// Image id.
        image: String,
        /// RFC 3339.
        created: String,
        /// How it runs.
        state: ContainerState,
        /// How often the engine restarted it.
        restart_count: i64,
        /// Mounts.
        mounts: Vec<Mount>,
        /// What was asked for; see the raw answer for the rest.
        config: ContainerConfig,
        /// What the host grants; see the raw answer for the rest.
        host_config: HostConfig,
        /// Running execs.
        #[serde(rename = "ExecIDs")]
        exec_ids: Vec<String>,
    }
}

answer! {
    /// How a container runs.
    pub ContainerState {
        /// `running`, `exited`, `paused`, `created`, `restarting`, `dead`.
        status: String,
        /// Also true while paused.
        running: bool,
        /// Frozen.
        paused: bool,
        /// Between two starts.
        restarting: bool,
        /// Killed for memory.
        #[serde(rename = "OOMKilled")]
        oom_killed: bool,
        /// Process id on the host, 0 when not running.
        pid: i64,
        /// Last exit code.
        exit_code: i64,
        /// Why the last start failed.
        error: String,
        /// RFC 3339, `0001-01-01T00:00:00Z` for never.
        started_at: String,
        /// RFC 3339, `0001-01-01T00:00:00Z` for never.
        finished_at: String,
        /// Health check, when there is one.
        health: Option<HealthState>,
    }
}

answer! {
    /// Health of a container.
    pub HealthState {
        /// `starting`, `healthy`, `unhealthy`, `none`.
        status: String,
        /// Failures in a row.
        failing_streak: i64,
    }
}

answer! {
    /// What a container was created with.
    pub ContainerConfig {
        /// Image as it was named.
        image: String,
        /// Environment, `KEY=value`. May hold secrets.
        env: Vec<String>,
        /// Command.
        cmd: Vec<String>,
        /// Entry point.
        entrypoint: Vec<String>,
        /// Labels.
        labels: BTreeMap<String, String>,
        /// Whether it has a TTY.
        tty: bool,
        /// User.
        user: String,
    }
}

answer! {
    /// What the host grants a container.
    pub HostConfig {
        /// Restart policy.
        restart_policy: RestartPolicy,
        /// Privileged.
        privileged: bool,
        /// Network mode.
        network_mode: String,
        /// Bind strings.
        binds: Vec<String>,
        /// Parent cgroup.
        cgroup_parent: String,
        /// Bytes, 0 for no limit.
        memory: i64,
        /// Billionths of a CPU, 0 for no limit.
        nano_cpus: i64,
    }
}

answer! {
    /// When the engine starts a container again.
    pub RestartPolicy {
        /// `no` (or empty), `always`, `unless-stopped`, `on-failure`.
        name: String,
        /// For `on-failure`; 0 for no limit.
        maximum_retry_count: i64,
    }
}

answer! {
    /// A volume.
    pub Volume {
        /// Name.
        name: String,
        /// Driver, `local` for the built-in one.
        driver: String,
        /// Path on the engine's host; empty for some drivers.
        mountpoint: String,
        /// RFC 3339.
        created_at: String,
        /// Labels.
        labels: BTreeMap<String, String>,
        /// Driver options.
        options: BTreeMap<String, String>,
        /// `local` or `global`.
        scope: String,
        /// Only when the engine computed it.
        usage_data: Option<VolumeUsage>,
    }
}

answer! {
    /// Use of a volume.
    pub VolumeUsage {
        /// Bytes, -1 for not known.
        size: i64,
        /// Containers that mount it, -1 for not known.
        ref_count: i64,
    }
}

answer! {
    /// One image of a list.
    pub ImageSummary {
        /// Id.
        id: String,
        /// `name:tag`s.
        repo_tags: Vec<String>,
        /// `name@sha256:…`s.
        repo_digests: Vec<String>,
        /// Unix seconds.
        created: i64,
        /// Bytes, shared layers included.
        size: i64,
        /// Labels.
        labels: BTreeMap<String, String>,
    }
}

answer! {
    /// `GET /images/x/json`, in part.
    pub ImageDetail {
        /// Id.
        id: String,
        /// `name:tag`s.
        repo_tags: Vec<String>,
        /// `name@sha256:…`s.
        repo_digests: Vec<String>,
        /// RFC 3339.
        created: String,
        /// Such as `amd64`.
        architecture: String,
        /// Such as `linux`.
        os: String,
        /// Such as `v7`.
        variant: String,
        /// Bytes.
        size: i64,
        /// What containers of it start with.
        config: ContainerConfig,
    }
}

answer! {
    /// One network of a list.
    pub NetworkSummary {
        /// Id.
        id: String,
        /// Name.
        name: String,
        /// Driver.
        driver: String,
        /// RFC 3339.
        created: String,
        /// `local`, `swarm`.
        scope: String,
        /// Labels.
        labels: BTreeMap<String, String>,
        /// Whether it leads nowhere outside.
        internal: bool,
    }
}

answer! {
    /// What a prune freed.
    pub PruneReport {
        /// Ids of removed cache records.
        caches_deleted: Vec<String>,
        /// Bytes.
        space_reclaimed: i64,
    }
}

answer! {
    /// `GET /volumes`.
    pub(super) VolumeList {
        /// The volumes.
        volumes: Vec<Volume>,
    }
}

answer! {
    /// What a creation answers.
    pub(super) Created {
        /// The new id.
        id: String,
    }
}

answer! {
    /// `GET /exec/x/json`.
    pub(super) ExecState {
        /// Still running.
        running: bool,
        /// Once it has ended.
        exit_code: Option<i64>,
    }
}

answer! {
    /// `POST /containers/x/wait`.
    pub(super) Waited {
        /// Exit code.
        status_code: i64,
    }
}

/// A typed answer beside the JSON it was read from.
pub(super) fn typed<T: serde::de::DeserializeOwned>(
    call: &str,
    raw: &Value,
) -> Result<T, super::ApiError> {
    T::deserialize(raw).map_err(|source| super::ApiError::Decode {
        call: call.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_missing_and_unknown_fields_do_no_harm() {
        let text = r#"{"Id":"x","Mounts":null,"ExecIDs":null,"State":{"Running":true,"Health":null},"Config":{"Labels":null,"Future":1},"New":[]}"#;
        let detail: ContainerDetail = serde_json::from_str(text).unwrap();
        assert!(
            detail.state.running && detail.mounts.is_empty() && detail.config.labels.is_empty()
        );
        let version: EngineVersion =
            serde_json::from_str(r#"{"ApiVersion":"1.51","MinAPIVersion":"1.24"}"#).unwrap();
        assert_eq!(
            (
                version.api_version.as_str(),
                version.min_api_version.as_str()
            ),
            ("1.51", "1.24")
        );
    }
}
