//! Whatever is done to an archive, `verify` finds it, nothing panics, and nothing is written outside the target.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "tests damage real files, and campaigns print what they found"
)]

mod world;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rekit_archive::{
    ArchiveWriter, Consistency, Devices, Digest, MemoryFile, MetadataOfArchive, PackOptions,
    TreePath, UnpackOptions, buildkit_state_rules, open, plain_rules, unpack, verify,
};
use world::{archive, listing, node, run, scratch, state};

/// A small generator, so that a seed names a run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
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

fn is_whole(path: &Path) -> bool {
    open(path).is_ok_and(|archive| verify(&archive, &mut |_| {}).is_ok())
}

/// Returns what kind of file of an archive this is.
fn kind(file: &Path) -> &'static str {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match &*name {
        "SHA256SUMS" => "SHA256SUMS",
        "manifest.json" => "manifest.json",
        "RESTORE.md" => "RESTORE.md",
        "files.jsonl.zst" => "list of files",
        _ => "segment",
    }
}

/// Issue 4, test D, as a sample; `scripts/campaign damage` runs the whole.
#[test]
fn r1_3_5_every_flipped_bit_and_every_cut_is_found() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 4, 1);
    let path = archive(&source, scratch.path(), "a1", &buildkit_state_rules());
    assert!(is_whole(&path));
    let number = |name: &str, default| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (seed, flips) = (number("SEED", 0x5eed), number("FLIPS", 300));
    let mut dice = Dice(seed);
    let files = files(&path);
    let mut found: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for round in 0..flips + flips / 6 {
        let file = &files[usize::try_from(dice.below(files.len() as u64)).expect("small")];
        let before = fs::read(file).expect("readable");
        let mut bytes = before.clone();
        let at = usize::try_from(dice.below(bytes.len() as u64)).expect("small");
        if round < flips {
            bytes[at] ^= 1 << dice.below(8);
        } else {
            bytes.truncate(at);
        }
        fs::write(file, &bytes).expect("written");
        assert!(
            !is_whole(&path),
            "seed {seed}, round {round}: {} at {at}",
            file.display()
        );
        found.entry(kind(file)).or_default()[usize::from(round >= flips)] += 1;
        fs::write(file, &before).expect("written");
    }
    assert!(is_whole(&path));
    println!("| file | flips found | cuts found |");
    for (kind, [flips, cuts]) in found {
        println!("| {kind} | {flips} | {cuts} |");
    }
}

#[test]
fn r1_3_5_missing_and_strange_files_are_named() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 3, 1);
    let path = archive(&source, scratch.path(), "a1", &buildkit_state_rules());
    let notes = path.join("notes.txt");
    let faults = || {
        let error = verify(&open(&path).expect("opens"), &mut |_| {}).expect_err("is damaged");
        error
            .faults
            .iter()
            .map(|fault| format!("{fault}: {}", fault.kind))
            .collect::<Vec<_>>()
            .join("; ")
    };
    fs::write(path.join("extra"), "x").expect("written");
    assert_eq!(faults(), "`extra`: not part of the archive");
    fs::remove_file(path.join("extra")).expect("removed");
    fs::remove_file(&notes).expect("removed");
    assert_eq!(faults(), "`notes.txt`: missing");
    fs::write(&notes, "other").expect("written");
    assert_eq!(faults(), "`notes.txt`: damaged: wrong digest");
    fs::remove_file(path.join("SHA256SUMS")).expect("removed");
    let message = open(&path).expect_err("is not complete").to_string();
    assert!(
        message.ends_with("has no `SHA256SUMS`: not an archive, or not complete"),
        "{message}"
    );
}

#[test]
fn r1_3_5_a_blob_that_is_not_its_name_is_found() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 2, 1);
    let name = "0".repeat(64);
    fs::write(
        source
            .join("runc-overlayfs/content/blobs/sha256")
            .join(&name),
        "not zero",
    )
    .expect("written");
    let path = archive(&source, scratch.path(), "a1", &buildkit_state_rules());
    assert!(!is_whole(&path));
}

