//! Archives share what did not change; the helper gives the same bytes as the direct way.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests look at real files"
)]

mod world;

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rekit_archive::{
    ArchiveWriter, Consistency, MetadataOfArchive, PackOptions, UnpackOptions,
    buildkit_state_rules, open, sweep, unpack, verify, wire,
};
use world::{archive, assert_same, listing, run, scratch, state};

fn disk_bytes(path: &Path) -> u64 {
    let output = run(
        "du",
        &["-s", "--apparent-size", "-B1", &path.display().to_string()],
    );
    let text = String::from_utf8(output).expect("text");
    text.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

/// Issue 4, item 9.
#[test]
fn r1_3_5_a_second_archive_costs_what_changed() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 60, 1);
    archive(&source, scratch.path(), "a1", &buildkit_state_rules());
    let home = scratch.path().join("archives");
    let first = disk_bytes(&home);
    for entry in ["cache.db", "history.db"] {
        fs::write(source.join(entry), "changed").expect("written");
    }
    let second = archive(&source, scratch.path(), "a2", &buildkit_state_rules());
    let databases = disk_bytes(&home) - first;
    assert!(databases * 5 < first, "{databases} of {first}");
    fs::write(
        source.join("runc-overlayfs/snapshots/snapshots/7/fs/etc/file1"),
        vec![9; 40_000],
    )
    .expect("written");
    let before = disk_bytes(&home);
    let third = archive(&source, scratch.path(), "a3", &buildkit_state_rules());
    let changed = disk_bytes(&home) - before;
    assert!(changed * 7 < first, "{changed} of {first}");
    for path in [second, third] {
        verify(&open(&path).expect("opens"), &mut |_| {}).expect("verifies");
    }
    fs::remove_dir_all(home.join("a3")).expect("removed");
    assert!(sweep(&home).expect("swept") > 0);
    verify(&open(&home.join("a2")).expect("opens"), &mut |_| {}).expect("verifies");
}

#[test]
fn r1_3_5_a_damaged_file_in_the_pool_does_not_spoil_the_next_archive() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 3, 1);
    let first = archive(&source, scratch.path(), "a1", &buildkit_state_rules());
    let pool = scratch.path().join("archives/pool");
    for entry in fs::read_dir(pool).expect("readable") {
        let path = entry.expect("readable").path();
        let mut bytes = fs::read(&path).expect("readable");
        bytes[5] ^= 1;
        OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| file.write_all(&bytes))
            .expect("written");
    }
    assert!(verify(&open(&first).expect("opens"), &mut |_| {}).is_err());
    let second = archive(&source, scratch.path(), "a2", &buildkit_state_rules());
    verify(&open(&second).expect("opens"), &mut |_| {}).expect("verifies");
}

#[test]
fn r1_3_5_only_the_owner_can_read_an_archive() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 2, 1);
    let path = archive(&source, scratch.path(), "a1", &buildkit_state_rules());
    let mut waiting = vec![path, scratch.path().join("archives/pool")];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).expect("readable");
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.mode() & 0o777, expected, "{}", path.display());
        if metadata.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .expect("readable")
                    .map(|entry| entry.expect("readable").path()),
            );
        }
    }
}

fn helper(arguments: &[&str]) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_rekit-archive-helper"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts")
}

