//! Round trips on a real file system, compared by the independent comparer and by stock tools. Needs root.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests plant real trees"
)]

mod world;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rekit_archive::{
    ArchiveWriter, CompareOptions, Consistency, PackOptions, UnpackOptions, buildkit_state_rules,
    open, plain_rules, tree_digest, unpack, verify,
};
use world::{
    Disk, archive, assert_same, attribute, chain, everything, listing, overlay, run, scratch,
    state, stock_listing, timeless,
};

fn round_trip(source: &Path, scratch: &Path) {
    let before = listing(source);
    let path = archive(source, scratch, "a1", &plain_rules());
    let archive = open(&path).expect("opens");
    let verified = verify(&archive, &mut |_| {}).expect("verifies");
    assert!(verified.bytes() > 0);
    let target = scratch.join("target");
    let unpacked = unpack(
        &archive,
        "state",
        &target,
        &UnpackOptions::default(),
        &mut |_| {},
    )
    .expect("unpacks");
    assert_eq!(unpacked.counts, archive.manifest().trees[0].counts);
    assert_same(&before, &listing(&target));
    assert_same(&before, &listing(source));
}

fn blocks(path: &Path) -> u64 {
    fs::metadata(path).expect("readable").blocks()
}

fn pack_and_unpack(source: &Path, scratch: &Path) -> PathBuf {
    let archive = open(&archive(source, scratch, "a1", &plain_rules())).expect("opens");
    verify(&archive, &mut |_| {}).expect("verifies");
    let target = scratch.join("target");
    let options = UnpackOptions::default();
    unpack(&archive, "state", &target, &options, &mut |_| {}).expect("unpacks");
    target
}

/// Issue 4, test C.
#[test]
fn r1_3_2_round_trip_keeps_everything() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    everything(&source);
    round_trip(&source, scratch.path());
    let target = scratch.path().join("target");
    assert_same(&stock_listing(&source), &stock_listing(&target));
    let archive = open(&scratch.path().join("archives/a1")).expect("opens");
    for name in [
        "sparse",
        "all-hole",
        "hole-then-data",
        "data-then-hole",
        "many-holes",
    ] {
        let (before, after) = (source.join(name), scratch.path().join("target").join(name));
        assert!(
            blocks(&after) <= blocks(&before),
            "{name}: the holes are filled"
        );
    }
    let counts = archive.manifest().trees[0].counts;
    assert_eq!(archive.manifest().trees[0].sockets, 1);
    assert_eq!(archive.manifest().consistency, Consistency::CleanStop);
    assert!(
        counts.whiteouts >= 1 && counts.devices >= 2 && counts.fifos == 1,
        "{counts:?}"
    );
    assert!(
        counts.sparse_files >= 6 && counts.hard_links >= 7 && counts.capabilities == 2,
        "{counts:?}"
    );
    assert_eq!(counts.opaque_directories, 1);
}

/// The commands of `RESTORE.md`, as they stand there.
#[test]
fn r1_3_2_stock_tools_restore_everything() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    everything(&source);
    let path = archive(&source, scratch.path(), "a1", &plain_rules());
    let text = fs::read_to_string(path.join("RESTORE.md")).expect("readable");
    let target = scratch.path().join("target");
    fs::create_dir(&target).expect("made");
    let commands: Vec<&str> = text
        .split("```sh\n")
        .skip(1)
        .filter_map(|part| part.split("```").next())
        .collect();
    assert_eq!(commands.len(), 2);
    for command in commands {
        let script = format!(
            "set -eo pipefail; cd {}; TARGET={}\n{command}",
            path.display(),
            target.display()
        );
        run("bash", &["-c", &script]);
    }
    assert_same(&listing(&source), &listing(&target));
    assert_same(&stock_listing(&source), &stock_listing(&target));
}

