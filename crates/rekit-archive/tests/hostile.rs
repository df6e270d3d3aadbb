//! Archives that somebody made to do harm are refused, and nothing is written outside the target.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests forge real files"
)]

mod world;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rekit_archive::{
    ArchiveWriter, Devices, Digest, Fault, UnpackOptions, open, plain_rules, unpack, verify,
};
use world::{archive, chain, clean_stop, files, is_whole, node, scratch};

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
    let path = writer.finish(clean_stop()).expect("finished").path;
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
        (1..100_000).find(|length: &usize| *length == length.to_string().len() + text.len() + 2);
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
            "a file that is on no list",
            2,
            two(header("./a", b'0', "", 0)),
            "`a` is not as the list of files says",
        ),
        (
            "a header for all that follows",
            2,
            two(header("./a", b'g', "", 0)),
            "unknown type of entry `g`",
        ),
        (
            "two headers in a row",
            2,
            records(&record("mtime=1"), pax(&record("mtime=2"))),
            "unknown type of entry `x`",
        ),
        (
            "garbage",
            1,
            vec![0xA5; 2048],
            "a block of the tar stream is no header",
        ),
    ]
}

/// Attributes that are to be taken for something else, or to land on something else.
#[expect(clippy::too_many_lines, reason = "a table")]
fn hostile_attributes() -> Vec<Hostile> {
    let directory = |text: &str| {
        let entry = [pax(text), header("./a", b'5', "", 0)].concat();
        [header("./", b'5', "", 0), entry].concat()
    };
    let attribute = |name: &str, value: &str| record(&format!("SCHILY.xattr.{name}={value}"));
    let long = "n".repeat(256);
    let value = "v".repeat(65_537);
    let capability = [
        header("./", b'5', "", 0),
        header("./a", b'6', "", 0),
        pax(&attribute("security.capability", "all")),
        header("./b", b'1', "./a", 0),
    ];
    vec![
        (
            "no name",
            2,
            directory(&attribute("", "v")),
            "malformed header record `SCHILY.xattr.`",
        ),
        (
            "a zero byte in the name",
            2,
            directory(&attribute("user.a\0b", "v")),
            "malformed header record `SCHILY.xattr.user.a\0b`",
        ),
        (
            "a name that comes twice",
            2,
            directory(&[attribute("user.a", "1"), attribute("user.a", "2")].concat()),
            "malformed header record `SCHILY.xattr.user.a`",
        ),
        (
            "names out of order",
            2,
            directory(&[attribute("user.b", "1"), attribute("user.a", "2")].concat()),
            "malformed header record `SCHILY.xattr.user.a`",
        ),
        (
            "a name that is too long",
            2,
            directory(&attribute(&long, "v")),
            "n`",
        ),
        (
            "a value that is too long",
            2,
            directory(&attribute("user.a", &value)),
            "malformed header record `SCHILY.xattr.user.a`",
        ),
        (
            "a record cut by a newline in a value",
            2,
            directory("21 SCHILY.xattr.a=\n\n27 path=../../../tmp/escape\n"),
            "malformed header record `not a record`",
        ),
        (
            "two paths",
            2,
            directory(&[record("path=./b"), record("path=./c")].concat()),
            "malformed header record `path`",
        ),
        (
            "a key with a zero byte",
            2,
            directory(&record("pa\0th=./b")),
            "malformed header record `pa\0th`",
        ),
        (
            "a capability for a file of another, through a further name",
            3,
            capability.concat(),
            "`b` has an impossible attribute",
        ),
        (
            "a list of access rights that is none",
            2,
            directory(&attribute("system.posix_acl_access", "zz")),
            "could not set an attribute of `a`: Invalid argument (os error 22)",
        ),
    ]
}

