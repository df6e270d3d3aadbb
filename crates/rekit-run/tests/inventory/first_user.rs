//! The first user's machine, field by field (test D).

use std::fs;

use rekit_core::{
    inventory::{ConfigKind, ConfigVerdict, ImageStore, LeftoverKind, PlaceKind},
    name::Digest,
};
use rekit_lab::{
    LabOptions,
    modes::{self, CacheSize, first_user},
};

use super::{builder, lab, look, node, record};

/// The whole truth of one machine; one planting serves all requirements of the test D.
#[test]
fn r1_1_1_r1_1_2_r1_1_3_r1_1_4_r1_1_5_r1_3_1_the_first_users_machine_field_by_field() {
    let lab = lab(LabOptions::default());
    let planted = first_user::plant(&lab, CacheSize::Small).unwrap();
    fs::write(
        lab.home().join(".bashrc"),
        "alias ll='ls -l'\nexport BUILDX_BUILDER_X=1\nexport DOCKER_BUILDKIT=1 MY_TOKEN=hunter2\n",
    )
    .unwrap();
    let before = fs::read(lab.buildx_config().join("current")).unwrap();
    let (found, took) = look(&lab);
    assert!(took.as_secs() < 5, "{took:?}");
    assert_eq!(
        fs::read(lab.buildx_config().join("current")).unwrap(),
        before,
        "looking changes nothing"
    );
    let endpoint = format!("unix://{}", lab.socket().display());
    builders(&found, &endpoint, &lab);
    versions(&found);
    caches(&found, &planted);
    files(&found, &lab);
    desktop(&found);
    leftovers(&found, &planted, &lab);
    let shown = serde_json::to_string(&found).unwrap();
    assert!(!shown.contains("hunter2"));
}

