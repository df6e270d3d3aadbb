//! Trees for the tests.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of these trees"
)]

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rekit_archive::{
    ArchiveWriter, CompareOptions, Consistency, MetadataOfArchive, PackOptions, Rules, open,
    verify, write_listing,
};
use rustix::fs::{FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};
use tempfile::TempDir;

/// Returns a directory on a real disk: tmpfs has no user attributes on links and no `trusted` in old kernels.
pub(crate) fn scratch() -> TempDir {
    assert!(
        rustix::process::getuid().is_root(),
        "these tests make devices and trusted attributes: run them as root"
    );
    tempfile::Builder::new()
        .prefix("rekit-archive-")
        .tempdir_in("/var/tmp")
        .expect("made")
}

/// Runs a command that must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!("`{program}`: {error}; apt-get install attr acl zstd tar libcap2-bin")
        });
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Returns the listing without sockets, which no archive keeps.
pub(crate) fn listing(root: &Path) -> String {
    let mut out = Vec::new();
    write_listing(root, &CompareOptions::default(), &mut out).expect("listed");
    let text = String::from_utf8(out).expect("text");
    text.lines()
        .filter(|line| !line.contains(" socket "))
        .fold(String::new(), |all, line| all + line + "\n")
}

/// Returns what stock tools see of a tree, sockets apart: `find`, `stat`, `getfattr`, `sha256sum`.
pub(crate) fn stock_listing(root: &Path) -> String {
    let script = "cd \"$0\"; export LC_ALL=C
        find . ! -type s -printf '%p %y %m %U:%G %T@ %n %l\\0' | sort -z
        find . -type f -printf '%p %s\\0' | sort -z
        find . \\( -type b -o -type c \\) -print0 | sort -z | xargs -0r stat --printf '%n %t:%T\\0'
        find . -type f -print0 | sort -z | xargs -0r sha256sum -z
        find . ! -type s -print0 | sort -z | xargs -0r getfattr -h -d -m - -e hex";
    let root = root.display().to_string();
    let out = run("bash", &["-euo", "pipefail", "-c", script, &root]);
    out.escape_ascii().to_string().replace("\\x00", "\n")
}

/// Compares two listings and shows the first line that differs.
pub(crate) fn assert_same(one: &str, other: &str) {
    for (one, other) in one.lines().zip(other.lines()) {
        assert_eq!(one, other);
    }
    assert_eq!(one.lines().count(), other.lines().count());
}

/// Packs `source` as the tree `state` of the archive `id`.
pub(crate) fn archive(source: &Path, scratch: &Path, id: &str, rules: &Rules) -> PathBuf {
    let mut writer = ArchiveWriter::create(&scratch.join("archives"), id).expect("begins");
    writer
        .add_tree(
            "state",
            source,
            &PackOptions::with(rules.clone()),
            &mut |_| {},
        )
        .expect("packs");
    writer.add_file("notes.txt", b"notes\n").expect("added");
    writer.finish(clean_stop()).expect("finishes").path
}

/// Returns what a caller says of a state whose daemon had ended.
pub(crate) fn clean_stop() -> MetadataOfArchive {
    MetadataOfArchive {
        consistency: Consistency::CleanStop,
        metadata: serde_json::Value::Null,
    }
}

/// Returns all files below a directory, sorted.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.append(&mut files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns true if the archive opens and verifies.
pub(crate) fn is_whole(path: &Path) -> bool {
    open(path).is_ok_and(|archive| verify(&archive, &mut |_| {}).is_ok())
}

/// Returns the messages of an error and its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = [&text, ": ", &error.to_string()].concat();
        cause = error.source();
    }
    text
}

pub(crate) fn attribute(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty())
        .unwrap_or_else(|error| panic!("{name} on {}: {error}", path.display()));
}

pub(crate) fn node(path: &Path, kind: FileType, major: u32, minor: u32) {
    mknodat(
        rustix::fs::CWD,
        path,
        kind,
        Mode::from_raw_mode(0o640),
        makedev(major, minor),
    )
    .expect("made");
}

/// A tree with everything that a file system can hold.
pub(crate) fn everything(root: &Path) {
    fs::create_dir_all(root.join("sub/deep")).expect("made");
    modes(root);
    names(root);
    links(root);
    devices(root);
    attributes(root);
    sparse(root);
    times(root);
}

