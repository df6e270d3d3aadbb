//! A disk that is full, at one write after the other.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests fill real disks"
)]

mod world;

use std::fs;
use std::path::{Path, PathBuf};

use rekit_archive::{
    ArchiveWriter, PackOptions, UnpackOptions, buildkit_state_rules, open, unpack,
};
use world::{archive, chain, clean_stop, is_whole, listing, run, scratch, state};

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
    let build = || {
        let mut writer = ArchiveWriter::create(&disk.join("archives"), "a1")?;
        writer.add_tree("state", &source, &options, &mut |_| {})?;
        writer.finish(clean_stop())
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
