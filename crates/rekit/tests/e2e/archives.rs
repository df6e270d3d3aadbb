//! Archives that are tried, shown and removed.

use std::{fs, path::Path, process::Stdio};

use crate::support::{Answer, Machine, differences};
use rekit_archive::{
    ArchiveWriter, MetadataOfArchive, PackOptions, UnpackOptions, buildkit_state_rules,
};
use rekit_buildkit::{Endpoint, Engine, Timeouts};
use rekit_core::rehearsal::Canary;
use rekit_run::world::real::canary;
use serde_json::Value;

const CONTAINER: &str = "buildx_buildkit_team0";

#[test]
fn r1_3_5_a_rehearsal_uses_the_archive_and_leaves_nothing() {
    let machine = Machine::quick();
    machine.export();
    // A stopped daemon cannot be asked for a canary.
    machine.docker(&["stop", CONTAINER]).good();
    let archive = backed_up(&machine);
    let before = machine.world();
    let answer = rehearse(&machine, &archive).good();
    let document = answer.json();
    assert_eq!(document["schema"], "rekit/rehearsal");
    assert_eq!(document["sound"], true);
    assert_eq!(document["cache_hit"], false, "it was not tried");
    assert_eq!(document["snapshotter"], "overlayfs");
    let records = document["records"].as_object().unwrap();
    assert!(records["regular"].as_u64().unwrap() > 3, "{records:?}");
    machine
        .rekit(&["backup", "rehearse", &archive])
        .good()
        .says("no canary in this archive: the cache was not tried");
    unchanged(&before, &machine);

    is_shown(&machine, &archive);
}

#[test]
fn a_rehearsal_that_is_stopped_leaves_nothing_and_one_that_is_killed_until_the_next() {
    let machine = Machine::quick();
    machine.export();
    let archive = backed_up(&machine);
    let before = machine.world();
    signalled(&machine, &archive, "-INT")
        .ends_with(130)
        .says("nothing else was touched");
    unchanged(&before, &machine);

    let killed = signalled(&machine, &archive, "-KILL");
    assert_eq!(killed.signal, Some(9), "{killed}");
    assert_eq!(rehearsed(&machine).len(), 1, "this is what a kill leaves");
    let of_others = "rekit-rehearsal-of-others";
    let label = "rekit.rehearsal=0123456789abcdef";
    machine
        .docker(&["volume", "create", "--label", label, of_others])
        .good();
    rehearse(&machine, &archive).good();
    assert_eq!(rehearsed(&machine), [of_others]);
    machine.docker(&["volume", "rm", of_others]).good();
    unchanged(&before, &machine);
}

#[test]
fn r1_3_5_a_cache_that_the_daemon_resets_silently_is_no_backup() {
    let machine = Machine::quick();
    machine.export();
    machine.docker(&["stop", CONTAINER]).good();
    damage(&machine);
    let archive = backed_up(&machine);
    // Every byte is as it was archived, and yet the archive is worth nothing.
    machine.rekit(&["backup", "verify", &archive]).good();
    let before = machine.world();
    let failure = rehearse(&machine, &archive).ends_with(1).json();
    assert_eq!(failure["code"], "archive-unusable-cache", "{failure:#}");
    let cause = failure["cause"][0].as_str().unwrap();
    let reset = "put it aside and began with an empty one: cache.db.";
    assert!(cause.contains(reset), "{cause}");
    machine
        .rekit(&["backup", "rehearse", &archive])
        .ends_with(1)
        .says("does not bring its cache back")
        .says("gone again");
    unchanged(&before, &machine);
    // Without its image there is no daemon to try it with.
    let gone = |description: &mut Value| {
        let container = &mut description["containers"][0];
        container["Image"] = format!("sha256:{:064}", 0).into();
        container["Config"]["Image"] = "example.test/gone:1".into();
    };
    let changes = Changes {
        description: gone,
        ..Changes::default()
    };
    let missing = repacked(&machine, &archive, "no-image", &changes);
    machine
        .rekit(&["backup", "rehearse", &missing])
        .refused()
        .says("docker pull example.test/gone:1");
    unchanged(&before, &machine);
}

