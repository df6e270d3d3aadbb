//! `rekit doctor --bundle` on a real machine with secrets planted where people have them: none is in the file, and all that helps is.

use crate::support::{Answer, Machine, differences};
use rekit_core::{inventory::Inventory, name::Digest};
use rekit_lab::modes::CacheSize;
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Makes secrets, each another one, and knows them all.
#[derive(Default)]
struct Secrets(Vec<String>);

impl Secrets {
    fn new_one(&mut self) -> String {
        let secret = format!("hunter{}planted", self.0.len() + 100);
        self.0.push(secret.clone());
        secret
    }

    /// Fails if one of the secrets is in a text, plain or as part of a login in base64.
    fn none_in(&self, path: &Path, text: &str) {
        for secret in &self.0 {
            let login = base64(&format!("user:{secret}"));
            for form in [secret, &base64(secret), &login] {
                assert!(
                    !text.contains(form.trim_end_matches('=')),
                    "{form} in {}:\n{text}",
                    path.display()
                );
            }
        }
    }
}

/// Encodes as stock tools do, not as rekit does.
fn base64(text: &str) -> String {
    let script = format!("printf %s '{text}' | base64 -w0");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn change(path: &Path, change: impl FnOnce(&mut Value)) {
    let text = fs::read_to_string(path).unwrap_or_else(|_| "{}".to_owned());
    let mut value = serde_json::from_str(&text).unwrap();
    change(&mut value);
    write(path, &value.to_string());
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Plants a secret wherever people have them.
fn plant(machine: &Machine) -> Secrets {
    let mut secrets = Secrets::default();
    plant_in_configurations(machine, &mut secrets);
    plant_in_a_record(&machine.record("team"), &mut secrets);
    plant_in_a_context(&machine.lab.home(), &mut secrets);
    plant_around(&machine.lab.home(), &mut secrets);
    secrets
}

fn plant_in_configurations(machine: &Machine, secrets: &mut Secrets) {
    let home = machine.lab.home();
    change(&home.join(".docker/config.json"), |config| {
        let login = base64(&format!("user:{}", secrets.new_one()));
        config["auths"] =
            json!({ "r.example": { "auth": login, "identitytoken": secrets.new_one() } });
        config["HttpHeaders"] = json!({ "X-Meta": secrets.new_one() });
        let proxy = format!("http://user:{}@proxy.example:3128", secrets.new_one());
        config["proxies"] = json!({ "default": { "httpProxy": proxy } });
    });
    change(&machine.lab.daemon_json(), |config| {
        let proxy = format!("http://user:{}@proxy.example:3128", secrets.new_one());
        config["proxies"] = json!({ "http-proxy": proxy });
        config["log-opts"] = json!({ "splunk-token": secrets.new_one(), "max-size": "10m" });
    });
}

fn plant_in_a_record(record: &Path, secrets: &mut Secrets) {
    change(record, |record| {
        let node = &mut record["Nodes"][0];
        node["DriverOpts"]["env.DEPLOY"] = json!(secrets.new_one());
        let key = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            secrets.new_one()
        );
        node["Files"]["certs/r.example/key.pem"] = json!(base64(&key));
        let toml = format!(
            "# token: {}\ndebug = true\n[registry.\"r.example\"]\nmirrors = [\"user:{}@m.example\"]\n",
            secrets.new_one(),
            secrets.new_one()
        );
        node["Files"]["buildkitd.toml"] = json!(base64(&toml));
    });
}

fn plant_in_a_context(home: &Path, secrets: &mut Secrets) {
    let context = Digest::of(b"far").to_string();
    let contexts = home.join(".docker/contexts");
    let host = format!("tcp://user:{}@far.example:2376", secrets.new_one());
    let meta = json!({ "Name": "far", "Metadata": { "ApiToken": secrets.new_one() }, "Endpoints": { "docker": { "Host": host } } });
    write(
        &contexts.join("meta").join(&context).join("meta.json"),
        &meta.to_string(),
    );
    write(
        &contexts.join("tls").join(&context).join("docker/key.pem"),
        &secrets.new_one(),
    );
}

fn plant_around(home: &Path, secrets: &mut Secrets) {
    let unit = format!(
        "[Service]\nEnvironment=\"DEPLOY={}\"\nExecStart=/usr/bin/buildkitd --debug\n",
        secrets.new_one()
    );
    write(&home.join(".config/systemd/user/buildkit.service"), &unit);
    change(
        &home.join(".docker/desktop/settings-store.json"),
        |settings| {
            settings["OverrideProxyHTTP"] =
                json!(format!("http://user:{}@proxy.example", secrets.new_one()));
        },
    );
    let project = home.join("project");
    write(
        &project.join(".npmrc"),
        &format!("//r.example/:_authToken={}\n", secrets.new_one()),
    );
    write(
        &project.join("rekit.toml"),
        &format!("# password = {}\n", secrets.new_one()),
    );
    write(
        &project.join("ci.sh"),
        &format!(
            "docker buildx build --builder team --build-arg TOKEN={} .\n",
            secrets.new_one()
        ),
    );
    write(
        &home.join(".bashrc"),
        &format!(
            "export BUILDX_BUILDER=team\nexport NPM={}\n",
            secrets.new_one()
        ),
    );
}

/// Lists the files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn a_bundle_has_all_that_helps_and_no_planted_secret() {
    let machine = Machine::with(true, CacheSize::Small);
    let mut secrets = plant(&machine);
    let proxy = format!("http://user:{}@proxy.example:1", secrets.new_one());
    let before = machine.world();
    let bundle = |file: &str| {
        Answer::of(
            machine
                .command("rekit", &["doctor", "--bundle", file])
                .env("HTTPS_PROXY", &proxy),
        )
    };
    // Beside the home: what is new in it is the proof that something was changed.
    let tar = machine.lab.root().join("tmp/out.tar");
    let file = tar.to_str().unwrap();
    let said = bundle(file)
        .good()
        .says("Read it before you send it")
        .says("inventory.json");
    assert_eq!(said.stdout, "");
    secrets.none_in(Path::new("stderr"), &said.stderr);
    assert_eq!(
        fs::metadata(&tar).unwrap().permissions().mode() & 0o7777,
        0o600
    );

    let look = machine.lab.root().join("tmp/look");
    fs::create_dir_all(&look).unwrap();
    Answer::of(
        Command::new("tar")
            .arg("-xf")
            .arg(&tar)
            .arg("-C")
            .arg(&look),
    )
    .good();
    let files = files(&look);
    for file in &files {
        let text = String::from_utf8(fs::read(file).unwrap()).unwrap();
        secrets.none_in(file, &text);
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    has_what_helps(&files);
    let inventory = fs::read_to_string(look.join("rekit-bundle/inventory.json")).unwrap();
    let inventory: Inventory = serde_json::from_str(&inventory).unwrap();
    assert!(inventory.nodes().count() > 0);

    // It looked only, and it overwrites nothing.
    assert_eq!(differences(&before, &machine.world()), [] as [String; 0]);
    assert!(machine.runs().is_empty());
    let bytes = fs::read(&tar).unwrap();
    bundle(file).refused().says("not there yet");
    assert_eq!(fs::read(&tar).unwrap(), bytes);
    let pipe = "rekit doctor --bundle - | tar -t";
    Answer::of(&mut machine.command("sh", &["-c", pipe]))
        .good()
        .says("rekit-bundle/README.txt");
}

/// Fails unless the files that help are there, with what is no secret in them.
fn has_what_helps(files: &[PathBuf]) {
    for (end, part) in [
        ("rekit-bundle/README.txt", "READ IT BEFORE YOU SEND IT"),
        ("rekit-bundle/findings.json", "rekit/findings"),
        ("rekit-bundle/versions.txt", "buildx"),
        (".docker/config.json", "proxy.example:3128"),
        ("daemon.json", "10m"),
        ("instances/team", "certs/r.example/key.pem"),
        ("team.nodes/1-team0.toml", "@m.example"),
        ("meta.json", "@far.example:2376"),
        (
            "systemd/user/buildkit.service",
            "ExecStart=/usr/bin/buildkitd --debug",
        ),
        ("desktop/settings-store.json", "proxy.example"),
        ("project/rekit.toml", "# password = ***"),
        ("buildx_buildkit_team0.txt", "running server"),
    ] {
        let texts = files
            .iter()
            .filter(|file| file.ends_with(end) || file.display().to_string().ends_with(end));
        let found = texts
            .map(|file| fs::read_to_string(file).unwrap())
            .any(|text| text.contains(part));
        assert!(found, "no `{part}` in a file `{end}` of {files:#?}");
    }
}
