//! Rewriting a builder record: bytes in, bytes out, unknown keys kept.
//!
//! Invariant: what the edit does not name comes out as it went in.

mod registry;

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    config::{Release, mended_buildkitd},
    name::{BuilderName, HostPath, NodeName, Platform},
};
pub use registry::RegistrySettings;
use registry::{authorities, set_registry};

/// How a builder record shall look.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordEdit {
    /// The builder.
    pub builder: BuilderName,
    /// All its nodes afterwards.
    pub nodes: Vec<NodeEdit>,
}

/// How a node of a record shall look.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeEdit {
    /// Its name.
    pub name: NodeName,
    /// The node of the present record whose options, flags and files it takes over.
    pub replaces: Option<NodeName>,
    /// Its endpoint; `None`: the one of the node it replaces.
    pub endpoint: Option<String>,
    /// Its settings; `None`: as they are.
    pub settings: Option<NodeSettings>,
}

/// The settings that rekit chooses for a node's daemon. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// Bytes of cache that garbage collection never goes below.
    pub reserved_bytes: u64,
    /// Bytes of cache that it never lets pass.
    pub max_used_bytes: u64,
    /// Bytes of the disk that it keeps free.
    pub min_free_bytes: u64,
    /// Steps that run at once; `None`: no limit.
    pub max_parallelism: Option<u32>,
    /// Whether what no daemon takes or reads in the present buildkitd.toml is mended where that is sure, else made a comment.
    #[serde(alias = "drop_config")]
    pub mend_config: bool,
    /// Driver options that are set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Whether the daemon starts with buildx's usual flags, in the place of the present ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub usual_flags: bool,
    /// How registries are reached, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registries: BTreeMap<String, RegistrySettings>,
}

impl RecordEdit {
    /// Returns the files of this machine that go into the record.
    pub fn sources(&self) -> impl Iterator<Item = &HostPath> {
        let settings = self.nodes.iter().filter_map(|node| node.settings.as_ref());
        let registries = settings.flat_map(|settings| settings.registries.values());
        registries.flat_map(|registry| &registry.authorities)
    }
}

/// The content of files of this machine that go into a record.
pub type Sources = BTreeMap<HostPath, Vec<u8>>;

/// What a node's container is made of.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeSpec {
    /// Driver options.
    pub options: Vec<(String, String)>,
    /// The daemon's flags.
    pub flags: Vec<String>,
    /// Files for `/etc/buildkit`, name and content. Foreign bytes: no `Debug`, no `Serialize`.
    pub files: Vec<(String, Vec<u8>)>,
    /// Platforms set by hand.
    pub platforms: Vec<Platform>,
    /// The endpoint.
    pub endpoint: String,
}

/// Why a record cannot be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It does not parse.
    #[error("the record of builder `{builder}` does not parse")]
    Parse {
        /// The builder.
        builder: BuilderName,
        /// Where.
        source: serde_json::Error,
    },
    /// It lacks a node.
    #[error("the record of builder `{builder}` has no node `{node}`")]
    NoNode {
        /// The builder.
        builder: BuilderName,
        /// The node.
        node: NodeName,
    },
    /// A file in it is not base64.
    #[error("file `{file}` in the record of builder `{builder}` is not base64")]
    File {
        /// The builder.
        builder: BuilderName,
        /// The file's name.
        file: String,
        /// Where.
        source: base64::DecodeError,
    },
    /// A file of this machine that goes into it is not there.
    #[error("`{path}`, which goes into the record of builder `{builder}`, is not there")]
    NoSource {
        /// The builder.
        builder: BuilderName,
        /// The file.
        path: HostPath,
    },
    /// The buildkitd.toml in it is no text.
    #[error("buildkitd.toml in the record of builder `{builder}` cannot be changed")]
    Config {
        /// The builder.
        builder: BuilderName,
        /// Why.
        source: SettingsError,
    },
}