#[test]
fn r1_3_5_a_canary_tells_a_warm_archive_from_one_that_only_boots() {
    let machine = Machine::quick();
    machine.export();
    let canary = canary_left(&machine);
    let second = canary_left(&machine);
    assert_ne!(canary.nonce, second.nonce);
    assert_eq!(
        canary.records, second.records,
        "the later canary takes the place of the earlier one"
    );
    // A running daemon would get another one at the backup.
    machine.docker(&["stop", CONTAINER]).good();
    let archive = backed_up(&machine);
    let before = machine.world();

    let with_canary = Changes {
        canary: Some(&second),
        ..Changes::default()
    };
    let warm = repacked(&machine, &archive, "warm", &with_canary);
    let document = rehearse(&machine, &warm).good().json();
    assert_eq!(document["cache_hit"], true, "{document:#}");
    assert_eq!(document["records_compared"], true, "{document:#}");
    assert_eq!(
        document["notes"].as_array().unwrap().len(),
        0,
        "{document:#}"
    );

    // A daemon without `cache.db` boots, puts nothing aside and shows every record: only the canary tells.
    let without_index = Changes {
        tree: |root| fs::remove_file(root.join("cache.db")).unwrap(),
        ..with_canary
    };
    let cold = repacked(&machine, &archive, "cold", &without_index);
    machine
        .rekit(&["backup", "rehearse", &cold])
        .ends_with(1)
        .says("0 of the 3 steps");

    // Without the list of its records the daemon boots, and begins with nothing: seen without a canary too.
    let unlisted = Changes {
        tree: |root| fs::remove_file(root.join("runc-overlayfs/metadata_v2.db")).unwrap(),
        ..Changes::default()
    };
    let unlisted = repacked(&machine, &archive, "unlisted", &unlisted);
    machine
        .rekit(&["backup", "rehearse", &unlisted])
        .ends_with(1)
        .says("no record at all");

    let mut counted = second.clone();
    *counted.records.idle.get_mut("regular").unwrap() += 2;
    let miscounted = Changes {
        canary: Some(&counted),
        ..Changes::default()
    };
    let short = repacked(&machine, &archive, "short", &miscounted);
    machine
        .rekit(&["backup", "rehearse", &short])
        .ends_with(1)
        .says("does not hold the records that were counted at the backup: regular:");
    unchanged(&before, &machine);
}

#[test]
fn r1_3_5_a_rehearsal_needs_no_root() {
    let machine = Machine::quick().lent_to_user();
    machine.export();
    let archive = backed_up(&machine);
    let before = machine.world();
    let document = rehearse(&machine, &archive).good().json();
    assert_eq!(document["sound"], true, "{document:#}");
    machine.docker(&["stop", CONTAINER]).good();
    damage(&machine);
    let archive = backed_up(&machine);
    let failure = rehearse(&machine, &archive).ends_with(1).json();
    let cause = failure["cause"][0].as_str().unwrap();
    assert!(cause.contains("empty one: cache.db."), "{cause}");
    machine.docker(&["start", CONTAINER]).good();
    unchanged(&before, &machine);
}

