//! Caches outside any engine, and what builders need beside their caches: archived, deleted, brought back, used.

use crate::support::{Answer, Machine, differences};
use rekit_lab::{Address, Standalone, StandaloneOptions};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// Archives what is named and returns the last archive.
fn backed_up(machine: &Machine, names: &[&str]) -> String {
    let answer = machine.rekit(&[&["backup", "create", "--yes"], names].concat());
    answer.good().stdout.lines().last().unwrap().to_owned()
}

/// Returns the archive of a kind in rekit's own directory.
fn archive_of(machine: &Machine, kind: &str) -> String {
    let list = ["backup", "list", "--format", "json"];
    let listed = machine.rekit(&list).good().json();
    let archives = listed["archives"].as_array().unwrap();
    let found = archives.iter().find(|archive| archive["kind"] == kind);
    found.unwrap()["path"].as_str().unwrap().to_owned()
}

fn manifest(archive: &str) -> serde_json::Value {
    let bytes = fs::read(Path::new(archive).join("manifest.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn r1_3_1_the_state_of_a_standalone_daemon_comes_back_warm() {
    let machine = Machine::small();
    let daemon = machine
        .lab
        .standalone_buildkitd(&StandaloneOptions::default())
        .unwrap();
    machine.remote("far", daemon.address(), &[]);
    let image = machine.export_of("far");
    let root = daemon.root().display().to_string();
    let archive = backed_up(&machine, &[&root]);
    let made = manifest(&archive);
    assert_eq!(made["consistency"], "frozen", "{made:#}");
    assert_eq!(made["metadata"]["folder"], root.as_str());
    let bits = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(bits(&archive), 0o700);
    assert_eq!(bits(&format!("{archive}/manifest.json")), 0o600);

    // Nothing is mixed with what lies there, and a daemon that runs is not robbed of its state.
    machine
        .rekit(&["backup", "restore", &archive, "--yes"])
        .refused()
        .says("holds something");
    machine.export_of("far").is_warm_twin_of(&image);

    daemon.stop().unwrap();
    fs::remove_dir_all(daemon.root()).unwrap();
    machine
        .rekit(&["backup", "restore", &archive, "--yes"])
        .good()
        .says("is back from its archive");
    machine.lab.start_standalone(&daemon).unwrap();
    machine.export_of("far").is_warm_twin_of(&image);

    // A stopped daemon's state, named by a path that is relative, into another folder.
    daemon.stop().unwrap();
    let mut create = machine.command("rekit", &["backup", "create", "--yes", "./data"]);
    let answer = Answer::of(create.current_dir(daemon.folder())).good();
    let stopped = answer.stdout.lines().last().unwrap();
    assert_eq!(manifest(stopped)["consistency"], "clean-stop");
    fs::remove_dir_all(daemon.root()).unwrap();
    let elsewhere = daemon.folder().join("elsewhere");
    machine
        .rekit(&[
            "backup",
            "restore",
            stopped,
            "--yes",
            "--to",
            elsewhere.to_str().unwrap(),
        ])
        .good();
    fs::rename(&elsewhere, daemon.root()).unwrap();
    machine.lab.start_standalone(&daemon).unwrap();
    machine.export_of("far").is_warm_twin_of(&image);
}

#[test]
fn r1_3_1_a_rootless_daemon_is_archived_by_root_and_by_its_own_account() {
    let machine = Machine::small();
    let options = StandaloneOptions {
        rootless: true,
        ..StandaloneOptions::default()
    };
    let daemon = machine.lab.standalone_buildkitd(&options).unwrap();
    machine.remote("far", daemon.address(), &[]);
    let image = machine.export_of("far");
    let root = daemon.root().display().to_string();

    let by_root = backed_up(&machine, &[&root]);
    comes_back(
        &machine,
        &daemon,
        |archive| machine.rekit(&["backup", "restore", archive, "--yes"]),
        &by_root,
    );
    machine.export_of("far").is_warm_twin_of(&image);

    let machine = machine.lent_to_user();
    let as_account = |arguments: &[&str]| {
        let mut command = as_rootless_user(&machine);
        Answer::of(command.arg("rekit").args(arguments))
    };
    let answer = as_account(&["backup", "create", "--yes", &root]).good();
    let by_account = answer.stdout.lines().last().unwrap();
    let made = manifest(by_account);
    assert_eq!(made["consistency"], "frozen", "{made:#}");
    assert_eq!(made["metadata"]["owners"], "namespace", "{made:#}");
    comes_back(
        &machine,
        &daemon,
        |archive| as_account(&["backup", "restore", archive, "--yes"]),
        by_account,
    );
    // Root's archive holds other numbers for the same owners: its account cannot give them.
    daemon.stop().unwrap();
    fs::rename(daemon.root(), daemon.folder().join("aside")).unwrap();
    as_account(&["backup", "restore", &by_root, "--yes"])
        .refused()
        .says("bring it back as root");
    assert!(
        !daemon.root().exists(),
        "what was made for it is gone again"
    );
    let stopped = as_account(&[
        "backup",
        "create",
        "--yes",
        &format!("{}/aside", daemon.folder().display()),
    ])
    .good();
    let stopped = stopped.stdout.lines().last().unwrap();
    as_account(&["backup", "restore", stopped, "--yes", "--to", &root]).good();
    machine.lab.start_standalone(&daemon).unwrap();
    machine.export_of("far").is_warm_twin_of(&image);
}

/// Returns a command for a program that runs as the account of the rootless daemon, in the lab's environment.
fn as_rootless_user(machine: &Machine) -> Command {
    let words = machine.lab.as_rootless_user().unwrap();
    let mut command = machine.lab.command(&words[0]);
    command.args(&words[1..]);
    command
}

/// Stops a daemon, removes its state, brings it back and starts the daemon again.
fn comes_back(
    machine: &Machine,
    daemon: &Standalone,
    restore: impl Fn(&str) -> Answer,
    archive: &str,
) {
    daemon.stop().unwrap();
    fs::remove_dir_all(daemon.root()).unwrap();
    restore(archive).good();
    machine.lab.start_standalone(daemon).unwrap();
}

#[test]
fn r1_2_3_keys_scripts_and_configuration_come_back_and_a_daemon_behind_tls_answers() {
    let machine = Machine::small();
    let keys = machine.lab.home().join("keys");
    let daemon = behind_tls(&machine, &keys);
    let image = machine.export_of("far");
    let root = daemon.root().display().to_string();
    machine.rekit(&["backup", "create", "--yes", &root]).good();
    let configuration = &archive_of(&machine, "configuration");
    tells_use_and_policies(configuration);

    let lost = [
        keys.join("client.key"),
        keys.join("daemon.key"),
        keys.join("ca.pem"),
        machine.lab.home().join("project/build.sh"),
        machine.record("far"),
        daemon.folder().join("buildkitd.toml"),
    ];
    let bits = |file: &Path| fs::metadata(file).unwrap().permissions().mode();
    let before: Vec<_> = lost
        .iter()
        .map(|file| (fs::read(file).unwrap(), bits(file)))
        .collect();
    let other = keys.join("client.pem");
    let good = fs::read(&other).unwrap();
    daemon.stop().unwrap();
    for file in &lost {
        fs::remove_file(file).unwrap();
    }
    fs::write(&other, "another one").unwrap();
    let restore = ["backup", "restore", configuration, "--yes"];
    machine
        .rekit(&restore)
        .good()
        .says("client.pem: it differs");
    for (file, (content, mode)) in lost.iter().zip(&before) {
        assert_eq!(&fs::read(file).unwrap(), content, "{}", file.display());
        assert_eq!(bits(file), *mode);
    }
    assert_eq!(fs::read(&other).unwrap(), b"another one");
    let named = |file: &str| machine.rekit(&[&restore[..], &[file]].concat());
    named("/nowhere").ends_with(2).says("holds no `/nowhere`");
    named(other.to_str().unwrap()).good();
    assert_eq!(fs::read(&other).unwrap(), good);
    machine.lab.start_standalone(&daemon).unwrap();
    machine.export_of("far").is_warm_twin_of(&image);
    // It was a change, and can be taken back.
    machine.rekit(&["rollback", "--yes"]).good();
    assert_eq!(fs::read(&other).unwrap(), b"another one");
    machine.rekit(&["rollback", "0", "--yes"]).good();
    assert!(lost.iter().all(|file| !file.exists()));
}

/// Starts a daemon that trusts one client, and makes the builder `far` of it.
fn behind_tls(machine: &Machine, keys: &Path) -> Standalone {
    make_certificates(keys);
    let key = |name: &str| keys.join(name).display().to_string();
    let [daemon, private, ca] = ["daemon.pem", "daemon.key", "ca.pem"].map(key);
    let config =
        format!("[grpc.tls]\n  cert = \"{daemon}\"\n  key = \"{private}\"\n  ca = \"{ca}\"\n");
    let [client, own] = ["client.pem", "client.key"].map(key);
    let flags = [
        ("--tlscacert", &ca),
        ("--tlscert", &client),
        ("--tlskey", &own),
    ];
    let options = StandaloneOptions {
        address: Address::Tcp,
        config,
        client_flags: flags.map(|(flag, file)| format!("{flag}={file}")).to_vec(),
        ..StandaloneOptions::default()
    };
    let daemon = machine.lab.standalone_buildkitd(&options).unwrap();
    let tls = format!("cacert={ca},cert={client},key={own}");
    machine.remote("far", daemon.address(), &["--driver-opt", &tls]);
    daemon
}

/// With the configuration goes what was found of every cache: its use, and its rules of collection.
fn tells_use_and_policies(configuration: &str) {
    let found = fs::read(Path::new(configuration).join("inventory.json")).unwrap();
    let found: rekit_core::inventory::Inventory = serde_json::from_slice(&found).unwrap();
    let is_far = |builder: &str| builder == "far";
    let mut nodes = found.nodes();
    let far = nodes.find(|(_, builder, ..)| is_far(builder.name.as_str()));
    let daemon = far.unwrap().3.daemon.known().unwrap();
    assert!(daemon.cache.known().unwrap().bytes > 0);
    assert!(!daemon.workers[0].gc.is_empty());
}

/// An authority, and a certificate of its for each side.
fn make_certificates(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let script = r"set -e
new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
openssl req -x509 $new -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
for who in daemon client; do
  openssl req $new -subj /CN=$who -keyout $who.key -out $who.csr
  echo subjectAltName=IP:127.0.0.1 > $who.ext
  openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $who.ext -out $who.pem
done";
    let mut openssl = Command::new("sh");
    Answer::of(openssl.args(["-c", script]).current_dir(folder)).good();
}

#[test]
fn r1_3_1_an_exported_cache_comes_back_and_is_imported() {
    let machine = Machine::small();
    let project = machine.lab.home().join("project");
    let export = project.join("export");
    let to = format!("type=local,mode=max,dest={}", export.display());
    machine
        .build(
            "hello",
            &[
                "--builder",
                "team",
                "--output=type=cacheonly",
                "--cache-to",
                &to,
            ],
        )
        .good();
    let found = machine.inventory().caches;
    let kind = rekit_core::inventory::PlaceKind::LocalExport;
    assert!(found.iter().any(|place| place.kind == kind));
    // By its name: daemons of tests beside this one are this machine's too.
    let archive = backed_up(&machine, &[&export.display().to_string()]);
    assert_eq!(manifest(&archive)["metadata"]["kind"], "cache-export");
    let before = rekit_lab::tree(&export).unwrap();
    fs::remove_dir_all(&export).unwrap();
    machine
        .rekit(&["backup", "restore", &archive, "--yes"])
        .good();
    let after = rekit_lab::tree(&export).unwrap();
    assert_eq!(differences(&before, &after), Vec::<String>::new());
    machine
        .docker(&["buildx", "create", "--name", "other", "--bootstrap"])
        .good();
    let from = format!("type=local,src={}", export.display());
    let warm = machine
        .build(
            "hello",
            &[
                "--builder",
                "other",
                "--output=type=cacheonly",
                "--cache-from",
                &from,
            ],
        )
        .good();
    assert_eq!(warm.cold_steps(), Vec::<String>::new());
}
