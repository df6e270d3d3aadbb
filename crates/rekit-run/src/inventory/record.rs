//! One builder record: tolerant of what newer versions of buildx add, exact about what cannot be read.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rekit_core::{
    fact::Fact,
    inventory::{NodeConfig, NodeFile, NodeRecord, NodeRegistry, Record},
    mask,
    name::{Digest, NodeName, Platform},
};
use serde_json::{Map, Value};
use toml_edit::{DocumentMut, Item, TableLike};

use super::judge;

/// What is needed to reach a node. Holds credentials: never leaves the collector.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeAddress {
    /// The endpoint as written: a context's name or a URL.
    pub(super) endpoint: String,
    /// The driver options as written.
    pub(super) options: BTreeMap<String, String>,
}

/// A record with what its inventory must not hold.
pub(super) struct ReadRecord {
    /// What goes into the inventory.
    pub(super) record: Record,
    /// How to reach each of its nodes, in their order.
    pub(super) addresses: Vec<NodeAddress>,
}

/// Reads a record; the reason for failure holds line and column where it does not parse.
pub(super) fn parse(content: &[u8]) -> Result<ReadRecord, String> {
    if content.is_empty() {
        return Err("the file is empty".to_owned());
    }
    let value: Value =
        serde_json::from_slice(content).map_err(|error| format!("does not parse: {error}"))?;
    let Value::Object(fields) = &value else {
        return Err("does not parse: it is no JSON object".to_owned());
    };
    let mut unknown_keys = unknown(fields, &["Name", "Driver", "Nodes", "Dynamic"], "");
    let (mut nodes, mut addresses) = (Vec::new(), Vec::new());
    let entries = field(fields, "Nodes").and_then(Value::as_array);
    for (index, entry) in entries.into_iter().flatten().enumerate() {
        let Value::Object(entry) = entry else {
            return Err(format!("node {index} is no JSON object"));
        };
        let known = [
            "Name",
            "Endpoint",
            "Platforms",
            "DriverOpts",
            "Flags",
            "Files",
        ];
        unknown_keys.extend(unknown(entry, &known, &format!("Nodes[{index}].")));
        let (node, address) = node(entry).map_err(|reason| format!("node {index}: {reason}"))?;
        nodes.push(node);
        addresses.push(address);
    }
    Ok(ReadRecord {
        record: Record {
            inner_name: text(fields, "Name"),
            driver: text(fields, "Driver"),
            dynamic: field(fields, "Dynamic")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
            unknown_keys,
            nodes,
        },
        addresses,
    })
}

/// Reads one node.
fn node(fields: &Map<String, Value>) -> Result<(NodeRecord, NodeAddress), String> {
    let name: NodeName = text(fields, "Name")
        .parse()
        .map_err(|error| format!("{error}"))?;
    let endpoint = text(fields, "Endpoint");
    let options: BTreeMap<String, String> = field(fields, "DriverOpts")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    let (files, config) = files(fields)?;
    let record = NodeRecord {
        name,
        endpoint: mask::url(&endpoint),
        host: None,
        platforms: platforms(fields),
        driver_opts: options
            .iter()
            .map(|(name, value)| (name.clone(), mask::value(name, value)))
            .collect(),
        flags: field(fields, "Flags")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(mask::text)
            .collect(),
        files,
        config,
        status: "inactive".to_owned(),
        container: None,
        volume: None,
        unapplied: Vec::new(),
        image_is_here: None,
        daemon: Fact::Unreadable {
            reason: "not asked".to_owned(),
        },
    };
    Ok((record, NodeAddress { endpoint, options }))
}

/// Reads the files that buildx copies into the container: names, sizes and digests, never their content.
fn files(fields: &Map<String, Value>) -> Result<(Vec<NodeFile>, Option<NodeConfig>), String> {
    let (mut files, mut config) = (Vec::new(), None);
    let entries = field(fields, "Files").and_then(Value::as_object);
    for (name, content) in entries.into_iter().flatten() {
        let content = STANDARD
            .decode(content.as_str().unwrap_or_default())
            .map_err(|_| format!("its file `{name}` is not base64"))?;
        if name == "buildkitd.toml" {
            let judged = judge::buildkitd(&content);
            config = Some(NodeConfig {
                verdict: judged.verdict,
                remarks: judged.remarks,
                registries: registries(&content),
            });
        }
        files.push(NodeFile {
            name: name.clone(),
            size_bytes: content.len() as u64,
            digest: Digest::of(&content),
        });
    }
    Ok((files, config))
}

