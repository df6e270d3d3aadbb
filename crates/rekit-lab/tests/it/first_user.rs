//! The first user's machine is as broken as its description says, on the disk and in the eyes of the real programs.

use crate::{lab, run};
use rekit_lab::{
    Lab, LabOptions, StandaloneOptions,
    modes::{CacheSize, FirstUser, Survey, first_user::plant},
};
use std::fs;

#[test]
fn the_small_machine_with_desktop_is_what_it_says() {
    let lab = lab(LabOptions {
        desktop: true,
        ..LabOptions::default()
    });
    let planted = plant(&lab, CacheSize::Small).unwrap();
    assert_eq!(FirstUser::of(&lab).unwrap(), planted);
    let state = Survey::of(&lab.volume("buildx_buildkit_team0_state").unwrap()).unwrap();
    assert!(
        state.opaque >= 1
            && state.whiteouts >= 1
            && state.hard_linked >= 3
            && state.capabilities >= 1
            && state.sparse >= 1,
        "{state:?}"
    );
    sees_the_incident(&lab, &planted);
    the_cache_is_warm_and_has_both_platforms(&lab);
    foreign_things_are_alive(&lab, &planted);
}

#[test]
fn the_full_machine_is_large_enough() {
    let lab = lab(LabOptions::default());
    let planted = plant(&lab, CacheSize::Full).unwrap();
    assert!(
        planted.state.bytes >= 500 * 1024 * 1024 && planted.state.files >= 10_000,
        "{:?}",
        planted.state
    );
    the_cache_is_warm_and_has_both_platforms(&lab);
}

fn sees_the_incident(lab: &Lab, planted: &FirstUser) {
    let (good, text) = run(lab, &["docker", "buildx", "ls"]);
    assert!(
        !good && text.contains("unexpected end of JSON input"),
        "{text}"
    );
    let record = lab
        .buildx_config()
        .join("instances")
        .join(&planted.broken_record);
    let whole = fs::read(&record).unwrap();
    fs::remove_file(&record).unwrap();
    let (_, text) = run(lab, &["docker", "buildx", "ls"]);
    assert!(
        text.contains("Cannot load builder desktop-linux: protocol not available"),
        "{text}"
    );
    fs::write(&record, whole).unwrap();
    assert!(
        lab.volume(&planted.orphan_volume)
            .unwrap()
            .join("cache.db")
            .exists()
    );
    assert!(!run(lab, &["docker", "inspect", "buildx_buildkit_legacy0"]).0);
    assert!(run(lab, &["docker", "inspect", "buildx_buildkit_ci0"]).0);
    let selection = fs::read_to_string(lab.buildx_config().join("current")).unwrap();
    assert!(
        selection.contains(&format!("\"Name\":\"{}\"", planted.dangling_selection)),
        "{selection}"
    );
    for leftover in &planted.leftovers {
        assert!(lab.buildx_config().join(leftover).exists(), "{leftover}");
    }
    let config = fs::read_to_string(lab.home().join(&planted.invalid_config)).unwrap();
    let refused = lab
        .standalone_buildkitd(&StandaloneOptions {
            config,
            ..StandaloneOptions::default()
        })
        .unwrap_err();
    assert!(
        format!("{refused:#}").contains("unhandled kv part: bool"),
        "{refused:#}"
    );
}

fn the_cache_is_warm_and_has_both_platforms(lab: &Lab) {
    let script = lab.home().join("project/build.sh").display().to_string();
    let (good, text) = run(
        lab,
        &[&script, "--progress=plain", "--output", "type=cacheonly"],
    );
    assert!(good, "{text}");
    let ran = text
        .lines()
        .filter(|line| line.contains("] RUN "))
        .filter_map(|line| line.split(' ').next());
    for step in ran {
        assert!(
            text.contains(&format!("{step} CACHED")),
            "{step} is not cached:\n{text}"
        );
    }
    for (platform, machine) in [("linux/amd64", "x86_64"), ("linux/arm64", "aarch64")] {
        let target = lab.root().join("tmp").join(machine);
        let output = format!("type=local,dest={}", target.display());
        let (good, text) = run(
            lab,
            &[
                "docker",
                "buildx",
                "build",
                "--builder",
                "team",
                "--target",
                "hello",
                "--platform",
                platform,
                "--output",
                &output,
                ".",
            ],
        );
        assert!(good, "{text}");
        assert_eq!(
            fs::read_to_string(target.join("out/arch")).unwrap().trim(),
            machine
        );
    }
}

fn foreign_things_are_alive(lab: &Lab, planted: &FirstUser) {
    let foreign = &planted.foreign;
    let print = lab.fingerprint(&[]).unwrap();
    for (kind, name) in [
        ("container", &foreign.container),
        ("volume", &foreign.volume),
        ("network", &foreign.network),
        ("image", &foreign.image),
    ] {
        assert!(
            print.contains_key(&format!("engine/{kind}/{name}")),
            "{kind} {name} in {:?}",
            print.keys()
        );
    }
    assert!(
        lab.docker(&["context", "inspect", &foreign.context])
            .unwrap()
            .contains("docker.sock")
    );
    assert_eq!(
        fs::read_to_string(lab.volume(&foreign.volume).unwrap().join("orders")).unwrap(),
        "precious\n"
    );
    let config = fs::read_to_string(lab.home().join(".docker/config.json")).unwrap();
    assert!(
        foreign
            .config_keys
            .iter()
            .all(|key| config.contains(key.as_str()))
    );
}
