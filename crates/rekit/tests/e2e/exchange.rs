//! Archives that leave their machine in one file, and come back from it.

use std::{fs, path::Path};

use crate::support::{Answer, Machine};

/// Archives the team's builder and returns the folder of its state's archive.
fn backed_up(machine: &Machine) -> String {
    let made = machine.rekit(&["backup", "create", "team", "--yes"]).good();
    made.stdout.lines().last().unwrap().to_owned()
}

/// Runs a line of shell on the machine, in `folder`.
fn shell(machine: &Machine, folder: &Path, line: &str) -> Answer {
    let mut command = machine.command("bash", &["-o", "pipefail", "-c", line]);
    Answer::of(command.current_dir(folder))
}

/// Returns rekit's answer with another directory of its own.
fn rekit_at(machine: &Machine, home: &Path, arguments: &[&str]) -> Answer {
    Answer::of(machine.command("rekit", arguments).env("REKIT_HOME", home))
}

/// Fails unless the archive in `home` is sound and brings the team's cache back, warm, into a builder `copy`.
fn comes_back_warm(machine: &Machine, home: &Path, id: &str, image: &crate::support::Export) {
    rekit_at(machine, home, &["backup", "verify", id]).good();
    let restore = ["backup", "restore", id, "--builder", "copy", "--yes"];
    rekit_at(machine, home, &restore).good();
    machine.export_of("copy").is_warm_twin_of(image);
}

#[test]
fn r1_3_2_a_state_leaves_in_one_file_and_is_warm_where_it_is_imported() {
    let machine = Machine::small();
    let image = machine.export();
    let archive = backed_up(&machine);
    let place = machine.lab.root().join("tmp");
    let exported = place.join("one.tar");
    let file = exported.display().to_string();
    machine.rekit(&["backup", "export", &archive, &file]).good();
    let id = archive.rsplit('/').next().unwrap().to_owned();

    // With stock tools alone: unpacked, and every byte as it was.
    shell(&machine, &place, "tar -xf one.tar").good();
    let sums = "sha256sum --quiet -c SHA256SUMS";
    shell(&machine, &place.join(&id), sums).good();

    // A pipe gets the same bytes, and nothing else.
    let line = format!("rekit backup export {id} - | cmp - one.tar");
    let piped = shell(&machine, &place, &line).good();
    piped.says("unproven until");

    fs::remove_dir_all(machine.home()).unwrap();
    let elsewhere = place.join("elsewhere");
    let imported = rekit_at(&machine, &elsewhere, &["backup", "import", &file]);
    imported.good().says("every byte was read back");
    let line = format!(
        "cat one.tar | REKIT_HOME={} rekit backup import -",
        elsewhere.display()
    );
    shell(&machine, &place, &line)
        .good()
        .says("was there already");
    comes_back_warm(&machine, &elsewhere, &id, &image);
}

#[test]
fn r1_3_2_stock_age_opens_what_rekit_encrypts_and_the_other_way_round() {
    let machine = Machine::small();
    let image = machine.export();
    let archive = backed_up(&machine);
    let id = archive.rsplit('/').next().unwrap().to_owned();
    let place = machine.lab.root().join("tmp");
    shell(
        &machine,
        &place,
        "age-keygen -o key && age-keygen -y key > recipients",
    )
    .good();

    let sealed = format!("rekit backup export {id} one.age --recipients-file recipients");
    shell(&machine, &place, &sealed).good();
    shell(&machine, &place, "age -d -i key one.age | tar -x").good();
    let sums = "sha256sum --quiet -c SHA256SUMS";
    shell(&machine, &place.join(&id), sums).good();
    let piped =
        format!("rekit backup export {id} - --recipients-file recipients | age -d -i key | tar -t");
    let listed = shell(&machine, &place, &piped).good();
    assert!(listed.stdout.ends_with("/SHA256SUMS\n"), "{listed}");

    let stock = format!("rekit backup export {id} - | age -R recipients -a > stock.age");
    shell(&machine, &place, &stock).good();
    let elsewhere = place.join("elsewhere");
    let import = |file: &str| {
        let line = format!("rekit backup import {file} --identity key");
        let mut command = machine.command("bash", &["-c", &line]);
        Answer::of(command.current_dir(&place).env("REKIT_HOME", &elsewhere))
    };
    // A bit flipped, or the end missing: nothing stays.
    shell(&machine, &place, "head -c -20000 one.age > cut.age").good();
    import("cut.age")
        .ends_with(4)
        .says("nothing of the file was kept");
    assert_eq!(
        fs::read_dir(elsewhere.join("archives/pool"))
            .unwrap()
            .count(),
        0
    );
    import("stock.age").good();
    import("one.age").good().says("was there already");
    comes_back_warm(&machine, &elsewhere, &id, &image);
}

