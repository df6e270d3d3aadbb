//! Files of others, damaged in every way: no reader of the core panics or hangs on them, and who changes one changes only what he names.
//!
//! CI tries some hundred cases of each; `scripts/campaign fuzz` tries them for long. What it found is in docs/campaigns/fuzz.md.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers belong to the tests, where a failure is a failed test"
)]

mod damage;

use damage::{damaged, damages};
use proptest::prelude::*;
use rekit_core::{
    bundle::{Bundle, Kind, Source, Wanted},
    config::{goal_remarks, judge_buildkitd},
    finding::Diagnosis,
    goal,
    inventory::Inventory,
    json, mask,
    mounts::parse,
    name::{BuilderName, HostPath, NodeName},
    record::{self, NodeEdit, NodeSettings, RecordEdit, Sources},
    step::JsonEdit,
    symptom::recognise,
};
use serde_json::Value;

const RECORD: &str = r#"{"Name":"team","Driver":"docker-container","Nodes":[{"Name":"team0","Endpoint":"unix:///var/run/docker.sock","Platforms":[{"architecture":"arm","os":"linux","variant":"v7"}],"DriverOpts":{"env.TOKEN":"x","image":"moby/buildkit:v0.32.2"},"Flags":["--allow-insecure-entitlement=network.host"],"Files":{"buildkitd.toml":"IyBtaW5lCmRlYnVnID0gdHJ1ZQo=","certs/k":"c2VjcmV0"},"New":{"a":[1,2.5,null]}},{"Name":"team1","Endpoint":"tcp://h:1"}],"Dynamic":false,"Future":[1]}"#;
const CONFIG: &str = "{\n\t\"auths\": {\n\t\t\"r.example\": {\"auth\": \"dXNlcjpwYXNz\"}\n\t},\n\t\"credsStore\": \"desktop\",\n\t\"currentContext\": \"gone\",\n\t\"proxies\": {\"default\": {\"httpProxy\": \"http://u:p@h:1\"}}\n}\n";
const META: &str = r#"{"Name":"desktop-linux","Metadata":{"Description":"Docker Desktop"},"Endpoints":{"docker":{"Host":"npipe:////./pipe/x","SkipTLSVerify":false}}}"#;
const DAEMON: &str = "{\n  \"builder\": {\"gc\": {\"enabled\": true, \"defaultKeepStorage\": \"20GB\"}},\n  \"registry-mirrors\": [\"https://m\"],\n  \"features\": {\"containerd-snapshotter\": true}\n}\n";
const SETTINGS: &str = r#"{"AutoStart":false,"Cpus":8,"MemoryMiB":8092,"IntegratedWslDistros":["Ubuntu"],"EnableIntegrationWithDefaultWslDistro":true,"UseContainerdSnapshotter":true}"#;
const TOML: &str = "# mine\ndebug = true\n\n[grpc.tls]\nkey = \"/k.pem\" # key\n\n[registry.\"r.example\"]\nmirrors = [\"m\"]\nhttp = true\n\n[worker.oci]\ngckeepstorage = 1000\nmax-parallelism = 4\n\n[[worker.oci.gcpolicy]]\nkeepBytes = 10\nfilters = [\"type==regular\"]\n";
const GOAL: &str = "[builder]\nname = \"team\"\nplatforms = [\"linux/amd64\"]\n\n[cache]\nmax-used = \"20%\"\n\n[drain]\ngrace-seconds = 1\n";
const UNIT: &str = "[Service]\nEnvironment=\"A=b c\" D=e \\\n  F=g\nExecStart=/usr/bin/buildkitd --addr unix:///x --config '/etc/b.toml'\n";
const DOCKERFILE: &str = "# syntax=docker/dockerfile:1\n# escape=\\\nARG BASE=alpine\nFROM ${BASE:-x} AS base\nENV DIR=/cache\nRUN --mount=type=cache,target=${DIR},id=npm,sharing=locked,uid=1000 \\\n  # why\n  npm ci\nRUN <<EOF\necho $x\nEOF\nFROM base\nRUN --mount=type=cache,from=base,source=/x,target=/y true\n";
const SAID: &str = "#7 ERROR: failed to solve: process \"/bin/sh -c x\" did not complete successfully: exit code: 137\nERROR: failed to dial gRPC: rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing unix /var/run/docker.sock: connect: permission denied\"\ntoken=x Authorization: Bearer y https://u:p@h/x?key=z\n";

