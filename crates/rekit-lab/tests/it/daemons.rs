//! Standalone daemons, and the fingerprint of what is not BuildKit's.

use crate::{lab, run};
use rekit_lab::{Address, LabOptions, StandaloneOptions, versions};
use std::fs;

#[test]
fn every_buildkit_runs_alone_on_both_kinds_of_address() {
    let lab = lab(LabOptions::default());
    fs::write(
        lab.home().join("project/Dockerfile"),
        "FROM scratch\nCOPY Dockerfile /\n",
    )
    .unwrap();
    for version in versions::versions_of("buildkit") {
        for address in [Address::Unix, Address::Tcp] {
            let daemon = lab
                .standalone_buildkitd(&StandaloneOptions {
                    version: version.to_owned(),
                    address,
                    ..StandaloneOptions::default()
                })
                .unwrap();
            let name = format!("alone{}{address:?}", version.replace('.', "-"));
            lab.docker(&[
                "buildx",
                "create",
                "--name",
                &name,
                "--driver",
                "remote",
                daemon.address(),
            ])
            .unwrap();
            let (good, text) = run(
                &lab,
                &[
                    "docker",
                    "buildx",
                    "build",
                    "--builder",
                    &name,
                    "--output",
                    "type=cacheonly",
                    ".",
                ],
            );
            assert!(good, "{text}");
            assert!(
                lab.docker(&["buildx", "inspect", &name])
                    .unwrap()
                    .contains(&format!("v{version}"))
            );
            lab.docker(&["buildx", "rm", &name]).unwrap();
        }
    }
}

#[test]
fn the_fingerprint_sees_what_happens_to_others_and_only_that() {
    let lab = lab(LabOptions::default());
    lab.base_image("busy:1").unwrap();
    lab.docker(&[
        "run",
        "-d",
        "--init",
        "--name",
        "db",
        "-v",
        "data:/data",
        "busy:1",
        "sleep",
        "10000",
    ])
    .unwrap();
    let note = lab.home().join("note");
    fs::write(&note, "one").unwrap();
    let print = || lab.fingerprint(&[&note]).unwrap();
    let before = print();
    lab.buildkit_image("0.32.2").unwrap();
    lab.docker(&["buildx", "create", "--name", "b", "--bootstrap"])
        .unwrap();
    assert_eq!(print(), before);
    let changes = |before: &std::collections::BTreeMap<String, String>| {
        let after = print();
        let names = before
            .keys()
            .chain(after.keys())
            .filter(|name| before.get(*name) != after.get(*name));
        names
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    };
    fs::write(lab.volume("data").unwrap().join("row"), "1").unwrap();
    assert_eq!(changes(&before), ["engine/volume/data"]);
    fs::write(&note, "two").unwrap();
    assert_eq!(changes(&before), ["engine/volume/data", "file/home/note"]);
    let before = print();
    lab.docker(&["restart", "-t", "1", "db"]).unwrap();
    assert!(changes(&before).contains(&"engine/container/db".to_owned()));
}

#[test]
fn a_user_without_root_can_build_in_a_lent_lab() {
    let lab = lab(LabOptions::default());
    lab.buildkit_image("0.32.2").unwrap();
    fs::write(
        lab.home().join("project/Dockerfile"),
        "FROM scratch\nCOPY Dockerfile /\n",
    )
    .unwrap();
    lab.lend_to_user().unwrap();
    for words in [
        &["buildx", "create", "--name", "mine", "--use", "--bootstrap"][..],
        &["buildx", "build", "--output", "type=cacheonly", "."],
    ] {
        let output = lab.command_as_user("docker").args(words).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let user = lab.command_as_user("id").arg("-u").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&user.stdout).trim(), "65534");
}
