//! Conformance: each kind of step and undo on a real engine, run twice, taken back twice, and the world compared.
//!
//! The fake world of the model check promises the same things; here they are seen.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::too_many_lines,
    reason = "a test fails by panicking, prepares files itself, and tells one story from top to bottom"
)]

use std::collections::BTreeMap;

use rekit_core::{
    folders::{CacheFolder, FolderContent},
    mounts::{CacheMount, MountOptions},
    name::{Digest, HostId, HostPath, NameError, NodeName},
    next::{Observed, Stage},
    record::{NodeEdit, RecordEdit},
    standalone::{Launch, ProcessIdentity, StandalonePlace},
    step::{
        Action, BootState, BuildPlace, Claim, DaemonPlace, FileState, Identity, JsonEdit, Kept,
        NodePlace, StateSource, StepId, VolumePlace,
    },
    undo::{Outcome, Undo},
};
use rekit_lab::{Lab, LabOptions, StandaloneOptions};
use rekit_run::{
    journal::{Journal, MemoryJournal},
    steps::{self, Scene, StoppedDaemon},
    world::{
        ChangeWorld, ForeignBytes, Labels, ReadStandalone, ReadWorld, SocketState,
        environment::Surroundings, real::RealWorld,
    },
};

fn name<T: std::str::FromStr<Err = NameError>>(text: &str) -> T {
    text.parse().unwrap()
}

/// A lab with one small builder, its world, and a journal.
struct Bench {
    lab: Lab,
    host: HostId,
    journal: MemoryJournal,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let lab = Lab::up(LabOptions::default())
            .expect("a private engine; `rekit-lab setup` installs what is missing");
        lab.buildkit_image("0.32.2").unwrap();
        lab.docker(&["buildx", "create", "--name", "team", "--bootstrap"])
            .unwrap();
        let host = name(&format!("unix://{}", lab.socket().display()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            lab,
            host,
            journal: MemoryJournal::default(),
            runtime,
        }
    }