/// Issue 4, test C: ext4 has no room for so many attributes; tmpfs has.
#[test]
fn r1_3_2_attributes_of_60_kb_are_kept() {
    let scratch = scratch();
    let disk = Disk::mount(&scratch.path().join("disk"), "size=64m");
    let source = disk.path().join("source");
    fs::create_dir(&source).expect("made");
    fs::write(source.join("file"), "x").expect("written");
    let value: Vec<u8> = (0..60_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    attribute(&source.join("file"), "trusted.large", &value);
    for number in 0..60 {
        let name = format!("trusted.{number}-{}", "n".repeat(200));
        attribute(&source, &name, &value[..1000 + number]);
    }
    round_trip(&source, disk.path());
}

/// Issue 4, test C: a file larger than any disk, of which nearly all is a hole.
#[test]
fn r1_3_2_a_hole_of_a_terabyte_is_kept() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    fs::create_dir(&source).expect("made");
    let size: u64 = 1 << 40;
    let file = File::create(source.join("huge")).expect("made");
    file.set_len(size).expect("set");
    file.write_all_at(b"middle", size / 2).expect("written");
    file.write_all_at(b"end", size - 3).expect("written");
    let target = pack_and_unpack(&source, scratch.path());
    let restored = File::open(target.join("huge")).expect("opens");
    assert_eq!(restored.metadata().expect("readable").len(), size);
    assert!(blocks(&target.join("huge")) <= blocks(&source.join("huge")));
    let mut bytes = [0; 6];
    restored.read_exact_at(&mut bytes, size / 2).expect("read");
    assert_eq!(&bytes, b"middle");
    restored.read_exact_at(&mut bytes, size - 6).expect("read");
    assert_eq!(&bytes, b"\0\0\0end");
}

/// Issue 4, test C: what Linux takes in no one call is refused with its path, not cut.
#[test]
fn r1_3_2_a_path_longer_than_linux_takes_is_refused() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    fs::create_dir(&source).expect("made");
    let script = "cd \"$0\"; for i in $(seq 25); do mkdir $1; cd -P ./$1; done; echo x > file";
    let name = "d".repeat(200);
    run(
        "bash",
        &["-ec", script, &source.display().to_string(), &name],
    );
    let home = scratch.path().join("archives");
    let mut writer = ArchiveWriter::create(&home, "a1").expect("begins");
    let options = PackOptions::default();
    let packed = writer.add_tree("state", &source, &options, &mut |_| {});
    let message = chain(&packed.expect_err("refused"));
    assert!(message.contains(&name), "{message}");
    assert!(
        message.ends_with("File name too long (os error 36)"),
        "{message}"
    );
    drop(writer);
    assert!(!home.join("a1").exists() && !home.join("a1.partial").exists());
}

/// The same through the short command that people remember.
#[test]
fn r1_3_2_cat_zstd_tar_restores_a_state_with_many_segments() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 12, 1);
    let path = archive(&source, scratch.path(), "a1", &buildkit_state_rules());
    let (one, other) = (scratch.path().join("one"), scratch.path().join("other"));
    fs::create_dir(&one).expect("made");
    let script = format!(
        "set -eo pipefail; cat {}/trees/state/*.tar.zst | zstd -d | tar --xattrs --xattrs-include='*' -xpf - -C {} --numeric-owner",
        path.display(),
        one.display()
    );
    run("bash", &["-c", &script]);
    let archive = open(&path).expect("opens");
    verify(&archive, &mut |_| {}).expect("verifies");
    unpack(
        &archive,
        "state",
        &other,
        &UnpackOptions::default(),
        &mut |_| {},
    )
    .expect("unpacks");
    assert_same(&listing(&one), &listing(&other));
    assert!(archive.manifest().trees[0].segments.len() > 14);
}

#[test]
fn r1_3_2_a_state_is_kept_without_its_scratch() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 5, 1);
    let path = archive(&source, scratch.path(), "a1", &buildkit_state_rules());
    let archive = open(&path).expect("opens");
    let skipped: Vec<String> = archive.manifest().trees[0]
        .skipped
        .iter()
        .map(|skipped| skipped.path.to_string())
        .collect();
    for expected in [
        "buildkitd.lock",
        "cache.db.x7.bak",
        "runc-overlayfs/cachemounts",
        "runc-overlayfs/content/ingest",
        "runc-overlayfs/executor",
        "runc-overlayfs/snapshots/snapshots/1/work/work",
    ] {
        assert!(
            skipped.iter().any(|path| path == expected),
            "{expected} in {skipped:?}"
        );
    }
    let target = scratch.path().join("target");
    unpack(
        &archive,
        "state",
        &target,
        &UnpackOptions::default(),
        &mut |_| {},
    )
    .expect("unpacks");
    for kept in [
        "runc-overlayfs/workerid",
        "runc-overlayfs/snapshots/snapshots/1/work/work",
    ] {
        assert!(target.join(kept).exists(), "{kept}");
    }
    assert!(!target.join("runc-overlayfs/executor/resolv.conf").exists());
}

