//! Shell profiles and files of variables that set something which steers builds. Names and lines only, never values.

use std::path::{Path, PathBuf};

use rekit_core::inventory::{ConfigFile, ConfigKind};

use super::environment;
use crate::world::{environment::Surroundings, host};

/// Files below the home.
const OWN: &[&str] = &[
    ".bash_login",
    ".bash_profile",
    ".bashrc",
    ".config/fish/config.fish",
    ".pam_environment",
    ".profile",
    ".zlogin",
    ".zprofile",
    ".zshenv",
    ".zshrc",
];
/// Files of the system.
const SYSTEM: &[&str] = &[
    "/etc/bash.bashrc",
    "/etc/environment",
    "/etc/profile",
    "/etc/zsh/zprofile",
    "/etc/zsh/zshenv",
    "/etc/zsh/zshrc",
];
/// Files of the project.
const PROJECT: &[&str] = &[".env", ".envrc"];

/// Finds the profiles that set a steering variable.
pub(super) fn profiles(surroundings: &Surroundings) -> Vec<ConfigFile> {
    let mut paths: Vec<PathBuf> = OWN
        .iter()
        .map(|name| surroundings.home().join(name))
        .collect();
    paths.extend(SYSTEM.iter().map(|path| surroundings.system(path)));
    paths.extend(
        PROJECT
            .iter()
            .map(|name| surroundings.working_folder().join(name)),
    );
    for folder in [
        surroundings.system("/etc/profile.d"),
        surroundings.system("/etc/environment.d"),
        surroundings.config_home().join("environment.d"),
        surroundings.config_home().join("fish/conf.d"),
    ] {
        let entries = host::list(&folder, 1000).unwrap_or_default();
        paths.extend(entries.into_iter().map(|entry| entry.path));
    }
    paths.iter().filter_map(|path| profile(path)).collect()
}

/// Describes a file if it sets a steering variable, or if it is there and cannot be read.
fn profile(path: &Path) -> Option<ConfigFile> {
    let text = match host::read(path, host::READ_LIMIT) {
        Ok(content) => String::from_utf8_lossy(&content).into_owned(),
        Err(error) if error.is_absent() => return None,
        Err(_) => String::new(),
    };
    let (keys, lines): (Vec<String>, Vec<u32>) = text
        .lines()
        .zip(1_u32..)
        .flat_map(|(line, number)| {
            assigned(line)
                .into_iter()
                .filter(|name| environment::steers(name))
                .map(move |name| (name.to_owned(), number))
        })
        .unzip();
    let (file, _) = host::facts(path)?;
    (!keys.is_empty() || file.digest.known().is_none()).then_some(ConfigFile {
        kind: ConfigKind::Profile,
        file,
        keys,
        lines,
        verdict: None,
        remarks: Vec::new(),
    })
}

/// Returns the variables that a line of a shell or of a file of variables sets.
fn assigned(line: &str) -> Vec<&str> {
    let line = line.trim_start();
    if line.starts_with('#') {
        return Vec::new();
    }
    let mut names = Vec::new();
    for command in line.split([';', '&', '|']) {
        let mut words = command.split_whitespace().peekable();
        while words.peek().is_some_and(|word| {
            matches!(
                *word,
                "export" | "set" | "setenv" | "declare" | "typeset" | "unset" | "then"
            ) || word.starts_with('-')
        }) {
            // `set -gx NAME value` of fish, `setenv NAME value` of csh, `unset NAME`.
            let word = words.next().unwrap_or_default();
            let takes_a_name =
                matches!(word, "setenv" | "unset") || (word.starts_with('-') && word.contains('x'));
            if takes_a_name
                && let Some(next) = words.peek()
                && is_name(next)
            {
                names.push(*next);
            }
        }
        names.extend(
            words
                .map_while(|word| word.split_once('='))
                .map(|(name, _)| name.trim_end_matches('+'))
                .filter(|name| is_name(name)),
        );
    }
    names
}

/// Returns whether a text is the name of a variable.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_1_4_variables_are_found_in_every_shell() {
        for (line, names) in [
            ("export DOCKER_HOST=tcp://h:1", vec!["DOCKER_HOST"]),
            (
                "  BUILDX_BUILDER=x docker buildx build",
                vec!["BUILDX_BUILDER"],
            ),
            ("set -gx DOCKER_BUILDKIT 0", vec!["DOCKER_BUILDKIT"]),
            ("setenv BUILDKIT_HOST tcp://h:1", vec!["BUILDKIT_HOST"]),
            ("declare -x A=1; export B=2 C=3", vec!["A", "B", "C"]),
            ("# export DOCKER_HOST=x", vec![]),
            ("echo DOCKER_HOST=x", vec![]),
            ("[ -f x ] && export DOCKER_HOST=x", vec!["DOCKER_HOST"]),
        ] {
            assert_eq!(assigned(line), names, "{line}");
        }
    }
}
