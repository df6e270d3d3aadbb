//! Daemons outside the engine, remote builders, local exports.

use std::fs;

use rekit_core::inventory::PlaceKind;
use rekit_lab::{LabOptions, StandaloneOptions};

use super::{lab, look, node};

#[test]
fn r1_1_2_r1_3_1_a_standalone_daemon_a_remote_builder_and_a_local_export_are_found() {
    let lab = lab(LabOptions::default());
    let daemon = lab
        .standalone_buildkitd(&StandaloneOptions::default())
        .unwrap();
    lab.docker(&[
        "buildx",
        "create",
        "--name",
        "far",
        "--driver",
        "remote",
        daemon.address(),
    ])
    .unwrap();
    let project = lab.home().join("project");
    fs::write(
        project.join("Dockerfile.export"),
        "FROM scratch\nCOPY . /\n",
    )
    .unwrap();
    let export = project.join("cache/export");
    lab.docker(&[
        "buildx",
        "build",
        "--builder",
        "far",
        "-f",
        "Dockerfile.export",
        "--output",
        "type=cacheonly",
        "--cache-to",
        &format!("type=local,dest={}", export.display()),
        ".",
    ])
    .unwrap();
    let (found, _) = look(&lab);
    let pid = daemon.pid().unwrap();
    let standalone = found
        .standalone
        .iter()
        .find(|s| s.pid == Some(pid))
        .unwrap();
    assert_eq!(standalone.address.as_deref(), Some(daemon.address()));
    assert!(
        standalone.known_by.contains(&"builder far/far0".to_owned()),
        "{:?}",
        standalone.known_by
    );
    assert_eq!(
        standalone.daemon.known().unwrap().version,
        format!("v{}", daemon.version())
    );
    let far = node(&found, "far");
    assert_eq!(far.status, "running");
    assert_eq!(
        far.daemon.known().unwrap().workers,
        standalone.daemon.known().unwrap().workers
    );
    let root = standalone.root.as_ref().unwrap();
    let place = |kind: PlaceKind, path: &str| {
        found
            .caches
            .iter()
            .find(|p| p.kind == kind && p.path.as_str() == path)
            .unwrap()
    };
    assert!(
        *place(PlaceKind::StandaloneRoot, root.as_str())
            .size_bytes
            .known()
            .unwrap()
            > 0
    );
    assert!(
        *place(PlaceKind::LocalExport, export.to_str().unwrap())
            .size_bytes
            .known()
            .unwrap()
            > 0
    );
}
