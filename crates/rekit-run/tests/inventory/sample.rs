//! Sample trees without any engine: a machine without Docker is a normal case.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use rekit_core::{inventory::Inventory, name::Digest};
use rekit_run::{inventory::Limits, world::environment::Surroundings};
use tempfile::TempDir;

use super::look_with;

/// A tree with a home `/home/u` and a project in it.
struct Sample {
    root: TempDir,
    variables: BTreeMap<String, String>,
}

impl Sample {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("home/u");
        fs::create_dir_all(home.join("project")).unwrap();
        let variables = [("HOME".to_owned(), home.to_str().unwrap().to_owned())].into();
        Self { root, variables }
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(
            name.to_owned(),
            value.replace("ROOT", self.root.path().to_str().unwrap()),
        );
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(
            path,
            text.replace("ROOT", self.root.path().to_str().unwrap()),
        )
        .unwrap();
    }

    fn program(&self, path: &str, text: &str) {
        self.write(path, text);
        let path = self.root.path().join(path.trim_start_matches('/'));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn context(&self, name: &str, meta: &str) {
        self.write(
            &format!(
                "home/u/.docker/contexts/meta/{}/meta.json",
                Digest::of(name.as_bytes())
            ),
            meta,
        );
    }

    fn builder(&self, name: &str, endpoint: &str) {
        self.write(
            &format!("home/u/.docker/buildx/instances/{name}"),
            &format!(r#"{{"Name":"{name}","Driver":"docker-container","Nodes":[{{"Name":"{name}0","Endpoint":"{endpoint}"}}],"Dynamic":false}}"#),
        );
    }

    fn path(&self, path: &str) -> String {
        self.root.path().join(path).to_str().unwrap().to_owned()
    }

    fn look(&self) -> Inventory {
        let project = self.root.path().join("home/u/project");
        let surroundings = Surroundings::new(self.variables.clone(), project, 1000)
            .with_root(self.root.path().to_owned());
        look_with(&surroundings, Limits::default()).0
    }
}

#[test]
fn r1_1_1_an_empty_machine_is_a_normal_case() {
    let found = Sample::new().look();
    assert_eq!(found.selection.context, "default");
    assert!(
        found.stores[0].builders.is_empty() && found.tools.is_empty() && found.desktop.is_none()
    );
    assert!(
        found
            .hosts
            .iter()
            .all(|host| host.engine.reason().is_some())
    );
    assert!(found.unreadable.is_empty(), "{:?}", found.unreadable);
}

#[test]
fn r1_1_1_the_selection_follows_docker_and_buildx() {
    let mut sample = Sample::new();
    sample.context(
        "far",
        r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://127.0.0.1:1"}}}"#,
    );
    for name in ["a", "b", "c"] {
        sample.builder(name, "far");
    }
    let said = |sample: &Sample| {
        let selection = sample.look().selection;
        let builder = selection.builder.map(|name| name.to_string());
        (
            selection.context,
            selection.context_from,
            builder,
            selection.builder_from,
        )
    };
    let expect = |context: &str, from: &str, builder: Option<&str>, by: &str| {
        (
            context.to_owned(),
            from.to_owned(),
            builder.map(str::to_owned),
            by.to_owned(),
        )
    };
    sample.write("home/u/.docker/config.json", r#"{"currentContext":"far"}"#);
    assert_eq!(said(&sample), expect("far", "config.json", None, "context"));
    let hash = &Digest::of(b"far").as_str()[..20].to_owned();
    sample.write(&format!("home/u/.docker/buildx/defaults/{hash}"), "c");
    assert_eq!(
        said(&sample),
        expect("far", "config.json", Some("c"), "defaults")
    );
    sample.write(
        "home/u/.docker/buildx/current",
        r#"{"Key":"far","Name":"a","Global":false}"#,
    );
    assert_eq!(
        said(&sample),
        expect("far", "config.json", Some("a"), "current")
    );
    sample.set("DOCKER_CONTEXT", "other");
    assert_eq!(
        said(&sample),
        expect("other", "DOCKER_CONTEXT", None, "context")
    );
    sample.write(
        "home/u/.docker/buildx/current",
        r#"{"Key":"far","Name":"a","Global":true}"#,
    );
    assert_eq!(
        said(&sample),
        expect("other", "DOCKER_CONTEXT", Some("a"), "current")
    );
    sample.set("DOCKER_HOST", "tcp://127.0.0.1:1");
    assert_eq!(said(&sample).1, "DOCKER_HOST");
    sample.set("BUILDX_BUILDER", "b");
    assert_eq!(
        said(&sample),
        expect("default", "DOCKER_HOST", Some("b"), "BUILDX_BUILDER")
    );
}

#[test]
fn r1_1_1_broken_contexts_and_records_are_entries() {
    let mut sample = Sample::new();
    sample.context("empty", "");
    sample.context(
        "ghost",
        r#"{"Name":"ghost","Endpoints":{"docker":{"Host":"npipe:////./pipe/docker_engine"}}}"#,
    );
    sample.write(
        "home/u/.docker/contexts/meta/0123/meta.json",
        r#"{"Name":"moved","Endpoints":{"docker":{"Host":"tcp://127.0.0.1:1"}}}"#,
    );
    sample.builder("on-ghost", "ghost");
    sample.builder("nowhere", "no-such-context");
    sample.write(
        "home/u/.docker/buildx/instances/half",
        r#"{"Name":"half","Dri"#,
    );
    sample.write("home/u/.docker/buildx/instances/half.bak~", "{}");
    sample.write("home/u/.docker/buildx/instances/folder/x", "");
    sample.write("home/u/.docker/buildx/current", "");
    sample.set("BUILDX_CONFIG", "ROOT/elsewhere");
    let found = sample.look();
    let unusable = |name: &str| {
        let context = found
            .contexts
            .iter()
            .find(|context| context.name == name)
            .unwrap();
        context
            .state
            .known()
            .and_then(|state| state.unusable.clone())
            .or_else(|| context.state.reason().map(str::to_owned))
            .unwrap()
    };
    assert_eq!(unusable("ghost"), "protocol not available");
    assert!(unusable("moved").contains("docker looks in"));
    assert!(unusable(Digest::of(b"empty").as_str()).contains("does not parse"));
    let [active, other] = found.stores.as_slice() else {
        panic!("two stores")
    };
    assert_eq!(active.path.as_str(), sample.path("elsewhere"));
    assert_eq!(other.path.as_str(), sample.path("home/u/.docker/buildx"));
    let strays: Vec<&str> = other
        .strays
        .iter()
        .map(rekit_core::name::HostPath::file_name)
        .collect();
    assert_eq!(strays, ["folder", "half.bak~"]);
    let reason = |name: &str| {
        let builder = other
            .builders
            .iter()
            .find(|builder| builder.name.as_str() == name)
            .unwrap();
        match builder.record.known() {
            Some(record) => record.nodes[0].daemon.reason().unwrap().to_owned(),
            None => builder.record.reason().unwrap().to_owned(),
        }
    };
    assert!(reason("half").contains("line 1 column"));
    assert_eq!(
        reason("on-ghost"),
        "its context `ghost`: protocol not available"
    );
    assert_eq!(reason("nowhere"), "there is no context `no-such-context`");
    assert!(other.current.as_ref().unwrap().reason().is_some());
}

#[test]
fn r1_1_2_the_plugin_that_runs_is_the_one_that_docker_would_run() {
    let mut sample = Sample::new();
    let says = |version: &str| {
        format!(
            "#!/bin/sh\necho '{{\"SchemaVersion\":\"0.1.0\",\"Vendor\":\"x\",\"Version\":\"{version}\"}}'\n"
        )
    };
    sample.write(
        "home/u/.docker/config.json",
        r#"{"cliPluginsExtraDirs":["ROOT/extra"]}"#,
    );
    sample.program("usr/libexec/docker/cli-plugins/docker-buildx", &says("v3"));
    sample.program("home/u/.docker/cli-plugins/docker-buildx", &says("v2"));
    sample.program("extra/docker-buildx", &says("v1"));
    sample.program(
        "usr/lib/docker/cli-plugins/docker-compose",
        "#!/bin/sh\nsleep 60 & sleep 60\n",
    );
    sample.write("usr/libexec/docker/cli-plugins/docker-compose", "not found");
    fs::create_dir_all(sample.root.path().join("usr/local/lib/docker/cli-plugins")).unwrap();
    std::os::unix::fs::symlink(
        "/nowhere/x",
        sample
            .root
            .path()
            .join("usr/local/lib/docker/cli-plugins/docker-buildx"),
    )
    .unwrap();
    sample.set("PATH", "ROOT/bin:/usr/bin:/bin");
    sample.program(
        "bin/buildctl",
        "#!/bin/sh\necho buildctl github.com/moby/buildkit v0.12.5 abc\n",
    );
    let found = sample.look();
    let tools: Vec<(&str, bool, String)> = found
        .tools
        .iter()
        .filter(|tool| {
            tool.path
                .as_str()
                .starts_with(sample.root.path().to_str().unwrap())
        })
        .map(|tool| {
            let version = tool
                .version
                .known()
                .cloned()
                .or_else(|| tool.version.reason().map(str::to_owned))
                .unwrap();
            (tool.name.as_str(), tool.in_force, version)
        })
        .collect();
    let link = "a link to `/nowhere/x`, which is not there: docker does not see it".to_owned();
    let expected = [
        ("buildx", true, "v1".to_owned()),
        ("buildx", false, "v2".to_owned()),
        ("buildx", false, link),
        ("buildx", false, "v3".to_owned()),
        ("compose", true, "no answer within 2000 ms".to_owned()),
        (
            "compose",
            false,
            "does not start: permission denied".to_owned(),
        ),
        ("buildctl", true, "v0.12.5".to_owned()),
    ];
    assert_eq!(tools, expected);
}

#[test]
fn r1_1_4_files_units_profiles_and_scripts_are_found_and_no_secret_of_theirs() {
    let mut sample = Sample::new();
    sample.write(
        "etc/docker/daemon.json",
        r#"{"features":{"buildkit":true},"builder":{"gc":{"enabled":true}},"log-level":"debug"}"#,
    );
    sample.write("etc/buildkit/buildkitd.toml", "debug = true\n");
    sample.write("home/u/.docker/config.json", r#"{"auths":{"r.example":{"auth":"hunter2"}},"credsStore":"desktop.exe","proxies":{"default":{"httpProxy":"http://u:hunter2@p"}},"aliases":{"builder":"buildx"}}"#);
    sample.write(
        "home/u/.docker/buildx/buildkitd.default.toml",
        "[worker.oci]\n  max-parallelism = 4\n",
    );
    sample.write(
        "usr/lib/systemd/system/buildkit.service",
        "[Service]\nExecStart=/usr/bin/buildkitd --addr unix:///x\n",
    );
    sample.write(
        "usr/lib/systemd/system/ssh.service",
        "[Service]\nExecStart=/usr/sbin/sshd\n",
    );
    sample.write(
        "etc/systemd/system/docker.service.d/proxy.conf",
        "[Service]\nExecStart=/usr/bin/dockerd\nEnvironment=HTTP_PROXY=http://u:hunter2@p\n",
    );
    sample.write(
        "home/u/.config/systemd/user/buildkit.service",
        "[Service]\nExecStart=rootlesskit buildkitd\n",
    );
    sample.write("home/u/.zshrc", "export BUILDX_BUILDER=team\n");
    sample.write("etc/environment", "LANG=C\nDOCKER_BUILDKIT=0\n");
    sample.write(
        "home/u/project/ci/build.sh",
        "docker buildx build --builder=team --secret id=x .\n",
    );
    sample.write("home/u/project/Makefile", "all:\n\tdocker build .\n");
    sample.write(
        "home/u/project/node_modules/x.sh",
        "docker buildx build .\n",
    );
    sample.write("home/u/project/deploy/buildkitd.toml", "debug = true\n");
    sample.write("home/u/project/rekit.toml", "");
    sample.write("var/lib/buildkit/cache.db", "");
    sample.set("HTTPS_PROXY", "http://u:hunter2@proxy:1");
    sample.set("BUILDKIT_HOST", "tcp://127.0.0.1:1");
    let found = sample.look();
    let root = sample.root.path().to_str().unwrap();
    let files: Vec<(String, Vec<String>)> = found
        .files
        .iter()
        .map(|file| {
            (
                file.file.path.as_str().trim_start_matches(root).to_owned(),
                file.keys.clone(),
            )
        })
        .collect();
    let keys = |path: &str| {
        files
            .iter()
            .find(|file| file.0 == path)
            .unwrap_or_else(|| panic!("{path} in {files:?}"))
            .1
            .clone()
    };
    assert_eq!(
        keys("/etc/docker/daemon.json"),
        ["features.buildkit", "builder.gc"]
    );
    assert_eq!(
        keys("/home/u/.docker/config.json"),
        ["auths", "credsStore", "proxies", "aliases.builder"]
    );
    assert_eq!(keys("/etc/buildkit/buildkitd.toml"), ["debug"]);
    assert_eq!(
        keys("/home/u/.docker/buildx/buildkitd.default.toml"),
        ["worker.oci"]
    );
    assert_eq!(
        keys("/etc/systemd/system/docker.service.d/proxy.conf"),
        ["ExecStart", "Environment"]
    );
    assert_eq!(keys("/home/u/.zshrc"), ["BUILDX_BUILDER"]);
    assert_eq!(keys("/etc/environment"), ["DOCKER_BUILDKIT"]);
    assert_eq!(keys("/home/u/project/deploy/buildkitd.toml"), ["debug"]);
    assert!(keys("/home/u/project/rekit.toml").is_empty());
    assert!(files.iter().all(|file| !file.0.contains("ssh")));
    assert_eq!(files.len(), 11, "{files:?}");
    let [script] = found.scripts.as_slice() else {
        panic!("{:?}", found.scripts)
    };
    assert_eq!(
        (script.lines.as_slice(), script.builders[0].as_str()),
        ([1].as_slice(), "team")
    );
    let known_by: Vec<String> = found
        .standalone
        .iter()
        .flat_map(|daemon| daemon.known_by.clone())
        .collect();
    assert_eq!(
        known_by,
        [
            "BUILDKIT_HOST",
            &format!("root {root}/var/lib/buildkit"),
            "unit buildkit.service"
        ]
    );
    assert!(!serde_json::to_string(&found).unwrap().contains("hunter2"));
}

#[test]
fn r1_1_1_no_file_can_hang_the_look() {
    let sample = Sample::new();
    let instances = sample.root.path().join("home/u/.docker/buildx/instances");
    fs::create_dir_all(&instances).unwrap();
    for path in [
        instances.join("pipe"),
        sample.root.path().join("home/u/.docker/config.json"),
        sample.root.path().join("home/u/.bashrc"),
    ] {
        rustix_pipe(&path);
    }
    fs::File::create(instances.join("giant"))
        .unwrap()
        .set_len(10 << 30)
        .unwrap();
    let found = sample.look();
    let store = &found.stores[0];
    assert_eq!(store.strays[0].file_name(), "pipe");
    assert!(
        store.builders[0]
            .record
            .reason()
            .unwrap()
            .contains("larger than")
    );
    let cli = found
        .files
        .iter()
        .find(|file| file.file.path.file_name() == "config.json")
        .unwrap();
    assert_eq!(cli.file.digest.reason(), Some("not a regular file"));
}

fn rustix_pipe(path: &Path) {
    let done = std::process::Command::new("mkfifo")
        .arg(path)
        .status()
        .unwrap();
    assert!(done.success());
}
