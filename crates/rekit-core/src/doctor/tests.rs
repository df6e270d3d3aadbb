//! Each check once where it must speak and once where it must not, on one healthy machine that is changed in one place.
#![expect(
    clippy::too_many_lines,
    reason = "the tables of twins are long and flat"
)]
#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Remedy, checks, examine, explain, mendable};
use crate::inventory::Inventory;

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HOST: &str = "unix:///var/run/docker.sock";

fn file(path: &str) -> Value {
    json!({"path": path, "size_bytes": 10, "mode": 384, "owner": 1000, "digest": {"known": ID}})
}

fn gc(reserved: i64, max: i64, free: i64) -> Value {
    json!([{"all": true, "filters": [], "keep_seconds": 0, "reserved_bytes": reserved, "max_used_bytes": max, "min_free_bytes": free}])
}

fn daemon(version: &str, gc: &Value) -> Value {
    json!({"version": version, "revision": "", "cache": {"unreadable": {"reason": "-"}}, "active": {"known": []},
        "history": {"unreadable": {"reason": "-"}},
        "workers": [{"id": "w", "platforms": ["linux/amd64", "linux/amd64/v2", "linux/386"], "labels": {}, "gc": gc}]})
}

fn healthy_gc() -> Value {
    gc(10_000_000_000, 100_000_000_000, 50_000_000_000)
}

fn container(name: &str, status: &str, exit_code: i64) -> Value {
    json!({"name": name, "id": ID, "image": "moby/buildkit:buildx-stable-1", "image_id": "sha256:1", "status": status,
        "exit_code": exit_code, "started_at": "2026-11-01T00:00:00Z", "restart_count": 0, "restart_policy": "unless-stopped",
        "volumes": [[format!("{name}_state"), "/var/lib/buildkit"]], "labels": {}, "is_buildkit": true, "arguments": []})
}

fn volume(name: &str, used_by: &Value) -> Value {
    json!({"name": name, "created_at": "2026-01-01", "driver": "local", "mountpoint": "/v", "used_by": used_by, "labels": {},
        "size_bytes": {"known": 5}, "holds_state": {"known": true}})
}

fn node(name: &str) -> Value {
    json!({"name": name, "endpoint": HOST, "host": HOST, "platforms": ["linux/amd64"], "driver_opts": {"default-load": "true"}, "flags": [],
        "files": [], "config": {"verdict": {"verdict": "accepted"}}, "status": "running",
        "container": format!("buildx_buildkit_{name}"), "volume": format!("buildx_buildkit_{name}_state"),
        "daemon": {"known": daemon("v0.32.2", &healthy_gc())}})
}

fn builder(name: &str, driver: &str, nodes: &Value) -> Value {
    json!({"name": name, "file": file(&format!("/home/u/.docker/buildx/instances/{name}")), "last_activity": null,
        "record": {"known": {"inner_name": name, "driver": driver, "dynamic": false, "unknown_keys": [], "nodes": nodes}}})
}

fn context(name: &str, endpoint: &str, host: &Value, current: bool) -> Value {
    let meta =
        (name != "default").then(|| file(&format!("/home/u/.docker/contexts/meta/{ID}/meta.json")));
    json!({"name": name, "file": meta, "tls": null, "current": current,
        "state": {"known": {"endpoint": endpoint, "description": "", "host": host, "unusable": null}}})
}

fn tool(name: &str, path: &str, version: &str, in_force: bool) -> Value {
    json!({"name": name, "path": path, "version": {"known": version}, "silent": false, "in_force": in_force})
}

/// A machine with an engine, a running builder `team`, and nothing wrong.
fn healthy() -> Value {
    let engine = json!({"id": "e", "version": "28.5.2", "api_version": "1.51", "os": "linux", "architecture": "amd64",
        "storage_driver": "overlay2", "image_store": "graphdriver", "data_root": "/var/lib/docker", "cgroup_version": "2", "min_api_version": "1.24",
        "rootless": false, "embedded": {"known": daemon("v0.25.1", &healthy_gc())},
        "containers": [container("buildx_buildkit_team0", "running", 0)],
        "volumes": [volume("buildx_buildkit_team0_state", &json!(["buildx_buildkit_team0"]))]});
    json!({
        "schema": "rekit/inventory", "version": 1, "taken": "2026-11-23T08:00:00Z",
        "machine": {"os": "linux", "architecture": "amd64", "kernel": "6.18", "wsl": false, "processors": 4,
            "memory_bytes": 8, "user": 1000, "home": "/home/u", "rekit_home": "/home/u/.local/state/rekit"},
        "environment": [{"name": "BUILDX_BUILDER", "value": "team"}],
        "tools": [tool("docker", "/usr/bin/docker", "28.5.2", true), tool("buildx", "/usr/libexec/docker-buildx", "v0.36.1", true)],
        "selection": {"context": "default", "context_from": "default", "key": HOST, "builder": "team", "builder_from": "BUILDX_BUILDER", "builder_alias": null},
        "contexts": [context("default", HOST, &json!(HOST), true)],
        "hosts": [{"id": HOST, "named_by": ["default socket", "context default"], "engine": {"known": engine}}],
        "stores": [{"path": "/home/u/.docker/buildx", "locked": false,
            "builders": [builder("team", "docker-container", &json!([node("team0")]))],
            "current": {"known": {"file": file("/home/u/.docker/buildx/current"), "current": {"key": HOST, "name": "team", "global": false}}},
            "defaults": {"00112233445566778899": "team"}, "activity": {"team": "2026-11-22T00:00:00Z", "default": "2026-11-22T00:00:00Z"},
            "refs": [{"path": "/home/u/.docker/buildx/refs/team/team0", "builder": "team", "node": "team0", "entries": 3}],
            "strays": [], "default_config": null, "unreadable": []}],
        "standalone": [], "caches": [], "files": [], "desktop": null, "scripts": [],
        "emulators": {"known": [{"name": "qemu-aarch64", "platform": "linux/arm64", "enabled": true, "flags": "F", "interpreter": "/q", "version": {"known": "9.0"}}]}
    })
}

