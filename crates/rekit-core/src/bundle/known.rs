//! Names that say whether what stands behind them is a secret.

use crate::mask;

/// Names that sound like secrets and are none: they name programs and plugins.
const PLAIN: &[&str] = &[
    "authorization-plugins",
    "credHelpers",
    "credential_helpers",
    "credsStore",
];
/// Names whose whole value is left out, whatever it is.
const WHOLE: &[&str] = &[
    "auths",
    "client-certificate-data",
    "client-key-data",
    "certificate-authority-data",
    "kubeconfig",
];
/// Names whose every value is hidden, while the names below them stay.
const VALUES: &[&str] = &["HttpHeaders"];
/// Names of maps from variables to their values.
const VARIABLES: &[&str] = &["env", "environment"];
/// Names that may stay in a JSON text that does not parse: they can be no secret.
const KEYS: &[&str] = &[
    "Name",
    "Driver",
    "Nodes",
    "Endpoint",
    "Platforms",
    "architecture",
    "os",
    "variant",
    "DriverOpts",
    "Flags",
    "Files",
    "Dynamic",
    "Key",
    "Global",
    "Metadata",
    "Description",
    "Endpoints",
    "docker",
    "Host",
    "SkipTLSVerify",
    "auths",
    "auth",
    "identitytoken",
    "registrytoken",
    "credsStore",
    "credHelpers",
    "HttpHeaders",
    "currentContext",
    "plugins",
    "aliases",
    "features",
    "proxies",
    "default",
    "httpProxy",
    "httpsProxy",
    "noProxy",
    "builder",
    "gc",
    "enabled",
    "policy",
    "filter",
    "defaultKeepStorage",
    "keepStorage",
    "entitlements",
    "data-root",
    "registry-mirrors",
    "insecure-registries",
    "storage-driver",
    "hosts",
    "dns",
    "mtu",
    "image",
    "network",
    "buildkitd.toml",
];

/// Returns whether a value of this name is hidden.
pub(super) fn hides(name: &str) -> bool {
    !is_any(PLAIN, name) && (mask::is_secret_name(name) || is_any(WHOLE, name))
}

/// Returns whether a value of this name is left out as a whole.
pub(super) fn leaves_out(name: &str) -> bool {
    is_any(WHOLE, name)
}

/// Returns whether every value below this name is hidden.
pub(super) fn hides_values(name: &str) -> bool {
    is_any(VALUES, name) || hides(name)
}

/// Returns whether a map of this name holds variables.
pub(super) fn holds_variables(name: &str) -> bool {
    is_any(VARIABLES, name)
}

/// Returns whether a text is a name that may always be shown.
pub(super) fn is_key(text: &str) -> bool {
    KEYS.contains(&text)
}

/// Go, which reads these files, ignores the case of names.
fn is_any(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}
