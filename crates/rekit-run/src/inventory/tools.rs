//! The programs: docker, buildx, compose, buildctl, buildkitd; every copy, and which of them runs.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use rekit_core::{fact::Fact, inventory::Tool, mask};
use serde_json::Value;

use super::{Limits, cli::CliConfig, together};
use crate::world::{
    environment::Surroundings,
    host::{self, Kind, Output, RunError},
};

/// Where distributions and Docker's own packages put plugins, in docker's order.
const PLUGIN_FOLDERS: &[&str] = &[
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];
/// Folders in which a stray copy of a program may lie though PATH does not name them.
const PROGRAM_FOLDERS: &[&str] = &["/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin"];

/// Programs whose own build records the version that they will say: main package and variable. Others drop that record (`-trimpath`).
const RECORDED: &[(&str, &str, &str)] = &[(
    "docker",
    "github.com/docker/cli/cmd/docker",
    "github.com/docker/cli/cli/version.Version",
)];
/// All of these are Go programs that allocate some megabytes while they start and then end: collecting that garbage took a third of the
/// time of an inventory. With this their collector first runs at 40 MB, so that one which went wild would still be held.
const UNHURRIED_COLLECTOR: &str = "1000";

/// How a program is asked for its version.
#[derive(Clone, Copy)]
enum Question {
    /// As docker asks a plugin.
    Plugin,
    /// With `--version`.
    Program,
}

/// A copy that was found.
struct Copy {
    name: &'static str,
    path: PathBuf,
    in_force: bool,
    /// Why docker does not see it at all.
    invisible: Option<String>,
    /// The version that it would say, where its file tells.
    recorded: Option<String>,
    question: Question,
}

/// Finds every copy of every tool. Looks at files only.
pub(super) fn find(surroundings: &Surroundings, cli: &CliConfig) -> Found {
    let mut copies = Vec::new();
    for (name, file) in [("buildx", "docker-buildx"), ("compose", "docker-compose")] {
        copies.extend(plugin_copies(surroundings, cli, name, file));
    }
    for name in ["docker", "buildctl", "buildkitd"] {
        copies.extend(program_copies(surroundings, name));
    }
    // Asked for its version, a program sees as little as it needs.
    let variables = ["HOME", "PATH"]
        .into_iter()
        .filter_map(|name| Some((name, surroundings.variable(name)?.to_owned())))
        .chain([("GOGC", UNHURRIED_COLLECTOR.to_owned())])
        .collect();
    Found { copies, variables }
}