fn modes(root: &Path) {
    let at = |name: &str| root.join(name);
    let set = |name: &str, mode| {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).expect("set");
    };
    fs::write(at("plain"), "plain").expect("written");
    fs::write(at("empty"), "").expect("written");
    for (mode, name) in [
        (0o000, "m0"),
        (0o444, "m444"),
        (0o4755, "suid"),
        (0o6711, "sgid"),
        (0o1644, "sticky"),
    ] {
        fs::write(at(name), name).expect("written");
        chown(at(name), Some(5), Some(3_000_000)).expect("owned");
        set(name, mode);
    }
    for (mode, name) in [
        (0o000, "closed"),
        (0o1777, "shared"),
        (0o2755, "group"),
        (0o755, "sub/empty"),
    ] {
        fs::create_dir(at(name)).expect("made");
        chown(at(name), Some(70_000), Some(70_001)).expect("owned");
        set(name, mode);
    }
    fs::write(at("closed/inside"), "x").expect("written");
    fs::write(at("group/heir"), "x").expect("written");
    fs::write(at("big-owner"), "x").expect("written");
    chown(at("big-owner"), Some(2_100_000), Some(u32::MAX - 1)).expect("owned");
}

fn names(root: &Path) {
    let long = format!("sub/{}/{}", "l".repeat(200), "n".repeat(255));
    let mut deep = root.join("sub/deep");
    for _ in 0..19 {
        deep.push("d".repeat(200));
    }
    fs::create_dir_all(&deep).expect("made");
    fs::write(deep.join("bottom"), "deep").expect("written");
    // More directories in each other than are kept open.
    let nested = root.join("n/".repeat(400));
    fs::create_dir_all(&nested).expect("made");
    fs::write(nested.join("file"), "nested").expect("written");
    let long = root.join(long);
    fs::create_dir(long.parent().expect("has one")).expect("made");
    fs::write(&long, "long").expect("written");
    fs::hard_link(&long, root.join("sub/to-long")).expect("linked");
    let foreign = [&b"sub/\xff"[..], &[b'\xe9'; 150]].concat();
    for name in [
        &b"bytes-\xff\xfe\n%"[..],
        &foreign,
        "éüñ-utf8".as_bytes(),
        b"-n",
        b"--help",
        b"new\nline",
        b"\n",
        b"back\\slash\\n",
        b"trailing ",
        b" leading",
        b"tab\there\r",
        b"*?[a]'\"$(x)",
        b"a=b%3D",
        b"...",
    ] {
        fs::write(root.join(OsStr::from_bytes(name)), name).expect("written");
    }
}

fn links(root: &Path) {
    let at = |name: &str| root.join(name);
    fs::hard_link(at("plain"), at("sub/deep/plain-too")).expect("linked");
    symlink("s".repeat(300), at("long-link")).expect("linked");
    symlink("t/".repeat(2000), at("longest-link")).expect("linked");
    symlink(OsStr::from_bytes(b"\xff\n \\"), at("foreign-link")).expect("linked");
    symlink("../outside", at("link")).expect("linked");
    symlink("/", at("absolute-link")).expect("linked");
    lchown(at("link"), Some(12), Some(13)).expect("owned");
    fs::hard_link(at("link"), at("sub/link-too")).expect("linked");
    attribute(&at("link"), "trusted.on-link", b"l\nl");
}

fn devices(root: &Path) {
    let at = |name: &str| root.join(name);
    node(&at("whiteout"), FileType::CharacterDevice, 0, 0);
    node(&at("char"), FileType::CharacterDevice, 1, 3);
    node(&at("block"), FileType::BlockDevice, 259, 70_000);
    node(&at("fifo"), FileType::Fifo, 0, 0);
    for name in ["whiteout", "char", "block", "fifo"] {
        fs::hard_link(at(name), at(&format!("sub/{name}-too"))).expect("linked");
    }
    attribute(&at("char"), "trusted.on-device", b"\x00\x01");
    attribute(&at("fifo"), "trusted.on-fifo", b"f");
    node(&at("socket"), FileType::Socket, 0, 0);
}