/// Why settings cannot be written into a buildkitd.toml.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// It does not parse.
    #[error("it does not parse")]
    Parse(#[source] toml_edit::TomlError),
}

const CONFIG: &str = "buildkitd.toml";
/// The flag that buildx itself gives to each new docker-container node.
const DEFAULT_FLAGS: [&str; 1] = ["--allow-insecure-entitlement=network.host"];

/// Returns the record's bytes after the edit. `old` is `None` or unreadable bytes only if no node of it is taken over.
pub fn rewrite(
    old: Option<&[u8]>,
    edit: &RecordEdit,
    sources: &Sources,
) -> Result<Vec<u8>, RecordError> {
    let takes_over = edit.nodes.iter().any(|node| node.replaces.is_some());
    let mut record = match old {
        Some(bytes) if takes_over => parse(bytes, &edit.builder)?,
        _ => fresh(&edit.builder),
    };
    let present = record
        .get("Nodes")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let nodes = edit
        .nodes
        .iter()
        .map(|node| rewrite_node(&present, node, &edit.builder, sources))
        .collect::<Result<Vec<_>, _>>()?;
    record.insert("Nodes".to_owned(), Value::Array(nodes));
    Ok(Value::Object(record).to_string().into_bytes())
}

/// Returns what the container of `node` is made of, read from a record's bytes.
pub fn node_spec(
    bytes: &[u8],
    builder: &BuilderName,
    node: &NodeName,
) -> Result<NodeSpec, RecordError> {
    let record = parse(bytes, builder)?;
    let nodes = record
        .get("Nodes")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let found = find(&nodes, node, builder)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = |key: &str| {
        found
            .get(key)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let mut files = Vec::new();
    for (file, content) in object("Files") {
        let bytes = STANDARD
            .decode(text(&content))
            .map_err(|source| RecordError::File {
                builder: builder.clone(),
                file: file.clone(),
                source,
            })?;
        files.push((file, bytes));
    }
    let platforms = found
        .get("Platforms")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(platform).collect())
        .unwrap_or_default();
    Ok(NodeSpec {
        options: object("DriverOpts")
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect(),
        flags: found
            .get("Flags")
            .and_then(Value::as_array)
            .map(|flags| flags.iter().map(text).collect())
            .unwrap_or_default(),
        files,
        platforms,
        endpoint: found.get("Endpoint").map(text).unwrap_or_default(),
    })
}

/// Returns the names of a record's nodes; `None` for a record that does not parse.
pub fn nodes(bytes: &[u8]) -> Option<Vec<NodeName>> {
    let record: Value = serde_json::from_slice(bytes).ok()?;
    let nodes = record.get("Nodes").and_then(Value::as_array);
    let names = nodes.into_iter().flatten().map(|node| {
        let name = node.get("Name").and_then(Value::as_str)?;
        name.parse().ok()
    });
    names.collect()
}

/// Returns a platform of a record as text.
fn platform(value: &Value) -> Option<Platform> {
    let part = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let mut text = format!("{}/{}", part("os")?, part("architecture")?);
    if let Some(variant) = part("variant") {
        text.push('/');
        text.push_str(variant);
    }
    text.parse().ok()
}

fn parse(bytes: &[u8], builder: &BuilderName) -> Result<Map<String, Value>, RecordError> {
    serde_json::from_slice(bytes).map_err(|source| RecordError::Parse {
        builder: builder.clone(),
        source,
    })
}

fn fresh(builder: &BuilderName) -> Map<String, Value> {
    let value = json!({ "Name": builder.as_str(), "Driver": "docker-container", "Nodes": [], "Dynamic": false });
    value.as_object().cloned().unwrap_or_default()
}

fn find(
    nodes: &[Value],
    name: &NodeName,
    builder: &BuilderName,
) -> Result<Map<String, Value>, RecordError> {
    let found = nodes
        .iter()
        .find(|node| node.get("Name").and_then(Value::as_str) == Some(name.as_str()));
    found
        .and_then(Value::as_object)
        .cloned()
        .ok_or_else(|| RecordError::NoNode {
            builder: builder.clone(),
            node: name.clone(),
        })
}

