//! The project: the tree below the working folder. Scripts that call buildx or buildctl, buildkitd configurations, local cache exports,
//! Dockerfiles with cache mounts.
//!
//! Invariant: the walk ends, however large the tree is; what it left out is told.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use rekit_core::{
    inventory::Script,
    mounts::{self, Dockerfile},
    name::HostPath,
};

use crate::world::{
    clock::Deadline,
    environment::Surroundings,
    host::{self, Entry, Kind},
};

/// How deep the walk goes.
const DEPTH: usize = 8;
/// How many entries it looks at.
const ENTRIES: usize = 50_000;
/// The largest file that is taken for a script.
const SCRIPT_BYTES: u64 = 512 << 10;
/// Folders that hold no script of the project's own.
const SKIPPED: &[&str] = &[
    ".cache",
    ".git",
    ".hg",
    ".svn",
    ".tox",
    ".venv",
    "__pycache__",
    "node_modules",
    "target",
    "vendor",
];
/// Names and ends of files that call programs.
const SCRIPT_NAMES: &[&str] = &[
    "Jenkinsfile",
    "Justfile",
    "Makefile",
    "GNUmakefile",
    "Tiltfile",
    "Vagrantfile",
    "justfile",
    "makefile",
    "package.json",
    "devcontainer.json",
    "tasks.json",
    "launch.json",
    "docker-bake.json",
    "docker-bake.override.json",
];
/// Extensions of files that call programs.
const SCRIPT_EXTENSIONS: &[&str] = &[
    "bash", "bat", "cmd", "fish", "groovy", "hcl", "ksh", "mk", "nu", "pl", "ps1", "py", "rb",
    "sh", "yaml", "yml", "zsh",
];
/// What makes a line a call.
const CALLS: &[&str] = &[
    "docker buildx",
    "docker-buildx",
    "docker bake",
    "buildctl",
    "buildkitd",
    "setup-buildx-action",
    "BUILDX_BUILDER",
    "type=local,dest=",
];

/// What was found in the project.
#[derive(Default)]
pub(super) struct Project {
    /// Scripts.
    pub(super) scripts: Vec<Script>,
    /// Dockerfiles that declare cache mounts.
    pub(super) dockerfiles: Vec<Dockerfile>,
    /// Files named like a configuration of buildkitd.
    pub(super) configurations: Vec<PathBuf>,
    /// Folders that hold a local cache export.
    pub(super) exports: Vec<PathBuf>,
    /// What could not be read or was left out.
    pub(super) unreadable: Vec<(HostPath, String)>,
}

/// Walks the project until the deadline. The root folder and a home are no projects.
pub(super) fn project(surroundings: &Surroundings, deadline: Deadline) -> Project {
    let root = surroundings.working_folder();
    let mut project = Project::default();
    let is_project = root != Path::new("/") && root != surroundings.home();
    let mut walk = Walk {
        entries: 0,
        deadline,
        project: &mut project,
        exports: BTreeSet::new(),
    };
    if is_project {
        walk.folder(root, 0);
    }
    // Continuous integration keeps its cache here by an old custom.
    for usual in ["/tmp/.buildx-cache", "/tmp/.buildx-cache-new"] {
        let path = surroundings.system(usual);
        if is_export(&path) {
            walk.exports.insert(path);
        }
    }
    let exports = std::mem::take(&mut walk.exports);
    project.exports = exports.into_iter().collect();
    project
}

/// A walk under way.
struct Walk<'a> {
    entries: usize,
    deadline: Deadline,
    project: &'a mut Project,
    exports: BTreeSet<PathBuf>,
}

impl Walk<'_> {
    /// Looks at a folder and, unless it is a cache, at what is below it.
    fn folder(&mut self, folder: &Path, depth: usize) {
        if depth > DEPTH {
            return;
        }
        if self.entries >= ENTRIES || self.deadline.is_over() {
            return self.left_out(folder);
        }
        let entries = match host::list(folder, ENTRIES) {
            Ok(entries) => entries,
            Err(error) => {
                let path = host::host_path(folder);
                return self.project.unreadable.push((path, error.to_string()));
            }
        };
        if has_marks(&entries) {
            self.exports.insert(folder.to_owned());
            return;
        }
        for entry in entries {
            self.entries += 1;
            match entry.kind {
                Kind::Folder if !SKIPPED.contains(&entry.name.as_str()) => {
                    self.folder(&entry.path, depth + 1);
                }
                Kind::File => self.file(&entry),
                _ => {}
            }
        }
    }

    /// Notes, once, that the tree is too large.
    fn left_out(&mut self, folder: &Path) {
        let reason = "the project is too large to look through in the time of an inventory";
        if !self
            .project
            .unreadable
            .iter()
            .any(|(_, known)| known == reason)
        {
            self.project
                .unreadable
                .push((host::host_path(folder), reason.to_owned()));
        }
    }

    /// Looks into a file that may be a script.
    fn file(&mut self, entry: &Entry) {
        let extension = Path::new(&entry.name)
            .extension()
            .and_then(|extension| extension.to_str());
        if extension == Some("toml") && entry.name.contains("buildkitd") {
            self.project.configurations.push(entry.path.clone());
            return;
        }
        if is_dockerfile(&entry.name) {
            let content = host::read(&entry.path, SCRIPT_BYTES).unwrap_or_default();
            let text = String::from_utf8_lossy(&content);
            let found = mounts::parse(&host::host_path(&entry.path), &text);
            return self.project.dockerfiles.extend(found);
        }
        let is_named_so = SCRIPT_NAMES.contains(&entry.name.as_str())
            || extension.is_some_and(|extension| SCRIPT_EXTENSIONS.contains(&extension));
        if !is_named_so && extension.is_some() {
            return;
        }
        let Ok(content) = host::read(&entry.path, SCRIPT_BYTES) else {
            return;
        };
        if !is_named_so && !content.starts_with(b"#!") {
            return;
        }
        let text = String::from_utf8_lossy(&content);
        if let Some((file, (lines, builders))) =
            calls(&text).and_then(|found| Some((host::facts(&entry.path)?.0, found)))
        {
            let folder = entry.path.parent().unwrap_or(Path::new("/"));
            self.exports.extend(named_exports(&text, folder));
            self.project.scripts.push(Script {
                file,
                lines,
                builders,
            });
        }
    }
}

