//! A tree of very many files, in little memory. Alone in its process, whose memory it measures.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test plants real trees, and a campaign prints what it found"
)]

use std::fs;

use rekit_archive::{
    ArchiveWriter, Consistency, MetadataOfArchive, PackOptions, UnpackOptions, open, unpack, verify,
};

/// What is promised.
const MOST_BYTES: u64 = 100_000_000;

/// Runs one step and returns what it came to; its memory must stay within what is promised.
fn within_memory<T>(what: &str, step: impl FnOnce() -> T) -> T {
    // Forgets the peak so far, proc_pid_clear_refs(5).
    fs::write("/proc/self/clear_refs", "5").expect("proc is mounted");
    let done = step();
    let status = fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let peak: u64 = kibibytes.and_then(|text| text.parse().ok()).expect("known");
    println!("| {what} | {} |", peak >> 10);
    assert!(peak << 10 <= MOST_BYTES, "{what} took {peak} KiB");
    done
}

/// Issue 4, test E, as a sample; `scripts/campaign many` does it with a million.
#[test]
fn r1_3_5_very_many_files_take_little_memory() {
    let number = std::env::var("FILES").ok();
    let files: u64 = number.map_or(50_000, |text| text.parse().expect("a number"));
    let scratch = tempfile::tempdir_in("/dev/shm").expect("made");
    let at = |name: &str| scratch.path().join(name);
    for file in 0..files {
        let folder = at("source").join((file / 1000).to_string());
        if file % 1000 == 0 {
            fs::create_dir_all(&folder).expect("made");
        }
        fs::write(folder.join(file.to_string()), "").expect("written");
    }
    println!("| {files} files | peak, MiB |");
    let path = within_memory("pack", || {
        let mut writer = ArchiveWriter::create(&at("archives"), "a1").expect("begins");
        let options = PackOptions::default();
        let added = writer.add_tree("state", &at("source"), &options, &mut |_| {});
        added.expect("packed");
        let metadata = MetadataOfArchive {
            consistency: Consistency::CleanStop,
            metadata: serde_json::Value::Null,
        };
        writer.finish(metadata).expect("finished").path
    });
    let archive = open(&path).expect("opens");
    let verified = within_memory("verify", || verify(&archive, &mut |_| {}));
    assert_eq!(verified.expect("whole").files(), files);
    let options = UnpackOptions::default();
    let unpacked = within_memory("unpack", || {
        unpack(&archive, "state", &at("target"), &options, &mut |_| {})
    });
    assert_eq!(unpacked.expect("unpacks").counts.files, files);
}
