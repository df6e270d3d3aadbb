//! What does not answer is named, holds up nothing and hides nothing (test F).

use std::{fs, net::TcpListener, process::Stdio, time::Duration};

use rekit_core::inventory::Inventory;
use rekit_lab::{LabOptions, modes};
use rekit_run::{
    inventory::{Limits, inventory},
    world::environment::Surroundings,
};

use super::{boot, builder, lab, look, node};

/// The longest that a look may take.
const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn r1_1_1_r1_1_3_nothing_dead_hung_or_plentiful_makes_it_late_or_hides_the_rest() {
    let lab = lab(LabOptions::default());
    modes::plant(&lab, "hung-daemon").unwrap();
    boot(&lab, "well");
    fill_with_records(&lab);
    // The first count of so many takes the daemon seconds; a builder that has collected garbage since has counted them.
    lab.docker(&["buildx", "du", "--builder", "well"]).unwrap();
    modes::plant(&lab, "unreachable-node").unwrap();
    modes::plant(&lab, "many-records").unwrap();
    modes::plant(&lab, "stray-file-in-instances").unwrap();
    // A context at a port that takes calls and never answers, and one at a socket that is not there.
    let mute = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = mute.local_addr().unwrap().port();
    for (name, host) in [
        ("mute-tcp", format!("tcp://127.0.0.1:{port}")),
        ("gone", "unix:///nowhere/docker.sock".to_owned()),
    ] {
        lab.docker(&[
            "context",
            "create",
            name,
            "--docker",
            &format!("host={host}"),
        ])
        .unwrap();
    }
    // A folder that even root cannot list.
    let folder = lab.home().join(".config");
    fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("buildkit", folder.join("buildkit")).unwrap();
    let (found, took) = look(&lab);
    assert!(took < LIMIT, "{took:?}");
    let store = &found.stores[0];
    assert_eq!(store.builders.len(), 500 + 3 + 2);
    assert!(
        store
            .builders
            .iter()
            .all(|builder| builder.record.known().is_some())
    );
    assert!(!store.strays.is_empty());
    let hung = node(&found, "hung");
    assert_eq!(hung.status, "running");
    assert!(
        hung.daemon.reason().unwrap().contains("within"),
        "{:?}",
        hung.daemon.reason()
    );
    for name in ["closed", "silent", "mute"] {
        let node = node(&found, name);
        assert_eq!(node.status, "error");
        assert!(!node.daemon.reason().unwrap().is_empty(), "{name}");
    }
    let well = node(&found, "well").daemon.known().unwrap();
    let cache = well.cache.known().unwrap();
    assert!(cache.records >= 5000, "{} records", cache.records);
    let bulk = node(&found, "bulk499");
    assert_eq!(bulk.status, "inactive");
    assert!(bulk.daemon.reason().unwrap().contains("no container"));
    for named_by in ["context mute-tcp", "context gone"] {
        let host = found
            .hosts
            .iter()
            .find(|host| host.named_by.iter().any(|n| n == named_by))
            .unwrap();
        assert!(!host.engine.reason().unwrap().is_empty(), "{named_by}");
    }
    let engine = found
        .hosts
        .iter()
        .find(|host| host.engine.known().is_some())
        .unwrap();
    assert!(engine.engine.known().unwrap().embedded.known().is_some());
    assert!(
        found
            .unreadable
            .iter()
            .any(|(path, _)| path.as_str().ends_with(".config/buildkit")),
        "{:?}",
        found.unreadable
    );
    drop(mute);
}

/// Makes 5,000 cache records in builder `well`: cache mounts, each of which is one.
fn fill_with_records(lab: &rekit_lab::Lab) {
    use std::fmt::Write as _;
    lab.base_image("rekit/base:1").unwrap();
    let folder = lab.home().join("bulk");
    fs::create_dir_all(&folder).unwrap();
    fs::copy("/bin/busybox", folder.join("busybox")).unwrap();
    let mut dockerfile = "FROM scratch AS base\nCOPY busybox /bin/busybox\n".to_owned();
    for stage in 0..20 {
        write!(dockerfile, "FROM base AS s{stage}\nRUN ").unwrap();
        for mount in 0..250 {
            write!(
                dockerfile,
                "--mount=type=cache,id=c{stage}-{mount},target=/c/{mount} "
            )
            .unwrap();
        }
        // Cache mounts are no part of a step's key: equal commands would be one step.
        writeln!(dockerfile, "[\"/bin/busybox\", \"echo\", \"{stage}\"]").unwrap();
    }
    dockerfile.push_str("FROM base\n");
    for stage in 0..20 {
        writeln!(dockerfile, "COPY --from=s{stage} /bin/busybox /b{stage}").unwrap();
    }
    fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    let folder = folder.to_str().unwrap();
    lab.docker(&[
        "buildx",
        "build",
        "--builder",
        "well",
        "--output",
        "type=cacheonly",
        folder,
    ])
    .unwrap();
}

#[test]
fn r1_1_1_a_user_without_root_gets_what_the_engine_tells_and_the_reason_for_the_rest() {
    let lab = lab(LabOptions::default());
    boot(&lab, "mine");
    lab.lend_to_user().unwrap();
    let full = look_as_user(&lab);
    assert_eq!(full.machine.user, 65534);
    // Through a program in the container, as /proc is root's.
    assert_eq!(
        node(&full, "mine").daemon.known().unwrap().version,
        "v0.32.2"
    );
    let volume = &full.hosts[0].engine.known().unwrap().volumes[0];
    assert_eq!(volume.size_bytes.reason(), Some("needs root"));
    modes::plant(&lab, "unreadable-directory").unwrap();
    let less = look_as_user(&lab);
    let (path, reason) = &less.stores[0].unreadable[0];
    assert!(path.as_str().ends_with("buildx/instances"), "{path}");
    assert_eq!(reason, "permission denied");
    assert!(
        less.unreadable
            .iter()
            .any(|(path, _)| path.as_str().ends_with(".config/buildkit")),
        "{:?}",
        less.unreadable
    );
    assert!(less.hosts[0].engine.known().is_some());
}

/// Looks as the lab's user: this test program runs itself again.
fn look_as_user(lab: &rekit_lab::Lab) -> Inventory {
    let copy = lab.root().join("look");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let output = lab
        .command_as_user(&copy)
        .args([
            "--exact",
            "endpoints::child_looks_as_whoever_started_it",
            "--nocapture",
        ])
        .env("REKIT_TEST_CHILD", lab.root().join("home/seen.json"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    serde_json::from_slice(&fs::read(lab.root().join("home/seen.json")).unwrap()).unwrap()
}

/// No test of its own: what [`look_as_user`] starts under another account.
#[test]
fn child_looks_as_whoever_started_it() {
    if let Ok(path) = std::env::var("REKIT_TEST_CHILD") {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let found = runtime.block_on(inventory(
            &Surroundings::of_this_process(),
            Limits::default(),
        ));
        fs::write(path, serde_json::to_vec(&found).unwrap()).unwrap();
    }
}

#[test]
fn r1_1_1_a_container_of_somebody_else_under_our_name_is_told_apart_and_not_dialled() {
    let lab = lab(LabOptions::default());
    modes::plant(&lab, "foreign-container-under-our-name").unwrap();
    let (found, _) = look(&lab);
    assert!(builder(&found, "cf").record.known().is_some());
    assert_eq!(
        node(&found, "cf").daemon.reason(),
        Some("the container `buildx_buildkit_cf0` is no BuildKit daemon")
    );
    let container = &found.hosts[0].engine.known().unwrap().containers[0];
    assert!(!container.is_buildkit);
}