    fn world(&self) -> RealWorld<'static> {
        let variables = self.lab.env().clone();
        let surroundings = Surroundings::new(variables, self.lab.home(), 0);
        RealWorld::new(
            BTreeMap::new(),
            self.lab.root().join("rekit"),
            surroundings,
            &|_| {},
            &|| false,
        )
    }

    fn path(&self, below_home: &str) -> HostPath {
        HostPath::from(self.lab.home().join(below_home).to_str().unwrap())
    }

    fn store(&self) -> HostPath {
        HostPath::from(self.lab.buildx_config().to_str().unwrap())
    }

    fn file(&self, path: &HostPath) -> FileState {
        self.runtime.block_on(self.world().file(path)).unwrap()
    }

    fn node(&self, node: &str) -> NodePlace {
        let node: NodeName = name(node);
        let facts = self
            .runtime
            .block_on(self.world().container(&self.host, &node.container()))
            .unwrap()
            .unwrap();
        NodePlace {
            host: self.host.clone(),
            container: node.container(),
            identity: Identity::Id { id: facts.id },
            volume: node.volume(),
        }
    }

    fn volume(&self, node: &str) -> VolumePlace {
        let node: NodeName = name(node);
        let facts = self
            .runtime
            .block_on(self.world().volume(&self.host, &node.volume()))
            .unwrap()
            .unwrap();
        VolumePlace {
            host: self.host.clone(),
            volume: node.volume(),
            created_at: facts.created_at,
        }
    }

    /// What a step can change, in a form that compares: containers, volumes, files of the home.
    fn picture(&self) -> BTreeMap<String, String> {
        let mut picture = BTreeMap::new();
        let containers = self
            .lab
            .docker(&["ps", "-a", "--format", "{{.Names}} {{.State}}"])
            .unwrap();
        for container in containers.lines().filter_map(|line| line.split(' ').next()) {
            let format =
                "{{.State.Running}} {{.HostConfig.RestartPolicy.Name}} {{.Config.Image}} {{.Args}}";
            picture.insert(
                container.to_owned(),
                self.lab
                    .docker(&["inspect", "--format", format, container])
                    .unwrap(),
            );
        }
        picture.insert(
            "volumes".to_owned(),
            self.lab.docker(&["volume", "ls", "-q"]).unwrap(),
        );
        for entry in [
            "project",
            ".docker/contexts",
            ".docker/buildx/instances",
            ".docker/buildx/refs",
            ".docker/config.json",
        ] {
            let path = self.lab.home().join(entry);
            if path.exists() {
                picture.insert(
                    entry.to_owned(),
                    rekit_archive::tree_digest(&path, &options())
                        .map_or_else(|e| e.to_string(), |d| d.to_string()),
                );
            }
        }
        picture
    }

    /// Brings a step about twice; returns its undo and its outcome.
    fn apply(&mut self, number: u32, action: &Action) -> (rekit_core::undo::Undo, Outcome) {
        let labels = Labels {
            run: name("conformance"),
            step: StepId(number),
        };
        let mut world = self.world();
        let kind = action.kind();
        let source = match action {
            Action::BootNode {
                state: Some(BootState::Archived { source }),
                ..
            } => Some(source.clone()),
            Action::RemoveState { archive, .. } => Some(self.source(archive.as_str())),
            _ => None,
        };
        let stopped = match action {
            Action::StartDaemon {
                launch: Launch::AsKept { script },
                ..
            } => Some(StoppedDaemon {
                script: Some(script.clone()),
                at: Some(jiff::Timestamp::now()),
            }),
            _ => None,
        };
        let pending = Scene {
            action,
            stage: &Stage::Pending,
            labels: labels.clone(),
            source: source.clone(),
            baseline: &[],
            accepted: false,
            stopped: stopped.clone(),
        };
        let observed = self
            .runtime
            .block_on(steps::observe(&pending, &world))
            .unwrap();
        assert_eq!(observed, Observed::Before, "{kind}");
        let undo = self
            .runtime
            .block_on(steps::prepare_undo(&pending, &world, &mut self.journal))
            .unwrap();
        let stage = Stage::Started(undo.clone());
        let started = Scene {
            action,
            stage: &stage,
            labels,
            source,
            baseline: &[],
            accepted: false,
            stopped,
        };
        let outcome = self
            .runtime
            .block_on(steps::effect(&started, &mut world, &mut self.journal))
            .unwrap();
        let observed = self
            .runtime
            .block_on(steps::observe(&started, &world))
            .unwrap();
        assert!(
            !matches!(observed, Observed::Foreign(_)),
            "{kind} after its effect: {observed:?}"
        );
        self.runtime
            .block_on(steps::effect(&started, &mut world, &mut self.journal))
            .unwrap_or_else(|error| panic!("{kind} a second time: {error}"));
        (undo, outcome)
    }

    /// Returns an archive of rekit's own, as a step names it.
    fn source(&self, archive: &str) -> StateSource {
        let place = self.lab.root().join("rekit/archives").join(archive);
        let verified = rekit_run::session::verify_archive(&place, &|_| {});
        StateSource {
            archive: HostPath::from(place.to_str().unwrap()),
            identity: self.runtime.block_on(verified).unwrap(),
        }
    }

    fn undo(&self, undo: &rekit_core::undo::Undo) {
        let mut world = self.world();
        for _ in 0..2 {
            self.runtime
                .block_on(steps::undo(undo, &mut world, &self.journal))
                .unwrap();
        }
    }

    /// Brings a step about and takes it back; the world must be as before.
    fn there_and_back(&mut self, number: u32, action: &Action) -> Outcome {
        let before = self.picture();
        let (undo, outcome) = self.apply(number, action);
        self.undo(&undo);
        assert_eq!(self.picture(), before, "{} taken back", action.kind());
        outcome
    }
}

fn options() -> rekit_archive::CompareOptions {
    rekit_archive::CompareOptions {
        times: false,
        leave_out: Vec::new(),
    }
}

