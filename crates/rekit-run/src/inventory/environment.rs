//! The variables that steer docker, buildx and BuildKit.

use rekit_core::{inventory::Variable, mask};

use crate::world::environment::Surroundings;

/// Beginnings of names of variables that steer builds.
const PREFIXES: &[&str] = &["DOCKER_", "BUILDX_", "BUILDKIT", "COMPOSE_", "REKIT_"];
/// Further names.
const NAMES: &[&str] = &[
    "ALL_PROXY",
    "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY",
    "FTP_PROXY",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "KUBECONFIG",
    "NO_PROXY",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PATH",
    "SOURCE_DATE_EPOCH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "WSL_DISTRO_NAME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];

/// Returns the steering variables that are set, secrets hidden.
pub(super) fn environment(surroundings: &Surroundings) -> Vec<Variable> {
    surroundings
        .variables()
        .iter()
        .filter(|(name, _)| steers(name) || name.as_str() == "PATH" || name.as_str() == "HOME")
        .map(|(name, value)| Variable {
            name: name.clone(),
            value: mask::value(name, value),
        })
        .collect()
}

/// Returns whether a variable in a shell's profile is worth a note: HOME and PATH are set in all of them.
pub(super) fn steers(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let is_proxy = upper.ends_with("_PROXY");
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || (NAMES.contains(&name) && !matches!(name, "HOME" | "PATH"))
        || (is_proxy && NAMES.contains(&upper.as_str()))
}