#[test]
fn prune_keeps_what_a_way_back_needs_and_frees_the_rest() {
    let machine = Machine::quick();
    let image = machine.export();
    machine.rekit(&["reinstall", "--yes"]).good();
    let states = listed(&machine)
        .into_iter()
        .filter(|archive| archive["kind"] == "state");
    let needed: Vec<String> = states.map(|archive| id(&archive)).collect();
    assert!(!needed.is_empty());
    backed_up(&machine);
    backed_up(&machine);
    let before = ids(&machine);
    let dry = nothing_goes_unasked(&machine);

    let place = machine.home().join("archives");
    let used = bytes_below(&place);
    let pruned = prune(&machine, &["--keep", "1", "--yes"]);
    assert_eq!(pruned["changed"], true);
    assert_eq!(pruned["removed"], dry["removed"]);
    assert_eq!(pruned["freed_bytes"], dry["freed_bytes"]);
    let freed = used - bytes_below(&place);
    assert_eq!(
        pruned["freed_bytes"], freed,
        "what is said is what the disk got back"
    );
    let left = ids(&machine);
    assert!(left.len() < before.len(), "{before:?} {left:?}");
    assert!(
        needed.iter().all(|id| left.contains(id)),
        "{needed:?} {left:?}"
    );
    let reasons = pruned["kept"].to_string();
    assert!(reasons.contains("\"parked\""), "{reasons}");
    assert!(reasons.contains("\"newest\""), "{reasons}");
    for id in &left {
        machine.rekit(&["backup", "verify", id]).good();
    }

    // The way back over a run that was finalized is its archive alone.
    machine.rekit(&["finalize", "--yes"]).good();
    let reasons = prune(&machine, &["--keep", "0", "--yes"])["kept"].to_string();
    assert!(reasons.contains("\"way-back\""), "{reasons}");
    machine.rekit(&["rollback", "--yes"]).good();
    machine.export().is_warm_twin_of(&image);
}

/// Fails unless a rule is asked for, a dry run removes nothing, and neither does a prune without `--yes`. Returns what would go.
fn nothing_goes_unasked(machine: &Machine) -> Value {
    let before = ids(machine);
    machine.rekit(&["backup", "prune"]).ends_with(2);
    let young = prune(machine, &["--older-than", "1d", "--yes"]);
    assert_eq!(young["removed"], Value::Array(Vec::new()));
    machine
        .rekit(&["backup", "prune", "--keep", "1"])
        .ends_with(2)
        .says("--yes");
    let dry = prune(machine, &["--keep", "1", "--dry-run"]);
    assert_eq!(dry["changed"], false);
    assert_eq!(ids(machine), before);
    dry
}

fn prune(machine: &Machine, arguments: &[&str]) -> Value {
    let all = [&["backup", "prune", "--format", "json"], arguments].concat();
    machine.rekit(&all).good().json()
}

/// Fails unless `show` says what the archive of the team's stopped builder holds.
fn is_shown(machine: &Machine, archive: &str) {
    let shown = machine.rekit(&["backup", "show", archive, "--format", "json"]);
    let shown = shown.good().json();
    assert_eq!(shown["schema"], "rekit/archive-content");
    for (key, value) in [
        ("kind", "state"),
        ("consistency", "clean-stop"),
        ("node", "team0"),
        ("snapshotter", "overlayfs"),
        ("image", "moby/buildkit:buildx-stable-1"),
    ] {
        assert_eq!(shown[key], value, "{shown:#}");
    }
    assert_eq!(shown["canary"], false);
    let tree = &shown["trees"][0];
    for key in [
        "files",
        "directories",
        "whiteouts",
        "opaque_directories",
        "hard_links",
        "xattrs",
        "left_out",
        "packed_bytes",
    ] {
        assert!(tree[key].as_u64().unwrap() > 0, "no `{key}` in {tree:#}");
    }
    machine
        .rekit(&["backup", "show", archive])
        .good()
        .says("1 whiteout")
        .says("a rehearsal cannot try the cache");
}

/// Cuts the index of the stopped builder's cache, so that its daemon puts it aside at the next start and begins with an empty one.
fn damage(machine: &Machine) {
    let volume = machine.lab.volume(&format!("{CONTAINER}_state")).unwrap();
    let database = fs::OpenOptions::new()
        .write(true)
        .open(volume.join("cache.db"));
    database.unwrap().set_len(1000).unwrap();
}

/// Archives the team's builder and returns the folder of its state's archive.
fn backed_up(machine: &Machine) -> String {
    let made = machine.rekit(&["backup", "create", "team", "--yes"]).good();
    made.stdout.lines().last().unwrap().to_owned()
}

fn rehearse(machine: &Machine, archive: &str) -> Answer {
    machine.rekit(&["backup", "rehearse", archive, "--format", "json"])
}

