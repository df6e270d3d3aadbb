//! What BuildKit left is found, and everything that only looks like it is not.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use rekit_core::{inventory::LeftoverKind, socket::DeadSocket};
use rekit_run::{
    inventory::Limits,
    world::{environment::Surroundings, host},
};
use tempfile::TempDir;

use super::look_with;

/// A planted machine: system folders, a runtime folder and a folder of temporary files.
struct Planted(TempDir);

impl Planted {
    fn new() -> Self {
        let planted = Self(tempfile::tempdir().unwrap());
        for folder in [
            "proc/self",
            "proc/7/fd",
            "tmp",
            "run/buildkit",
            "runtime/buildkit",
        ] {
            fs::create_dir_all(planted.path(folder)).unwrap();
        }
        fs::write(planted.path("proc/self/mountinfo"), "").unwrap();
        planted
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Makes a temporary folder as Go does, with these files in it, last written to so many minutes ago.
    fn folder(&self, name: &str, files: &[&str], minutes: u64) {
        let folder = self.path("tmp").join(name);
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        for file in files {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "12345").unwrap();
        }
        age(&folder, minutes);
    }

    fn dead_socket(&self, path: &str) {
        let owner = std::os::unix::fs::MetadataExt::uid(&self.0.path().metadata().unwrap());
        let group = std::os::unix::fs::MetadataExt::gid(&self.0.path().metadata().unwrap());
        let like = DeadSocket {
            made: "2026-01-02T03:04:05.6Z".parse().unwrap(),
            mode: 0o660,
            owner,
            group,
        };
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        host::make_socket(&self.path(path), &like).unwrap();
    }

    /// The leftovers that are found, by path below the root.
    fn found(&self) -> Vec<(String, LeftoverKind, bool)> {
        let root = self.0.path();
        let owner = std::os::unix::fs::MetadataExt::uid(&root.metadata().unwrap());
        let variables: BTreeMap<String, String> = [
            ("HOME", "home"),
            ("XDG_RUNTIME_DIR", "runtime"),
            ("TMPDIR", "tmp"),
        ]
        .map(|(name, path)| {
            (
                name.to_owned(),
                self.path(path).to_str().unwrap().to_owned(),
            )
        })
        .into();
        let surroundings =
            Surroundings::new(variables, root.to_owned(), owner).with_root(root.to_owned());
        let found = look_with(&surroundings, Limits::default()).0.leftovers;
        found
            .iter()
            .map(|leftover| {
                let path = Path::new(leftover.path.as_str())
                    .strip_prefix(root)
                    .unwrap();
                assert_eq!(
                    leftover.kind == LeftoverKind::Socket,
                    leftover.socket.is_some()
                );
                (
                    path.to_str().unwrap().to_owned(),
                    leftover.kind,
                    leftover.stays.is_none(),
                )
            })
            .collect()
    }
}

/// Makes all in a folder, and itself, so many minutes old.
fn age(path: &Path, minutes: u64) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            age(&entry.unwrap().path(), minutes);
        }
    }
    let then = SystemTime::now() - Duration::from_secs(60 * minutes);
    File::open(path).unwrap().set_modified(then).unwrap();
}

/// Makes a path look two hours old; a socket cannot be opened for that.
fn touch(path: &Path) {
    let mut touch = Command::new("touch");
    let done = touch.args(["-d", "2 hours ago"]).arg(path).status();
    assert!(done.unwrap().success());
}

#[test]
fn r1_1_4_r2_3_4_what_buildkit_left_is_found() {
    let planted = Planted::new();
    planted.folder("buildkit-mount123", &[], 61);
    planted.folder("buildkit-mount4", &["file"], 61);
    planted.folder(
        "buildkit-qemu-emulator5",
        &["dev/.buildkit_qemu_emulator"],
        61,
    );
    planted.folder("buildkitd-config6", &["buildkit/buildkitd.toml"], 61);
    planted.folder(".buildkit-ssh-sock77", &[], 61);
    planted.dead_socket("tmp/.buildkit-ssh-sock77/ssh_auth_sock");
    touch(&planted.path("tmp/.buildkit-ssh-sock77"));
    planted.dead_socket("run/buildkit/otel-grpc.sock");
    planted.dead_socket("runtime/buildkit/buildkitd.sock");
    planted.dead_socket("elsewhere/mine.sock");
    fs::create_dir_all(planted.path("etc/buildkit")).unwrap();
    let address = format!("unix://{}", planted.path("elsewhere/mine.sock").display());
    fs::write(
        planted.path("etc/buildkit/buildkitd.toml"),
        format!("[grpc]\naddress = [\"tcp://0.0.0.0:1\", \"{address}\"]\n"),
    )
    .unwrap();
    let store = planted.path("home/.docker/buildx");
    fs::create_dir_all(&store).unwrap();
    for name in [".tmp-current55", ".tmp-.buildNodeID6", ".tmp-mine7"] {
        fs::write(store.join(name), "{").unwrap();
        age(&store.join(name), 90);
    }
    let (socket, folder, file) = (
        LeftoverKind::Socket,
        LeftoverKind::Folder,
        LeftoverKind::File,
    );
    let expected = [
        ("elsewhere/mine.sock", socket),
        ("run/buildkit/otel-grpc.sock", socket),
        ("runtime/buildkit/buildkitd.sock", socket),
        ("tmp/.buildkit-ssh-sock77/ssh_auth_sock", socket),
        ("tmp/.buildkit-ssh-sock77", folder),
        ("tmp/buildkit-mount123", folder),
        ("tmp/buildkit-mount4", folder),
        ("tmp/buildkit-qemu-emulator5", folder),
        ("tmp/buildkitd-config6", folder),
        ("home/.docker/buildx/.tmp-.buildNodeID6", file),
        ("home/.docker/buildx/.tmp-current55", file),
    ];
    let expected = expected.map(|(path, kind)| (path.to_owned(), kind, true));
    assert_eq!(planted.found(), expected);
}