/// Returns whether a file is named as Dockerfiles are.
fn is_dockerfile(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["dockerfile", "containerfile"].iter().any(|usual| {
        let rest = name
            .strip_prefix(usual)
            .or_else(|| name.strip_suffix(usual));
        // `Dockerfile.dockerignore` lists files.
        rest.is_some_and(|rest| {
            rest.is_empty()
                || (rest.starts_with('.') || rest.ends_with('.')) && rest != ".dockerignore"
        })
    })
}

/// Returns the lines that call buildx or buildctl and the builders they name; `None` where no line does.
fn calls(text: &str) -> Option<(Vec<u32>, Vec<String>)> {
    let (mut lines, mut builders) = (Vec::new(), BTreeSet::new());
    for (line, number) in text.lines().zip(1_u32..) {
        if CALLS.iter().any(|call| line.contains(call)) {
            lines.push(number);
            builders.extend(builders_of(line));
        } else if !lines.is_empty() && line.contains("--builder") {
            // A call that goes on over several lines.
            builders.extend(builders_of(line));
        }
    }
    (!lines.is_empty()).then(|| (lines, builders.into_iter().collect()))
}

/// Returns the builders that a line names.
fn builders_of(line: &str) -> Vec<String> {
    let words: Vec<&str> = line
        .split(|c: char| c.is_whitespace() || "\"'`;()[],".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let mut builders = Vec::new();
    let makes = line.contains("buildx create");
    for (place, word) in words.iter().enumerate() {
        let (flag, value) = word
            .split_once('=')
            .map_or((*word, None), |(flag, value)| (flag, Some(value)));
        let names = match flag {
            "--builder" | "BUILDX_BUILDER" => true,
            "--name" => makes,
            "use" => place > 0 && words[place - 1] == "buildx",
            _ => false,
        };
        if names {
            builders.extend(value.or_else(|| words.get(place + 1).copied()));
        }
    }
    builders
        .into_iter()
        .filter(|name| name.parse::<rekit_core::name::BuilderName>().is_ok())
        .map(str::to_owned)
        .collect()
}

/// Returns the folders that a script exports cache to and that hold one.
fn named_exports(text: &str, folder: &Path) -> Vec<PathBuf> {
    text.split("type=local,")
        .skip(1)
        .filter_map(|rest| {
            let options = rest
                .split(|c: char| c.is_whitespace() || "\"'`;)".contains(c))
                .next()?;
            options.split(',').find_map(|option| {
                option
                    .strip_prefix("dest=")
                    .or_else(|| option.strip_prefix("src="))
            })
        })
        .map(|path| folder.join(path))
        .filter(|path| is_export(path))
        .collect()
}

/// Returns whether a folder holds a cache that BuildKit exported.
pub(super) fn is_export(folder: &Path) -> bool {
    host::list(folder, ENTRIES).is_ok_and(|entries| has_marks(&entries))
}

/// Returns whether entries are those of an exported cache: an OCI layout with a place for unfinished blobs.
fn has_marks(entries: &[Entry]) -> bool {
    ["blobs", "index.json", "ingest"]
        .iter()
        .all(|mark| entries.iter().any(|entry| entry.name == *mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_1_4_calls_and_the_builders_they_name_are_found() {
        let script = "#!/bin/sh\ndocker buildx create --name ci --use\nexport BUILDX_BUILDER=\"ci\"\ndocker buildx build \\\n  --builder other .\ndocker build .\ndocker buildx use $NAME\n";
        let (lines, builders) = calls(script).unwrap();
        assert_eq!(lines, [2, 3, 4, 7]);
        assert_eq!(builders, ["ci", "other"]);
        assert!(calls("docker build .\n").is_none());
    }
}
