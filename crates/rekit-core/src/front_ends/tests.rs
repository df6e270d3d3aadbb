//! The rule over all settings, on one machine that is changed in a few places; each line was seen so with the real programs, where the
//! end-to-end tests have them.

#![expect(clippy::too_many_lines, reason = "the tables are long and flat")]
#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{Choice, FrontEnd, FrontEnds, Seen, Trial, front_ends};

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HOST: &str = "unix:///var/run/docker.sock";
const OTHER: &str = "unix:///other.sock";

fn file(path: &str) -> Value {
    json!({"path": path, "size_bytes": 10, "mode": 384, "owner": 1000, "digest": {"known": ID}})
}

fn builder(name: &str, driver: &str, options: &Value) -> Value {
    let node = json!({"name": format!("{name}0"), "endpoint": HOST, "host": HOST, "platforms": [], "driver_opts": options, "flags": [],
        "files": [], "config": null, "status": "running", "container": null, "volume": null, "daemon": {"unreadable": {"reason": "-"}}});
    json!({"name": name, "file": file(&format!("/store/instances/{name}")), "last_activity": null,
        "record": {"known": {"inner_name": name, "driver": driver, "dynamic": false, "unknown_keys": [], "nodes": [node]}}})
}

fn context(name: &str, endpoint: &str) -> Value {
    json!({"name": name, "file": null, "tls": null, "current": false,
        "state": {"known": {"endpoint": endpoint, "description": "", "host": endpoint, "unusable": null}}})
}

fn tool(name: &str, version: &str) -> Value {
    json!({"name": name, "path": format!("/p/{name}"), "version": {"known": version}, "in_force": true})
}

/// A machine with two builders, none of them selected, and a second context.
fn machine() -> Value {
    json!({
        "schema": "rekit/inventory", "version": 1, "taken": "2026-11-23T08:00:00Z",
        "machine": {"os": "linux", "architecture": "amd64", "kernel": "6.18", "wsl": false, "processors": 4,
            "memory_bytes": 8, "user": 1000, "home": "/home/u", "rekit_home": "/r"},
        "environment": [],
        "tools": [tool("docker", "28.5.2"), tool("buildx", "v0.36.1"), tool("compose", "2.40.3-3")],
        "selection": {"context": "default", "context_from": "default", "key": HOST, "builder": null, "builder_from": "context",
            "builder_alias": null},
        "contexts": [context("default", HOST), context("there", OTHER)],
        "hosts": [], "standalone": [], "caches": [], "files": [], "desktop": null, "scripts": [],
        "stores": [{"path": "/store", "locked": false, "current": null, "defaults": {}, "activity": {}, "refs": [], "strays": [],
            "default_config": null, "unreadable": [],
            "builders": [builder("team", "docker-container", &json!({})), builder("load", "remote", &json!({"default-load": "true"}))]}],
        "emulators": {"known": []}
    })
}