#[test]
fn r2_3_4_r2_3_5_what_only_looks_like_it_is_left_alone() {
    let planted = Planted::new();
    // Other names, other content, other permissions: somebody else's.
    planted.folder("buildkit-notes", &["todo"], 600);
    planted.folder("buildkit-mount", &[], 600);
    planted.folder("buildkit-mount12a", &[], 600);
    planted.folder("buildkit123456789", &[], 600);
    planted.folder("buildkit-mount8", &["thesis.odt"], 600);
    planted.folder("buildkit-mount9", &[], 600);
    let open = planted.path("tmp/buildkit-mount9");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(planted.path("tmp/buildkit-mount10"), "a file").unwrap();
    std::os::unix::fs::symlink("/etc", planted.path("tmp/buildkit-mount11")).unwrap();
    // Young, or young inside.
    planted.folder("buildkit-mount20", &[], 59);
    planted.folder("buildkit-qemu-emulator21", &["dev/x"], 600);
    let inner = planted.path("tmp/buildkit-qemu-emulator21/dev/x");
    File::open(inner)
        .unwrap()
        .set_modified(SystemTime::now())
        .unwrap();
    // Mounted, also where another process alone sees it; open; worked in.
    for number in 30..34 {
        planted.folder(&format!("buildkit-mount{number}"), &[], 600);
    }
    let mounted = |name: &str| {
        let point = planted.path("tmp").join(name);
        format!(
            "36 35 98:0 / {} rw,noatime - tmpfs tmpfs rw\n",
            point.display()
        )
    };
    fs::write(
        planted.path("proc/self/mountinfo"),
        mounted("buildkit-mount30"),
    )
    .unwrap();
    std::os::unix::fs::symlink("mnt:[9]", {
        fs::create_dir_all(planted.path("proc/7/ns")).unwrap();
        planted.path("proc/7/ns/mnt")
    })
    .unwrap();
    let bound = "36 35 98:0 /tmp/buildkit-mount31 /in/a/container rw - ext4 /dev/x rw\n";
    fs::write(planted.path("proc/7/mountinfo"), bound).unwrap();
    let within = planted.path("tmp/buildkit-mount32/file");
    std::os::unix::fs::symlink(within, planted.path("proc/7/fd/5")).unwrap();
    let at = planted.path("tmp/buildkit-mount33");
    std::os::unix::fs::symlink(at, planted.path("proc/7/cwd")).unwrap();
    // Somebody listens, has just bound, or is not known to be BuildKit.
    let alive = planted.path("run/buildkit/buildkitd.sock");
    let _alive = UnixListener::bind(&alive).unwrap();
    touch(&alive);
    drop(UnixListener::bind(planted.path("runtime/buildkit/buildkitd.sock")).unwrap());
    fs::write(planted.path("runtime/buildkit/otel-grpc.sock"), "no socket").unwrap();
    planted.dead_socket("run/other.sock");
    // A folder with a socket on which somebody listens.
    planted.folder(".buildkit-ssh-sock40", &[], 600);
    let agent = planted.path("tmp/.buildkit-ssh-sock40/ssh_auth_sock");
    let _agent = UnixListener::bind(&agent).unwrap();
    touch(&agent);
    touch(agent.parent().unwrap());

    assert_eq!(planted.found(), []);
}

#[test]
fn r2_3_4_without_a_proc_no_folder_is_listed() {
    let planted = Planted::new();
    planted.folder("buildkit-mount123", &[], 61);
    fs::remove_dir_all(planted.path("proc")).unwrap();
    assert_eq!(planted.found(), []);
}

#[test]
fn r2_3_4_what_could_not_be_put_back_says_so() {
    let planted = Planted::new();
    planted.folder("buildkit-qemu-emulator1", &["dev/x"], 61);
    let large = planted.path("tmp/buildkit-qemu-emulator1/dev/x");
    let file = File::options().write(true).open(&large).unwrap();
    file.set_len(300 << 20).unwrap();
    age(&planted.path("tmp/buildkit-qemu-emulator1"), 61);
    let expected = "tmp/buildkit-qemu-emulator1".to_owned();
    assert_eq!(planted.found(), [(expected, LeftoverKind::Folder, false)]);
}