/// Issue 4, test E.
#[test]
fn r1_3_5_hostile_archives_are_refused_and_write_nothing_outside() {
    let forms = hostile_forms().into_iter().chain(hostile_attributes());
    for (what, entries, tar, end) in hostile_paths().into_iter().chain(forms) {
        let scratch = scratch();
        let path = forge(scratch.path(), &tar, entries, |_| {});
        let archive = open(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
        let faults = verify(&archive, &mut |_| {}).expect_err(what).faults;
        // What only the file system refuses, reading alone cannot find.
        let is_found = faults.iter().any(|fault| chain(fault).ends_with(end));
        assert!(
            is_found || end.starts_with("could not ") || end.contains("(os error"),
            "{what}: {faults:?}"
        );
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

/// Issue 4, test E: the manifest lies.
#[test]
fn r1_3_5_counts_that_are_not_the_contents_are_refused() {
    let scratch = scratch();
    let root = header("./", b'5', "", 0);
    for number in ["files", "directories", "bytes", "devices", "xattrs"] {
        let path = forge(scratch.path(), &root, 1, |manifest| {
            manifest["trees"][0]["counts"][number] = 7.into();
        });
        assert!(!is_whole(&path), "{number}");
        let target = scratch.path().join(number);
        let archive = open(&path).expect("opens");
        let options = UnpackOptions::default();
        let error = unpack(&archive, "state", &target, &options, &mut |_| {}).expect_err(number);
        assert_eq!(
            error.to_string(),
            "the tree does not hold what the manifest says"
        );
        let path = forge(scratch.path(), &root, 1, |manifest| {
            manifest["trees"][0]["segments"][0]["counts"][number] = 7.into();
        });
        assert!(!is_whole(&path), "{number} of the segment");
    }
}

/// Issue 4, test E: thousands of devices, in an archive that may hold none.
#[test]
fn r1_3_5_a_bomb_of_devices_makes_none() {
    let scratch = scratch();
    let mut tar = header("./", b'5', "", 0);
    for number in 0..5000 {
        tar.extend(header(&format!("./d{number:04}"), b'4', "", 0));
    }
    let path = forge(scratch.path(), &tar, 5001, |manifest| {
        for counts in ["/trees/0", "/trees/0/segments/0"] {
            let part = manifest.pointer_mut(counts).expect("is there");
            part["counts"]["devices"] = 5000.into();
        }
    });
    let archive = open(&path).expect("opens");
    let target = scratch.path().join("target");
    let options = UnpackOptions {
        devices: Devices::OnlyWhiteouts,
        ..UnpackOptions::default()
    };
    let error = unpack(&archive, "state", &target, &options, &mut |_| {}).expect_err("refused");
    let message = chain(&error);
    let end = "`d0000` is a device, and only whiteouts are allowed";
    assert!(message.ends_with(end), "{message}");
    assert_eq!(fs::read_dir(&target).expect("readable").count(), 0);
    let options = UnpackOptions {
        most_entries: 5000,
        ..UnpackOptions::default()
    };
    let all = scratch.path().join("all");
    assert!(unpack(&archive, "state", &all, &options, &mut |_| {}).is_err());
    assert!(!all.exists());
}

/// Issue 4, test E: somebody puts a link in the place of a directory while it is being filled.
#[test]
fn r1_3_5_a_link_swapped_for_a_directory_leads_nowhere() {
    let scratch = scratch();
    let at = |name: &str| scratch.path().join(name);
    for folder in ["a", "b", "c"] {
        fs::create_dir_all(at("source").join(folder)).expect("made");
        for number in 0..700 {
            let file = at("source").join(folder).join(number.to_string());
            fs::write(file, "x").expect("written");
            let further = at("source").join(folder).join(format!("z{number}"));
            fs::hard_link(at("source/a/0"), further).expect("linked");
        }
    }
    let path = archive(&at("source"), scratch.path(), "a1", &plain_rules());
    let archive = open(&path).expect("opens");
    fs::create_dir(at("outside")).expect("made");
    let options = UnpackOptions::default();
    for round in 0..4 {
        let target = at(&format!("target{round}"));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for folder in ["a", "b", "c"] {
                        let folder = target.join(folder);
                        if fs::rename(&folder, folder.with_extension("away")).is_ok() {
                            symlink(at("outside"), &folder).expect("linked");
                        }
                    }
                }
            });
            // It may fail or not: the tree is not what it made.
            let _swapped = unpack(&archive, "state", &target, &options, &mut |_| {});
            is_over.store(true, Ordering::Relaxed);
        });
        let outside = fs::read_dir(at("outside")).expect("readable").count();
        assert_eq!(outside, 0, "round {round}");
    }
}

/// Issue 4, test E: a list that is small on the disk and larger than the memory.
#[test]
fn r1_3_5_a_bomb_in_the_list_of_files_is_refused() {
    let scratch = scratch();
    let tar = [header("./", b'5', "", 0), header("./a", b'0', "", 0)].concat();
    let list = scratch
        .path()
        .join("archives/a1/trees/state/files.jsonl.zst");
    let bomb = zstd::encode_all(&vec![b' '; 256 << 20][..], 1).expect("compressed");
    for (frame, end) in [
        (bomb, "a line does not end"),
        (b"no frame".to_vec(), "Unknown frame descriptor"),
    ] {
        let path = forge(scratch.path(), &tar, 2, |manifest| {
            fs::write(&list, &frame).expect("written");
            let tree = &mut manifest["trees"][0];
            tree["list_sha256"] = Digest::of(&frame).to_string().into();
            tree["segments"][0]["list_bytes"] = frame.len().into();
        });
        let archive = open(&path).expect("opens");
        let faults = verify(&archive, &mut |_| {}).expect_err("refused").faults;
        let is_found = |fault: &Fault| chain(fault).ends_with(end);
        assert!(faults.iter().any(is_found), "{faults:?}");
        let target = scratch.path().join(end);
        let options = UnpackOptions::default();
        let error = unpack(&archive, "state", &target, &options, &mut |_| {}).expect_err("refused");
        assert!(chain(&error).ends_with(end), "{}", chain(&error));
    }
}