/// R1.1.1: builders, nodes, context builders, records that do not parse.
fn builders(found: &rekit_core::inventory::Inventory, endpoint: &str, lab: &rekit_lab::Lab) {
    let store = &found.stores[0];
    assert_eq!(found.stores.len(), 1);
    assert_eq!(store.path.as_str(), lab.buildx_config().to_str().unwrap());
    assert!(!store.locked);
    let names: Vec<&str> = store.builders.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["ci", "team"]);
    let reason = builder(found, "ci").record.reason().unwrap();
    assert!(
        reason.starts_with("does not parse: EOF") && reason.contains("line 1 column"),
        "{reason}"
    );
    let team = record(found, "team");
    assert_eq!(
        (team.inner_name.as_str(), team.driver.as_str()),
        ("team", "docker-container")
    );
    assert!(!team.dynamic && team.unknown_keys.is_empty());
    let content = fs::read(lab.buildx_config().join("instances/team")).unwrap();
    let file = &builder(found, "team").file;
    assert_eq!(file.digest.known(), Some(&Digest::of(&content)));
    assert_eq!(
        (file.size_bytes, file.mode, file.owner),
        (content.len() as u64, 0o600, 0)
    );
    assert_eq!(
        builder(found, "team").last_activity,
        store.activity.get("team").cloned()
    );
    let team0 = node(found, "team");
    assert_eq!(team0.name.as_str(), "team0");
    assert_eq!(team0.endpoint, endpoint);
    assert_eq!(team0.host.as_ref().unwrap().as_str(), endpoint);
    assert!(team0.platforms.is_empty() && team0.files.is_empty() && team0.config.is_none());
    assert_eq!(team0.driver_opts["env.TEAM"], "blue");
    assert_eq!(team0.flags, ["--allow-insecure-entitlement=network.host"]);
    assert_eq!(team0.status, "running");
    assert_eq!(
        team0.container.as_ref().unwrap().as_str(),
        "buildx_buildkit_team0"
    );
    assert_eq!(
        team0.volume.as_ref().unwrap().as_str(),
        "buildx_buildkit_team0_state"
    );
    let current = store.current.as_ref().unwrap().known().unwrap();
    assert_eq!(current.current.key, endpoint);
    assert_eq!(
        (current.current.name.as_str(), current.current.global),
        ("legacy", false)
    );
    assert!(store.defaults.is_empty() && store.strays.is_empty() && store.unreadable.is_empty());
    let activity: Vec<&str> = store.activity.keys().map(String::as_str).collect();
    assert_eq!(activity, ["ci", "departed", "legacy", "team"]);
    let refs: Vec<(&str, &str)> = store
        .refs
        .iter()
        .map(|r| (r.builder.as_str(), r.node.as_str()))
        .collect();
    assert_eq!(
        refs,
        [
            ("ci", "ci0"),
            ("departed", "departed0"),
            ("legacy", "legacy0"),
            ("team", "team0")
        ]
    );
    let contexts: Vec<(&str, bool, Option<&str>)> = found
        .contexts
        .iter()
        .map(|c| {
            (
                c.name.as_str(),
                c.current,
                c.state.known().unwrap().unusable.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        contexts,
        [
            ("default", true, None),
            ("staging", false, None),
            ("desktop-linux", false, Some("protocol not available"))
        ]
    );
    let selection = &found.selection;
    assert_eq!(
        (selection.context.as_str(), selection.context_from.as_str()),
        ("default", "DOCKER_HOST")
    );
    // `current` names a builder that is gone: buildx falls back to the context's own.
    assert_eq!(
        (&selection.builder, selection.builder_from.as_str()),
        (&None, "context")
    );
    let engine = found.hosts[0].engine.known().unwrap();
    let containers: Vec<(&str, &str, bool)> = engine
        .containers
        .iter()
        .map(|c| (c.name.as_str(), c.status.as_str(), c.is_buildkit))
        .collect();
    assert_eq!(
        containers,
        [
            ("buildx_buildkit_ci0", "running", true),
            ("buildx_buildkit_team0", "running", true)
        ]
    );
    assert_eq!(engine.containers[1].volumes[0].1, "/var/lib/buildkit");
    assert_eq!(engine.containers[1].restart_policy, "unless-stopped");
}

/// R1.1.2: versions, and what the daemons really run with.
fn versions(found: &rekit_core::inventory::Inventory) {
    let tool = |name: &str| {
        found
            .tools
            .iter()
            .find(|t| t.name == name && t.in_force)
            .unwrap()
    };
    assert_eq!(tool("buildx").version.known().unwrap(), "v0.36.1");
    assert!(tool("docker").version.known().unwrap().starts_with("28.5."));
    assert!(
        tool("compose")
            .version
            .known()
            .unwrap()
            .starts_with("2.40.")
    );
    let engine = found.hosts[0].engine.known().unwrap();
    assert!(engine.version.starts_with("28.5."), "{}", engine.version);
    assert_eq!(engine.image_store, ImageStore::Graphdriver);
    assert_eq!(
        (engine.os.as_str(), engine.storage_driver.as_str()),
        ("linux", "overlay2")
    );
    let daemon = node(found, "team").daemon.known().unwrap();
    assert_eq!(daemon.version, "v0.32.2");
    let [worker] = daemon.workers.as_slice() else {
        panic!("one worker")
    };
    for platform in ["linux/amd64", "linux/arm64"] {
        assert!(
            worker.platforms.iter().any(|p| p.as_str() == platform),
            "{platform}"
        );
    }
    assert_eq!(
        worker.labels["org.mobyproject.buildkit.worker.snapshotter"],
        "overlayfs"
    );
    let limits: Vec<(bool, i64, i64)> = worker
        .gc
        .iter()
        .map(|r| (r.all, r.keep_seconds, r.max_used_bytes))
        .collect();
    assert_eq!(limits[0], (false, 172_800, 512_000_000));
    assert_eq!(
        worker.gc[0].filters.len(),
        3,
        "three alternatives, not one filter with commas"
    );
    assert!(limits[3].0 && limits[3].1 == 0);
    let embedded = engine.embedded.known().unwrap();
    assert_eq!(embedded.workers.len(), 1);
    let arm = found
        .emulators
        .known()
        .unwrap()
        .iter()
        .find(|e| e.name == "qemu-aarch64")
        .unwrap();
    assert!(arm.enabled && arm.flags.contains('F'));
    assert!(
        arm.version.known().unwrap().starts_with("7.2"),
        "{:?}",
        arm.version
    );
}

/// R1.1.3 and R1.3.1: each cache, where it lies, its size by type, what its disk has left.
fn caches(found: &rekit_core::inventory::Inventory, planted: &modes::FirstUser) {
    let cache = node(found, "team")
        .daemon
        .known()
        .unwrap()
        .cache
        .known()
        .unwrap();
    assert_eq!(cache.cache_mounts, ["//root/.cache/tool", "/team-deps"]);
    for kind in ["regular", "source.local", "exec.cachemount"] {
        assert!(cache.by_type[kind].records > 0, "{kind}");
    }
    let sum: u64 = cache.by_type.values().map(|kind| kind.bytes).sum();
    assert_eq!(sum, cache.bytes);
    assert!(cache.reclaimable_bytes <= cache.bytes);
    let places: Vec<(PlaceKind, &str, Vec<&str>)> = found
        .caches
        .iter()
        .filter(|place| place.kind != PlaceKind::StandaloneRoot)
        .map(|place| {
            (
                place.kind,
                place.name.as_str(),
                place.used_by.iter().map(String::as_str).collect(),
            )
        })
        .collect();
    let data = found.hosts[0]
        .engine
        .known()
        .unwrap()
        .data_root
        .join("buildkit");
    assert_eq!(
        places,
        [
            // Its record is cut in half, yet it is nobody's orphan.
            (
                PlaceKind::StateVolume,
                "buildx_buildkit_ci0_state",
                vec!["ci/ci0"]
            ),
            (
                PlaceKind::StateVolume,
                "buildx_buildkit_team0_state",
                vec!["team/team0"]
            ),
            (
                PlaceKind::OrphanVolume,
                planted.orphan_volume.as_str(),
                vec![]
            ),
            (PlaceKind::Embedded, data.as_str(), vec!["the engine"]),
        ]
    );
    let team = &found.caches[1];
    let bytes = *team.size_bytes.known().unwrap();
    // Blocks on disk against sizes of files: small files take more, sparse databases less.
    assert!(
        bytes > planted.state.bytes / 2 && bytes < planted.state.bytes * 3,
        "{bytes} {:?}",
        planted.state
    );
    assert!(
        found
            .caches
            .iter()
            .all(|place| *place.free_bytes.known().unwrap() > 0)
    );
    let engine = found.hosts[0].engine.known().unwrap();
    assert!(
        engine
            .volumes
            .iter()
            .all(|v| v.holds_state.known() == Some(&true))
    );
    assert!(
        engine
            .volumes
            .iter()
            .all(|v| v.name.as_str() != planted.foreign.volume)
    );
}

/// R1.1.4: every configuration file; scripts that call buildx.
fn files(found: &rekit_core::inventory::Inventory, lab: &rekit_lab::Lab) {
    let own: Vec<_> = found
        .files
        .iter()
        .filter(|f| {
            f.file
                .path
                .as_str()
                .starts_with(lab.root().to_str().unwrap())
        })
        .collect();
    let kinds: Vec<ConfigKind> = own.iter().map(|file| file.kind).collect();
    assert_eq!(
        kinds,
        [
            ConfigKind::Buildkitd,
            ConfigKind::Daemon,
            ConfigKind::Cli,
            ConfigKind::Profile
        ]
    );
    let path = lab.home().join(".config/buildkit/buildkitd.toml");
    assert_eq!(own[0].file.path.as_str(), path.to_str().unwrap());
    let Some(ConfigVerdict::Refused { line, excerpt, .. }) = &own[0].verdict else {
        panic!("refused: {:?}", own[0].verdict)
    };
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().nth(*line as usize - 1).unwrap(), excerpt);
    assert_eq!(own[3].keys, ["BUILDX_BUILDER_X", "DOCKER_BUILDKIT"]);
    assert_eq!(own[3].lines, [2, 3]);
    let [script] = found.scripts.as_slice() else {
        panic!("one script: {:?}", found.scripts)
    };
    assert!(script.file.path.as_str().ends_with("project/build.sh"));
    assert_eq!(script.builders, ["team"]);
    assert!(found.unreadable.is_empty(), "{:?}", found.unreadable);
    let variable = |name: &str| {
        found
            .environment
            .iter()
            .find(|v| v.name == name)
            .map(|v| v.value.clone())
    };
    assert_eq!(
        variable("DOCKER_HOST"),
        Some(format!("unix://{}", lab.socket().display()))
    );
    assert_eq!(
        variable("BUILDX_CONFIG"),
        Some(lab.buildx_config().to_str().unwrap().to_owned())
    );
}