/// Writes an archive whose only segment holds `tar`, with sums and a manifest that agree.
fn forge(
    scratch: &Path,
    tar: &[u8],
    entries: u64,
    change: impl Fn(&mut serde_json::Value),
) -> PathBuf {
    let home = scratch.join("archives");
    let _absent = fs::remove_dir_all(&home);
    let mut writer = ArchiveWriter::create(&home, "a1").expect("begins");
    writer.add_memory_tree("state", &[]).expect("added");
    let metadata = MetadataOfArchive {
        consistency: Consistency::CleanStop,
        metadata: serde_json::Value::Null,
    };
    let path = writer.finish(metadata).expect("finished").path;
    let frame = zstd::encode_all(tar, 1).expect("compressed");
    let digest = Digest::of(&frame).to_string();
    let name = format!("000001-{}.tar.zst", &digest[..12]);
    let tree = path.join("trees/state");
    let old = files(&tree).into_iter().find(|path| {
        path.ends_with("files.jsonl.zst") || path.to_string_lossy().contains("000001-")
    });
    fs::remove_file(old.expect("is there")).expect("removed");
    fs::write(tree.join(&name), &frame).expect("written");
    let json = fs::read(path.join("manifest.json")).expect("readable");
    let mut manifest: serde_json::Value = serde_json::from_slice(&json).expect("is json");
    let segment = &mut manifest["trees"][0]["segments"][0];
    segment["file"] = name.into();
    segment["sha256"] = digest.into();
    segment["packed_bytes"] = frame.len().into();
    segment["tar_bytes"] = tar.len().into();
    segment["entries"] = entries.into();
    change(&mut manifest);
    fs::write(path.join("manifest.json"), manifest.to_string()).expect("written");
    fs::remove_file(path.join("SHA256SUMS")).expect("removed");
    let mut sums = String::new();
    for file in files(&path) {
        let name = file
            .strip_prefix(&path)
            .expect("inside")
            .display()
            .to_string();
        let digest = Digest::of(&fs::read(&file).expect("readable"));
        sums += &[digest.to_string(), "  ".into(), name, "\n".into()].concat();
    }
    fs::write(path.join("SHA256SUMS"), sums).expect("written");
    path
}