/// Changes one place of the healthy machine; `+` at the end of a place appends to the list.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut value = healthy();
    for (place, change) in changes {
        match place.strip_suffix("/+") {
            Some(list) => {
                let list = value
                    .pointer_mut(list)
                    .and_then(Value::as_array_mut)
                    .unwrap();
                list.push(change.clone());
            }
            None => *value.pointer_mut(place).unwrap() = change.clone(),
        }
    }
    value
}

fn inventory(value: Value) -> Inventory {
    serde_json::from_value(value).unwrap()
}

fn codes(value: Value) -> String {
    let findings = examine(&inventory(value)).findings;
    let codes: Vec<_> = findings.into_iter().map(|finding| finding.code).collect();
    codes.join(" ")
}

fn check(changes: &[(&str, Value)], expected: &Expect) {
    let diagnosis = examine(&inventory(with(changes)));
    let told: Vec<String> = diagnosis.findings.iter().map(told).collect();
    expected.assert_eq(&told.concat());
}

fn told(finding: &crate::finding::Finding) -> String {
    let subject = &finding.subject;
    let evidence = finding
        .evidence
        .iter()
        .map(|line| format!("  - {}\n", line.replace('\n', "\n    ")));
    let commands = finding
        .fix
        .commands
        .iter()
        .map(|line| format!("  $ {line}\n"));
    format!(
        "{} {:?} {} {}\n  {}\n{}  {:?}: {}\n{}",
        finding.code,
        finding.severity,
        subject.kind,
        subject.name,
        finding.cause,
        evidence.collect::<String>(),
        finding.fix.by,
        finding.fix.summary,
        commands.collect::<String>()
    )
}

const TEAM: &str = "/stores/0/builders/0";
const NODE: &str = "/stores/0/builders/0/record/known/nodes/0";
const ENGINE: &str = "/hosts/0/engine/known";

fn at(base: &str, rest: &str) -> String {
    format!("{base}/{rest}")
}

fn unreadable(reason: &str) -> Value {
    json!({"unreadable": {"reason": reason}})
}

#[test]
fn a_healthy_machine_has_no_finding() {
    let diagnosis = examine(&inventory(healthy()));
    assert!(diagnosis.healthy);
    assert_eq!(diagnosis.findings, []);
}

#[test]
fn a_machine_without_docker_has_no_finding() {
    let nothing = with(&[
        ("/tools", json!([])),
        ("/environment", json!([])),
        ("/hosts/0/engine", unreadable("no such file")),
        ("/hosts/0/named_by", json!(["default socket"])),
        ("/stores", json!([])),
        ("/emulators", unreadable("not mounted")),
    ]);
    assert_eq!(codes(nothing), "");
}

#[test]
fn codes_are_unique_in_order_and_explained() {
    let codes: Vec<_> = checks().map(|check| check.code).collect();
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(codes, sorted);
    for check in checks() {
        assert!(
            check.code.len() == 5 && check.code.starts_with("RK"),
            "{}",
            check.code
        );
        assert!(
            check.explain.ends_with('.') && !check.title.ends_with('.'),
            "{}",
            check.code
        );
    }
    assert_eq!(explain("rk201").map(|check| check.code), Some("RK201"));
    assert!(explain("RK999").is_none());
}

#[test]
fn every_check_speaks_and_keeps_silent() {
    let mut spoken = std::collections::BTreeSet::new();
    for (code, ill, well) in twins() {
        let changes: Vec<_> = ill
            .iter()
            .map(|(place, value)| (place.as_str(), value.clone()))
            .collect();
        let found = codes(with(&changes));
        assert!(
            found.split(' ').any(|found| found == code),
            "{code} is silent, found: {found}"
        );
        let changes: Vec<_> = well
            .iter()
            .map(|(place, value)| (place.as_str(), value.clone()))
            .collect();
        let found = codes(with(&changes));
        assert!(
            !found.split(' ').any(|found| found == code),
            "{code} is a false alarm"
        );
        spoken.insert(code);
    }
    let all: Vec<_> = checks()
        .map(|check| check.code)
        .filter(|code| !spoken.contains(code))
        .collect();
    assert_eq!(all, [] as [&str; 0], "checks without a twin");
}

