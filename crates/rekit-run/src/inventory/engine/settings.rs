//! What an engine was told of registries and proxies, and what its other image store still holds.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rekit_core::{
    inventory::{EngineRegistry, ImageStore},
    mask,
    name::HostPath,
};
use serde_json::Value;

use crate::world::host;

/// Lists the registries that an engine was told something of; by itself it knows Docker's only.
pub(super) fn registries(info: &Value) -> Vec<EngineRegistry> {
    let known = info.pointer("/RegistryConfig/IndexConfigs");
    let known = known.and_then(Value::as_object).into_iter().flatten();
    known
        .map(|(name, said)| {
            let mirrors = said.get("Mirrors").and_then(Value::as_array);
            let mirrors = mirrors.map(Vec::as_slice).unwrap_or_default();
            let addresses = mirrors.iter().filter_map(Value::as_str);
            let addresses = addresses.filter(|address| !address.contains('@'));
            EngineRegistry {
                name: name.clone(),
                mirrors: u32::try_from(mirrors.len()).unwrap_or(u32::MAX),
                mirror_addresses: addresses.map(str::to_owned).collect(),
                insecure: said.get("Secure").and_then(Value::as_bool) == Some(false),
            }
        })
        .filter(|registry| registry.mirrors > 0 || registry.insecure)
        .collect()
}

/// Lists the proxies that an engine was given, by variable, passwords hidden.
pub(super) fn proxies(info: &Value) -> BTreeMap<String, String> {
    let variables = [
        ("HttpProxy", "http_proxy"),
        ("HttpsProxy", "https_proxy"),
        ("NoProxy", "no_proxy"),
    ];
    let set = variables.into_iter().filter_map(|(key, variable)| {
        let value = info.get(key)?.as_str().filter(|value| !value.is_empty())?;
        Some((variable.to_owned(), mask::proxy(value)))
    });
    set.collect()
}

/// Returns where images of the store that is not used lie in a data folder, if there are any.
pub(super) fn other_store(root: &Path, used: ImageStore) -> Option<HostPath> {
    let (folder, inner) = match used {
        ImageStore::Graphdriver => (
            root.join("containerd/daemon"),
            vec![PathBuf::from(
                "io.containerd.content.v1.content/blobs/sha256",
            )],
        ),
        ImageStore::Containerd => {
            let drivers = host::list(&root.join("image"), 100).unwrap_or_default();
            let inner = |name: &String| Path::new(name).join("imagedb/content/sha256");
            (
                root.join("image"),
                drivers.iter().map(|driver| inner(&driver.name)).collect(),
            )
        }
    };
    let holds = |inner: &PathBuf| {
        host::list(&folder.join(inner), 1_000_000).is_ok_and(|list| !list.is_empty())
    };
    inner.iter().any(holds).then(|| host::host_path(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn r1_1_4_an_engines_registries_and_proxies_are_read_without_passwords() {
        let info = json!({
            "HttpProxy": "http://me:hunter2@proxy:3128", "HttpsProxy": "", "NoProxy": "localhost",
            "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {
                "docker.io": {"Name": "docker.io", "Mirrors": ["https://me:hunter2@mirror/"], "Secure": true},
                "plain:5000": {"Name": "plain:5000", "Mirrors": [], "Secure": false},
                "fine:5000": {"Name": "fine:5000", "Mirrors": null, "Secure": true}
            }}
        });
        let shown: Vec<_> = proxies(&info).into_iter().collect();
        let expected = [("http_proxy", "***"), ("no_proxy", "localhost")];
        assert_eq!(
            shown,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        let found = registries(&info);
        let told: Vec<_> = found
            .iter()
            .map(|registry| (registry.name.as_str(), registry.mirrors, registry.insecure))
            .collect();
        assert_eq!(told, [("docker.io", 1, false), ("plain:5000", 0, true)]);
        assert!(found[0].mirror_addresses.is_empty(), "{found:?}");
        let open = json!({"RegistryConfig": {"IndexConfigs": {"docker.io": {"Mirrors": ["http://mirror:5001/"]}}}});
        assert_eq!(
            registries(&open)[0].mirror_addresses,
            ["http://mirror:5001/"]
        );
        assert_eq!(registries(&json!({})), []);
    }
}
