//! Answers about the engine, its volumes, images and networks, as far as callers need them.
use std::collections::BTreeMap;

use serde::Deserialize;

use super::answer::answer;
use super::container_types::ContainerConfig;

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
        /// Whether containers go on while the engine is stopped.
        live_restore_enabled: bool,
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