type Changes = Vec<(String, Value)>;

fn one(place: &str, value: Value) -> Changes {
    vec![(place.to_owned(), value)]
}

/// For each code a machine that is ill, and its nearest healthy relative.
fn twins() -> Vec<(&'static str, Changes, Changes)> {
    let mut twins = client_twins();
    twins.extend(store_twins());
    twins.extend(node_twins());
    twins.extend(daemon_twins());
    twins.extend(front_end_twins());
    twins.extend(state_twins());
    twins.extend(disk_twins());
    twins.extend(registry_twins());
    twins
}

fn client_twins() -> Vec<(&'static str, Changes, Changes)> {
    let pipe = context("desktop-linux", "npipe:////./pipe/x", &Value::Null, false);
    let ssh = context("far", "ssh://far", &json!("ssh://far"), false);
    let mut broken = ssh.clone();
    broken["state"] = unreadable("unexpected end");
    let mut unusable = ssh.clone();
    unusable["state"]["known"]["unusable"] = json!("ssh is not installed");
    let far = |named: Value| json!({"id": "ssh://far", "named_by": named, "engine": {"unreadable": {"reason": "timed out"}}});
    let buildx = |version: &str| {
        tool(
            "buildx",
            "/usr/lib/docker/cli-plugins/docker-buildx",
            version,
            false,
        )
    };
    vec![
        (
            "RK101",
            one("/contexts/+", pipe),
            one("/contexts/+", ssh.clone()),
        ),
        (
            "RK102",
            one("/selection/context", json!("gone")),
            one("/selection/context", json!("default")),
        ),
        (
            "RK103",
            one("/contexts/+", broken),
            one("/contexts/+", ssh.clone()),
        ),
        (
            "RK104",
            one("/contexts/+", unusable),
            one("/contexts/+", ssh),
        ),
        (
            "RK105",
            one("/hosts/0/engine", unreadable("refused")),
            one("/hosts/+", far(json!(["context far"]))),
        ),
        (
            "RK106",
            one("/hosts/+", far(json!(["context far"]))),
            one("/hosts/+", far(json!(["default socket"]))),
        ),
        (
            "RK110",
            one("/tools", json!([tool("docker", "/d", "28", true)])),
            one("/tools", json!([])),
        ),
        (
            "RK111",
            one("/tools/1/version", unreadable("exec format error")),
            // A busy machine is no broken program.
            [
                one("/tools/1/version", unreadable("no answer within 2 s")),
                one("/tools/1/silent", json!(true)),
            ]
            .concat(),
        ),
        (
            "RK112",
            one("/tools/+", buildx("v0.37.0")),
            one("/tools/+", buildx("v0.9.1")),
        ),
        (
            "RK113",
            one("/environment/0/value", json!("ghost")),
            one("/environment/0/value", json!("default")),
        ),
        (
            "RK114",
            one(
                "/environment/+",
                json!({"name": "DOCKER_BUILDKIT", "value": "0"}),
            ),
            one(
                "/environment/+",
                json!({"name": "DOCKER_BUILDKIT", "value": "1"}),
            ),
        ),
    ]
}

/// What a file of a shell sets.
fn profile(name: &str, value: &str) -> Changes {
    let profile = json!({"kind": "profile", "file": file("/home/u/.bashrc"), "keys": [name], "lines": [3], "verdict": null,
        "assigned": [{"line": 3, "name": name, "value": value}]});
    one("/files/+", profile)
}

fn front_end_twins() -> Vec<(&'static str, Changes, Changes)> {
    let compose = |version: &str| {
        one(
            "/tools/+",
            tool("compose", "/usr/libexec/docker-compose", version, true),
        )
    };
    let buildx = |version: &str| one("/tools/1/version", json!({"known": version}));
    let pinned = |version: &str| {
        let pinned = json!({"name": "DOCKER_API_VERSION", "value": version});
        one("/environment/+", pinned)
    };
    let selected_by = |by: &str| one("/selection/builder_from", json!(by));
    let unset = [
        selected_by("current"),
        one("/environment", json!([])),
        one("/selection/builder_alias", Value::Null),
    ]
    .concat();
    let aliased = [
        unset.clone(),
        one("/selection/builder_alias", json!("buildx")),
    ]
    .concat();
    let options = at(NODE, "driver_opts");
    vec![
        (
            "RK115",
            [buildx("v0.16.2"), compose("v2.40.3")].concat(),
            [buildx("v0.16.2"), compose("v2.30.0")].concat(),
        ),
        ("RK116", pinned("1.20"), pinned("1.24")),
        (
            "RK117",
            profile("BUILDX_BUILDER", "ghost"),
            profile("BUILDX_BUILDER", "Team"),
        ),
        (
            "RK118",
            profile("DOCKER_BUILDKIT", "0"),
            profile("DOCKER_BUILDKIT", "1"),
        ),
        (
            "RK220",
            one(&options, json!({"default-load": "false"})),
            [
                one(&options, json!({})),
                one("/selection/builder", Value::Null),
            ]
            .concat(),
        ),
        ("RK221", unset, aliased),
    ]
}