/// A header as an attacker writes it.
fn header(name: &str, typeflag: u8, link: &str, size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000755\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = typeflag;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[329..337].copy_from_slice(b"0000001\0");
    block[337..345].copy_from_slice(b"0000001\0");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn pax(records: &str) -> Vec<u8> {
    let mut bytes = header("./PaxHeaders/x", b'x', "", records.len() as u64);
    bytes.extend_from_slice(records.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A PAX record with its right length.
fn record(text: &str) -> String {
    let length =
        (1..10_000).find(|length: &usize| *length == length.to_string().len() + text.len() + 2);
    format!("{} {text}\n", length.expect("there is one"))
}

/// What is hostile, how many entries the manifest says, the bytes, and the end of the message.
type Hostile = (&'static str, u64, Vec<u8>, &'static str);

#[expect(clippy::too_many_lines, reason = "a table")]
fn hostile_paths() -> Vec<Hostile> {
    let root = || header("./", b'5', "", 0);
    let two = |second: Vec<u8>| [root(), second].concat();
    let three = |second: Vec<u8>, third: Vec<u8>| [root(), second, third].concat();
    let directory = |name: &str| header(name, b'5', "", 0);
    let link = |name: &str, target: &str| header(name, b'2', target, 0);
    let hard = |target: &str| header("./b", b'1', target, 0);
    let records = |text: &str| two([pax(text), directory("./a")].concat());
    vec![
        (
            "absolute path",
            2,
            two(directory("/tmp/rekit-escaped")),
            "is absolute",
        ),
        (
            "dot dot",
            2,
            two(directory("./../escaped")),
            "has a part `..`",
        ),
        (
            "dot dot inside",
            2,
            two(directory("./a/../../escaped")),
            "has a part `..`",
        ),
        (
            "hard link out",
            2,
            two(hard("../../outside")),
            "has a part `..`",
        ),
        (
            "hard link to absolute",
            2,
            two(hard("/etc/passwd")),
            "is absolute",
        ),
        (
            "hard link through a link",
            3,
            three(link("./a", "/etc"), hard("./a/passwd")),
            "could not link `b`: Not a directory (os error 20)",
        ),
        (
            "hard link to nothing",
            2,
            two(hard("./a")),
            "could not link `b`: No such file or directory (os error 2)",
        ),
        (
            "through a symlink",
            3,
            three(link("./a", "/tmp"), directory("./a/rekit-escaped")),
            "has no parent directory",
        ),
        (
            "replacing a symlink",
            3,
            three(link("./a", "/tmp"), directory("./a")),
            "comes twice or out of order",
        ),
        ("no root", 1, directory("./a"), "not the root directory"),
        (
            "no parent",
            2,
            two(directory("./a/b")),
            "has no parent directory",
        ),
        (
            "smuggled path",
            2,
            records(&record("path=../../../tmp/escaped-xx")),
            "has a part `..`",
        ),
        (
            "zero byte in the name",
            2,
            records(&record("path=./a\0bc")),
            "has a zero byte",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn hostile_forms() -> Vec<Hostile> {
    let root = || header("./", b'5', "", 0);
    let two = |second: Vec<u8>| [root(), second].concat();
    let directory = || header("./a", b'5', "", 0);
    let records = |text: &str, second: Vec<u8>| two([pax(text), second].concat());
    let file = header("./a", b'0', "", 0);
    vec![
        (
            "unknown type",
            2,
            two(header("./a", b'7', "", 0)),
            "unknown type of entry `7`",
        ),
        (
            "size lie",
            2,
            two(header("./a", b'0', "", 0o7777)),
            "unexpected end of file",
        ),
        (
            "huge size",
            2,
            records(&record("size=9223372036854775808"), file),
            "`a` has an impossible size",
        ),
        (
            "size on a directory",
            2,
            two(header("./a", b'5', "", 512)),
            "`a` has an impossible size",
        ),
        (
            "unknown record",
            2,
            records(&record("GNU.volume=abcd"), directory()),
            "malformed header record `GNU.volume`",
        ),
        (
            "malformed record",
            2,
            records("7 a=b\n", directory()),
            "malformed header record `not a record`",
        ),
        (
            "more entries than said",
            1,
            two(directory()),
            "numbers are not those of the manifest",
        ),
        (
            "fewer entries than said",
            9,
            root(),
            "numbers are not those of the manifest",
        ),
        (
            "garbage",
            1,
            vec![0xA5; 2048],
            "a block of the tar stream is no header",
        ),
    ]
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = [&text, ": ", &error.to_string()].concat();
        cause = error.source();
    }
    text
}

/// Issue 4, test E.
#[test]
fn r1_3_5_hostile_archives_are_refused_and_write_nothing_outside() {
    for (what, entries, tar, end) in hostile_paths().into_iter().chain(hostile_forms()) {
        let scratch = scratch();
        let path = forge(scratch.path(), &tar, entries, |_| {});
        let archive = open(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(verify(&archive, &mut |_| {}).is_err(), "{what}");
        let inner = scratch.path().join("in");
        fs::create_dir(&inner).expect("made");
        let options = UnpackOptions::default();
        let error = unpack(
            &archive,
            "state",
            &inner.join("target"),
            &options,
            &mut |_| {},
        );
        let message = chain(&error.expect_err(what));
        assert!(message.ends_with(end), "{what}: {message}");
        assert_eq!(fs::read_dir(&inner).expect("readable").count(), 1, "{what}");
        assert!(!Path::new("/tmp/rekit-escaped").exists(), "{what}");
    }
}

#[test]
fn r1_3_5_bombs_and_newer_formats_are_refused() {
    let scratch = scratch();
    let bomb = [
        header("./", b'5', "", 0),
        header("./a", b'0', "", 0o77_777_777),
        vec![0; 64 << 20],
    ]
    .concat();
    let path = forge(scratch.path(), &bomb, 2, |manifest| {
        manifest["trees"][0]["segments"][0]["tar_bytes"] = 2048.into();
    });
    assert!(!is_whole(&path));
    let end = header("./", b'5', "", 0);
    for (key, value) in [
        ("version", serde_json::json!(2)),
        ("schema", "other".into()),
        ("new-field", 1.into()),
    ] {
        let path = forge(scratch.path(), &end, 1, |manifest| {
            manifest[key] = value.clone();
        });
        assert!(open(&path).is_err(), "{key}");
    }
    let path = forge(scratch.path(), &end, 1, |manifest| {
        manifest["trees"][0]["segments"][0]["entries"] = 1_000_000.into();
    });
    assert!(open(&path).is_err());
}

#[test]
fn r1_3_5_devices_and_sizes_are_the_callers_choice() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    fs::create_dir(&source).expect("made");
    node(
        &source.join("disk"),
        rustix::fs::FileType::BlockDevice,
        8,
        0,
    );
    fs::write(source.join("file"), [1; 5000]).expect("written");
    let path = archive(&source, scratch.path(), "a1", &plain_rules());
    let archive = open(&path).expect("opens");
    let target = scratch.path().join("target");
    let options = UnpackOptions {
        most_bytes: 100,
        ..UnpackOptions::default()
    };
    assert!(unpack(&archive, "state", &target, &options, &mut |_| {}).is_err());
    assert!(!target.exists());
    let options = UnpackOptions {
        devices: Devices::OnlyWhiteouts,
        ..UnpackOptions::default()
    };
    assert!(unpack(&archive, "state", &target, &options, &mut |_| {}).is_err());
    let message = unpack(&archive, "state", &source, &options, &mut |_| {})
        .expect_err("is full")
        .to_string();
    assert_eq!(
        message,
        format!("`{}` is not an empty directory", source.display())
    );
}

struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &["-l", &self.0.display().to_string()]);
    }
}

fn with_disk<T>(disk: &Path, kibibytes: u32, act: impl FnOnce() -> T) -> T {
    let options = ["size=", &kibibytes.to_string(), "k,nr_inodes=400"].concat();
    let at = disk.display().to_string();
    run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", &at]);
    let _mount = Mount(disk.to_owned());
    act()
}

/// Issue 4, test F: the disk is full at one write after the other.
#[test]
fn r1_3_5_a_full_disk_leaves_no_archive_and_no_partial_one() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 6, 1);
    let before = listing(&source);
    let disk = scratch.path().join("disk");
    fs::create_dir(&disk).expect("made");
    let options = PackOptions::with(buildkit_state_rules());
    let metadata = MetadataOfArchive {
        consistency: Consistency::CleanStop,
        metadata: serde_json::Value::Null,
    };
    let build = || {
        let mut writer = ArchiveWriter::create(&disk.join("archives"), "a1")?;
        writer.add_tree("state", &source, &options, &mut |_| {})?;
        writer.finish(metadata.clone())
    };
    let mut refusals = 0;
    for kibibytes in (8..600).step_by(8) {
        with_disk(&disk, kibibytes, || {
            if let Ok(finished) = build() {
                assert!(is_whole(&finished.path));
                return;
            }
            refusals += 1;
            let archives = disk.join("archives");
            assert!(!archives.join("a1").exists() && !archives.join("a1.partial").exists());
        });
    }
    assert!((5..70).contains(&refusals), "{refusals}");
    assert_eq!(before, listing(&source));
}