type Change = (&'static str, Value);

fn changed(changes: &[Change]) -> FrontEnds {
    let mut machine = machine();
    for (place, value) in changes {
        *machine.pointer_mut(place).unwrap() = value.clone();
    }
    front_ends(&serde_json::from_value(machine).unwrap())
}

fn variables(pairs: &[(&str, &str)]) -> Change {
    let pairs = pairs.iter();
    let list = pairs
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    ("/environment", Value::Array(list))
}

fn selected(key: &str, name: &str, global: bool) -> Change {
    let current = json!({"key": key, "name": name, "global": global});
    let fact = json!({"known": {"file": file("/store/current"), "current": current}});
    ("/stores/0/current", fact)
}

fn alias(plugin: &str) -> Change {
    ("/selection/builder_alias", json!(plugin))
}

/// The context `there` is in force.
fn there() -> [Change; 2] {
    [
        ("/selection/context", json!("there")),
        ("/selection/key", json!("there")),
    ]
}

/// Says each distinct outcome in one line, with the front ends that share it, and what to do.
fn told(found: &FrontEnds) -> String {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for row in &found.rows {
        let choice = match &row.choice {
            Choice::Builder { name, driver, .. } => format!("{name} ({driver})"),
            Choice::Legacy {} => "legacy".to_owned(),
            Choice::Nothing { .. } => "nothing".to_owned(),
        };
        let (odd, loads) = (
            if row.odd { "* " } else { "" },
            if row.loads { "" } else { ", not loaded" },
        );
        let line = format!("{odd}{choice}{loads}: {}", row.decided_by);
        let words = row.command.strip_prefix("docker ").unwrap_or(&row.command);
        match lines.iter_mut().find(|(known, _)| *known == line) {
            Some((_, words_of)) => words_of.push(words),
            None => lines.push((line, vec![words])),
        }
    }
    let lines = lines
        .iter()
        .map(|(line, words)| format!("{}\n  {line}\n", words.join(", ")));
    format!(
        "{}{}: {}\n",
        lines.collect::<String>(),
        found.agree,
        found.advice
    )
}

fn check(changes: &[Change], expected: &Expect) {
    expected.assert_eq(&told(&changed(changes)));
}

#[test]
fn nothing_is_selected() {
    check(
        &[],
        &expect![[r#"
            build, builder build, image build, bake
              default (docker): docker itself names the builder of context `default`
            buildx build, buildx bake, compose build, devcontainer build
              default (docker): no builder is selected for `unix:///var/run/docker.sock`: the context's own
            true: All build with the engine's own BuildKit.
        "#]],
    );
}

#[test]
fn a_selection_reaches_only_half_of_them() {
    check(
        &[selected(HOST, "team", false)],
        &expect![[r#"
        build, builder build, image build, bake
          * default (docker): docker itself names the builder of context `default`
        buildx build, buildx bake
          team (docker-container), not loaded: /store/current, which `docker buildx use` wrote
        compose build, devcontainer build
          team (docker-container): /store/current, which `docker buildx use` wrote
        false: To make all agree: `export BUILDX_BUILDER=team` in the shell's profile takes all of them to `team`; `docker buildx use default` takes all of them to the engine.
    "#]],
    );
    check(
        &[selected("elsewhere", "team", true)],
        &expect![[r#"
        build, builder build, image build, bake
          * default (docker): docker itself names the builder of context `default`
        buildx build, buildx bake
          team (docker-container), not loaded: /store/current, which `docker buildx use` wrote
        compose build, devcontainer build
          team (docker-container): /store/current, which `docker buildx use` wrote
        false: To make all agree: `export BUILDX_BUILDER=team` in the shell's profile takes all of them to `team`; `docker buildx use default` takes all of them to the engine.
    "#]],
    );
    let hash = super::current::default_file(HOST);
    check(
        &[("/stores/0/defaults", json!({hash: "load"}))],
        &expect![[r#"
            build, builder build, image build, bake
              * default (docker): docker itself names the builder of context `default`
            buildx build, buildx bake, compose build, devcontainer build
              load (remote): /store/defaults/13c4025c96f36e94b348, which `docker buildx use --default` wrote
            false: To make all agree: `export BUILDX_BUILDER=load` in the shell's profile takes all of them to `load`; `docker buildx use default` takes all of them to the engine.
        "#]],
    );
}

#[test]
fn a_selection_for_another_endpoint_is_none() {
    check(
        &[selected("elsewhere", "team", false)],
        &expect![[r#"
            build, builder build, image build, bake
              default (docker): docker itself names the builder of context `default`
            buildx build, buildx bake, compose build, devcontainer build
              default (docker): no builder is selected for `unix:///var/run/docker.sock`: the context's own (`team` is selected for `elsewhere` alone)
            true: All build with the engine's own BuildKit.
        "#]],
    );
    // `defaults/` is not asked where `current` names a builder that is gone.
    let hash = super::current::default_file(HOST);
    let defaults = ("/stores/0/defaults", json!({hash: "load"}));
    check(
        &[selected(HOST, "gone", false), defaults],
        &expect![[r#"
            build, builder build, image build, bake
              default (docker): docker itself names the builder of context `default`
            buildx build, buildx bake, compose build, devcontainer build
              default (docker): no builder is selected for `unix:///var/run/docker.sock`: the context's own (`gone` is selected, and no record of it can be read)
            true: All build with the engine's own BuildKit.
        "#]],
    );
}

#[test]
fn the_variable_reaches_all() {
    check(
        &[variables(&[("BUILDX_BUILDER", "Team")])],
        &expect![[r#"
            build, builder build, image build, bake, buildx build, buildx bake
              team (docker-container), not loaded: BUILDX_BUILDER=Team in the environment
            compose build, devcontainer build
              team (docker-container): BUILDX_BUILDER=Team in the environment
            true: All build with builder `team`.
        "#]],
    );
    check(
        &[variables(&[("BUILDX_BUILDER", "gone")])],
        &expect![[r#"
        build, builder build, image build, bake, buildx build, buildx bake, compose build, devcontainer build
          * nothing, not loaded: BUILDX_BUILDER=gone in the environment: there is no builder `gone`
        true: Nothing builds here: BUILDX_BUILDER=gone in the environment: there is no builder `gone`.
    "#]],
    );
    check(
        &[
            variables(&[("BUILDX_BUILDER", "there")]),
            selected(HOST, "team", false),
        ],
        &expect![[r#"
            build, builder build, image build, bake, buildx build, buildx bake, compose build, devcontainer build
              * nothing, not loaded: BUILDX_BUILDER=there in the environment: `there` is the builder of a context, and buildx sees `default` in force
            true: Nothing builds here: BUILDX_BUILDER=there in the environment: `there` is the builder of a context, and buildx sees `default` in force.
        "#]],
    );
    check(
        &[variables(&[
            ("BUILDX_BUILDER", "load"),
            ("BUILDX_NO_DEFAULT_LOAD", "1"),
        ])],
        &expect![[r#"
            build, builder build, image build, bake, buildx build, buildx bake
              load (remote), not loaded: BUILDX_BUILDER=load in the environment
            compose build, devcontainer build
              load (remote): BUILDX_BUILDER=load in the environment
            true: All build with builder `load`.
        "#]],
    );
}

#[test]
fn the_alias_makes_docker_follow() {
    check(
        &[alias("buildx"), selected(HOST, "team", false)],
        &expect![[r#"
            build, builder build, image build, bake
              team (docker-container), not loaded: `aliases.builder` in config.json makes it follow buildx: /store/current, which `docker buildx use` wrote
            buildx build, buildx bake
              team (docker-container), not loaded: /store/current, which `docker buildx use` wrote
            compose build, devcontainer build
              team (docker-container): /store/current, which `docker buildx use` wrote
            true: All build with builder `team`.
        "#]],
    );
    check(
        &[
            alias("buildx"),
            selected(HOST, "team", false),
            variables(&[("BUILDX_BUILDER", "load")]),
        ],
        &expect![[r#"
            build, builder build, image build, bake
              load (remote): `aliases.builder` in config.json makes it follow buildx: BUILDX_BUILDER=load in the environment
            buildx build, buildx bake, compose build, devcontainer build
              load (remote): BUILDX_BUILDER=load in the environment
            true: All build with builder `load`.
        "#]],
    );
    check(
        &[alias("buildx-lab")],
        &expect![[r#"
        build, builder build, image build, bake
          * nothing, not loaded: `aliases.builder` in config.json names `buildx-lab`, of which rekit knows nothing
        buildx build, buildx bake, compose build, devcontainer build
          default (docker): no builder is selected for `unix:///var/run/docker.sock`: the context's own
        true: All that build, build with the engine's own BuildKit; 4 of 8 do not build at all.
    "#]],
    );
}

#[test]
fn without_buildkit_or_buildx_the_legacy_builder_builds() {
    check(
        &[
            variables(&[("DOCKER_BUILDKIT", "0")]),
            selected(HOST, "team", false),
        ],
        &expect![[r#"
            build, builder build, image build, compose build
              * legacy: DOCKER_BUILDKIT=0 in the environment
            bake
              * default (docker): docker itself names the builder of context `default`
            buildx build, buildx bake
              team (docker-container), not loaded: /store/current, which `docker buildx use` wrote
            devcontainer build
              team (docker-container): /store/current, which `docker buildx use` wrote
            false: `unset DOCKER_BUILDKIT`, here and in the shell's profile, takes the legacy builder away; ask again then.
        "#]],
    );
    check(
        &[variables(&[("DOCKER_BUILDKIT", "no")])],
        &expect![[r#"
        build, builder build, image build, bake, buildx build, buildx bake, compose build, devcontainer build
          * nothing, not loaded: DOCKER_BUILDKIT is `no`: docker takes 1 or 0 and ends there
        true: Nothing builds here: DOCKER_BUILDKIT is `no`: docker takes 1 or 0 and ends there.
    "#]],
    );
    let without = (
        "/tools",
        json!([tool("docker", "28.5.2"), tool("compose", "2.40.3")]),
    );
    check(
        &[without.clone(), selected(HOST, "team", false)],
        &expect![[r#"
            build, builder build, image build, devcontainer build
              legacy: docker finds no buildx
            bake, buildx build, buildx bake
              * nothing, not loaded: docker finds no buildx
            compose build
              * team (docker-container): /store/current, which `docker buildx use` wrote
            false: Install buildx: without it each front end helps itself in its own way; ask again then.
        "#]],
    );
    check(
        &[without.clone(), variables(&[("DOCKER_BUILDKIT", "1")])],
        &expect![[r#"
            build, builder build, image build, devcontainer build
              * nothing, not loaded: DOCKER_BUILDKIT=1 asks for buildx, and docker finds no buildx
            bake, buildx build, buildx bake
              * nothing, not loaded: docker finds no buildx
            compose build
              * default (docker): no builder is selected for `unix:///var/run/docker.sock`: the context's own
            false: Install buildx: without it each front end helps itself in its own way; ask again then.
        "#]],
    );
    check(
        &[without, alias("buildx")],
        &expect![[r#"
        build, builder build, image build, devcontainer build
          * nothing, not loaded: `aliases.builder` in config.json asks for buildx, and docker finds no buildx
        bake, buildx build, buildx bake
          * nothing, not loaded: docker finds no buildx
        compose build
          * default (docker): no builder is selected for `unix:///var/run/docker.sock`: the context's own
        false: Install buildx: without it each front end helps itself in its own way; ask again then.
    "#]],
    );
    let five = (
        "/tools",
        json!([tool("docker", "29.1"), tool("compose", "5.0.1")]),
    );
    check(
        &[five],
        &expect![[r#"
        build, builder build, image build, devcontainer build
          legacy: docker finds no buildx
        bake, buildx build, buildx bake
          * nothing, not loaded: docker finds no buildx
        compose build
          legacy: Compose finds no buildx
        true: All that build, build with the legacy builder; 3 of 8 do not build at all.
    "#]],
    );
    let broken = json!({"name": "buildx", "path": "/p/buildx", "version": {"unreadable": {"reason": "exec format error"}}, "in_force": true});
    let broken = (
        "/tools",
        json!([tool("docker", "28.5.2"), broken, tool("compose", "2.40.3")]),
    );
    check(
        &[broken],
        &expect![[r#"
        build, builder build, image build, devcontainer build
          legacy: /p/buildx does not run: exec format error
        bake, buildx build, buildx bake, compose build
          * nothing, not loaded: /p/buildx does not run: exec format error
        true: All that build, build with the legacy builder; 4 of 8 do not build at all.
    "#]],
    );
    check(
        &[("/tools", json!([]))],
        &expect![[r#"
        build, builder build, image build, bake, buildx build, buildx bake, compose build, devcontainer build
          * nothing, not loaded: there is no docker on the search path
        true: Nothing builds here: there is no docker on the search path.
    "#]],
    );
}

#[test]
fn compose_sees_the_endpoint_of_a_context_and_not_the_context() {
    let [context, key] = there();
    check(
        &[
            context.clone(),
            key.clone(),
            selected("there", "team", false),
        ],
        &expect![[r#"
            build, builder build, image build, bake
              * there (docker): docker itself names the builder of context `there`
            buildx build, buildx bake
              team (docker-container), not loaded: /store/current, which `docker buildx use` wrote
            compose build
              * default (docker): Compose gives buildx the endpoint of context `there` without its name: no builder is selected for `unix:///other.sock`: the context's own (`team` is selected for `there` alone)
            devcontainer build
              team (docker-container): /store/current, which `docker buildx use` wrote
            false: To make all agree: `export BUILDX_BUILDER=team` in the shell's profile takes all of them to `team`; `docker buildx use there` takes all of them to the engine.
        "#]],
    );
    check(
        &[context.clone(), key.clone(), selected(OTHER, "team", false)],
        &expect![[r#"
            build, builder build, image build, bake
              there (docker): docker itself names the builder of context `there`
            buildx build, buildx bake, devcontainer build
              there (docker): no builder is selected for `there`: the context's own (`team` is selected for `unix:///other.sock` alone)
            compose build
              * team (docker-container): Compose gives buildx the endpoint of context `there` without its name: /store/current, which `docker buildx use` wrote
            false: To make all agree: `export BUILDX_BUILDER=team` in the shell's profile takes all of them to `team`; `docker buildx use there` takes all of them to the engine.
        "#]],
    );
    check(
        &[
            context.clone(),
            key.clone(),
            variables(&[("BUILDX_BUILDER", "there")]),
        ],
        &expect![[r#"
            build, builder build, image build, bake, buildx build, buildx bake, devcontainer build
              there (docker): BUILDX_BUILDER=there in the environment
            compose build
              * nothing, not loaded: Compose gives buildx the endpoint of context `there` without its name: BUILDX_BUILDER=there in the environment: `there` is the builder of a context, and buildx sees `default` in force
            true: All that build, build with the engine's own BuildKit; 1 of 8 do not build at all.
        "#]],
    );
    // Its own builder, and earlier versions, see the context.
    let off = variables(&[("COMPOSE_BAKE", "false")]);
    check(
        &[
            context.clone(),
            key.clone(),
            selected("there", "team", false),
            off,
        ],
        &expect![[r#"
            build, builder build, image build, bake
              * there (docker): docker itself names the builder of context `there`
            buildx build, buildx bake
              team (docker-container), not loaded: /store/current, which `docker buildx use` wrote
            compose build, devcontainer build
              team (docker-container): /store/current, which `docker buildx use` wrote
            false: To make all agree: `export BUILDX_BUILDER=team` in the shell's profile takes all of them to `team`; `docker buildx use there` takes all of them to the engine.
        "#]],
    );
    let old = (
        "/tools",
        json!([
            tool("docker", "26.1.5"),
            tool("buildx", "v0.29.1"),
            tool("compose", "2.26.1-4")
        ]),
    );
    check(
        &[context, key, selected("there", "team", false), old],
        &expect![[r#"
            build, builder build, image build
              * there (docker): docker itself names the builder of context `there`
            bake
              * nothing, not loaded: docker has `docker bake` since 28.1
            buildx build, buildx bake
              team (docker-container), not loaded: /store/current, which `docker buildx use` wrote
            compose build, devcontainer build
              team (docker-container): /store/current, which `docker buildx use` wrote
            false: To make all agree: `export BUILDX_BUILDER=team` in the shell's profile takes all of them to `team`; `docker buildx use there` takes all of them to the engine.
        "#]],
    );
}

#[test]
fn what_is_damaged_stops_those_who_read_it() {
    let unreadable = json!({"unreadable": {"reason": "permission denied"}});
    check(
        &[("/stores/0/current", unreadable.clone())],
        &expect![[r#"
        build, builder build, image build, bake
          default (docker): docker itself names the builder of context `default`
        buildx build, buildx bake, compose build, devcontainer build
          * nothing, not loaded: /store/current cannot be read: permission denied
        true: All that build, build with the engine's own BuildKit; 4 of 8 do not build at all.
    "#]],
    );
    let damaged = ("/stores/0/builders/0/record", unreadable);
    check(
        &[damaged.clone(), variables(&[("BUILDX_BUILDER", "team")])],
        &expect![[r#"
            build, builder build, image build, bake, buildx build, buildx bake, compose build, devcontainer build
              * nothing, not loaded: BUILDX_BUILDER=team in the environment: the record of builder `team` cannot be read: permission denied
            true: Nothing builds here: BUILDX_BUILDER=team in the environment: the record of builder `team` cannot be read: permission denied.
        "#]],
    );
    check(
        &[damaged, selected(HOST, "team", false)],
        &expect![[r#"
            build, builder build, image build, bake
              default (docker): docker itself names the builder of context `default`
            buildx build, buildx bake, compose build, devcontainer build
              default (docker): no builder is selected for `unix:///var/run/docker.sock`: the context's own (`team` is selected, and no record of it can be read)
            true: All build with the engine's own BuildKit.
        "#]],
    );
    check(
        &[variables(&[("COMPOSE_BAKE", "")])],
        &expect![[r#"
        build, builder build, image build, bake
          default (docker): docker itself names the builder of context `default`
        buildx build, buildx bake, devcontainer build
          default (docker): no builder is selected for `unix:///var/run/docker.sock`: the context's own
        compose build
          * nothing, not loaded: COMPOSE_BAKE is ``: Compose takes 1 or 0 and ends there
        true: All that build, build with the engine's own BuildKit; 1 of 8 do not build at all.
    "#]],
    );
}

fn trial(front_end: FrontEnd, seen: Seen, loaded: bool) -> Trial {
    Trial {
        front_end,
        seen,
        built: true,
        loaded: Some(loaded),
        failure: None,
        milliseconds: 5,
    }
}

fn with(name: &str, driver: Option<&str>) -> Seen {
    Seen::Builder {
        name: name.to_owned(),
        driver: driver.map(str::to_owned),
    }
}

#[test]
fn a_trial_that_differs_is_told() {
    let by_rule = || changed(&[selected(HOST, "team", false)]);
    let differences = |trial: Trial| {
        let found = by_rule().tried(vec![trial]);
        let rows = found.rows.iter().flat_map(|row| row.differences.clone());
        (found.differs(), rows.collect::<Vec<_>>().join("; "))
    };
    let build = FrontEnd::BuildxBuild;
    let same = trial(build, with("Team", Some("docker-container")), false);
    assert_eq!(differences(same.clone()), (false, String::new()));
    // Compose does not say the driver.
    let compose = trial(FrontEnd::ComposeBuild, with("team", None), true);
    assert_eq!(differences(compose), (false, String::new()));
    let told = [
        trial(build, with("default", Some("docker")), true),
        trial(build, with("team", Some("docker-container")), true),
        trial(FrontEnd::ComposeBuild, with("team", None), false),
        trial(FrontEnd::DockerBuild, Seen::Legacy {}, true),
        Trial {
            built: false,
            failure: Some("no end within 60 s".to_owned()),
            ..same.clone()
        },
        Trial {
            built: false,
            seen: Seen::Nothing {},
            ..same
        },
    ];
    let told = told.map(|trial| {
        let (differs, told) = differences(trial);
        assert!(differs);
        told + "\n"
    });
    expect![[r#"
        the trial built with `default` (driver docker), by rule it is `team` (driver docker-container); the image is in the engine, by rule it is not
        the image is in the engine, by rule it is not
        the image is not in the engine, by rule it is
        the trial built with the legacy builder, by rule it is `default` (driver docker)
        the trial failed: no end within 60 s
        the trial failed: it does not say why
    "#]].assert_eq(&told.concat());
}

#[test]
fn a_failure_that_the_rule_foretells_is_no_difference() {
    let foretold = changed(&[variables(&[("BUILDX_BUILDER", "gone")])]);
    let failed = Trial {
        built: false,
        loaded: Some(false),
        failure: Some("no builder \"gone\" found".to_owned()),
        ..trial(FrontEnd::DockerBuild, Seen::Nothing {}, false)
    };
    assert!(!foretold.clone().tried(vec![failed]).differs());
    let built = trial(FrontEnd::DockerBuild, with("default", Some("docker")), true);
    let found = foretold.tried(vec![built]);
    let row = found.row(FrontEnd::DockerBuild).unwrap();
    expect!["the trial built with `default` (driver docker), by rule it is nothing (there is no builder `gone`); the image is in the engine, by rule it is not"].assert_eq(&row.differences.join("; "));
}