fn attributes(root: &Path) {
    let plain = root.join("plain");
    attribute(&plain, "user.newline", b"a\n12 path=/etc/shadow\nb");
    attribute(&plain, "user.empty", b"");
    attribute(&plain, "user.nul", b"\0a\0\0b\0");
    attribute(&plain, "user.\u{e9} \n", b"a name with a newline");
    attribute(&plain, "user.a=b%c", b"=");
    attribute(&plain, "user.large", &[b'v'; 2000]);
    attribute(&plain, "security.rekit", b"s");
    let directory = root.join("sub");
    attribute(&directory, "trusted.overlay.opaque", b"y");
    attribute(&directory, "trusted.overlay.origin", &[0, 10, 255]);
    let path = |name: &str| root.join(name).display().to_string();
    run("setcap", &["cap_dac_override,cap_fowner+ep", &path("m444")]);
    run("setcap", &["cap_net_raw+ep", &path("empty")]);
    run("setfacl", &["-m", "u:77:rw,g:88:r", &path("plain")]);
    run("setfacl", &["-d", "-m", "u:77:rwx", &path("sub/deep")]);
    fs::write(root.join("sub/deep/heir"), "inherits").expect("written");
}

fn sparse(root: &Path) {
    let file = |name: &str, size: u64, data: &[(u64, &[u8])]| {
        let file = File::create(root.join(name)).expect("made");
        file.set_len(size).expect("set");
        for (offset, bytes) in data {
            file.write_all_at(bytes, *offset).expect("written");
        }
    };
    file(
        "sparse",
        100 << 20,
        &[(1 << 20, &[7; 10_000]), (70 << 20, b"end")],
    );
    file("all-hole", 5_000_001, &[]);
    file("hole-then-data", 0, &[(64 << 20, b"tail")]);
    file("data-then-hole", 9 << 20, &[(0, &[1; 5000])]);
    file("hole-in-the-middle", 0, &[(0, b"head"), (4 << 20, b"tail")]);
    let pieces: Vec<(u64, &[u8])> = (0..500).map(|at| (at << 14, &b"piece"[..])).collect();
    file("many-holes", 9 << 20, &pieces);
}

fn times(root: &Path) {
    let path = |name: &str| root.join(name).display().to_string();
    for (time, name) in [
        ("@1.000000001", "plain"),
        ("@-1.5", "empty"),
        ("@-100", "m444"),
        ("@9999999999.123456789", "suid"),
        ("@15000000000.999999999", "m0"),
        ("@-2147483648", "sgid"),
        ("@-0.000000001", "fifo"),
        ("@16.5", "closed"),
        ("@12.5", "link"),
        ("@13.25", "sub/deep"),
        ("@14.125", "sub"),
        ("@15.000000100", ""),
    ] {
        run("touch", &["-h", "-d", time, &path(name)]);
    }
}

/// A tree like a BuildKit state: `snapshots` snapshots and some blobs. `seed` changes the blobs of the first three.
pub(crate) fn state(root: &Path, snapshots: u32, seed: u8) {
    let worker = root.join("runc-overlayfs");
    for directory in [
        "content/blobs/sha256",
        "content/ingest/x",
        "executor",
        "cachemounts/m",
        "snapshots/snapshots",
    ] {
        fs::create_dir_all(worker.join(directory)).expect("made");
    }
    for name in [
        "buildkitd.lock",
        "cache.db",
        "history.db",
        "cache.db.x7.bak",
    ] {
        fs::write(root.join(name), name).expect("written");
    }
    fs::write(worker.join("executor/resolv.conf"), "x").expect("written");
    fs::write(worker.join("workerid"), "w".repeat(25)).expect("written");
    fs::write(worker.join("snapshots/metadata.db"), "db").expect("written");
    for number in 1..=snapshots {
        let snapshot = worker.join(format!("snapshots/snapshots/{number}"));
        fs::create_dir_all(snapshot.join("fs/etc")).expect("made");
        fs::create_dir_all(snapshot.join("work/work/inner")).expect("made");
        let salt = if number <= 3 { seed } else { 0 };
        let bytes: Vec<u8> = (0..40_000_u32).map(|at| noise(at, number, salt)).collect();
        for file in 0..4 {
            fs::write(snapshot.join(format!("fs/etc/file{file}")), &bytes[file..])
                .expect("written");
        }
        fs::hard_link(snapshot.join("fs/etc/file0"), snapshot.join("fs/link")).expect("linked");
        node(&snapshot.join("fs/gone"), FileType::CharacterDevice, 0, 0);
        attribute(&snapshot.join("fs/etc"), "trusted.overlay.opaque", b"y");
        let name = rekit_archive::Digest::of(&bytes).to_string();
        fs::write(worker.join("content/blobs/sha256").join(name), &bytes).expect("written");
    }
    // A hard link from one snapshot to another: across segments.
    let at = |path: &str| worker.join("snapshots/snapshots").join(path);
    fs::hard_link(at("1/fs/etc/file1"), at(&format!("{snapshots}/fs/across"))).expect("linked");
}

