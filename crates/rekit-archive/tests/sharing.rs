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
    ArchiveWriter, Consistency, MetadataOfArchive, PackOptions, Progress, Rules, UnpackOptions,
    WriteError, buildkit_state_rules, open, plain_rules, sweep, unpack, verify, wire,
};
use world::{archive, assert_same, clean_stop, listing, run, scratch, state, timeless};

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

/// Issue 4, item 9: what did not change is not even read.
#[test]
fn r1_3_5_a_second_archive_reads_what_changed() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 60, 1);
    // File systems round times; what was written just now might change without a trace.
    std::thread::sleep(std::time::Duration::from_millis(50));
    let home = scratch.path().join("archives");
    let packed = |id: &str| {
        let mut writer = ArchiveWriter::create(&home, id).expect("begins");
        let mut packed = 0;
        let options = PackOptions::with(buildkit_state_rules());
        let mut progress = |progress: Progress| packed = progress.tar_bytes;
        let added = writer.add_tree("state", &source, &options, &mut progress);
        added.expect("packed");
        let path = writer.finish(clean_stop()).expect("finished").path;
        verify(&open(&path).expect("opens"), &mut |_| {}).expect("verifies");
        packed
    };
    let first = packed("a1");
    assert!(packed("a2") < 2048, "only the end mark");
    let file = source.join("runc-overlayfs/snapshots/snapshots/7/fs/etc/file1");
    let metadata = fs::metadata(&file).expect("readable");
    let modified = metadata.modified().expect("known");
    let bytes = vec![9; usize::try_from(metadata.len()).expect("small")];
    fs::write(&file, bytes).expect("written");
    // Neither its length nor its time tell, and yet it is seen.
    let open = OpenOptions::new().write(true).open(&file);
    open.and_then(|file| file.set_modified(modified))
        .expect("set");
    let third = packed("a3");
    assert!(third > 2048 && third * 7 < first, "{third} of {first}");
    let target = scratch.path().join("target");
    let archive = rekit_archive::open(&home.join("a3")).expect("opens");
    unpack(
        &archive,
        "state",
        &target,
        &UnpackOptions::default(),
        &mut |_| {},
    )
    .expect("unpacks");
    let restored = target.join("runc-overlayfs/snapshots/snapshots/7/fs/etc/file1");
    assert!(
        fs::read(restored)
            .expect("readable")
            .iter()
            .all(|byte| *byte == 9)
    );
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

fn receive(
    writer: &mut ArchiveWriter,
    rules: &Rules,
    child: &mut std::process::Child,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), WriteError> {
    let mut out = child.stdout.take().expect("piped");
    let mut input = child.stdin.take().expect("piped");
    let ends: (&mut dyn Read, &mut dyn Write) = (&mut out, &mut input);
    writer
        .receive_tree("state", rules, ends, progress)
        .map(drop)
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
    // A home of its own: nothing of it is known.
    let home = scratch.path().join("streamed");
    let mut writer = ArchiveWriter::create(&home, "a2").expect("begins");
    let mut seen = 0;
    let rules = buildkit_state_rules();
    receive(&mut writer, &rules, &mut child, &mut |progress| {
        seen = progress.entries;
    })
    .expect("received");
    assert!(child.wait().expect("ends").success() && seen > 0);
    let streamed = open(&writer.finish(clean_stop()).expect("finished").path).expect("opens");
    verify(&streamed, &mut |_| {}).expect("verifies");
    assert_eq!(
        timeless(&streamed),
        timeless(&open(&direct).expect("opens"))
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
    let whole = |root: &str| {
        let mut child = helper(&["pack", root]);
        wire::tell_known(&[], child.stdin.as_mut().expect("piped")).expect("told");
        child.wait_with_output().expect("ends")
    };
    let rules = plain_rules();
    let receive = |mut bytes: &[u8], id: &str| {
        let mut writer = ArchiveWriter::create(&scratch.path().join(id), "a").expect("begins");
        let ends: (&mut dyn Read, &mut dyn Write) = (&mut bytes, &mut std::io::sink());
        let received = writer.receive_tree("state", &rules, ends, &mut |_| {});
        received.map(drop)
    };
    let failed = whole("/nonexistent-rekit");
    let whole = whole(&source.display().to_string()).stdout;
    receive(&whole, "whole").expect("received");
    for part in 1..40 {
        let at = whole.len() * part / 40;
        assert!(receive(&whole[..at], &format!("cut{part}")).is_err());
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        assert!(receive(&bytes, &format!("flip{part}")).is_err(), "{at}");
    }
    let message = receive(&failed.stdout, "none").expect_err("failed");
    let cause = std::error::Error::source(&message)
        .expect("has a cause")
        .to_string();
    assert!(
        cause.contains("could not open `/nonexistent-rekit`"),
        "{cause}"
    );
    assert_eq!(failed.status.code(), Some(1));
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