fn state_twins() -> Vec<(&'static str, Changes, Changes)> {
    let counted = |bytes: u64| {
        let counted = json!({"known": {"records": 3, "bytes": bytes, "reclaimable_bytes": 0, "by_type": {}, "cache_mounts": []}});
        let labels = json!({"org.mobyproject.buildkit.worker.snapshotter": "overlayfs"});
        [
            one(&at(NODE, "daemon/known/cache"), counted),
            one(&at(NODE, "daemon/known/workers/0/labels"), labels),
            one(
                &at(ENGINE, "volumes/0/size_bytes"),
                json!({"known": 9_000_000}),
            ),
        ]
        .concat()
    };
    let mut lean = container("buildx_buildkit_team0", "running", 0);
    lean["out_of_memory"] = json!(true);
    let mut foreign = lean.clone();
    foreign["is_buildkit"] = json!(false);
    let mut state = volume(
        "buildx_buildkit_team0_state",
        &json!(["buildx_buildkit_team0"]),
    );
    let kept = state.clone();
    state["set_aside"] = json!(["cache.db.1.bak"]);
    let node_with = |key: &str, value: Value| {
        let mut node = node("team0");
        node[key] = value;
        one(NODE, node)
    };
    let team = at(ENGINE, "containers/0");
    let volume = at(ENGINE, "volumes/0");
    let tried = |found: Value| {
        let mut daemon =
            healthy()["stores"][0]["builders"][0]["record"]["known"]["nodes"][0]["daemon"].clone();
        daemon["known"]["trial"] = found;
        node_with("daemon", daemon)
    };
    let read = |found: Value| {
        let mut state = kept.clone();
        state["contradictions"] = found;
        one(&volume, state)
    };
    vec![
        (
            "RK320",
            node_with("unapplied", json!(["env.A"])),
            node_with("unapplied", json!([])),
        ),
        (
            "RK321",
            node_with("image_is_here", json!(false)),
            node_with("image_is_here", json!(true)),
        ),
        ("RK322", one(&team, lean), one(&team, foreign)),
        ("RK323", counted(20_000_000), counted(13_000_000)),
        ("RK324", one(&volume, state), one(&volume, kept.clone())),
        (
            "RK325",
            tried(json!({"found": "fails", "why": "no answer within 60 s"})),
            tried(json!({"found": "builds", "cold_ms": 90, "warm_ms": 20})),
        ),
        (
            "RK326",
            read(unreadable("it is being written")),
            read(json!({"known": []})),
        ),
        (
            "RK327",
            one(
                &team,
                stood_in_for(json!({"found": "fails", "why": "the daemon does not come up"})),
            ),
            one(
                &team,
                stood_in_for(json!({"found": "builds", "cold_ms": 90, "warm_ms": 20})),
            ),
        ),
    ]
}

/// A node's container that stands still, and what became of a stand-in.
fn stood_in_for(found: Value) -> Value {
    let mut container = container("buildx_buildkit_team0", "exited", 0);
    container["stand_in"] = found;
    container
}

