//! Versions that are read from a program's file are those that the program says.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rekit_core::inventory::Tool;
use rekit_run::{inventory::Limits, world::environment::Surroundings};

use super::look_with;

/// The copies of docker in these folders, as the inventory of a machine without anything else knows them.
fn copies(folders: &[PathBuf]) -> Vec<Tool> {
    let empty = tempfile::tempdir().unwrap();
    let path = std::env::join_paths(folders).unwrap();
    let variables: BTreeMap<String, String> =
        [("PATH".to_owned(), path.into_string().unwrap())].into();
    let surroundings = Surroundings::new(variables, empty.path().to_owned(), 1000)
        .with_root(empty.path().to_owned());
    let mut tools = look_with(&surroundings, Limits::default()).0.tools;
    tools.retain(|tool| tool.name == "docker");
    tools
}

fn version_said(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said = said.strip_prefix("Docker version ").unwrap();
    said.split(',').next().unwrap().to_owned()
}

/// Docker's command line where it may lie on this machine: its own and those of the lab's parts.
fn real_programs() -> Vec<PathBuf> {
    let cache = Path::new(&std::env::var("HOME").unwrap()).join(".cache/rekit-lab");
    let parts = fs::read_dir(cache).unwrap();
    parts
        .map(|part| part.unwrap().path().join("usr/bin"))
        .chain(["/usr/bin".into(), "/usr/local/bin".into()])
        .filter(|folder| folder.join("docker").exists())
        .collect()
}

#[test]
fn r1_1_2_every_real_docker_has_the_version_that_it_says() {
    let folders = real_programs();
    assert!(folders.len() > 1, "the lab has two engines: {folders:?}");
    let found = copies(&folders);
    assert_eq!(found.len(), folders.len());
    for (tool, folder) in found.iter().zip(&folders) {
        let said = version_said(&folder.join("docker"));
        assert_eq!(tool.version.known(), Some(&said), "{}", folder.display());
    }
}

/// Builds a program that stands in for docker's command line and leaves a trace when it runs.
fn build(go: &Path, target: &Path, flags: &[&str]) {
    let source = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = source.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("go.mod", "module github.com/docker/cli\n\ngo 1.21\n");
    write(
        "cli/version/version.go",
        "package version\n\nvar Version = \"unknown\"\n",
    );
    write(
        "cmd/docker/docker.go",
        r#"package main

import (
	"os"

	"github.com/docker/cli/cli/version"
)

func main() {
	os.WriteFile(os.Args[0]+".ran", nil, 0o600)
	os.Stdout.WriteString("Docker version " + version.Version + ", build x\n")
}
"#,
    );
    let link = "-s -w -X \"github.com/docker/cli/cli/version.Version=29.0.0\"";
    let output = Command::new(go)
        .args(["build", "-buildvcs=false", "-ldflags", link])
        .args(flags)
        .args(["-o", target.to_str().unwrap(), "./cmd/docker"])
        .current_dir(source.path())
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
}

/// The go command of this machine, or the one that the lab unpacked.
fn go() -> PathBuf {
    if Command::new("go").arg("version").output().is_ok() {
        return "go".into();
    }
    let cache = Path::new(&std::env::var("HOME").unwrap()).join(".cache/rekit-lab");
    let mut parts = fs::read_dir(cache).unwrap().map(|part| part.unwrap());
    let part = parts.find_map(|part| {
        let name = part.file_name().into_string().unwrap();
        let program = part.path().join("usr/lib").join(&name).join("bin/go");
        program.exists().then_some(program)
    });
    part.expect("`cargo run -p rekit-lab -- setup` unpacks a Go")
}

#[test]
fn r1_1_2_a_program_is_run_only_where_its_file_does_not_tell() {
    let (go, root) = (go(), tempfile::tempdir().unwrap());
    let folder = |name: &str| {
        let folder = root.path().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    };
    let ran = |folder: &Path| folder.join("docker.ran").exists();

    let recorded = folder("recorded");
    build(&go, &recorded.join("docker"), &[]);
    let trimmed = folder("trimmed");
    build(&go, &trimmed.join("docker"), &["-trimpath"]);
    // A download that broke off, and a file that nobody may run: running them shows what is wrong.
    let broken = folder("broken");
    let whole = fs::read(recorded.join("docker")).unwrap();
    fs::copy(recorded.join("docker"), broken.join("docker")).unwrap();
    fs::write(broken.join("docker"), &whole[..whole.len() / 4]).unwrap();
    let forbidden = folder("forbidden");
    fs::write(forbidden.join("docker"), &whole).unwrap();

    let folders = [recorded, trimmed, broken, forbidden];
    let found = copies(&folders);
    let known: Vec<_> = found
        .iter()
        .map(|tool| tool.version.known().map(String::as_str))
        .collect();
    assert_eq!(known, [Some("29.0.0"), Some("29.0.0"), None, None]);
    assert!(!ran(&folders[0]) && ran(&folders[1]));
    assert_eq!(
        found[3].version.reason(),
        Some("does not start: permission denied")
    );
}