fn rewrite_node(
    present: &[Value],
    edit: &NodeEdit,
    builder: &BuilderName,
    sources: &Sources,
) -> Result<Value, RecordError> {
    let mut node = match &edit.replaces {
        Some(name) => find(present, name, builder)?,
        None => json!({ "Name": "", "Endpoint": "", "Platforms": null, "DriverOpts": null, "Flags": DEFAULT_FLAGS, "Files": null })
            .as_object()
            .cloned()
            .unwrap_or_default(),
    };
    node.insert("Name".to_owned(), Value::from(edit.name.as_str()));
    if let Some(endpoint) = &edit.endpoint {
        node.insert("Endpoint".to_owned(), Value::from(endpoint.as_str()));
    }
    if let Some(settings) = &edit.settings {
        let mut files = node
            .get("Files")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let old = files
            .get(CONFIG)
            .and_then(Value::as_str)
            .unwrap_or_default();
        let old = STANDARD.decode(old).map_err(|source| RecordError::File {
            builder: builder.clone(),
            file: CONFIG.to_owned(),
            source,
        })?;
        let old = if settings.mend_config {
            mended(&old)
        } else {
            old
        };
        let new = with_settings(&old, settings).map_err(|source| RecordError::Config {
            builder: builder.clone(),
            source,
        })?;
        files.insert(CONFIG.to_owned(), Value::from(STANDARD.encode(new)));
        for (registry, said) in &settings.registries {
            for (file, path) in authorities(registry, said) {
                let content = sources.get(path).ok_or_else(|| RecordError::NoSource {
                    builder: builder.clone(),
                    path: path.clone(),
                })?;
                files.insert(file, Value::from(STANDARD.encode(content)));
            }
        }
        node.insert("Files".to_owned(), Value::Object(files));
        if !settings.options.is_empty() {
            set_options(&mut node, &settings.options);
        }
        if settings.usual_flags {
            node.insert("Flags".to_owned(), json!(DEFAULT_FLAGS));
        }
    }
    Ok(Value::Object(node))
}

/// Returns a buildkitd.toml that a daemon takes and reads whole; bytes that are no text are nobody's configuration.
fn mended(config: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(config).unwrap_or_default();
    mended_buildkitd(text, Release::NEWEST).into_bytes()
}

fn set_options(node: &mut Map<String, Value>, options: &BTreeMap<String, String>) {
    let present = node.get("DriverOpts").and_then(Value::as_object);
    let mut all = present.cloned().unwrap_or_default();
    for (name, value) in options {
        all.insert(name.clone(), Value::from(value.as_str()));
    }
    node.insert("DriverOpts".to_owned(), Value::Object(all));
}

/// Returns a buildkitd.toml with the settings written in; everything else in it stays, comments included.
pub fn with_settings(old: &[u8], settings: &NodeSettings) -> Result<String, SettingsError> {
    let text = std::str::from_utf8(old).map_err(|_| SettingsError::NotText)?;
    let mut document: toml_edit::DocumentMut = text.parse().map_err(SettingsError::Parse)?;
    let worker = table(table(document.as_table_mut(), "worker"), "oci");
    let size = |bytes: u64| toml_edit::value(i64::try_from(bytes).unwrap_or(i64::MAX));
    // All three always: giving one of them sets the other two to zero (facts: gc-keys-renamed-or-partial).
    for old_name in ["gckeepstorage", "gcpolicy", "keepBytes"] {
        worker.remove(old_name);
    }
    worker.insert("gc", toml_edit::value(true));
    worker.insert("reservedSpace", size(settings.reserved_bytes));
    worker.insert("maxUsedSpace", size(settings.max_used_bytes));
    worker.insert("minFreeSpace", size(settings.min_free_bytes));
    if let Some(limit) = settings.max_parallelism {
        worker.insert("max-parallelism", toml_edit::value(i64::from(limit)));
    }
    for (name, registry) in &settings.registries {
        set_registry(table(document.as_table_mut(), "registry"), name, registry);
    }
    Ok(document.to_string())
}

