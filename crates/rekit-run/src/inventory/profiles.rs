//! Shell profiles and files of variables that set something which steers builds. Names and lines only, never values.

use std::path::{Path, PathBuf};

use rekit_core::{
    inventory::{Assigned, ConfigFile, ConfigKind},
    mask,
};

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
/// Variables whose values choose a builder.
const TELLING: &[&str] = &["BUILDX_BUILDER", "DOCKER_BUILDKIT"];

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
        assigned: telling(&text),
        verdict: None,
        remarks: Vec::new(),
    })
}

/// Returns what a file sets the telling variables to. The last word stands, as for the shell; what a shell works out is not told.
fn telling(text: &str) -> Vec<Assigned> {
    let mut found: Vec<Assigned> = Vec::new();
    let mut goes_on = false;
    for (line, number) in text.lines().zip(1_u32..) {
        // A command of several lines is worked out by the shell alone.
        let is_a_part = goes_on || line.ends_with('\\');
        goes_on = line.ends_with('\\');
        for name in assigned(line) {
            if !TELLING.contains(&name) {
                continue;
            }
            found.retain(|earlier| earlier.name != name);
            let value = plain_value(line, name).filter(|_| !is_a_part && holds_for_all(line));
            found.extend(value.map(|value| Assigned {
                line: number,
                name: name.to_owned(),
                value: mask::value(name, &value),
            }));
        }
    }
    found
}

/// Whether a line sets variables for what comes after it, and not for one command or under a condition.
fn holds_for_all(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or_default();
    if line.contains(['&', '|', ';', '(']) || line.starts_with([' ', '\t']) {
        return false;
    }
    let mut words = line.split_whitespace();
    match words.next() {
        Some("export" | "set" | "setenv" | "declare" | "typeset") => true,
        // `NAME=value command` sets it for that command alone; a quoted value may hold blanks.
        Some(word) => {
            let value = word.split_once('=').map_or("", |(_, value)| value);
            value.starts_with(['"', '\'']) || words.next().is_none()
        }
        None => false,
    }
}

/// Returns the value that a line gives a variable, if it is written out.
fn plain_value(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(name)?;
    let rest = rest.trim_start_matches(['=', ' ', '\t']);
    let value = match rest.chars().next()? {
        quote @ ('"' | '\'') => rest[1..].split(quote).next()?,
        _ => rest.split_whitespace().next()?,
    };
    let is_plain = !value.is_empty() && !value.contains(['$', '`', '*', '\\']);
    is_plain.then(|| value.to_owned())
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
    fn r1_1_4_what_chooses_a_builder_is_read_where_it_is_plain_and_holds() {
        for (text, expected) in [
            ("export BUILDX_BUILDER=ghost", Some("ghost")),
            ("BUILDX_BUILDER='a b'", Some("a b")),
            ("set -gx BUILDX_BUILDER ghost", Some("ghost")),
            ("setenv BUILDX_BUILDER ghost", Some("ghost")),
            (
                "export BUILDX_BUILDER=a\nexport BUILDX_BUILDER=b # mine",
                Some("b"),
            ),
            ("export BUILDX_BUILDER=a\nunset BUILDX_BUILDER", None),
            ("export BUILDX_BUILDER=$NAME", None),
            ("BUILDX_BUILDER=x docker buildx build", None),
            ("[ -f x ] && export BUILDX_BUILDER=x", None),
            ("if true; then\n  export BUILDX_BUILDER=x\nfi", None),
            ("# export BUILDX_BUILDER=x", None),
            ("export A=1 \\\nBUILDX_BUILDER=x", None),
            ("export BUILDX_BUILDER=x \\\nB=2", None),
        ] {
            let found = telling(text);
            let value = found.first().map(|assigned| assigned.value.as_str());
            assert_eq!(value, expected, "{text}");
        }
    }

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