/// Every sample.
const SAMPLES: &[(Kind, &str)] = &[
    (Kind::Record, RECORD),
    (Kind::Json, CONFIG),
    (Kind::Json, META),
    (Kind::Json, DAEMON),
    (Kind::Json, SETTINGS),
    (Kind::Toml, TOML),
    (Kind::Toml, GOAL),
    (Kind::Unit, UNIT),
    (Kind::Text, DOCKERFILE),
    (Kind::Text, SAID),
];
/// The files in which single keys are changed, each with a key.
const EDITED: &[(&str, &[&str])] = &[
    (CONFIG, &["currentContext"]),
    (CONFIG, &["credsStore"]),
    (META, &["Endpoints", "docker", "Host"]),
    (DAEMON, &["builder", "gc", "defaultKeepStorage"]),
    (SETTINGS, &["absent", "deeper"]),
];

fn team() -> BuilderName {
    "team".parse().unwrap()
}

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

fn settings() -> NodeSettings {
    NodeSettings {
        reserved_bytes: 1,
        max_used_bytes: 3,
        min_free_bytes: 2,
        max_parallelism: Some(2),
        mend_config: false,
        options: std::collections::BTreeMap::new(),
        usual_flags: false,
        registries: std::collections::BTreeMap::new(),
    }
}

/// Returns an edit that takes over `team0`, with or without new settings.
fn edit(settings: Option<NodeSettings>) -> RecordEdit {
    RecordEdit {
        builder: team(),
        nodes: vec![NodeEdit {
            name: node("team0-g1"),
            replaces: Some(node("team0")),
            endpoint: None,
            settings,
        }],
    }
}

/// Rewrites a record, and looks whether all that was not named came out as it went in.
fn rewritten(bytes: &[u8]) -> Result<(), TestCaseError> {
    drop(record::nodes(bytes));
    drop(record::node_spec(bytes, &team(), &node("team0")));
    drop(record::rewrite(
        Some(bytes),
        &edit(Some(settings())),
        &Sources::new(),
    ));
    let Ok(new) = record::rewrite(Some(bytes), &edit(None), &Sources::new()) else {
        return Ok(());
    };
    let old = rounded(serde_json::from_slice(bytes).unwrap());
    let mut back = rounded(serde_json::from_slice(&new).unwrap());
    let first = old["Nodes"]
        .as_array()
        .and_then(|nodes| nodes.iter().find(|node| node["Name"] == "team0"));
    back["Nodes"][0]["Name"] = Value::from("team0");
    prop_assert_eq!(&back["Nodes"][0], first.unwrap());
    back["Nodes"] = old["Nodes"].clone();
    prop_assert_eq!(&back, &old);
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    prop_assert_eq!(names(&back), names(&old));
    Ok(())
}

/// Rounds what 64 bits do not hold exactly: see `a_number_beyond_64_bits_is_rounded`.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            Value::from(format!("{:.12e}", number.as_f64().unwrap()))
        }
        Value::Array(entries) => entries.into_iter().map(rounded).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, rounded(value)))
            .collect(),
        other => other,
    }
}

/// Known, and not as it should be: buildx writes no such numbers, and a key that it may write one day is kept but for the last digits.
#[test]
fn a_number_beyond_64_bits_is_rounded() {
    let record = RECORD.replace("2.5", "123456789012345678901234567890");
    let new = record::rewrite(Some(record.as_bytes()), &edit(None), &Sources::new()).unwrap();
    let new = String::from_utf8(new).unwrap();
    assert!(
        new.contains("1.2345678901234568e+29") || new.contains("1.2345678901234568e29"),
        "{new}"
    );
    let exact = RECORD.replace("2.5", "18446744073709551615");
    let new = record::rewrite(Some(exact.as_bytes()), &edit(None), &Sources::new()).unwrap();
    assert!(
        String::from_utf8(new)
            .unwrap()
            .contains("18446744073709551615")
    );
}

/// Changes one key, and looks whether every other byte stays.
fn edited(bytes: &[u8], keys: &[&str], value: Option<&str>) -> Result<(), TestCaseError> {
    let edit = JsonEdit {
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
        value: value.map(str::to_owned),
    };
    let Ok(new) = json::edit(bytes, std::slice::from_ref(&edit)) else {
        return Ok(());
    };
    prop_assert!(
        serde_json::from_slice::<Value>(bytes).is_err()
            || serde_json::from_slice::<Value>(&new).is_ok()
    );
    let (Ok(old), Ok(text)) = (
        serde_json::from_slice::<Value>(bytes),
        std::str::from_utf8(bytes),
    ) else {
        return Ok(());
    };
    let key = keys.last().unwrap();
    let was = old.pointer(&format!("/{}", keys.join("/")));
    match (was, value) {
        (None, None) => prop_assert_eq!(&new, bytes),
        // A key that is there twice: which of them is meant, no reader says.
        _ if text.matches(&format!("\"{key}\"")).count() > 1 => {}
        (Some(was), Some(_)) => {
            let gone = gone(bytes, &new);
            prop_assert!(gone <= was.to_string().len() * 6, "{} of {}", gone, text);
        }
        // Its comma and the blanks around it go with a key, and come with one.
        (Some(was), None) => {
            let gone = gone(&without_blanks(bytes), &without_blanks(&new));
            prop_assert!(
                gone <= was.to_string().len() * 6 + key.len() * 6 + 8,
                "{} of {}",
                gone,
                text
            );
        }
        (None, Some(_)) => prop_assert_eq!(
            gone(&without_blanks(bytes), &without_blanks(&new)),
            0,
            "{}",
            text
        ),
    }
    Ok(())
}