#[test]
fn r1_3_5_a_full_disk_at_the_restore_is_an_error() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 6, 1);
    let path = archive(&source, scratch.path(), "a1", &buildkit_state_rules());
    let archive = open(&path).expect("opens");
    let disk = scratch.path().join("disk");
    fs::create_dir(&disk).expect("made");
    let options = UnpackOptions::default();
    let mut refusals = 0;
    for kibibytes in (8..1800).step_by(64) {
        with_disk(&disk, kibibytes, || {
            let target = disk.join("target");
            if let Err(error) = unpack(&archive, "state", &target, &options, &mut |_| {}) {
                let message = chain(&error);
                assert!(
                    message.ends_with("No space left on device (os error 28)"),
                    "{message}"
                );
                refusals += 1;
            }
        });
    }
    assert!((10..28).contains(&refusals), "{refusals}");
    assert!(is_whole(&path));
}

#[test]
fn r1_3_5_an_unfinished_archive_is_not_an_archive() {
    let scratch = scratch();
    let home = scratch.path().join("archives");
    let partial = home.join("a1.partial");
    fs::create_dir_all(&partial).expect("made");
    File::create(partial.join("manifest.json"))
        .and_then(|mut file| file.write_all(b"{}"))
        .expect("written");
    assert!(open(&partial).is_err());
    assert!(ArchiveWriter::create(&home, "a1").is_err());
    rekit_archive::discard(&home, "a1").expect("discarded");
    let mut writer = ArchiveWriter::create(&home, "a1").expect("begins");
    for bad in ["manifest.json", "a/b", "..", "SHA256SUMS", ""] {
        assert!(writer.add_file(bad, b"").is_err(), "{bad}");
    }
    let path = TreePath::parse(b"instances/b").expect("parses");
    let file = MemoryFile {
        path,
        mode: 0o600,
        owner: (0, 0),
        bytes: b"secret".to_vec(),
    };
    writer.add_memory_tree("config", &[file]).expect("added");
    let metadata = MetadataOfArchive {
        consistency: Consistency::Frozen,
        metadata: serde_json::Value::Null,
    };
    let finished = writer.finish(metadata).expect("finished");
    let archive = open(&finished.path).expect("opens");
    assert_eq!(
        verify(&archive, &mut |_| {}).expect("verifies").identity(),
        finished.identity
    );
    let target = scratch.path().join("target");
    unpack(
        &archive,
        "config",
        &target,
        &UnpackOptions::default(),
        &mut |_| {},
    )
    .expect("unpacks");
    assert_eq!(
        fs::read(target.join("instances/b")).expect("readable"),
        b"secret"
    );
}
