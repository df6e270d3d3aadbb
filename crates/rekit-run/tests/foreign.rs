//! A machine whose files are damaged in every way: the look at it never panics, always ends, and its document can be written and read.
//!
//! CI tries some dozen cases of each; `scripts/campaign fuzz` tries them for long. What it found is in docs/campaigns/fuzz.md.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests make the world that is looked at, and fail where they stand"
)]

#[path = "../../rekit-core/tests/damage/mod.rs"]
mod damage;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use damage::{damaged, damages};
use proptest::prelude::*;
use rekit_core::{doctor::examine, inventory::Inventory, name::Digest};
use rekit_run::{
    inventory::{Limits, inventory},
    world::{environment::Surroundings, host::linked_text},
};
use tempfile::TempDir;

/// A look has an end of its own after 4.5 s; a machine that is busy may need as long again.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is read of a machine: where, and what stands in it. `CONTEXT` is the folder that docker has for the context `far`.
const FILES: &[(&str, &str)] = &[
    (
        "home/u/.docker/config.json",
        r#"{"auths":{"r":{"auth":"eA=="}},"credsStore":"pass","credHelpers":{"r":"ecr"},"currentContext":"far","proxies":{"default":{"httpProxy":"http://p:1"}},"cliPluginsExtraDirs":["/x"]}"#,
    ),
    (
        "home/u/.docker/contexts/meta/CONTEXT/meta.json",
        r#"{"Name":"far","Metadata":{"Description":"d"},"Endpoints":{"docker":{"Host":"unix:///nowhere/s","SkipTLSVerify":true}}}"#,
    ),
    (
        "home/u/.docker/buildx/instances/team",
        r#"{"Name":"team","Driver":"docker-container","Nodes":[{"Name":"team0","Endpoint":"far","Platforms":[{"architecture":"arm","os":"linux","variant":"v7"}],"DriverOpts":{"image":"x","env.A":"b"},"Flags":["--debug"],"Files":{"buildkitd.toml":"ZGVidWcgPSB0cnVlCltyZWdpc3RyeS4iciJdCm1pcnJvcnMgPSBbIm0iXQo="}}],"Dynamic":false}"#,
    ),
    (
        "home/u/.docker/buildx/instances/cube",
        r#"{"Name":"cube","Driver":"kubernetes","Nodes":[{"Name":"cube0","Endpoint":"kubernetes:///cube?deployment=&kubeconfig=","DriverOpts":{"namespace":"n"}}]}"#,
    ),
    (
        "home/u/.docker/buildx/current",
        r#"{"Key":"far","Name":"team","Global":false}"#,
    ),
    (
        "home/u/.docker/buildx/defaults/0123456789abcdef0123",
        "team",
    ),
    (
        "home/u/.docker/buildx/activity/team",
        "2026-11-23T05:00:00Z",
    ),
    (
        "home/u/.docker/buildx/buildkitd.default.toml",
        "[worker.oci]\n  max-parallelism = 4\n",
    ),
    (
        "home/u/.docker/daemon.json",
        r#"{"builder":{"gc":{"enabled":true,"policy":[{"keepStorage":"1GB","filter":["unused-for=48h"]}]}}}"#,
    ),
    (
        "etc/docker/daemon.json",
        r#"{"data-root":"/d","registry-mirrors":["https://m"],"features":{"buildkit":true}}"#,
    ),
    (
        "etc/buildkit/buildkitd.toml",
        "root = \"/r\"\n[grpc]\naddress = [\"unix:///nowhere/b\"]\n[grpc.tls]\nkey = \"/k\"\n",
    ),
    (
        "etc/systemd/system/buildkit.service",
        "[Service]\nEnvironment=A=b\nExecStart=/usr/bin/buildkitd --root /r --addr unix:///nowhere/c --config \\\n  /etc/b.toml\n",
    ),
    (
        "home/u/.config/systemd/user/docker.service",
        "[Service]\nExecStart=rootlesskit dockerd --config-file=/x\n",
    ),
    (
        "home/u/.bashrc",
        "export BUILDX_BUILDER=team # mine\nexport DOCKER_HOST='unix:///s'; A=b DOCKER_BUILDKIT=0 docker build .\n",
    ),
    (
        "home/u/.config/fish/config.fish",
        "set -gx BUILDX_BUILDER team\n",
    ),
    ("etc/environment", "DOCKER_BUILDKIT=0\n"),
    (
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\nu:x:1000:1000:U:/home/u:/bin/sh\n",
    ),
    (
        "home/u/.docker/desktop/settings-store.json",
        r#"{"Cpus":8,"IntegratedWslDistros":["U"],"UseContainerdSnapshotter":true,"DiskSizeMiB":100}"#,
    ),
    ("home/u/.kube/config", "apiVersion: v1\nkind: Config\n"),
    (
        "home/u/project/Dockerfile",
        "# escape=`\nFROM a AS b\nARG X=/c\nRUN --mount=type=cache,id=i,target=${X},from=b `\n  true\n",
    ),
    (
        "home/u/project/ci.sh",
        "docker buildx build --builder=team --cache-to type=local,dest=export --cache-from 'type=local,src=out' . \\\n && buildctl x\n",
    ),
    ("home/u/project/buildkitd.toml", "debug = true\n"),
    ("home/u/project/rekit.toml", "[builder]\nname = \"team\"\n"),
    (
        "home/u/project/export/index.json",
        r#"{"schemaVersion":2,"manifests":[]}"#,
    ),
    ("home/u/project/export/blobs/x", ""),
    ("home/u/project/export/ingest/x", ""),
    ("proc/sys/fs/binfmt_misc/status", "enabled\n"),
    (
        "proc/sys/fs/binfmt_misc/qemu-aarch64",
        "enabled\ninterpreter /nowhere/qemu\nflags: POCF\noffset 0\nmagic 7f\n",
    ),
    ("proc/sys/kernel/osrelease", "6.18.0-microsoft\n"),
    (
        "proc/meminfo",
        "MemTotal:       16384000 kB\nMemFree: 1 kB\n",
    ),
    (
        "proc/77/cmdline",
        "/usr/bin/buildkitd\0--addr\0unix:///nowhere/d\0--root=/r\0--config\0/c\0",
    ),
    (
        "proc/77/cgroup",
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/buildkit.service\n",
    ),
    (
        "proc/77/stat",
        "77 (buildkitd) S 1 77 77 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 8 0 12345 1 1 1\n",
    ),
    (
        "proc/77/mountinfo",
        "22 1 0:20 / / rw - overlay overlay rw\n",
    ),
    (
        "proc/net/unix",
        "Num RefCount Protocol Flags Type St Inode Path\n0: 00000002 00000000 00010000 0001 01 1 /run/x.sock\n",
    ),
];

