//! What goes into a bundle: secrets of every kind, planted in every kind of file, are never in it; their innocent neighbours are.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers belong to the tests, where a failure is a failed test"
)]

mod never_survives;
mod places;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use places::{PLACES, Place};
use rekit_core::{
    bundle::{Bundle, Entry, Kind, Source, Wanted, wanted},
    finding::Diagnosis,
    inventory::Inventory,
};

/// Returns an inventory such as rekit makes.
fn sample() -> Inventory {
    serde_json::from_str(include_str!("../../../rekit/src/ui/sample.json")).unwrap()
}

/// Returns all files of a bundle that has one more file with this content.
fn bundled(kind: Kind, content: &[u8]) -> Vec<Entry> {
    let inventory = sample();
    let diagnosis = Diagnosis::new(Vec::new());
    let mut bundle = Bundle::new(("0.1.0", &inventory), &diagnosis, None);
    let wanted = Wanted {
        path: "files/it".to_owned(),
        says: "the file of the test".to_owned(),
        kind,
        source: Source::File("/it".into()),
    };
    bundle.add(&wanted, Ok(content));
    bundle.entries()
}

/// Returns what a bundle shows of a content, the records' configurations included.
fn shown(kind: Kind, content: &[u8]) -> String {
    let entries = bundled(kind, content).into_iter();
    let entries = entries.filter(|entry| entry.path.starts_with("files/"));
    entries.map(|entry| entry.text).collect()
}

/// Returns the content of a place with this secret in it.
fn planted(place: &Place, secret: &str) -> String {
    let inner = |text: &str| {
        let encoded = STANDARD.encode(format!("user:{secret}"));
        text.replace("{BASIC}", &encoded).replace("{S}", secret)
    };
    match place.within {
        None => inner(place.text),
        Some(record) => record.replace("{FILE}", &STANDARD.encode(inner(place.text))),
    }
}

#[test]
fn a_secret_of_every_kind_in_every_kind_of_file_is_hidden_and_its_neighbours_stay() {
    // No shape that is known, and not dense: only the place says that it is a secret.
    for secret in ["hunter2hunter2", "Tr0ub4dorHorse"] {
        for place in PLACES {
            let content = planted(place, secret);
            let shown = shown(place.kind, content.as_bytes());
            assert!(!shown.contains(secret), "{content}\nbecame\n{shown}");
            let encoded = STANDARD.encode(format!("user:{secret}"));
            assert!(!shown.contains(&encoded), "{content}\nbecame\n{shown}");
            assert!(shown.contains("***"), "{content}\nbecame\n{shown}");
            for stays in place.stays {
                assert!(
                    shown.contains(stays),
                    "no `{stays}`: {content}\nbecame\n{shown}"
                );
            }
        }
    }
}