/// Fact 1 of facts.md: a plain tar brings removed files back.
#[test]
fn r1_3_2_a_replaced_directory_stays_replaced_on_a_real_overlay() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    fs::create_dir(&source).expect("made");
    overlay(&source, |merged| {
        fs::remove_dir_all(merged.join("replaced")).expect("removed");
        fs::create_dir(merged.join("replaced")).expect("made");
        fs::write(merged.join("replaced/new"), "new").expect("written");
        fs::remove_file(merged.join("gone")).expect("removed");
    });
    round_trip(&source, scratch.path());
    overlay(&scratch.path().join("target"), |merged| {
        let names: Vec<_> = fs::read_dir(merged.join("replaced"))
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name())
            .collect();
        assert_eq!(names, ["new"]);
        assert!(!merged.join("gone").exists());
    });
}

#[test]
fn r1_3_2_equal_trees_give_equal_archives() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    everything(&source);
    let one = archive(&source, scratch.path(), "a1", &plain_rules());
    // Another home: nothing of it is known.
    let other = archive(&source, &scratch.path().join("b"), "a2", &plain_rules());
    let trees = |path: &Path| timeless(&open(path).expect("opens"));
    assert_eq!(trees(&one), trees(&other));
}

#[test]
fn r1_3_2_the_comparer_sees_each_difference() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    everything(&source);
    let digest = || tree_digest(&source, &CompareOptions::default()).expect("listed");
    let mut seen = vec![digest()];
    for command in [
        "chmod 0600 plain",
        "chown 7 plain",
        "touch -d @5.000000001 plain",
        "setfattr -n user.x -v y plain",
        "echo more >> plain",
        "ln plain plain2",
        "mknod other c 0 1",
    ] {
        run(
            "bash",
            &["-c", &format!("cd {} && {command}", source.display())],
        );
        let now = digest();
        assert!(!seen.contains(&now), "{command}");
        seen.push(now);
    }
}

#[derive(Clone, Debug)]
enum Plant {
    File(Vec<u8>, u32),
    Directory,
    Link,
    Symlink(String),
    Whiteout,
    Xattr(Vec<u8>),
    Sparse(u64),
}

fn plants() -> impl Strategy<Value = Vec<(String, Plant)>> {
    let plant = prop_oneof![
        (prop::collection::vec(any::<u8>(), 0..3000), 0_u32..0o10000)
            .prop_map(|(bytes, mode)| Plant::File(bytes, mode)),
        Just(Plant::Directory),
        Just(Plant::Link),
        "[a-z/.]{1,150}".prop_map(Plant::Symlink),
        Just(Plant::Whiteout),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Plant::Xattr),
        (0_u64..10_000_000).prop_map(Plant::Sparse),
    ];
    prop::collection::vec(("[a-d]{1}(/[a-d%= é-]{1,90}){0,3}", plant), 0..40)
}

fn plant(root: &Path, plants: &[(String, Plant)]) {
    fs::create_dir(root).expect("made");
    let mut last = None;
    for (name, plant) in plants {
        let path = root.join(name);
        // Names that clash with what is there are left out.
        if path.symlink_metadata().is_ok()
            || fs::create_dir_all(path.parent().expect("has one")).is_err()
        {
            continue;
        }
        let planted = world::plant_one(&path, last.as_deref());
        last = match plant {
            Plant::File(bytes, mode) => planted.file(bytes, *mode),
            Plant::Directory => planted.directory(),
            Plant::Link => planted.link(),
            Plant::Symlink(target) => planted.symlink(target),
            Plant::Whiteout => planted.whiteout(),
            Plant::Xattr(value) => planted.xattr(value),
            Plant::Sparse(size) => planted.sparse(*size),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn r1_3_2_any_tree_survives_the_round_trip(plants in plants()) {
        let scratch = scratch();
        let source = scratch.path().join("source");
        plant(&source, &plants);
        round_trip(&source, scratch.path());
    }
}
