//! Answers about containers and execs, as far as callers need them.
use std::collections::BTreeMap;

use serde::Deserialize;

use super::answer::answer;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineVersion;

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
