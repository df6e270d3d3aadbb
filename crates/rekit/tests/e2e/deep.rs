//! `doctor --deep`: what only a build or a database tells, on real daemons; and no word of what a working daemon changes meanwhile.

use crate::support::{Answer, Machine, until};
use rekit_lab::Lab;
use serde_json::Value;
use std::{fs, path::PathBuf};

/// Returns the findings with a code, of a deep look.
fn found(machine: &Machine, code: &str) -> Vec<Value> {
    let answer = machine.rekit(&["doctor", "--deep", "--format", "json"]);
    let document = answer.ends_with(3).json();
    let findings = document["findings"].as_array().unwrap();
    let named = findings.iter().filter(|finding| finding["code"] == code);
    named.cloned().collect()
}

/// Returns the packed layers in the team's state, which has some once a build was exported. Its history keeps files beside them.
fn packed(lab: &Lab) -> Vec<PathBuf> {
    let state = lab.volume("buildx_buildkit_team0_state").unwrap();
    let folder = fs::read_dir(state.join("runc-overlayfs/content/blobs/sha256")).unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|file| fs::read(file).unwrap().starts_with(&[0x1f, 0x8b]))
        .collect();
    files.sort();
    files
}

#[test]
fn what_is_missing_and_what_is_changed_is_named_also_without_root() {
    let machine = Machine::quick();
    // Packs each layer.
    let image = machine
        .lab
        .root()
        .join("tmp/image.tar")
        .display()
        .to_string();
    let output = format!("--output=type=oci,dest={image}");
    machine.build("hello", &["--builder=team", &output]).good();
    assert_eq!(found(&machine, "RK323"), Vec::<Value>::new());

    let files = packed(&machine.lab);
    assert!(files.len() > 1, "{files:?}");
    fs::remove_file(&files[0]).unwrap();
    let mut bytes = fs::read(&files[1]).unwrap();
    bytes[0] ^= 1;
    fs::write(&files[1], bytes).unwrap();
    let name = |number: usize| files[number].file_name().unwrap().to_str().unwrap();
    let is_told = |machine: &Machine| {
        let findings = found(machine, "RK323");
        assert_eq!(findings.len(), 1, "{findings:#?}");
        let evidence = findings[0]["evidence"].to_string();
        let gone = format!(
            "1 packed layers are not on the disk, such as runc-overlayfs/content/blobs/sha256/{}",
            name(0)
        );
        assert!(evidence.contains(&gone), "{evidence}");
        let other = format!(
            "their digest says, such as runc-overlayfs/content/blobs/sha256/{}",
            name(1)
        );
        assert!(evidence.contains(&other), "{evidence}");
    };
    is_told(&machine);
    // Read through a helper container, of which nothing stays.
    let machine = machine.lent_to_user();
    let before = machine.containers();
    is_told(&machine);
    assert_eq!(machine.containers(), before);
}

#[test]
fn a_daemon_that_answers_and_does_not_build_is_named_and_mended() {
    let machine = Machine::quick();
    assert_eq!(found(&machine, "RK325"), Vec::<Value>::new());
    let script = "#!/bin/sh\nexit 1\n";
    let place = machine.lab.root().join("tmp/runc");
    fs::write(&place, script).unwrap();
    let place = place.display().to_string();
    machine
        .docker(&["exec", "buildx_buildkit_team0", "true"])
        .good();
    machine
        .docker(&["cp", &place, "buildx_buildkit_team0:/usr/bin/buildkit-runc"])
        .good();
    machine
        .docker(&[
            "exec",
            "buildx_buildkit_team0",
            "chmod",
            "755",
            "/usr/bin/buildkit-runc",
        ])
        .good();
    let build = machine.build(
        "hello",
        &["--builder=team", "--no-cache", "--output=type=cacheonly"],
    );
    assert_ne!(build.code, Some(0), "{build}");
    let quick = machine.rekit(&["doctor", "--format", "json"]).ends_with(3);
    assert!(!quick.stdout.contains("RK325"), "{quick}");

    let findings = found(&machine, "RK325");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0]["subject"]["name"], "team0");
    let fix = ["doctor", "--deep", "--fix", "--consent", "RK325", "--yes"];
    machine.rekit(&fix);
    assert_eq!(found(&machine, "RK325"), Vec::<Value>::new());
    machine
        .build(
            "hello",
            &["--builder=team", "--no-cache", "--output=type=cacheonly"],
        )
        .good();
}

#[test]
fn what_a_working_daemon_changes_meanwhile_is_no_contradiction() {
    let machine = Machine::quick();
    let prune = ["buildx", "prune", "--builder", "team", "-af"];
    let (findings, seen) = machine.while_building("team", 2, || {
        let mut findings = Vec::new();
        for _ in 0..5 {
            findings.extend(found(&machine, "RK323"));
            findings.extend(found(&machine, "RK325"));
            machine.docker(&prune).good();
        }
        findings
    });
    assert_eq!(findings, Vec::<Value>::new());
    for client in seen {
        assert!(client.bad.is_empty() && client.good > 0, "{:?}", client.bad);
    }
}

/// Writes a configuration into the container of the team's stopped builder.
fn configure(machine: &Machine, text: &str) {
    let place = machine.lab.root().join("tmp/buildkitd.toml");
    fs::write(&place, text).unwrap();
    let place = place.display().to_string();
    let target = "buildx_buildkit_team0:/etc/buildkit/buildkitd.toml";
    machine.docker(&["cp", &place, target]).good();
}

#[test]
fn a_builder_that_stands_still_is_tried_by_a_stand_in_and_not_touched() {
    let machine = Machine::quick();
    let container = "buildx_buildkit_team0";
    let export = machine.export_of("team");
    let folder = ["exec", container, "mkdir", "-p", "/etc/buildkit"];
    machine.docker(&folder).good();
    machine.docker(&["buildx", "stop", "team"]).good();
    let started = || {
        let format = "{{.State.StartedAt}} {{.State.Running}}";
        let asked = machine.docker(&["inspect", "--format", format, container]);
        asked.good().stdout
    };
    let before = (machine.world(), started());
    assert_eq!(found(&machine, "RK327"), Vec::<Value>::new());
    configure(&machine, "[worker.oci]\ngc = \"perhaps\"\n");
    let findings = found(&machine, "RK327");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0]["subject"]["name"], "team0");
    let evidence = findings[0]["evidence"].to_string();
    assert!(evidence.contains("into struct field"), "{evidence}");

    // One that is killed takes its stand-in with it, and the next look takes what is left of that away.
    configure(&machine, "[worker.oci]\ngc = true\n");
    let ours = ["ps", "--quiet", "--filter", "label=rekit.helper"];
    let looking = machine.begin(&["doctor", "--deep"]);
    until("a stand-in runs", || {
        !machine.docker(&ours).good().stdout.is_empty()
    });
    let mut kill = machine.command("kill", &["-KILL", &looking.pid().to_string()]);
    Answer::of(&mut kill).good();
    looking.end();
    until("the stand-in has ended", || {
        machine.docker(&ours).good().stdout.is_empty()
    });
    assert_eq!(found(&machine, "RK327"), Vec::<Value>::new());
    assert_eq!((machine.world(), started()), before);

    configure(&machine, "[worker.oci]\ngc = \"perhaps\"\n");
    let fix = ["doctor", "--deep", "--fix", "--consent", "RK327", "--yes"];
    machine.rekit(&fix);
    assert_eq!(found(&machine, "RK327"), Vec::<Value>::new());
    machine.export_of("team").is_warm_twin_of(&export);
}
