//! How a daemon reaches a registry: what stands in its buildkitd.toml, and the files that go with it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table;
use crate::name::HostPath;

/// How a daemon reaches a registry; what is not said here stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrySettings {
    /// Hosts that are asked first, in their order, with a path where there is one.
    pub mirrors: Vec<String>,
    /// Whether it may be spoken to without TLS, or with a certificate that nobody knows.
    pub insecure: bool,
    /// Files of this machine with certificates of authorities, which are copied into the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<HostPath>,
}

/// Returns the certificates of a registry's authorities: the name below `/etc/buildkit` as buildx would choose it (v0.36.1,
/// util/confutil/container.go), and the file of this machine.
pub(super) fn authorities<'a>(
    registry: &str,
    settings: &'a RegistrySettings,
) -> BTreeMap<String, &'a HostPath> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    let mut folder = String::new();
    for c in registry.chars() {
        match is_plain(c) {
            true => folder.push(c),
            false if folder.ends_with('_') => {}
            false => folder.push('_'),
        }
    }
    let mut files = BTreeMap::new();
    for path in &settings.authorities {
        let name = path.as_str().rsplit('/').next().unwrap_or_default();
        // Two folders of an engine may have a file of one name each.
        let mut file = format!("certs/{folder}/{name}");
        while files.contains_key(&file) {
            file.insert(file.len() - name.len(), '_');
        }
        files.insert(file, path);
    }
    files
}

/// Writes how a registry is reached. With both flags BuildKit does what Docker calls insecure: TLS unchecked, else none at all.
pub(super) fn set_registry(
    registries: &mut toml_edit::Table,
    name: &str,
    settings: &RegistrySettings,
) {
    let own = table(registries, name);
    if !settings.mirrors.is_empty() {
        let mirrors: toml_edit::Array = settings.mirrors.iter().collect();
        own.insert("mirrors", toml_edit::value(mirrors));
    }
    let authorities = authorities(name, settings);
    if !authorities.is_empty() {
        let present = own.get("ca").and_then(toml_edit::Item::as_array);
        let mut all = present.cloned().unwrap_or_default();
        all.extend(
            authorities
                .keys()
                .map(|file| format!("/etc/buildkit/{file}")),
        );
        own.insert("ca", toml_edit::value(all));
    }
    if settings.insecure {
        own.insert("http", toml_edit::value(true));
        own.insert("insecure", toml_edit::value(true));
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::record::{Sources, node_spec, rewrite, tests::edit, with_settings};

    #[test]
    fn certificates_lie_where_buildx_would_put_them() {
        let mut edit = edit(None);
        let settings = edit.nodes[0].settings.as_mut().unwrap();
        let files = ["/etc/docker/certs.d/r:5000/ca.crt", "/home/u/r/ca.crt"].map(HostPath::from);
        let authorities = RegistrySettings {
            authorities: files.to_vec(),
            ..RegistrySettings::default()
        };
        settings.registries = BTreeMap::from([("r:5000".to_owned(), authorities)]);
        assert!(edit.sources().eq(&files));
        let error = rewrite(None, &edit, &Sources::new()).unwrap_err();
        assert!(
            error.to_string().contains("ca.crt`, which goes into"),
            "{error}"
        );
        let sources = files.into_iter().zip([b"one".to_vec(), b"two".to_vec()]);
        let new = rewrite(None, &edit, &sources.collect()).unwrap();
        let spec = node_spec(&new, &edit.builder, &edit.nodes[0].name).unwrap();
        let text = |file: &str| {
            let found = spec.files.iter().find(|(name, _)| name == file).unwrap();
            String::from_utf8(found.1.clone()).unwrap()
        };
        assert_eq!(text("certs/r_5000/ca.crt"), "one");
        assert_eq!(text("certs/r_5000/_ca.crt"), "two");
        let list =
            r#"ca = ["/etc/buildkit/certs/r_5000/_ca.crt", "/etc/buildkit/certs/r_5000/ca.crt"]"#;
        assert!(
            text("buildkitd.toml").contains(list),
            "{}",
            text("buildkitd.toml")
        );
    }

    #[test]
    fn registries_are_written_beside_what_is_said_of_them() {
        let mut edit = edit(None);
        let mut settings = edit.nodes.remove(0).settings.unwrap();
        let registry = |mirrors: &[&str], insecure| RegistrySettings {
            mirrors: mirrors.iter().map(|&mirror| mirror.to_owned()).collect(),
            insecure,
            authorities: Vec::new(),
        };
        settings.registries = BTreeMap::from([
            (
                "docker.io".to_owned(),
                registry(&["mirror:5001/hub"], false),
            ),
            ("mirror:5001".to_owned(), registry(&[], true)),
        ]);
        let old = b"registry = { \"docker.io\" = { ca = [\"/ca.pem\"] } }\nworker = { oci = { snapshotter = \"native\" } }\n";
        expect![[r#"
            [worker]

            [worker.oci]
            snapshotter = "native"
            gc = true
            reservedSpace = 1
            maxUsedSpace = 3
            minFreeSpace = 2

            [registry]

            [registry."docker.io"]
            ca = ["/ca.pem"]
            mirrors = ["mirror:5001/hub"]

            [registry."mirror:5001"]
            http = true
            insecure = true
        "#]]
        .assert_eq(&with_settings(old, &settings).unwrap());
    }
}
