//! A disk without room for archives: a cache that a person gives up by name goes without one, and all else is kept.

use crate::support::{Answer, Machine};
use std::path::PathBuf;

#[test]
fn r1_3_2_where_there_is_no_room_a_cache_can_be_given_up_by_name() {
    let machine = Machine::quick();
    let image = machine.export();
    let disk = Disk::small(&machine);
    let rekit = |arguments: &[&str]| {
        let mut command = machine.command("rekit", arguments);
        Answer::of(command.env("REKIT_HOME", &disk.place))
    };
    let reinstall = ["reinstall", "--yes", "--without-cache-backup"];
    let given_up = |builder: &str| rekit(&[&reinstall[..], &[builder]].concat());
    rekit(&reinstall[..2])
        .ends_with(4)
        .says("--without-cache-backup NAME");
    given_up("nobody").ends_with(2).says("no builder `nobody`");
    machine.export().is_warm_twin_of(&image);

    given_up("team").good().says("its cache was given up");
    let volumes = machine.docker(&["volume", "ls", "--quiet"]).good().stdout;
    assert!(
        !volumes
            .lines()
            .any(|name| name == "buildx_buildkit_team0_state")
    );
    let listed = rekit(&["backup", "list", "--format", "json"]).good().json();
    let archives = listed["archives"].as_array().unwrap();
    let of_team = archives.iter().any(|it| {
        let volume = it["volume"].as_str();
        volume == Some("buildx_buildkit_team0_state")
    });
    assert!(!of_team, "{listed:#}");
    assert_ne!(machine.export().differs_from(&image), Vec::<String>::new());

    // The builder comes back as it was, but for its cache; and goes once more.
    rekit(&["rollback", "--yes"]).good();
    machine.docker(&["inspect", "buildx_buildkit_team0"]).good();
    machine.export();
    rekit(&["clean", "team", "--yes", "--without-cache-backup", "team"]).good();
    let objects = machine.objects();
    let mut left = objects.iter().filter(|name| name.contains("team0"));
    // The node that the rollback parked.
    assert!(left.all(|name| name.contains("team0-g1")), "{objects:?}");
}

/// A disk of a few megabytes.
struct Disk<'a> {
    machine: &'a Machine,
    place: PathBuf,
}

impl<'a> Disk<'a> {
    fn small(machine: &'a Machine) -> Self {
        let place = machine.lab.root().join("tmp/small");
        std::fs::create_dir(&place).unwrap();
        let mut mount = machine.lab.command("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "rekit-test"]);
        Answer::of(mount.arg(&place)).good();
        Self { machine, place }
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        drop(self.machine.lab.command("umount").arg(&self.place).status());
    }
}