/// The copies that were found, not yet asked.
pub(super) struct Found {
    copies: Vec<Copy>,
    variables: Vec<(&'static str, String)>,
}

impl Found {
    /// Asks each copy for its version, all at once. A copy that hangs is ended and says so.
    pub(super) async fn ask(self, limits: Limits) -> Vec<Tool> {
        let variables = self.variables;
        let questions = self.copies.into_iter().map(|copy| {
            let variables = variables.clone();
            async move {
                let version = match (copy.invisible, copy.recorded) {
                    (Some(reason), _) => Ok(Fact::Unreadable { reason }),
                    (None, Some(version)) => Ok(Fact::Known(version)),
                    (None, None) => version(&copy.path, copy.question, &variables, limits).await,
                };
                let silent = matches!(version, Err(RunError::OutOfTime(_) | RunError::NotAsked));
                Tool {
                    name: copy.name.to_owned(),
                    path: host::host_path(&copy.path),
                    version: version.unwrap_or_else(|error| Fact::from_result(Err(error))),
                    silent,
                    in_force: copy.in_force,
                }
            }
        });
        together::all(questions.collect::<Vec<_>>()).await
    }
}

/// Lists the copies of a plugin in docker's order; the first is in force, broken or not.
fn plugin_copies(
    surroundings: &Surroundings,
    cli: &CliConfig,
    name: &'static str,
    file: &str,
) -> Vec<Copy> {
    let own = surroundings.docker_config().join("cli-plugins");
    let system = PLUGIN_FOLDERS.iter().map(|path| surroundings.system(path));
    let folders = cli
        .plugin_folders
        .iter()
        .cloned()
        .chain([own])
        .chain(system);
    let (mut copies, mut seen, mut is_taken) = (Vec::new(), HashSet::new(), false);
    for path in folders.map(|folder| folder.join(file)) {
        let Ok(status) = host::status(&path) else {
            if let Some(target) = host::link_target(&path) {
                let reason = format!(
                    "a link to `{}`, which is not there: docker does not see it",
                    target.display()
                );
                copies.push(Copy {
                    name,
                    path,
                    in_force: false,
                    invisible: Some(reason),
                    recorded: None,
                    question: Question::Plugin,
                });
            }
            continue;
        };
        // /usr/lib and /lib may be one folder.
        if status.kind == Kind::File && seen.insert(path.clone()) {
            copies.push(Copy {
                name,
                path,
                in_force: !is_taken,
                invisible: None,
                recorded: None,
                question: Question::Plugin,
            });
            is_taken = true;
        }
    }
    copies
}

/// Lists the copies of a program: those on PATH, then strays. The first executable one on PATH is in force.
fn program_copies(surroundings: &Surroundings, name: &'static str) -> Vec<Copy> {
    let on_path = surroundings.path_folders();
    let strays = PROGRAM_FOLDERS.iter().map(|path| surroundings.system(path));
    let count = on_path.len();
    let (mut copies, mut seen, mut is_taken) = (Vec::new(), HashSet::new(), false);
    for (place, folder) in on_path.into_iter().chain(strays).enumerate() {
        let path = folder.join(name);
        let Ok(status) = host::status(&path) else {
            continue;
        };
        if status.kind != Kind::File || !seen.insert(status.identity) {
            continue;
        }
        let in_force = place < count && !is_taken && status.mode & 0o111 != 0;
        is_taken |= in_force;
        copies.push(Copy {
            name,
            in_force,
            invisible: None,
            recorded: recorded_version(name, &path),
            path,
            question: Question::Program,
        });
    }
    copies
}

/// Reads the version that a program would say, where its file tells beyond doubt. That takes a small part of the time of running it.
fn recorded_version(name: &str, path: &Path) -> Option<String> {
    let (_, package, variable) = RECORDED.iter().find(|(known, ..)| *known == name)?;
    host::linked_text(path, package, variable)
}

/// Runs a copy to learn its version.
async fn version(
    path: &Path,
    question: Question,
    variables: &[(&'static str, String)],
    limits: Limits,
) -> Result<Fact<String>, RunError> {
    let arguments: &[&str] = match question {
        Question::Plugin => &["docker-cli-plugin-metadata"],
        Question::Program => &["--version"],
    };
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let output = host::run(path, arguments, &variables, limits.program).await?;
    let found = match question {
        Question::Plugin => plugin_version(&output),
        Question::Program => program_version(&output.stdout),
    };
    Ok(match found {
        Some(version) if output.code == Some(0) => Fact::Known(version),
        _ => Fact::Unreadable {
            reason: failure(&output),
        },
    })
}

/// Says how a program failed to answer.
fn failure(output: &Output) -> String {
    let said = output
        .stderr
        .lines()
        .chain(output.stdout.lines())
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing");
    let said: String = mask::text(said.trim()).chars().take(200).collect();
    match output.code {
        Some(code) => format!("exit status {code}: {said}"),
        None => format!("ended by a signal: {said}"),
    }
}

/// Returns the version in a plugin's description of itself.
fn plugin_version(output: &Output) -> Option<String> {
    let metadata: Value = serde_json::from_str(&output.stdout).ok()?;
    Some(metadata.get("Version")?.as_str()?.to_owned())
}

/// Returns the version in `Docker version 28.5.2, build x` or `buildctl github.com/moby/buildkit v0.32.2 abc`.
fn program_version(text: &str) -> Option<String> {
    let line = text.lines().next()?;
    line.split_whitespace()
        .map(|word| word.trim_end_matches(','))
        .find(|word| {
            word.trim_start_matches('v')
                .starts_with(|first: char| first.is_ascii_digit())
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_1_2_versions_are_found_in_what_programs_say() {
        for (text, version) in [
            ("Docker version 28.5.2+dfsg4, build 1", "28.5.2+dfsg4"),
            ("buildctl github.com/moby/buildkit v0.32.2 abc", "v0.32.2"),
            ("buildkitd github.com/moby/buildkit 0.12.5 ", "0.12.5"),
        ] {
            assert_eq!(program_version(text).as_deref(), Some(version));
        }
        assert_eq!(program_version("nothing"), None);
    }
}
