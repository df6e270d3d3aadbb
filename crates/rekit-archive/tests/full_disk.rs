//! A disk that is full, at one write after the other, and at one new file after the other.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests fill real disks"
)]

mod world;

use std::fs;
use std::path::Path;

use rekit_archive::{
    ArchiveWriter, Finished, PackOptions, UnpackOptions, WriteError, buildkit_state_rules, open,
    unpack,
};
use world::{Disk, archive, chain, clean_stop, files, is_whole, listing, run, scratch, state};

const FULL: &str = "No space left on device (os error 28)";

/// Options of ever larger disks: by one page more, then by one file more.
fn pages(most: u32) -> impl Iterator<Item = String> {
    (1..most).map(|pages| format!("size={}k,nr_inodes=1000", 4 * pages))
}

fn inodes(most: u32) -> impl Iterator<Item = String> {
    // tmpfs counts its root, and some kernels more.
    (2..most).map(|inodes| format!("size=64m,nr_inodes={inodes}"))
}

fn build(source: &Path, home: &Path, id: &str) -> Result<Finished, WriteError> {
    let mut writer = ArchiveWriter::create(home, id)?;
    let options = PackOptions::with(buildkit_state_rules());
    writer.add_tree("state", source, &options, &mut |_| {})?;
    writer.add_file("notes.txt", b"notes\n")?;
    writer.finish(clean_stop())
}

/// Asserts that nothing in `home` looks like the archive `id`, whole or begun.
fn assert_nothing_of(home: &Path, id: &str) {
    assert!(!home.join(id).exists(), "{id} is there");
    let partial = home.join(format!("{id}.partial"));
    assert!(!partial.exists(), "{id} is half there");
}

/// Issue 4, test F.
#[test]
fn r1_3_5_a_full_disk_leaves_no_archive_and_no_partial_one() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 3, 1);
    let before = listing(&source);
    for disks in [pages(400).collect::<Vec<_>>(), inodes(200).collect()] {
        let mut refusals = 0;
        for options in &disks {
            let disk = Disk::mount(&scratch.path().join("disk"), options);
            let home = disk.path().join("archives");
            match build(&source, &home, "a1") {
                Ok(finished) => {
                    assert!(is_whole(&finished.path), "{options}");
                    break;
                }
                Err(error) => {
                    refusals += 1;
                    let message = chain(&error);
                    assert!(message.ends_with(FULL), "{options}: {message}");
                    assert_nothing_of(&home, "a1");
                    let left = if home.exists() {
                        files(&home)
                    } else {
                        Vec::new()
                    };
                    assert!(left.is_empty(), "{options}: {left:?}");
                }
            }
        }
        assert!(refusals > 10, "{refusals}");
        assert!(refusals < disks.len(), "it never fitted");
    }
    assert_eq!(before, listing(&source));
}

/// Issue 4, test F: what was there before stays whole.
#[test]
fn r1_3_5_a_full_disk_does_not_hurt_earlier_archives() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 3, 1);
    let disk = Disk::mount(&scratch.path().join("disk"), "size=64m");
    let home = disk.path().join("archives");
    let first = build(&source, &home, "a1").expect("fits").path;
    state_again(&source);
    let used = rustix::fs::statvfs(disk.path()).expect("known");
    let used = (used.f_blocks - used.f_bfree) * used.f_frsize / 1024;
    let at = disk.path().display().to_string();
    for pages in 1..400 {
        let options = format!("remount,size={}k", used + 4 * pages);
        run("mount", &["-o", &options, &at]);
        let second = build(&source, &home, "a2");
        assert!(is_whole(&first), "{pages}");
        match second {
            Ok(finished) => {
                assert!(pages > 10 && is_whole(&finished.path), "{pages}");
                return;
            }
            Err(_) => assert_nothing_of(&home, "a2"),
        }
    }
    panic!("it never fitted");
}

/// Changes what is in the snapshots.
fn state_again(source: &Path) {
    for file in files(source) {
        if file.ends_with("fs/etc/file2") {
            fs::write(file, listing(source)).expect("written");
        }
    }
}

/// Issue 4, test F.
#[test]
fn r1_3_5_a_full_disk_at_the_restore_names_the_path() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    state(&source, 3, 1);
    let path = archive(&source, scratch.path(), "a1", &buildkit_state_rules());
    let archive = open(&path).expect("opens");
    let options = UnpackOptions::default();
    for disks in [pages(800).collect::<Vec<_>>(), inodes(200).collect()] {
        let mut refusals = 0;
        for disk_options in &disks {
            let disk = Disk::mount(&scratch.path().join("disk"), disk_options);
            let target = disk.path().join("target");
            let Err(error) = unpack(&archive, "state", &target, &options, &mut |_| {}) else {
                break;
            };
            refusals += 1;
            let message = chain(&error);
            assert!(message.ends_with(FULL), "{disk_options}: {message}");
            let what = message.rsplit(": ").nth(1).unwrap_or_default();
            assert!(
                what.starts_with("could not ") && what.ends_with('`'),
                "{message}"
            );
        }
        assert!(refusals > 10, "{refusals}");
        assert!(refusals < disks.len(), "it never fitted");
    }
    assert!(is_whole(&path));
}