/// A tree of files as on a machine.
struct Sample {
    root: TempDir,
}

impl Sample {
    fn new() -> Self {
        let sample = Self {
            root: tempfile::tempdir().unwrap(),
        };
        for (path, text) in FILES {
            sample.write(path, text.as_bytes());
        }
        sample
    }

    fn path(&self, path: &str) -> PathBuf {
        let context = Digest::of(b"far");
        self.root
            .path()
            .join(path.replace("CONTEXT", context.as_str()))
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Looks at the machine, and examines what is found.
    fn look(&self) -> Result<Inventory, TestCaseError> {
        let home = self.root.path().join("home/u");
        let variables = [("HOME".to_owned(), home.display().to_string())];
        let surroundings = Surroundings::new(variables.into(), home.join("project"), 1000)
            .with_root(self.root.path().to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let began = Instant::now();
        let found = runtime.block_on(inventory(&surroundings, Limits::default()));
        prop_assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
        drop(examine(&found));
        let written = serde_json::to_string(&found).unwrap();
        prop_assert_eq!(
            serde_json::from_str::<Inventory>(&written).unwrap(),
            found.clone()
        );
        Ok(found)
    }
}

/// Writes a Go program of which only the description of its build is there.
fn program() -> Vec<u8> {
    let build = "go1.25\u{0}"; // Its length comes first; what follows is the module's text between marks of 16 bytes.
    let said = "path\tgithub.com/docker/buildx/cmd/buildx\nbuild\t-ldflags=\"-s -X github.com/docker/buildx/version.Version=v0.36.1\"\n";
    let mut section = b"\xff Go buildinf:\x08\x02".to_vec();
    section.resize(32, 0);
    section.push(u8::try_from(build.len()).unwrap());
    section.extend(build.bytes());
    let length = said.len() + 32;
    section.extend([
        u8::try_from(length & 0x7f).unwrap() | 0x80,
        u8::try_from(length >> 7).unwrap(),
    ]);
    section.extend([b'<'; 16]);
    section.extend(said.bytes());
    section.extend([b'>'; 16]);
    let names = b"\0.go.buildinfo\0.shstrtab\0";
    let word = |value: usize| (value as u64).to_le_bytes();
    let mut elf = vec![
        0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0,
    ];
    let machine: u8 = if cfg!(target_arch = "aarch64") {
        183
    } else {
        62
    };
    elf.extend([machine, 0, 1, 0, 0, 0]);
    elf.extend(word(0)); // Entry.
    elf.extend(word(0)); // Program headers.
    elf.extend(word(64 + section.len() + names.len())); // Section headers.
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 0, 0, 64, 0, 3, 0, 2, 0]);
    elf.extend(&section);
    elf.extend(names);
    let mut header = |name: u8, kind: u8, at: usize, length: usize| {
        elf.extend([name, 0, 0, 0, kind, 0, 0, 0]);
        elf.extend(
            [
                word(0),
                word(0),
                word(at),
                word(length),
                word(0),
                word(1),
                word(0),
            ]
            .concat(),
        );
    };
    header(0, 0, 0, 0);
    header(1, 1, 64, section.len());
    header(15, 3, 64 + section.len(), names.len());
    elf
}

