//! The image of a builder's daemon: archived once, and loaded where a restore misses it.

use crate::support::Machine;

const IMAGE: &str = "moby/buildkit:buildx-stable-1";

#[test]
fn r1_3_2_a_restore_needs_no_registry() {
    let machine = Machine::quick();
    let image = machine.export();
    let create = ["backup", "create", "team", "--yes"];
    let answer = machine.rekit(&create).good();
    let archive = answer.stdout.lines().last().unwrap().to_owned();
    machine.rekit(&create).good();
    let list = ["backup", "list", "--format", "json"];
    let listed = machine.rekit(&list).good().json();
    let archives = listed["archives"].as_array().unwrap();
    let kept = archives.iter().filter(|it| it["kind"] == "image");
    assert_eq!(kept.count(), 1, "once is enough: {listed:#}");

    let containers = machine.docker(&["ps", "--all", "--quiet"]).good().stdout;
    let ids: Vec<&str> = containers.lines().collect();
    let gone = [&["rm", "--force"][..], &ids].concat();
    machine.docker(&gone).good();
    machine.docker(&["image", "rm", "--force", IMAGE]).good();
    machine.docker(&["image", "inspect", IMAGE]).ends_with(1);
    let answer = machine.rekit(&["backup", "restore", &archive, "--yes"]);
    answer.good().says("load-image");
    machine.docker(&["image", "inspect", IMAGE]).good();
    machine.export().is_warm_twin_of(&image);
}
