//! The end of the probation: nothing is removed without its proof.

use crate::support::Machine;
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

#[test]
fn r1_3_5_one_flipped_bit_in_an_archive_and_nothing_is_removed() {
    let machine = Machine::quick();
    let image = machine.export();
    machine.rekit(&["reinstall", "--yes"]).good();
    let ids = || machine.docker(&["ps", "-aq", "--no-trunc"]).good().stdout;
    let (parked, same) = (machine.objects(), ids());
    flip_a_bit(&largest_file(&machine.home().join("archives")));
    machine.rekit(&["finalize", "--yes"]).ends_with(4).refused();
    assert_eq!(machine.objects(), parked);
    assert_eq!(ids(), same, "not even removed and made again");
    machine.rekit(&["rollback", "--yes"]).good();
    machine.export().is_warm_twin_of(&image);
}

/// What an undo made again has another id, and is still what was parked.
#[test]
fn r1_4_1_an_end_of_the_probation_that_was_taken_back_can_be_left_or_ended_again() {
    let machine = Machine::quick();
    let image = machine.export();
    machine.rekit(&["reinstall", "--yes"]).good();
    // The second time, what was made again is made again.
    take_a_finalize_back(&machine);
    take_a_finalize_back(&machine);
    machine.rekit(&["rollback", "0", "--yes"]).good();
    machine.export().is_warm_twin_of(&image);
    take_a_finalize_back(&machine);
    machine.rekit(&["finalize", "--yes"]).good();
    let status = machine.rekit(&["status", "--format", "json"]).good();
    assert_eq!(
        status.json()["parked"].as_array().unwrap().len(),
        0,
        "{status}"
    );
    machine.export().is_warm_twin_of(&image);
}

/// Kills an end of the probation when all of it is removed, and goes back.
fn take_a_finalize_back(machine: &Machine) {
    let ids = || machine.docker(&["ps", "-aq", "--no-trunc"]).good().stdout;
    let (parked, same) = (machine.objects(), ids());
    machine.rekit_killed_at("1:started", &["finalize", "--yes"]);
    let last = machine.runs().last().unwrap().plan.steps.len();
    machine.rekit_killed_at(&format!("{last}:finished"), &["resume", "--yes"]);
    machine.rekit(&["rollback", "--yes"]).good();
    assert_eq!(machine.objects(), parked);
    assert_ne!(ids(), same, "nothing was removed and made again");
}

#[test]
fn r2_1_5_a_parked_node_that_somebody_started_is_not_removed() {
    let machine = Machine::quick();
    machine.rekit(&["reinstall", "--yes"]).good();
    machine.docker(&["start", "buildx_buildkit_team0"]).good();
    machine
        .rekit(&["finalize", "--yes"])
        .says("buildx_buildkit_team0");
    let left = machine.objects();
    assert!(
        left.contains("container buildx_buildkit_team0")
            && left.contains("volume buildx_buildkit_team0_state"),
        "{left:?}"
    );
}

#[test]
fn what_is_done_is_not_done_again() {
    let machine = Machine::quick();
    let answer = machine
        .rekit(&["finalize", "--yes", "--format", "json"])
        .good();
    assert_eq!(answer.json()["changed"], false, "{answer}");
}

fn flip_a_bit(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], middle).unwrap();
}

/// Returns the largest file below a folder: the segment that holds most of a state.
pub(crate) fn largest_file(folder: &Path) -> PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let data = path.symlink_metadata().unwrap();
            if data.is_dir() {
                folders.push(path);
            } else {
                files.push((data.len(), path));
            }
        }
    }
    files.into_iter().max().expect("a file").1
}