/// Returns the sub-table `key`, made as `[a.b]` where it is missing or stands on one line.
fn table<'a>(parent: &'a mut toml_edit::Table, key: &str) -> &'a mut toml_edit::Table {
    let is_table = parent.get(key).is_some_and(toml_edit::Item::is_table);
    if !is_table {
        let on_one_line = parent.remove(key).and_then(|item| item.into_table().ok());
        let table = on_one_line.unwrap_or_else(|| {
            let mut fresh = toml_edit::Table::new();
            fresh.set_implicit(true);
            fresh
        });
        parent.insert(key, toml_edit::Item::Table(table));
    }
    match parent.get_mut(key).and_then(toml_edit::Item::as_table_mut) {
        Some(table) => table,
        None => unreachable!("BUG: a table that was just put there is gone"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    pub(super) fn edit(replaces: Option<&str>) -> RecordEdit {
        RecordEdit {
            builder: "team".parse().unwrap(),
            nodes: vec![NodeEdit {
                name: "team0-g1".parse().unwrap(),
                replaces: replaces.map(|name| name.parse().unwrap()),
                endpoint: None,
                settings: Some(NodeSettings {
                    reserved_bytes: 1,
                    max_used_bytes: 3,
                    min_free_bytes: 2,
                    max_parallelism: None,
                    mend_config: false,
                    options: BTreeMap::new(),
                    usual_flags: false,
                    registries: BTreeMap::new(),
                }),
            }],
        }
    }

    #[test]
    fn r1_2_1_unknown_keys_and_files_survive_a_rewrite() {
        let old = br#"{"Name":"team","Driver":"docker-container","Nodes":[{"Name":"team0","Endpoint":"unix:///a","Platforms":null,"DriverOpts":{"image":"x"},"Flags":["-f"],"Files":{"certs/k":"c2VjcmV0","buildkitd.toml":"IyBtaW5lCmRlYnVnID0gdHJ1ZQo="},"New":7}],"Dynamic":false,"Future":[1]}"#;
        let new = rewrite(Some(old), &edit(Some("team0")), &Sources::new()).unwrap();
        expect![[r#"{"Name":"team","Driver":"docker-container","Nodes":[{"Name":"team0-g1","Endpoint":"unix:///a","Platforms":null,"DriverOpts":{"image":"x"},"Flags":["-f"],"Files":{"certs/k":"c2VjcmV0","buildkitd.toml":"IyBtaW5lCmRlYnVnID0gdHJ1ZQoKW3dvcmtlci5vY2ldCmdjID0gdHJ1ZQpyZXNlcnZlZFNwYWNlID0gMQptYXhVc2VkU3BhY2UgPSAzCm1pbkZyZWVTcGFjZSA9IDIK"},"New":7}],"Dynamic":false,"Future":[1]}"#]]
            .assert_eq(std::str::from_utf8(&new).unwrap());
        let spec = node_spec(&new, &"team".parse().unwrap(), &"team0-g1".parse().unwrap()).unwrap();
        assert_eq!(spec.options, [("image".to_owned(), "x".to_owned())]);
        expect![[r"
            # mine
            debug = true

            [worker.oci]
            gc = true
            reservedSpace = 1
            maxUsedSpace = 3
            minFreeSpace = 2
        "]]
        .assert_eq(std::str::from_utf8(&spec.files[1].1).unwrap());
    }

    #[test]
    fn a_record_cut_in_half_can_be_made_anew_but_not_taken_over() {
        let cut = br#"{"Name":"team","Dri"#;
        assert!(rewrite(Some(cut), &edit(Some("team0")), &Sources::new()).is_err());
        assert!(rewrite(Some(cut), &edit(None), &Sources::new()).is_ok());
    }
}