#[test]
fn a_deep_look_tells_more_of_a_state_than_a_quick_one() {
    let mut state = volume(
        "buildx_buildkit_team0_state",
        &json!(["buildx_buildkit_team0"]),
    );
    state["contradictions"] = json!({"known": ["3 packed layers are not on the disk, such as runc-overlayfs/content/blobs/sha256/00"]});
    check(
        &[(&at(ENGINE, "volumes/0"), state)],
        &expect![[r#"
        RK323 Error node team0
          The databases of node `team0` name layers that are not on the disk; builds fail although it runs.
          - 3 packed layers are not on the disk, such as runc-overlayfs/content/blobs/sha256/00
          Consent: save its state, and give the builder a fresh one
          $ docker buildx prune -af --builder team
    "#]],
    );
}

#[test]
fn a_builder_gets_the_proxies_of_its_engine_but_no_password_and_no_loopback() {
    let options = |proxies: Value| {
        let mut machine = healthy();
        machine["hosts"][0]["engine"]["known"]["proxies"] = proxies;
        let found = mendable(&inventory(machine)).into_iter();
        let options = found.flat_map(|it| it.remedies).map(|remedy| match remedy {
            Remedy::Renew(_, change) => change.options.into_iter().collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        });
        options
            .flatten()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    let proxy = "http://proxy:3128";
    assert_eq!(
        options(json!({"http_proxy": proxy, "no_proxy": "localhost,10.0.0.0/8"})),
        [
            "env.http_proxy=http://proxy:3128",
            "env.no_proxy=localhost,10.0.0.0/8"
        ]
    );
    for other in [
        "***",
        "http://127.0.0.1:3128",
        "localhost:3128",
        "http://u@h",
    ] {
        assert_eq!(
            options(json!({"http_proxy": proxy, "https_proxy": other})),
            [""; 0],
            "{other}"
        );
    }
}

fn disk_twins() -> Vec<(&'static str, Changes, Changes)> {
    let place = |total: u64, free: u64| {
        let place = json!({"kind": "state-volume", "host": HOST, "name": "buildx_buildkit_team0_state", "path": "/v",
            "used_by": ["team/team0"], "size_bytes": {"known": 5}, "free_bytes": {"known": free},
            "disk": {"device": 1, "total_bytes": total}});
        one("/caches/+", place)
    };
    let engine_with = |other: Value| {
        let mut engine = healthy()["hosts"][0]["engine"]["known"].clone();
        engine["other_store"] = other;
        one(ENGINE, engine)
    };
    let giga = 1_000_000_000;
    vec![
        // 10 GB are kept whatever is free; 100 GB only as long as 50 GB are free.
        ("RK601", place(9 * giga, giga), place(20 * giga, giga)),
        (
            "RK602",
            place(20 * giga, 60 << 20),
            place(20 * giga, 70 << 20),
        ),
        (
            "RK603",
            engine_with(json!("/var/lib/docker/containerd/daemon")),
            engine_with(Value::Null),
        ),
    ]
}

fn registry_twins() -> Vec<(&'static str, Changes, Changes)> {
    let engine_with = |key: &str, value: Value| {
        let mut engine = healthy()["hosts"][0]["engine"]["known"].clone();
        engine[key] = value;
        one(ENGINE, engine)
    };
    let told = |name: &str, mirrored: bool, insecure: bool, authorities: bool| {
        let told = json!({"name": name, "mirrored": mirrored, "insecure": insecure, "authorities": authorities});
        let config = json!({"verdict": {"verdict": "accepted"}, "registries": [told]});
        one(&at(NODE, "config"), config)
    };
    let registry = |name: &str, mirrors: u32, insecure: bool| json!([{"name": name, "mirrors": mirrors, "insecure": insecure}]);
    let mirrored = engine_with("registries", registry("docker.io", 1, false));
    let known_here = |names: Value| {
        let mut machine = healthy();
        machine["registry_authorities"] = names;
        one("", machine)
    };
    let behind = engine_with(
        "proxies",
        json!({"https_proxy": "http://proxy:3128", "no_proxy": "localhost"}),
    );
    let proxy = one(
        &at(NODE, "driver_opts"),
        json!({"default-load": "true", "env.https_proxy": "http://proxy:3128"}),
    );
    let helper = |program: Value| {
        let mut machine = healthy();
        machine["credential_helpers"] =
            json!([{"name": "desktop", "key": "credsStore", "program": program}]);
        one("", machine)
    };
    vec![
        (
            "RK701",
            mirrored.clone(),
            [mirrored, told("docker.io", true, false, false)].concat(),
        ),
        (
            "RK702",
            known_here(json!({"r:5000": ["/etc/docker/certs.d/r:5000/ca.crt"]})),
            [
                known_here(json!({"r:5000": ["/etc/docker/certs.d/r:5000/ca.crt"]})),
                told("r:5000", false, false, true),
            ]
            .concat(),
        ),
        ("RK703", behind.clone(), [behind, proxy].concat()),
        ("RK704", helper(Value::Null), helper(json!("/usr/bin/x"))),
    ]
}

fn store_twins() -> Vec<(&'static str, Changes, Changes)> {
    let refs = |builder: &str| json!({"path": "/r", "builder": builder, "node": "n", "entries": 1});
    let stray = |list: Value| one("/stores/0/strays", list);
    let current = "/stores/0/current/known/current/name";
    let owner = at(TEAM, "file/owner");
    let twice = builder("other", "docker-container", &json!([node("team0")]));
    let once = builder("other", "docker-container", &json!([node("other0")]));
    vec![
        (
            "RK201",
            one(&at(TEAM, "record"), unreadable("EOF")),
            one(&at(TEAM, "record/known/nodes"), json!([])),
        ),
        (
            "RK202",
            stray(json!(["/s/instances/.DS_Store"])),
            stray(json!([])),
        ),
        (
            "RK203",
            one(&at(TEAM, "record/known/inner_name"), json!("crew")),
            one(&at(TEAM, "record/known/inner_name"), json!("Team")),
        ),
        (
            "RK204",
            one(current, json!("ghost")),
            one(current, json!("")),
        ),
        (
            "RK205",
            one("/stores/0/current", unreadable("no JSON")),
            one("/stores/0/current", Value::Null),
        ),
        (
            "RK206",
            one("/stores/0/defaults", json!({"00": "ghost"})),
            one("/stores/0/defaults", json!({"00": "default"})),
        ),
        (
            "RK207",
            one("/stores/0/refs/+", refs("ghost")),
            one("/stores/0/refs/+", refs("__group__")),
        ),
        (
            "RK208",
            one("/stores/0/activity", json!({"Ghost": "x"})),
            one("/stores/0/activity", json!({"Team": "x"})),
        ),
        (
            "RK209",
            one(
                "/stores/0/unreadable",
                json!([["/s/activity", "permission denied"]]),
            ),
            one("/stores/0/unreadable", json!([])),
        ),
        ("RK210", one(&owner, json!(0)), one(&owner, json!(1000))),
        (
            "RK211",
            one("/stores/0/locked", json!(true)),
            one("/stores/0/locked", json!(false)),
        ),
        (
            "RK212",
            one(&at(TEAM, "record/known/driver"), json!("cloud")),
            one(&at(TEAM, "record/known/driver"), json!("remote")),
        ),
        (
            "RK213",
            one("/stores/0/builders/+", twice),
            one("/stores/0/builders/+", once),
        ),
    ]
}

fn node_twins() -> Vec<(&'static str, Changes, Changes)> {
    let volumes = at(ENGINE, "volumes/+");
    let containers = at(ENGINE, "containers/+");
    let team = at(ENGINE, "containers/0");
    let state =
        |status: &str, code: i64| one(&team, container("buildx_buildkit_team0", status, code));
    let foreign = |name: &str| {
        let mut foreign = container(name, "running", 0);
        foreign["is_buildkit"] = json!(false);
        foreign
    };
    let no_container = (at(ENGINE, "containers"), json!([]));
    let no_volume = (at(ENGINE, "volumes"), json!([]));
    vec![
        (
            "RK301",
            one(&volumes, volume("buildx_buildkit_old0_state", &json!([]))),
            one(&volumes, volume("old_state", &json!([]))),
        ),
        (
            "RK302",
            one(&containers, container("buildx_buildkit_old0", "running", 0)),
            one(&containers, container("standalone", "running", 0)),
        ),
        (
            "RK303",
            one(&team, foreign("buildx_buildkit_team0")),
            one(&containers, foreign("buildx_buildkit_old0")),
        ),
        (
            "RK304",
            one(&containers, foreign("buildx_buildkit_old0")),
            one(&containers, foreign("web")),
        ),
        (
            "RK305",
            vec![no_container.clone()],
            vec![no_container.clone(), no_volume.clone()],
        ),
        (
            "RK306",
            vec![no_container.clone(), no_volume],
            vec![no_container],
        ),
        ("RK307", state("exited", 1), state("running", 0)),
        ("RK308", state("exited", 137), state("exited", 1)),
        ("RK309", state("restarting", 1), state("running", 0)),
        (
            "RK310",
            one(&at(NODE, "daemon"), unreadable("deadline")),
            [
                state("exited", 1),
                one(&at(NODE, "daemon"), unreadable("not running")),
            ]
            .concat(),
        ),
        ("RK311", state("paused", 0), state("running", 0)),
        (
            "RK312",
            [
                one(&at(TEAM, "record/known/driver"), json!("remote")),
                one(&at(NODE, "daemon"), unreadable("refused")),
            ]
            .concat(),
            one(&at(TEAM, "record/known/driver"), json!("remote")),
        ),
    ]
}

fn daemon_twins() -> Vec<(&'static str, Changes, Changes)> {
    let verdict = |verdict: Value| one(&at(NODE, "config/verdict"), verdict);
    let standalone = |pid: Value, daemon: Value| {
        let standalone = json!({"known_by": ["root /var/lib/buildkit"], "pid": pid, "address": null,
            "root": "/var/lib/buildkit", "config": null, "unit": "buildkit.service", "daemon": daemon});
        one("/standalone/+", standalone)
    };
    let answers = json!({"known": daemon("v0.32.2", &healthy_gc())});
    let embedded = at(ENGINE, "embedded");
    let runs_with =
        |version: &str, gc: &Value| one(&at(NODE, "daemon"), json!({"known": daemon(version, gc)}));
    let mut joined = healthy_gc();
    joined[0]["filters"] = json!(["type==source.local,type==exec.cachemount"]);
    let mut young = healthy_gc();
    young[0]["keep_seconds"] = json!(172_800);
    let mut rest = young.clone();
    rest.as_array_mut().unwrap().push(healthy_gc()[0].clone());
    let mut split = healthy_gc();
    split[0]["filters"] = json!(["type==source.local,unused-for==1h", "type==exec.cachemount"]);
    let emulator = |enabled: bool, flags: &str| {
        let emulator = json!({"name": "qemu-arm", "platform": "linux/arm/v7", "enabled": enabled, "flags": flags, "interpreter": "/q", "version": {"known": "9.0"}});
        one("/emulators/known/+", emulator)
    };
    let refusal = || json!({"verdict": "refused", "reason": "`x` is wrong", "line": 3, "column": 5, "length": 2, "excerpt": "x = 20 gigs"});
    let remark = |kind: &str| json!([{"kind": kind, "key": "x", "says": "`x` is wrong", "line": 3, "column": 5, "length": 2, "excerpt": "x = 20 gigs", "write": ["x = 20"]}]);
    let config = |kind: &str, verdict: Value, remarks: Value| {
        let file = json!({"kind": kind, "file": file("/home/u/x"), "keys": [], "verdict": verdict, "remarks": remarks});
        one("/files/+", file)
    };
    let twenty = 20_000_000_000;
    vec![
        (
            "RK313",
            standalone(Value::Null, unreadable("no socket")),
            standalone(Value::Null, answers.clone()),
        ),
        (
            "RK314",
            standalone(json!(7), unreadable("deadline")),
            standalone(json!(7), answers.clone()),
        ),
        (
            "RK315",
            one(&embedded, unreadable("deadline")),
            one(&embedded, answers),
        ),
        (
            "RK401",
            verdict(refusal()),
            verdict(json!({"verdict": "ignored", "keys": ["a"]})),
        ),
        (
            "RK402",
            verdict(json!({"verdict": "ignored", "keys": ["limits"]})),
            verdict(json!({"verdict": "accepted"})),
        ),
        (
            "RK403",
            verdict(json!({"verdict": "unreadable", "reason": "no base64"})),
            verdict(json!({"verdict": "accepted"})),
        ),
        (
            "RK404",
            runs_with("v0.32.2", &gc(twenty, 0, 0)),
            runs_with("v0.16.0", &gc(twenty, 0, 0)),
        ),
        (
            "RK405",
            runs_with("v0.32.2", &gc(2000, twenty, twenty)),
            runs_with("v0.32.2", &gc(0, twenty, twenty)),
        ),
        (
            "RK406",
            runs_with("v0.25.0", &joined),
            runs_with("v0.32.2", &split),
        ),
        (
            "RK407",
            config(
                "buildkitd",
                json!({"verdict": "accepted"}),
                remark("effect"),
            ),
            config(
                "buildkitd",
                json!({"verdict": "ignored", "keys": ["a"]}),
                remark("unread"),
            ),
        ),
        (
            "RK408",
            config("daemon", refusal(), remark("refused")),
            config("goal", refusal(), remark("refused")),
        ),
        (
            "RK409",
            config(
                "daemon",
                json!({"verdict": "ignored", "keys": ["a"]}),
                remark("unread"),
            ),
            config(
                "buildkitd",
                json!({"verdict": "ignored", "keys": ["a"]}),
                remark("unread"),
            ),
        ),
        (
            "RK410",
            config("daemon", json!({"verdict": "accepted"}), remark("effect")),
            config(
                "buildkitd",
                json!({"verdict": "accepted"}),
                remark("effect"),
            ),
        ),
        (
            "RK411",
            config("goal", refusal(), remark("refused")),
            config("daemon", refusal(), remark("refused")),
        ),
        (
            "RK412",
            runs_with("v0.32.2", &young),
            runs_with("v0.32.2", &rest),
        ),
        (
            "RK501",
            one(
                &at(NODE, "platforms"),
                json!(["linux/amd64", "linux/s390x"]),
            ),
            one(
                &at(NODE, "platforms"),
                json!(["linux/amd64/v3", "linux/386"]),
            ),
        ),
        ("RK502", emulator(true, "OC"), emulator(true, "OCF")),
        ("RK503", emulator(false, "F"), emulator(true, "F")),
    ]
}

#[test]
fn the_first_users_machine() {
    let refusal = serde_json::to_value(crate::config::judge_buildkitd(
        "[worker.oci]\n  gckeepstorage = \"20 gigs\"\n",
    ))
    .unwrap();
    let mut cut = builder("ci", "docker-container", &json!([]));
    cut["record"] = unreadable("unexpected end of JSON input");
    let place = at(NODE, "config/verdict");
    let (volumes, containers) = (at(ENGINE, "volumes/+"), at(ENGINE, "containers/+"));
    check(
        &[
            (
                "/contexts/+",
                context(
                    "desktop-linux",
                    "npipe:////./pipe/dockerDesktopLinuxEngine",
                    &Value::Null,
                    false,
                ),
            ),
            ("/stores/0/builders/+", cut),
            (&place, refusal),
            (&volumes, volume("buildx_buildkit_old0_state", &json!([]))),
            (&containers, container("buildx_buildkit_ci0", "running", 0)),
            ("/stores/0/current/known/current/name", json!("gone")),
            ("/stores/0/activity", json!({"Old": "2025-01-01T00:00:00Z"})),
        ],
        &expect![[r#"
            RK208 Info file /home/u/.docker/buildx/activity/Old
              A last-use mark of builder `Old`, which does not exist any more.
              - /home/u/.docker/buildx/activity/Old: 2025-01-01T00:00:00Z
              Automatic: remove the file
              $ rm /home/u/.docker/buildx/activity/Old
            RK204 Warning file /home/u/.docker/buildx/current
              Builder `gone` is selected but does not exist; builds silently go to the context's own builder.
              - /home/u/.docker/buildx/current: Name is `gone`, Key is `unix:///var/run/docker.sock`
              Automatic: select an existing builder
              $ docker buildx use default
            RK301 Warning volume buildx_buildkit_old0_state
              The state of a builder that does not exist any more; no container uses it and nothing prunes it.
              - volume `buildx_buildkit_old0_state`, made 2026-01-01
              - no record of any store names the node `old0`
              - 5 bytes
              Consent: save it, then remove it by its name
              $ docker volume rm buildx_buildkit_old0_state
            RK101 Error context desktop-linux
              Context `desktop-linux` speaks to the Windows pipe `npipe:////./pipe/dockerDesktopLinuxEngine`, which does not exist on linux; its builder can only be in error.
              - /home/u/.docker/contexts/meta/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/meta.json: endpoint `npipe:////./pipe/dockerDesktopLinuxEngine`
              - no Docker Desktop answers on this machine
              Automatic: keep a copy of the context and retire it
              $ docker context export desktop-linux
              $ docker context rm -f desktop-linux
            RK201 Error builder ci
              The record of builder `ci` cannot be read: unexpected end of JSON input. buildx lists no builder at all while it lies there.
              - /home/u/.docker/buildx/instances/ci (10 bytes): unexpected end of JSON input
              - container `buildx_buildkit_ci0` on unix:///var/run/docker.sock is this builder's
              Consent: make the record again from the builder's container, which keeps its cache
              $ mv /home/u/.docker/buildx/instances/ci /home/u/.docker/broken-ci
              $ docker buildx create --name ci --node ci0 --driver docker-container
            RK401 Error builder team
              buildkitd does not start with the buildkitd.toml in the record of builder `team`, node `team0`: invalid disk space `20 gigs`: bytes, or a number with `KB`, `MB`, `GB` or `TB`.
              - /home/u/.docker/buildx/instances/team: the buildkitd.toml in the record of builder `team`, node `team0`
              - the daemon that runs now was started with another file; one made anew would not start
              - line 2, column 19:
                  |
                2 |   gckeepstorage = "20 gigs"
                  |                   ^^^^^^^^^
              Consent: make the refused part a comment, keep all else, and make the container anew
        "#]],
    );
}

#[test]
fn a_pipe_context_where_desktop_runs_is_repaired() {
    check(
        &[
            (
                "/contexts/+",
                context("desktop-linux", "npipe:////./pipe/x", &Value::Null, false),
            ),
            (
                "/desktop",
                json!({"settings": null, "build_settings": {"known": {}}, "running": true, "contexts": ["desktop-linux"],
                    "sockets": [["/home/u/.docker/desktop/docker.sock", {"known": "28.5.2"}]], "disagreements": []}),
            ),
        ],
        &expect![[r#"
            RK101 Error context desktop-linux
              Context `desktop-linux` speaks to the Windows pipe `npipe:////./pipe/x`, which does not exist on linux; its builder can only be in error.
              - /home/u/.docker/contexts/meta/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/meta.json: endpoint `npipe:////./pipe/x`
              - Docker Desktop answers at /home/u/.docker/desktop/docker.sock
              Automatic: point the context at Desktop's socket /home/u/.docker/desktop/docker.sock
              $ docker context update desktop-linux --docker 'host=unix:///home/u/.docker/desktop/docker.sock'
        "#]],
    );
}

/// Returns the places of all values in a document.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            places(value, &format!("{here}/{key}"), found);
        }),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(at, value)| places(value, &format!("{here}/{at}"), found)),
        _ => {}
    }
}

fn strange(choice: usize) -> Value {
    let all = [
        json!(""),
        json!("ö/\\\"'\n"),
        json!("a"),
        json!("docker-container"),
        json!(0),
        json!(-1),
        json!(u32::MAX),
        json!(u64::MAX),
        json!(true),
        json!(false),
        Value::Null,
        json!([]),
        json!({}),
        unreadable(""),
        json!({"known": []}),
        json!("buildx_buildkit_"),
        json!("buildx_buildkit__state"),
        json!("linux/arm64"),
        json!("npipe:"),
        json!("unix:"),
        json!({"verdict": "refused", "reason": "", "line": 0, "column": 0, "length": 0, "excerpt": ""}),
        json!({"verdict": "refused", "reason": "", "line": u32::MAX, "column": u32::MAX, "length": u32::MAX, "excerpt": "ö"}),
    ];
    all[choice % all.len()].clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn no_inventory_makes_it_panic(changes in proptest::collection::vec((any::<usize>(), any::<usize>()), 1..8)) {
        let mut value = healthy();
        value["standalone"] = json!([{"known_by": [], "pid": null, "address": null, "root": null, "config": null, "unit": null, "daemon": unreadable("")}]);
        for (place, choice) in changes {
            let mut all = Vec::new();
            places(&value, "", &mut all);
            let mut changed = value.clone();
            *changed.pointer_mut(&all[place % all.len()]).unwrap() = strange(choice);
            // Only what is an inventory counts.
            if serde_json::from_value::<Inventory>(changed.clone()).is_ok() {
                value = changed;
            }
        }
        let inventory = inventory(value);
        let diagnosis = examine(&inventory);
        prop_assert!(diagnosis.findings.iter().all(|finding| !finding.cause.is_empty() && !finding.evidence.is_empty() && !finding.fix.summary.is_empty()));
    }
}