/// R1.1.4, R2.3.4: what a killed daemon left, and not the folder beside it.
fn leftovers(
    found: &rekit_core::inventory::Inventory,
    planted: &first_user::FirstUser,
    lab: &rekit_lab::Lab,
) {
    // Daemons of other tests, when they are killed, leave sockets outside their labs.
    let root = lab.root().to_str().unwrap();
    let mut own = found.leftovers.clone();
    own.retain(|leftover| leftover.path.as_str().starts_with(root));
    let [socket, folder] = own.as_slice() else {
        panic!("a socket and a folder: {own:?}")
    };
    let [socket_path, folder_path] = planted.left_behind.as_slice() else {
        panic!("{:?}", planted.left_behind)
    };
    let at = |path: &str| lab.root().join(path).to_str().unwrap().to_owned();
    assert_eq!(socket.path.as_str(), at(socket_path));
    assert_eq!(socket.kind, LeftoverKind::Socket);
    assert!(socket.socket.is_some() && socket.stays.is_none());
    assert_eq!(folder.path.as_str(), at(folder_path));
    assert_eq!(folder.kind, LeftoverKind::Folder);
    assert_eq!((folder.size_bytes, folder.owner), (11, 0));
    assert!(folder.stays.is_none() && folder.store.is_none());
}

