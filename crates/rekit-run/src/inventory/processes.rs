//! Daemons that run on this machine, as the kernel lists them.

use std::path::{Path, PathBuf};

use super::origin::started;
use crate::world::{environment::Surroundings, host};

/// A buildkitd or dockerd that runs here, not inside a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Its id.
    pub(super) pid: u32,
    /// Its program: `buildkitd` or `dockerd`.
    pub(super) program: String,
    /// Its arguments, without the program.
    pub(super) arguments: Vec<String>,
    /// When it was started, in the kernel's ticks since the machine's start.
    pub(super) started: u64,
    /// Its numeric user.
    pub(super) user: u32,
    /// Its systemd unit, where it has one.
    pub(super) unit: Option<String>,
    /// Whether that unit belongs to the account's own manager.
    pub(super) of_user: bool,
    /// Whether it has a network of its own without being rootless: somebody's sandbox, unless something here names it.
    pub(super) is_apart: bool,
}

/// Lists the daemons that run on this machine itself.
pub(super) fn processes(surroundings: &Surroundings) -> Vec<Process> {
    let proc = surroundings.system("/proc");
    let here = Namespaces::of(&proc.join("self"));
    host::list(&proc, 1_000_000)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|entry| {
            let pid = entry.name.parse().ok()?;
            process(pid, &entry.path, &here)
        })
        .collect()
}

/// Describes a process if it is one of the daemons and runs outside containers.
fn process(pid: u32, folder: &Path, here: &Namespaces) -> Option<Process> {
    let line = host::read(&folder.join("cmdline"), 64 << 10).ok()?;
    let mut words = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned());
    let program = Path::new(&words.next()?).file_name()?.to_str()?.to_owned();
    if program != "buildkitd" && program != "dockerd" {
        return None;
    }
    let groups = host::read_text(&folder.join("cgroup")).unwrap_or_default();
    let there = Namespaces::of(folder);
    if is_container(&groups) || differ(here.processes.as_ref(), there.processes.as_ref()) {
        return None;
    }
    Some(Process {
        pid,
        program,
        arguments: words.collect(),
        user: host::status(folder).map_or(0, |status| status.owner),
        started: started(folder).unwrap_or_default(),
        unit: unit(&groups),
        of_user: groups.contains("/user@"),
        is_apart: differ(here.network.as_ref(), there.network.as_ref())
            && !differ(here.users.as_ref(), there.users.as_ref()),
    })
}

/// The namespaces of a process; `None` where they are not ours to read.
struct Namespaces {
    processes: Option<PathBuf>,
    network: Option<PathBuf>,
    users: Option<PathBuf>,
}

impl Namespaces {
    fn of(folder: &Path) -> Self {
        let link = |name: &str| host::link_target(&folder.join("ns").join(name));
        Self {
            processes: link("pid"),
            network: link("net"),
            users: link("user"),
        }
    }
}

/// Returns whether two namespaces are known and not the same.
fn differ(here: Option<&PathBuf>, there: Option<&PathBuf>) -> bool {
    matches!((here, there), (Some(here), Some(there)) if here != there)
}

/// Returns whether control groups are those of a container: a path component of 64 hexadecimal digits.
fn is_container(groups: &str) -> bool {
    groups
        .split(['/', '-', '.', '\n', ':'])
        .any(|part| part.len() == 64 && part.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Returns the systemd unit that control groups name.
fn unit(groups: &str) -> Option<String> {
    groups
        .split(['/', '\n'])
        .rfind(|part| part.ends_with(".service"))
        .filter(|name| !name.starts_with("user@"))
        .map(str::to_owned)
}

/// Returns the values of a flag such as `--addr`, written `--addr X` or `--addr=X`, with one dash or two.
pub(super) fn flag_values(arguments: &[String], flag: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            continue;
        };
        if name == flag {
            values.extend(words.next().cloned());
        } else if let Some(value) = name
            .strip_prefix(flag)
            .and_then(|rest| rest.strip_prefix('='))
        {
            values.push(value.to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_and_units_are_told_apart() {
        let id = "a".repeat(64);
        assert!(is_container(&format!("4:cpu:/docker/buildx/{id}\n")));
        assert!(is_container(&format!("0::/system.slice/docker-{id}.scope")));
        assert!(!is_container("0::/system.slice/buildkit.service"));
        assert_eq!(
            unit("0::/system.slice/buildkit.service").as_deref(),
            Some("buildkit.service")
        );
        let arguments = ["--addr", "unix:///a", "--addr=tcp://b", "-root=/r"].map(str::to_owned);
        assert_eq!(flag_values(&arguments, "addr"), ["unix:///a", "tcp://b"]);
        assert_eq!(flag_values(&arguments, "root"), ["/r"]);
    }
}