#[test]
fn a_secret_of_a_known_shape_is_hidden_wherever_it_stands() {
    let shapes = [
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
        "gho_16C7e42F292c6912E7710c838347Ae178B4a",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "glpat-zzzzzzzzzzzzzzzzzzzz",
        "dckr_pat_AbCdEfGhIjKlMnOpQrStUvWxYz0",
        "npm_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "pypi-AgEIcHlwaS5vcmcCJGNhZmViYWJl",
        "xoxb-123456789012-abcdefghijkl",
        "-----BEGIN EC PRIVATE KEY-----MHcCAQEEIOz-----END EC PRIVATE KEY-----",
        "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQo=",
        "https://user:hunter2@proxy.corp:3128",
    ];
    for shape in shapes {
        for (kind, around) in [
            (Kind::Text, "time=1 level=error msg=\"x SHAPE y\""),
            (Kind::Text, "SHAPE"),
            (Kind::Json, r#"{"innocent": ["a", "SHAPE"]}"#),
            (Kind::Json, r#"{"innocent": {"SHAPE": 1}}"#),
            (
                Kind::Record,
                r#"{"Name":"b","Nodes":[{"Name":"b0","Flags":["SHAPE"]}]}"#,
            ),
            (Kind::Toml, "# SHAPE\ninnocent = \"SHAPE\"\n"),
            (Kind::Toml, "[broken\ninnocent = \"SHAPE\"\n"),
            (Kind::Unit, "[Service]\nExecStart=/bin/x SHAPE\n# SHAPE\n"),
            (Kind::Document, r#"{"cause": "it says SHAPE"}"#),
        ] {
            let text = around.replace("SHAPE", shape);
            let shown = shown(kind, text.as_bytes());
            let secret = shape.rsplit_once('@').map_or(shape, |(login, _)| login);
            let body = secret.trim_start_matches("https://");
            assert!(!shown.contains(body), "{text}\nbecame\n{shown}");
        }
    }
}

#[test]
fn what_is_no_secret_stays_in_every_kind_of_file() {
    let plain = [
        "moby/buildkit:v0.32.2@sha256:4e3a1c2f8b7d6a5e4c3b2a1f0e9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a3f2e1d",
        "unix:///run/user/1000/buildkit/buildkitd.sock",
        "ssh://me@builder.corp:22",
        "https://registry.corp:5000/v2/",
        "/var/lib/docker/volumes/buildx_buildkit_team0_state/_data",
        "github.com/moby/buildkit/solver/llbsolver/solver.go",
        "ContainerdSnapshotterV2Enabled",
        "buildx_buildkit_team0",
        "2026-11-23T08:00:00.123456789Z",
        "OTEL_TRACES_EXPORTER",
    ];
    for word in plain {
        for (kind, around) in [
            (Kind::Text, "level=error msg=\"x WORD y\""),
            (Kind::Json, r#"{"innocent": "WORD"}"#),
            (Kind::Toml, "innocent = \"WORD\" # WORD\n"),
            (Kind::Unit, "[Service]\nExecStart=/bin/x WORD\n"),
            (Kind::Document, r#"{"cause": "it says WORD"}"#),
        ] {
            let shown = shown(kind, around.replace("WORD", word).as_bytes());
            assert!(shown.contains(word), "{word} became {shown}");
        }
    }
}

#[test]
fn a_bundle_says_what_it_holds_and_what_it_could_not_get() {
    let inventory = sample();
    let mut bundle = Bundle::new(
        ("0.1.0", &inventory),
        &Diagnosis::new(Vec::new()),
        Some(Err("the journal is locked; token=hunter2".to_owned())),
    );
    let list = wanted(&inventory);
    assert!(!list.is_empty(), "the sample names files");
    for wanted in &list {
        bundle.add(wanted, Err("permission denied".to_owned()));
    }
    let contents = bundle.contents("out.tar");
    assert_eq!(contents.left_out.len(), list.len() + 1);
    let entries = bundle.entries();
    let readme = &entries[0];
    assert_eq!(readme.path, "README.txt");
    for word in [
        "inventory.json",
        "findings.json",
        "permission denied",
        "READ IT",
    ] {
        assert!(readme.text.contains(word), "{}", readme.text);
    }
    assert!(!readme.text.contains("hunter2"));
    let said: Inventory = serde_json::from_str(&entries[1].text).unwrap();
    assert_eq!(
        said.machine, inventory.machine,
        "the inventory still is one"
    );
}

#[test]
fn every_entry_has_a_place_of_its_own_that_unpacks_below_the_folder() {
    let mut inventory = sample();
    let file = inventory.stores[0].builders[0].file.clone();
    for path in ["/../../etc/x", "/a b", "/a_b", "/ö\\xff", "/a_b"] {
        let mut builder = inventory.stores[0].builders[0].clone();
        builder.file.path = path.into();
        inventory.stores[0].builders.push(builder);
    }
    assert!(!file.path.as_str().is_empty());
    let list = wanted(&inventory);
    let mut paths: Vec<_> = list.iter().map(|wanted| wanted.path.clone()).collect();
    for path in &paths {
        assert!(
            path.split('/').all(|part| !["", ".", ".."].contains(&part)),
            "{path}"
        );
        assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{path}");
    }
    let count = paths.len();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), count);
}

#[test]
fn digests_by_which_a_secret_could_be_tried_out_are_left_out() {
    let entries = bundled(Kind::Text, b"x");
    let inventory = &entries
        .iter()
        .find(|it| it.path == "inventory.json")
        .unwrap()
        .text;
    let before: serde_json::Value = serde_json::to_value(sample()).unwrap();
    let digest = before
        .pointer("/stores/0/builders/0/file/digest/known")
        .and_then(serde_json::Value::as_str)
        .unwrap();
    assert!(!inventory.contains(digest));
}