/// Issue 4, item 4.
#[test]
fn r1_3_5_the_helper_gives_the_same_archive_as_the_direct_way() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 9, 1);
    let root = source.display().to_string();
    let direct = archive(&source, scratch.path(), "a1", &buildkit_state_rules());
    let mut child = helper(&["pack", &root, "--rules", "buildkit-state"]);
    let mut writer = ArchiveWriter::create(&scratch.path().join("archives"), "a2").expect("begins");
    let mut out = child.stdout.take().expect("piped");
    let mut seen = 0;
    writer
        .receive_tree("state", &mut out, &mut |progress| seen = progress.entries)
        .expect("received");
    assert!(child.wait().expect("ends").success() && seen > 0);
    let metadata = MetadataOfArchive {
        consistency: Consistency::CleanStop,
        metadata: serde_json::Value::Null,
    };
    let streamed = open(&writer.finish(metadata).expect("finished").path).expect("opens");
    verify(&streamed, &mut |_| {}).expect("verifies");
    assert_eq!(
        streamed.manifest().trees,
        open(&direct).expect("opens").manifest().trees
    );

    let (one, other) = (scratch.path().join("one"), scratch.path().join("other"));
    unpack(
        &streamed,
        "state",
        &one,
        &UnpackOptions::default(),
        &mut |_| {},
    )
    .expect("unpacks");
    let target = other.display().to_string();
    let mut child = helper(&["unpack", &target]);
    let mut input = child.stdin.take().expect("piped");
    let mut out = child.stdout.take().expect("piped");
    let answer = std::thread::scope(|scope| {
        let sender = scope.spawn(move || wire::send(&streamed, "state", &mut input));
        let answer = wire::answer(&mut out, &mut |_| {});
        sender.join().expect("no panic").expect("sent");
        answer
    });
    let counts = open(&direct).expect("opens").manifest().trees[0].counts;
    assert_eq!(answer.expect("answered").counts, counts);
    assert!(child.wait().expect("ends").success());
    assert_same(&listing(&one), &listing(&other));
    let output = run(
        env!("CARGO_BIN_EXE_rekit-archive-helper"),
        &["digest", &root],
    );
    assert_eq!(output.len(), 65);
}

#[test]
fn r1_3_5_a_broken_stream_is_never_taken_for_a_whole_one() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 2, 1);
    let child = helper(&["pack", &source.display().to_string()]);
    let whole = child.wait_with_output().expect("ends").stdout;
    let receive = |bytes: &[u8], id: &str| {
        let mut writer = ArchiveWriter::create(&scratch.path().join(id), "a").expect("begins");
        writer
            .receive_tree("state", &mut &bytes[..], &mut |_| {})
            .map(|_| ())
    };
    receive(&whole, "whole").expect("received");
    for part in 1..40 {
        let at = whole.len() * part / 40;
        assert!(receive(&whole[..at], &format!("cut{part}")).is_err());
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        assert!(receive(&bytes, &format!("flip{part}")).is_err(), "{at}");
    }
    let mut child = helper(&["pack", "/nonexistent-rekit"]);
    let mut out = Vec::new();
    child
        .stdout
        .take()
        .expect("piped")
        .read_to_end(&mut out)
        .expect("readable");
    let message = receive(&out, "none").expect_err("failed");
    let cause = std::error::Error::source(&message)
        .expect("has a cause")
        .to_string();
    assert!(
        cause.contains("could not open `/nonexistent-rekit`"),
        "{cause}"
    );
    assert_eq!(child.wait().expect("ends").code(), Some(1));
    assert_eq!(helper(&["dance"]).wait().expect("ends").code(), Some(2));
}

/// A file that grows while it is read.
#[test]
fn r1_3_5_a_source_that_changes_is_an_error_unless_allowed() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    fs::create_dir(&source).expect("made");
    for number in 0..3 {
        fs::write(source.join(format!("file{number}")), vec![1; 90 << 20]).expect("written");
    }
    let home = scratch.path().join("archives");
    let run = |id: &str, changes| {
        let mut writer = ArchiveWriter::create(&home, id).expect("begins");
        let options = PackOptions {
            changes,
            workers: 1,
            ..PackOptions::default()
        };
        let path = source.join("file2");
        // The last file is touched when the first has been packed.
        let mut touch = |_| {
            let file = OpenOptions::new().append(true).open(&path);
            file.and_then(|mut file| file.write_all(b"more"))
                .expect("written");
        };
        let record = writer
            .add_tree("state", &source, &options, &mut touch)?
            .clone();
        let metadata = MetadataOfArchive {
            consistency: Consistency::CrashConsistent,
            metadata: serde_json::Value::Null,
        };
        writer.finish(metadata).map(|finished| (finished, record))
    };
    assert!(run("a1", rekit_archive::Changes::Refuse).is_err());
    let (finished, record) = run("a2", rekit_archive::Changes::Record).expect("allowed");
    assert_eq!(
        record
            .changed
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["file2"]
    );
    verify(&open(&finished.path).expect("opens"), &mut |_| {}).expect("verifies");
}