/// Reads what a buildkitd.toml says of registries; nothing where it does not parse.
fn registries(content: &[u8]) -> Vec<NodeRegistry> {
    let text = String::from_utf8_lossy(content);
    let Ok(document) = text.parse::<DocumentMut>() else {
        return Vec::new();
    };
    let get = |table: &dyn TableLike, name: &str| {
        let found = table.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, item)| item.clone())
    };
    let registries = get(document.as_table(), "registry");
    let registries = registries.as_ref().and_then(Item::as_table_like);
    let registries = registries.into_iter().flat_map(TableLike::iter);
    registries
        .filter_map(|(name, item)| {
            let table = item.as_table_like()?;
            let is_set = |key: &str| get(table, key).and_then(|item| item.as_bool()) == Some(true);
            let lists = |key: &str| {
                let list = get(table, key);
                list.is_some_and(|item| item.as_array().is_some_and(|list| !list.is_empty()))
            };
            Some(NodeRegistry {
                name: name.to_owned(),
                mirrored: lists("mirrors"),
                insecure: is_set("http") || is_set("insecure"),
                authorities: lists("ca"),
            })
        })
        .collect()
}

/// Reads the platforms that were set by hand.
fn platforms(fields: &Map<String, Value>) -> Vec<Platform> {
    field(fields, "Platforms")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|platform| {
            let part = |name: &str| platform.get(name).and_then(Value::as_str);
            let mut text = format!("{}/{}", part("os")?, part("architecture")?);
            if let Some(variant) = part("variant").filter(|variant| !variant.is_empty()) {
                text.push('/');
                text.push_str(variant);
            }
            text.parse().ok()
        })
        .collect()
}

/// Returns a field; buildx, being written in Go, ignores the case of its name.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).or_else(|| {
        fields
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

/// Returns a field's text, empty where there is none.
fn text(fields: &Map<String, Value>, name: &str) -> String {
    field(fields, name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Returns the keys that this rekit does not know.
fn unknown(fields: &Map<String, Value>, known: &[&str], prefix: &str) -> Vec<String> {
    fields
        .keys()
        .filter(|key| !known.iter().any(|name| key.eq_ignore_ascii_case(name)))
        .map(|key| format!("{prefix}{key}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_1_1_a_record_is_read_with_what_is_new_in_it_and_without_its_secrets() {
        let content = r#"{"Name":"team","Driver":"docker-container","Nodes":[{"Name":"team0","Endpoint":"tcp://u:hunter2@h:1",
            "Platforms":[{"architecture":"arm","os":"linux","variant":"v7"}],"DriverOpts":{"env.TOKEN":"hunter2","network":"host"},
            "Flags":["--debug"],"Files":{"certs/h/key.pem":"aHVudGVyMg=="},"New":1}],"Dynamic":false,"FutureField":{}}"#;
        let read = parse(content.as_bytes()).unwrap();
        let node = &read.record.nodes[0];
        assert_eq!(read.record.unknown_keys, ["FutureField", "Nodes[0].New"]);
        assert_eq!(node.platforms[0].as_str(), "linux/arm/v7");
        assert_eq!(node.files[0].size_bytes, 7);
        assert_eq!(node.driver_opts["network"], "host");
        let shown = serde_json::to_string(&read.record).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(read.addresses[0].endpoint, "tcp://u:hunter2@h:1");
    }

    #[test]
    fn r1_1_1_a_record_that_does_not_parse_says_where() {
        for (content, reason) in [
            ("", "the file is empty"),
            (r#"{"Name":"a","Nod"#, "line 1 column 16"),
            ("\0\0\0", "line 1 column 1"),
            ("[]", "no JSON object"),
            (r#"{"Nodes":[{"Name":"0"}]}"#, "node 0"),
        ] {
            let error = parse(content.as_bytes()).err().unwrap();
            assert!(error.contains(reason), "{content}: {error}");
        }
    }
}