#[track_caller]
fn unchanged(before: &crate::support::World, machine: &Machine) {
    let found = differences(before, &machine.world());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn listed(machine: &Machine) -> Vec<Value> {
    let list = machine.rekit(&["backup", "list", "--format", "json"]);
    list.good().json()["archives"].as_array().unwrap().clone()
}

fn ids(machine: &Machine) -> Vec<String> {
    listed(machine).iter().map(id).collect()
}

fn id(archive: &Value) -> String {
    archive["id"].as_str().unwrap().to_owned()
}

/// Returns the bytes of all files below a folder, each counted once.
fn bytes_below(folder: &Path) -> u64 {
    let answer = Answer::of(
        std::process::Command::new("find")
            .arg(folder)
            .args(["-type", "f", "-printf", "%i %s\n"]),
    );
    let lines: std::collections::BTreeSet<_> = answer.stdout.lines().collect();
    lines
        .iter()
        .map(|line| line.split_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum()
}

/// Begins a rehearsal, sends it a signal once it has made its volume, and returns how it ended.
fn signalled(machine: &Machine, archive: &str, signal: &str) -> Answer {
    let mut command = machine.command("rekit", &["backup", "rehearse", archive]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut rehearsal = command.spawn().unwrap();
    while rehearsed(machine).is_empty() {
        let ended = rehearsal.try_wait().unwrap();
        assert!(ended.is_none(), "it ended before its volume was seen");
    }
    let id = rehearsal.id().to_string();
    Answer::of(machine.lab.command("kill").args([signal, &id])).good();
    let output = rehearsal.wait_with_output().unwrap();
    Answer::from(&command, &output)
}

/// Returns the volumes of rehearsals.
fn rehearsed(machine: &Machine) -> Vec<String> {
    let list = [
        "volume",
        "ls",
        "--quiet",
        "--filter",
        "label=rekit.rehearsal",
    ];
    let names = machine.docker(&list).good().stdout;
    names.lines().map(str::to_owned).collect()
}

/// Leaves a canary in the cache of the team's builder.
fn canary_left(machine: &Machine) -> Canary {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::Unix(machine.lab.socket());
        let engine = Engine::connect(endpoint, None, Timeouts::default()).await;
        let container = CONTAINER.parse().unwrap();
        canary::leave_in(&engine.unwrap(), &container)
            .await
            .unwrap()
    })
}

/// What another archive of the same state has otherwise.
struct Changes<'a> {
    tree: fn(&Path),
    description: fn(&mut Value),
    canary: Option<&'a Canary>,
}

impl Default for Changes<'_> {
    fn default() -> Self {
        Self {
            tree: |_| (),
            description: |_| (),
            canary: None,
        }
    }
}

/// Makes another archive of an archived state, in which every byte is as it was written.
fn repacked(machine: &Machine, archive: &str, name: &str, changes: &Changes<'_>) -> String {
    let archive = rekit_archive::open(Path::new(archive)).unwrap();
    let home = machine.lab.root().join("tmp/repacked");
    let tree = machine.lab.root().join("tmp/tree").join(name);
    fs::create_dir_all(&tree).unwrap();
    rekit_archive::unpack(
        &archive,
        "state",
        &tree,
        &UnpackOptions::default(),
        &mut |_| {},
    )
    .unwrap();
    (changes.tree)(&tree);
    let mut writer = ArchiveWriter::create(&home, name).unwrap();
    let options = PackOptions {
        rules: buildkit_state_rules(),
        ..PackOptions::default()
    };
    writer
        .add_tree("state", &tree, &options, &mut |_| {})
        .unwrap();
    let description = fs::read(archive.file("description.json").unwrap()).unwrap();
    let mut description: Value = serde_json::from_slice(&description).unwrap();
    (changes.description)(&mut description);
    writer
        .add_file("description.json", description.to_string().as_bytes())
        .unwrap();
    if let Some(canary) = changes.canary {
        writer
            .add_file(Canary::FILE, &serde_json::to_vec(canary).unwrap())
            .unwrap();
    }
    let metadata = MetadataOfArchive {
        consistency: archive.manifest().consistency,
        metadata: archive.manifest().metadata.clone(),
    };
    writer.finish(metadata).unwrap().path.display().to_string()
}