/// R1.1.5: only the ghost of a Desktop.
fn desktop(found: &rekit_core::inventory::Inventory) {
    let desktop = found.desktop.as_ref().unwrap();
    assert!(desktop.settings.is_none() && desktop.sockets.is_empty() && !desktop.running);
    assert_eq!(desktop.contexts, ["desktop-linux"]);
    assert!(
        desktop.disagreements[0].contains("protocol not available"),
        "{:?}",
        desktop.disagreements
    );
}

#[test]
fn r1_1_5_a_desktop_that_runs_and_a_context_that_does_not_name_it() {
    let lab = lab(LabOptions {
        desktop: true,
        ..LabOptions::default()
    });
    let (healthy, _) = look(&lab);
    let desktop = healthy.desktop.as_ref().unwrap();
    assert!(desktop.running, "{desktop:?}");
    assert!(desktop.settings.is_some() && desktop.build_settings.known().is_some());
    assert!(desktop.contexts.contains(&"desktop-linux".to_owned()));
    assert!(
        desktop.disagreements.is_empty(),
        "{:?}",
        desktop.disagreements
    );
    assert_eq!(
        healthy
            .hosts
            .iter()
            .filter(|h| h.engine.known().is_some())
            .count(),
        2
    );
    modes::plant(&lab, "npipe-context-ghost").unwrap();
    let (broken, _) = look(&lab);
    let desktop = broken.desktop.as_ref().unwrap();
    assert!(desktop.running);
    let said = desktop.disagreements.join("\n");
    assert!(said.contains("protocol not available"), "{said}");
    assert!(said.contains("does not name the socket"), "{said}");
}