#[test]
fn r1_4_2_each_file_step_can_be_taken_back() {
    let mut bench = Bench::new();
    let store = bench.store();
    let record = store.join("instances").join("team");
    let before = bench.file(&record);
    let edit = RecordEdit {
        builder: name("team"),
        nodes: vec![NodeEdit {
            name: name("team0-g1"),
            replaces: Some(name("team0")),
            endpoint: None,
            settings: None,
        }],
    };
    bench.there_and_back(
        1,
        &Action::RewriteRecord {
            store: store.clone(),
            record: record.clone(),
            before: before.clone(),
            edit,
        },
    );
    bench.there_and_back(
        2,
        &Action::RemoveFile {
            path: record,
            store: Some(store.clone()),
            before,
        },
    );
    let current = store.join("current");
    let before = bench.file(&current);
    let content = r#"{"Key":"x","Name":"team","Global":false}"#.to_owned();
    bench.there_and_back(
        3,
        &Action::WriteFile {
            path: current,
            store: Some(store.clone()),
            before,
            mode: 0o600,
            content,
        },
    );
    let fresh = bench.path("project/new/file");
    let write = Action::WriteFile {
        path: fresh,
        store: None,
        before: FileState::Absent {},
        mode: 0o644,
        content: "x".to_owned(),
    };
    let (undo, _) = bench.apply(4, &write);
    bench.undo(&undo);
    let config = bench.path(".docker/config.json");
    std::fs::write(
        bench.lab.home().join(".docker/config.json"),
        "{\n\t\"x\": 1.0,\n\t\"currentContext\": \"gone\"\n}",
    )
    .unwrap();
    let edits = vec![JsonEdit {
        keys: vec!["currentContext".to_owned()],
        value: None,
    }];
    let before = bench.file(&config);
    bench.there_and_back(
        5,
        &Action::EditJson {
            path: config.clone(),
            before: before.clone(),
            edits,
        },
    );
    let profile = bench.path(".profile");
    std::fs::write(
        bench.lab.home().join(".profile"),
        b"umask 022\nexport BUILDX_BUILDER=gone\n# \xff",
    )
    .unwrap();
    let silence = Action::SilenceLines {
        before: bench.file(&profile),
        path: profile,
        lines: vec![2],
        mark: ": # ".to_owned(),
    };
    bench.there_and_back(7, &silence);
    let blob = bench
        .journal
        .keep(&ForeignBytes::new(b"restored".to_vec()))
        .unwrap();
    bench.there_and_back(
        6,
        &Action::RestoreFile {
            path: config,
            store: None,
            before,
            blob: Some(Kept { blob, mode: 0o600 }),
        },
    );
}

#[test]
fn r1_4_2_each_folder_step_can_be_taken_back() {
    let mut bench = Bench::new();
    let folder = bench.lab.home().join("project/refs");
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    std::fs::write(folder.join("deep/file"), "content").unwrap();
    std::os::unix::fs::symlink("deep/file", folder.join("link")).unwrap();
    let then = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for part in [folder.join("deep"), folder.clone()] {
        let part = std::fs::File::open(part).unwrap();
        part.set_modified(then).unwrap();
    }
    let path = bench.path("project/refs");
    let blob = bench
        .runtime
        .block_on(bench.world().read_tree(&path))
        .unwrap();
    bench.there_and_back(
        1,
        &Action::RemoveTree {
            path: path.clone(),
            store: None,
        },
    );
    let blob = bench.journal.keep(&blob).unwrap();
    let gone = Action::RemoveTree {
        path: path.clone(),
        store: None,
    };
    bench.apply(2, &gone);
    bench.there_and_back(
        3,
        &Action::RestoreTree {
            path,
            store: None,
            blob: blob.clone(),
        },
    );
    bench.undo(&Undo::RestoreTree {
        path: bench.path("project/refs"),
        store: None,
        blob,
    });
    for part in [folder.join("deep"), folder] {
        assert_eq!(part.metadata().unwrap().modified().unwrap(), then);
    }
}

#[test]
fn r1_4_2_r2_3_4_each_socket_step_can_be_taken_back() {
    let mut bench = Bench::new();
    let path = bench.path("project/buildkitd.sock");
    let place = bench.lab.home().join("project/buildkitd.sock");
    drop(std::os::unix::net::UnixListener::bind(&place).unwrap());
    let state = bench.runtime.block_on(bench.world().socket(&path)).unwrap();
    let SocketState::Dead(socket) = state else {
        panic!("nobody listens: {state:?}")
    };
    let remove = Action::RemoveSocket {
        path: path.clone(),
        socket: socket.clone(),
    };
    bench.there_and_back(1, &remove);
    bench.apply(2, &remove);
    let restore = Action::RestoreSocket {
        path: path.clone(),
        socket: socket.clone(),
    };
    bench.there_and_back(3, &restore);
    // A daemon serves there meanwhile: nothing touches its socket.
    let _listener = std::os::unix::net::UnixListener::bind(&place).unwrap();
    let mut world = bench.world();
    let removal = world.remove_socket(&path, &socket);
    bench.runtime.block_on(removal).unwrap();
    let making = world.make_socket(&path, &socket);
    bench.runtime.block_on(making).unwrap();
    assert!(std::os::unix::net::UnixStream::connect(&place).is_ok());
}

