//! Whatever happens to an archive, `verify` finds it, and nothing panics.
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
use std::path::Path;

use rekit_archive::{
    ArchiveWriter, Consistency, MemoryFile, MetadataOfArchive, TreePath, UnpackOptions,
    buildkit_state_rules, open, unpack, verify,
};
use world::{archive, files, is_whole, scratch, state};

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