/// Returns how many bytes of `old` are not the beginning or the end of `new`.
fn gone(old: &[u8], new: &[u8]) -> usize {
    let begin = old
        .iter()
        .zip(new)
        .take_while(|(one, other)| one == other)
        .count();
    let most = old.len().min(new.len()) - begin;
    let ends = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(one, other)| one == other);
    old.len() - begin - ends.count().min(most)
}

fn without_blanks(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect()
}

/// Writes settings into a TOML text, and looks whether what stands elsewhere stays.
fn configured(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(new) = record::with_settings(bytes, &settings()) else {
        return Ok(());
    };
    let old = std::str::from_utf8(bytes).unwrap();
    let (old, new): (toml_edit::DocumentMut, toml_edit::DocumentMut) =
        (old.parse().unwrap(), new.parse().unwrap());
    for (key, item) in old.iter().filter(|(key, _)| *key != "worker") {
        let stays = new.get(key).map(ToString::to_string);
        prop_assert_eq!(stays, Some(item.to_string()), "{}", key);
    }
    let again = record::with_settings(new.to_string().as_bytes(), &settings()).unwrap();
    prop_assert_eq!(again, new.to_string());
    Ok(())
}

/// Reads a text in every way in which the core reads texts of others.
fn read(kind: Kind, bytes: &[u8]) -> Result<(), TestCaseError> {
    let text = &*String::from_utf8_lossy(bytes);
    if let Err(error) = goal::parse(text) {
        prop_assert!(error.line >= 1 && error.column >= 1 && error.length >= 1);
    }
    drop((goal_remarks(text), judge_buildkitd(text)));
    drop(parse(&HostPath::from("/Dockerfile"), text));
    let causes = recognise(text, &[]);
    prop_assert!(causes.likely.len() < 200);
    let masked = mask::text(text);
    prop_assert_eq!(mask::text(&masked), masked);
    drop((
        mask::url(text),
        mask::value("token", text),
        mask::value("x", text),
    ));
    drop(shown(kind, bytes));
    Ok(())
}

/// Returns a file as a bundle shows it.
fn shown(kind: Kind, bytes: &[u8]) -> String {
    let inventory: Inventory =
        serde_json::from_str(include_str!("../../rekit/src/ui/sample.json")).unwrap();
    let mut bundle = Bundle::new(("0", &inventory), &Diagnosis::new(Vec::new()), None);
    let wanted = Wanted {
        path: "files/it".to_owned(),
        says: "it".to_owned(),
        kind,
        source: Source::File("/it".into()),
    };
    bundle.add(&wanted, Ok(bytes));
    let found = bundle
        .entries()
        .into_iter()
        .find(|entry| entry.path == "files/it");
    found.unwrap().text
}

/// `scripts/campaign fuzz` runs these for long.
mod never_panics {
    use super::*;

    proptest! {
        #[test]
        fn a_damaged_record(damages in damages()) {
            rewritten(&damaged(RECORD.as_bytes(), &damages))?;
        }

        #[test]
        fn a_damaged_file_of_which_a_key_is_changed(file in 0..EDITED.len(), damages in damages(), value in proptest::option::of("\\PC{0,9}")) {
            let (text, keys) = EDITED[file];
            edited(&damaged(text.as_bytes(), &damages), keys, value.as_deref())?;
            edited(text.as_bytes(), keys, value.as_deref())?;
        }

        #[test]
        fn a_damaged_configuration_that_gets_settings(damages in damages()) {
            configured(&damaged(TOML.as_bytes(), &damages))?;
        }

        #[test]
        fn a_damaged_text_whoever_reads_it(sample in 0..SAMPLES.len(), damages in damages()) {
            let (kind, text) = SAMPLES[sample];
            read(kind, &damaged(text.as_bytes(), &damages))?;
        }

        #[test]
        fn bytes_of_any_kind(sample in 0..SAMPLES.len(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(SAMPLES[sample].0, &bytes)?;
            rewritten(&bytes)?;
            edited(&bytes, &["a"], Some("b"))?;
            configured(&bytes)?;
        }
    }
}