#[test]
fn r1_4_2_and_r2_2_each_node_step_can_be_taken_back() {
    let mut bench = Bench::new();
    let host = bench.host.clone();
    let record = bench.store().join("instances").join("team");
    let before = bench.file(&record);
    let edit = RecordEdit {
        builder: name("team"),
        nodes: vec![NodeEdit {
            name: name("team0-g1"),
            replaces: Some(name("team0")),
            endpoint: None,
            settings: None,
        }],
    };
    let boot = |state| Action::BootNode {
        host: host.clone(),
        node: name("team0-g1"),
        image: name("moby/buildkit:buildx-stable-1"),
        record: record.clone(),
        before: before.clone(),
        edit: edit.clone(),
        state,
    };
    let outcome = bench.there_and_back(1, &boot(None));
    assert_eq!(
        outcome,
        Outcome::Booted {
            version: "v0.32.2".to_owned()
        }
    );
    let node = bench.node("team0");
    let platforms = vec![name("linux/amd64"), name("linux/arm64")];
    bench.there_and_back(
        2,
        &Action::ProbeNode {
            host: host.clone(),
            container: node.container.clone(),
            platforms: platforms.clone(),
            judged: None,
        },
    );
    let claim = Claim {
        builder: "team".to_owned(),
        daemons: vec![DaemonPlace {
            host: host.clone(),
            container: Some(node.container.clone()),
        }],
        platforms,
    };
    let baseline = Action::TakeBaseline {
        store: bench.store(),
        builders: vec![claim],
    };
    let Outcome::Baseline { measures } = bench.there_and_back(15, &baseline) else {
        panic!("a baseline is measures")
    };
    assert_eq!(measures.len(), 5, "{measures:?}");
    assert!(measures.iter().all(|it| it.found.is_good()), "{measures:?}");
    // It may stay: it only takes room.
    let (_, copied) = bench.apply(
        14,
        &Action::CopyState {
            archive: name("running"),
            node: node.clone(),
        },
    );
    assert!(matches!(copied, Outcome::Archived { files, .. } if files > 0));
    bench.there_and_back(
        3,
        &Action::Drain {
            node: node.clone(),
            grace_seconds: 1,
            limit_seconds: 5,
            cut: false,
        },
    );
    bench.there_and_back(
        4,
        &Action::StopNode {
            node: node.clone(),
            timeout_seconds: 30,
        },
    );
    let (started_again, outcome) = bench.apply(
        5,
        &Action::StopNode {
            node: node.clone(),
            timeout_seconds: 30,
        },
    );
    assert!(
        matches!(outcome, Outcome::Stopped { clean: true, .. }),
        "{outcome:?}"
    );
    bench.there_and_back(6, &Action::Park { node: node.clone() });
    bench.there_and_back(
        7,
        &Action::StartNode {
            node: node.clone(),
            restart_policy: "unless-stopped".to_owned(),
            looping: false,
        },
    );
    let volume = bench.volume("team0");
    let archive = Action::ArchiveState {
        archive: name("team0"),
        volume: volume.clone(),
        container: Some(node.container.clone()),
    };
    bench.apply(8, &archive);
    let (_, outcome) = bench.apply(
        9,
        &Action::VerifyArchive {
            archive: name("team0"),
        },
    );
    let Outcome::Verified { identity, .. } = outcome else {
        panic!("{outcome:?}")
    };
    let folder = bench.lab.root().join("rekit/archives/team0");
    let source = StateSource {
        archive: HostPath::from(folder.to_str().unwrap()),
        identity,
    };
    bench.there_and_back(13, &boot(Some(BootState::Archived { source })));
    let (container_back, _) = bench.apply(10, &Action::RemoveContainer { node });
    let content = |bench: &Bench| {
        rekit_archive::tree_digest(
            &bench.lab.volume("buildx_buildkit_team0_state").unwrap(),
            &leaving_scratch(),
        )
        .unwrap()
    };
    let before = content(&bench);
    let remove = Action::RemoveVolume {
        volume,
        archive: name("team0"),
        verified_by: StepId(9),
    };
    let (volume_back, _) = bench.apply(11, &remove);
    bench.undo(&volume_back);
    assert_eq!(
        content(&bench),
        before,
        "r1_3_2: the restored state is the removed one"
    );
    bench.undo(&container_back);
    // The container that was made again has another id, so its start is planned anew, as a rollback does.
    drop(started_again);
    let node = bench.node("team0");
    bench.apply(
        12,
        &Action::StartNode {
            node,
            restart_policy: "unless-stopped".to_owned(),
            looping: false,
        },
    );
}