#[test]
fn r1_3_2_a_backup_is_streamed_away_and_not_kept() {
    let machine = Machine::small();
    let image = machine.export();
    let place = machine.lab.root().join("tmp");
    let elsewhere = place.join("elsewhere");
    let import = format!("REKIT_HOME={} rekit backup import -", elsewhere.display());
    shell(
        &machine,
        &place,
        "age-keygen -o key && age-keygen -y key > recipients",
    )
    .good();
    let create = "rekit backup create team --to - --yes --recipients-file recipients";
    let line = format!("{create} | tee file | {import} --identity key --format json");
    let answer = shell(&machine, &place, &line).good();
    let answer = answer
        .says("no longer in rekit's own directory")
        .says("unproven until");
    let imported = answer.json();
    let archives = imported["archives"].as_array().unwrap();
    assert_eq!(
        archives.len(),
        3,
        "configuration, state, image: {imported:#}"
    );
    let listed = machine.rekit(&["backup", "list"]).good();
    listed.says("There are no archives yet");
    let pool = machine.home().join("archives/pool");
    assert_eq!(fs::read_dir(pool).unwrap().count(), 0, "nothing is kept");
    let id = archives[1]["id"].as_str().unwrap();
    comes_back_warm(&machine, &elsewhere, id, &image);

    // Where nobody takes the stream, nothing stays either.
    let line = "set +o pipefail; rekit backup create team --to - --yes | head -c 1000 > /dev/null; exit ${PIPESTATUS[0]}";
    shell(&machine, &place, line)
        .ends_with(1)
        .says("the archives made for it are removed");
    machine
        .rekit(&["backup", "list"])
        .good()
        .says("There are no archives yet");
}

/// Returns the plan of a backup, as one line: nobody agrees to it.
fn planned(machine: &Machine, arguments: &[&str]) -> String {
    let create = [&["backup", "create", "team"], arguments].concat();
    let asked = machine.rekit(&create).ends_with(2);
    let words: Vec<_> = asked.stderr.split_whitespace().collect();
    words.join(" ")
}

#[test]
fn r1_3_3_a_plan_says_what_an_archive_takes_once_one_was_made() {
    let machine = Machine::small();
    machine.export();
    let first = planned(&machine, &[]);
    let unknown = "unknown until a first archive is made here";
    assert!(first.contains(unknown), "{first}");
    let archive = backed_up(&machine);
    let id = archive.rsplit('/').next().unwrap();
    let second = planned(&machine, &[]);
    let known = format!("what has not changed since {id}");
    for part in ["at most about", "judged by earlier archives", &known] {
        assert!(second.contains(part), "no `{part}` in {second}");
    }
    // Elsewhere nothing is shared, and nothing is said to be.
    let elsewhere = planned(&machine, &["--to", "/tmp/elsewhere"]);
    assert!(elsewhere.contains("at most about"), "{elsewhere}");
    assert!(!elsewhere.contains("has not changed since"), "{elsewhere}");
}