/// Reads the version that a program's file tells, without running it.
fn version(path: &Path) -> Option<String> {
    linked_text(
        path,
        "github.com/docker/buildx/cmd/buildx",
        "github.com/docker/buildx/version.Version",
    )
}

fn executable(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("docker-buildx");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn the_sample_is_read_where_nothing_is_damaged() {
    let found = Sample::new().look().unwrap();
    let store = &found.stores[0];
    assert!(
        store
            .builders
            .iter()
            .all(|builder| builder.record.known().is_some())
    );
    assert_eq!(found.selection.context, "far");
    assert_eq!(found.emulators.known().unwrap().len(), 1);
    assert!(found.desktop.is_some() && found.dockerfiles.len() == 1 && found.scripts.len() == 1);
    assert!(found.files.len() >= 12, "{:?}", found.files);
    assert!(!found.standalone.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let path = executable(folder.path(), &program());
    assert_eq!(version(&path).as_deref(), Some("v0.36.1"));
}

/// `scripts/campaign fuzz` runs these for long.
mod never_panics {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::default() })]

        #[test]
        fn a_machine_with_damaged_files(wrong in proptest::collection::vec((0..FILES.len(), damages()), 1..6)) {
            let sample = Sample::new();
            for (file, damages) in &wrong {
                let (path, text) = FILES[*file];
                sample.write(path, &damaged(text.as_bytes(), damages));
            }
            sample.look()?;
        }

        #[test]
        fn a_machine_with_bytes_of_any_kind(file in 0..FILES.len(), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let sample = Sample::new();
            sample.write(FILES[file].0, &bytes);
            sample.look()?;
        }

        #[test]
        fn a_damaged_program(damages in damages()) {
            let folder = tempfile::tempdir().unwrap();
            let path = executable(folder.path(), &damaged(&program(), &damages));
            drop(version(&path));
        }
    }
}