/// What rekit does not archive, because the daemon makes it anew at each start (facts.md, part 3).
fn leaving_scratch() -> rekit_archive::CompareOptions {
    let scratch = [
        "buildkitd.lock",
        "runc-overlayfs/executor",
        "runc-overlayfs/content/ingest",
        "net",
    ];
    rekit_archive::CompareOptions {
        times: false,
        leave_out: scratch.map(Into::into).to_vec(),
    }
}

#[test]
fn r1_4_2_cache_mounts_go_out_and_in_and_an_import_can_be_taken_back() {
    let mut bench = Bench::new();
    bench.lab.base_image("base:1").unwrap();
    let project = bench.lab.home().join("project/mounts");
    std::fs::create_dir_all(&project).unwrap();
    std::fs::create_dir_all(bench.lab.root().join("rekit")).unwrap();
    let text = "FROM base:1\nRUN --mount=type=cache,id=one,target=/x,uid=7 echo one > /x/file\n";
    std::fs::write(project.join("Dockerfile"), text).unwrap();
    let build = ["--output=type=cacheonly", "mounts"];
    let build = [&["buildx", "build", "--builder=default"][..], &build].concat();
    bench.lab.docker(&build).unwrap();
    let place = |builder: &str, container: Option<&str>| BuildPlace {
        store: Some(bench.store()),
        builder: builder.to_owned(),
        daemon: Some(DaemonPlace {
            host: bench.host.clone(),
            container: container.map(name),
        }),
    };
    let (from, to) = (
        place("default", None),
        place("team", Some("buildx_buildkit_team0")),
    );
    let mount = CacheMount {
        id: "/one".to_owned(),
        options: MountOptions {
            uid: Some(7),
            ..MountOptions::default()
        },
        dockerfile: None,
    };
    let export = Action::ExportMounts {
        archive: name("mounts"),
        place: from,
        mounts: vec![mount],
    };
    let outcome = bench.there_and_back(1, &export);
    assert!(
        matches!(&outcome, Outcome::Archived { files: 1, left_out, .. } if left_out.is_empty()),
        "{outcome:?}"
    );
    let archive = bench.lab.root().join("rekit/archives/mounts");
    let (_, mounts) = rekit_run::archives::mounts(&archive).unwrap().unwrap();
    let verified = rekit_run::session::verify_archive(&archive, &|_| {});
    let source = StateSource {
        archive: HostPath::from(archive.to_str().unwrap()),
        identity: bench.runtime.block_on(verified).unwrap(),
    };
    let import = Action::ImportMounts {
        source,
        place: to.clone(),
        mounts,
    };
    let records = |bench: &Bench| {
        let world = bench.world();
        bench.runtime.block_on(world.mount_records(&to)).unwrap()
    };
    assert!(records(&bench).is_empty());
    let (undo, _) = bench.apply(2, &import);
    assert_eq!(records(&bench).len(), 1);
    bench.undo(&undo);
    assert!(records(&bench).is_empty());
}

#[test]
fn a_file_that_somebody_changed_is_not_overwritten() {
    let mut bench = Bench::new();
    let path = bench.path("project/file");
    let place = bench.lab.home().join("project/file");
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(&place, "before").unwrap();
    let before = bench.file(&path);
    assert_eq!(
        before,
        FileState::Present {
            digest: Digest::of(b"before")
        }
    );
    let write = Action::WriteFile {
        path,
        store: None,
        before,
        mode: 0o600,
        content: "ours".to_owned(),
    };
    let (undo, _) = bench.apply(1, &write);
    std::fs::write(&place, "theirs").unwrap();
    let mut world = bench.world();
    assert!(
        bench
            .runtime
            .block_on(steps::undo(&undo, &mut world, &bench.journal))
            .is_err()
    );
    assert_eq!(std::fs::read_to_string(place).unwrap(), "theirs");
}