fn noise(at: u32, number: u32, salt: u8) -> u8 {
    let mixed = (at ^ number << 20).wrapping_mul(2_654_435_761) >> 13 ^ at;
    mixed.to_le_bytes()[0].wrapping_add(salt)
}

/// Mounts an overlay whose upper directory is `layer`/fs and gives the merged directory to `act`.
pub(crate) fn overlay(layer: &Path, act: impl FnOnce(&Path)) {
    let beside = tempfile::tempdir_in("/var/tmp").expect("made");
    let at = |name: &str| beside.path().join(name);
    for name in ["lower/replaced", "merged", "work"] {
        fs::create_dir_all(at(name)).expect("made");
    }
    fs::write(at("lower/replaced/old"), "old").expect("written");
    fs::write(at("lower/gone"), "gone").expect("written");
    fs::create_dir_all(layer.join("fs")).expect("made");
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        at("lower").display(),
        layer.join("fs").display(),
        at("work").display()
    );
    let merged = at("merged").display().to_string();
    run(
        "mount",
        &["-t", "overlay", "overlay", "-o", &options, &merged],
    );
    act(&at("merged"));
    run("umount", &[&merged]);
}

/// A tmpfs of its own, unmounted at the end.
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn mount(at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).expect("made");
        let path = at.display().to_string();
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", &path]);
        Self(at.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l", &self.0.display().to_string()]);
    }
}

/// Plants one thing; each returns the path if it can be linked to.
pub(crate) struct One<'a> {
    path: &'a Path,
    last: Option<&'a Path>,
}

pub(crate) fn plant_one<'a>(path: &'a Path, last: Option<&'a Path>) -> One<'a> {
    One { path, last }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "one shape for all: the path if it can be linked to"
)]
impl One<'_> {
    pub(crate) fn file(&self, bytes: &[u8], mode: u32) -> Option<PathBuf> {
        fs::write(self.path, bytes).expect("written");
        fs::set_permissions(self.path, fs::Permissions::from_mode(mode)).expect("set");
        Some(self.path.to_owned())
    }

    pub(crate) fn directory(&self) -> Option<PathBuf> {
        fs::create_dir(self.path).expect("made");
        None
    }

    pub(crate) fn link(&self) -> Option<PathBuf> {
        fs::hard_link(self.last?, self.path).expect("linked");
        Some(self.path.to_owned())
    }

    pub(crate) fn symlink(&self, target: &str) -> Option<PathBuf> {
        symlink(target, self.path).expect("linked");
        Some(self.path.to_owned())
    }

    pub(crate) fn whiteout(&self) -> Option<PathBuf> {
        node(self.path, FileType::CharacterDevice, 0, 0);
        Some(self.path.to_owned())
    }

    pub(crate) fn xattr(&self, value: &[u8]) -> Option<PathBuf> {
        fs::create_dir(self.path).expect("made");
        attribute(self.path, "trusted.overlay.random", value);
        None
    }

    pub(crate) fn sparse(&self, size: u64) -> Option<PathBuf> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(self.path)
            .expect("made");
        file.set_len(size).expect("set");
        file.write_all_at(b"data", size / 2).expect("written");
        Some(self.path.to_owned())
    }
}

/// Returns the trees without what depends on when they were packed.
pub(crate) fn timeless(archive: &rekit_archive::Archive) -> Vec<rekit_archive::TreeRecord> {
    let mut trees = archive.manifest().trees.clone();
    let segments = trees.iter_mut().flat_map(|tree| &mut tree.segments);
    segments.for_each(|segment| segment.seen = None);
    trees
}