#[test]
fn r1_4_2_r2_1_2_each_step_on_a_standalone_daemon_can_be_taken_back() {
    let mut bench = Bench::new();
    let options = StandaloneOptions {
        plain: true,
        ..StandaloneOptions::default()
    };
    let lab_daemon = bench.lab.standalone_buildkitd(&options).unwrap();
    let root = HostPath::from(lab_daemon.root().to_str().unwrap());
    let beside = |name: &str| root.parent().unwrap().join(name);
    let (old, new) = (beside("data.rekit-g0"), beside("data.rekit-g1"));
    let daemon = StandalonePlace {
        root: root.clone(),
        address: lab_daemon.address().to_owned(),
        client: None,
        service: None,
    };
    let process = |bench: &Bench| -> Option<ProcessIdentity> {
        let world = bench.world();
        bench.runtime.block_on(world.daemon_on(&root)).unwrap()
    };
    let is_there = |state: &HostPath| {
        let place = std::path::PathBuf::from(state.to_string());
        place.join("cache.db").exists()
    };
    let probe = Action::ProbeDaemon {
        daemon: daemon.clone(),
        platforms: vec![name("linux/amd64")],
    };
    bench.there_and_back(1, &probe);

    let stop = |bench: &Bench| Action::StopDaemon {
        daemon: daemon.clone(),
        process: process(bench).unwrap(),
        limit_seconds: 5,
        cut: false,
    };
    let first = process(&bench);
    let (undo, outcome) = bench.apply(2, &stop(&bench));
    assert!(
        matches!(
            outcome,
            Outcome::DaemonStopped {
                clean: true,
                at: Some(_),
                ..
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(process(&bench), None);
    bench.undo(&undo);
    assert!(process(&bench).is_some() && process(&bench) != first);
    let Undo::StartDaemon {
        script: Some(script),
        ..
    } = undo
    else {
        panic!("a daemon started by hand has a script: {undo:?}")
    };
    bench.apply(3, &stop(&bench));

    let park = |to: &HostPath, renew| Action::ParkState {
        root: root.clone(),
        parked: to.clone(),
        renew,
    };
    let (undo, _) = bench.apply(4, &park(&old, true));
    assert!(is_there(&old) && !is_there(&root) && lab_daemon.root().exists());
    bench.undo(&undo);
    assert!(is_there(&root) && !std::path::Path::new(&old.to_string()).exists());
    bench.apply(5, &park(&old, true));

    let start = Action::StartDaemon {
        daemon: daemon.clone(),
        launch: Launch::AsKept { script },
    };
    let (undo, outcome) = bench.apply(6, &start);
    let Outcome::DaemonStarted {
        version,
        silent_milliseconds: Some(_),
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(version, "v0.32.2");
    bench.undo(&undo);
    assert_eq!(process(&bench), None);

    // The new state gives way to the old one, and back.
    bench.apply(7, &park(&new, false));
    let unpark = Action::UnparkState {
        parked: old.clone(),
        root: root.clone(),
    };
    let (undo, _) = bench.apply(8, &unpark);
    assert!(is_there(&root) && !is_there(&old));
    bench.undo(&undo);
    assert!(is_there(&old) && !is_there(&root));

    let folder = CacheFolder {
        path: new.clone(),
        holds: FolderContent::State,
    };
    let archive = Action::ArchiveFolder {
        archive: name("parked"),
        folder,
    };
    bench.apply(9, &archive);
    let before = rekit_lab::tree(std::path::Path::new(&new.to_string())).unwrap();
    let remove = Action::RemoveState {
        folder: new.clone(),
        archive: name("parked"),
        verified_by: StepId(0),
    };
    let (undo, _) = bench.apply(10, &remove);
    assert!(!std::path::Path::new(&new.to_string()).exists());
    bench.undo(&undo);
    let after = rekit_lab::tree(std::path::Path::new(&new.to_string())).unwrap();
    let lost: Vec<_> = before
        .keys()
        .filter(|entry| !after.contains_key(*entry))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
}
