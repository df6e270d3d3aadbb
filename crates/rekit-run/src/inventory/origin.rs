//! How a daemon came to run: which process it is, and whether it can be ended and started again from here.

use std::path::{Path, PathBuf};

use rekit_core::inventory::Origin;

use super::processes::{Process, flag_values};
use crate::world::host;

/// The program that gives a daemon without root its namespaces, and ends with it.
const ROOTLESSKIT: &str = "rootlesskit";
/// How many parents of a process are looked at.
const PARENTS: usize = 8;

/// Says how a daemon that works on `root` came to run.
pub(super) fn origin(process: &Process, root: &Path) -> Origin {
    let is_named = |flag: &str| !flag_values(&process.arguments, flag).is_empty();
    Origin {
        started: process.started,
        of_user: is_of_user(process),
        is_told_by_flags: is_named("root") && is_named("addr"),
        hindrance: hindrance(process, root),
    }
}

fn hindrance(process: &Process, root: &Path) -> Option<String> {
    let folder = of(top_of(process.pid));
    let owner = host::status(&folder).ok()?.owner;
    let own = rustix::process::geteuid();
    if !own.is_root() && owner != own.as_raw() {
        return Some(format!(
            "it runs as account {owner}: run rekit as that account, or as root"
        ));
    }
    if is_of_user(process) && owner != own.as_raw() {
        return Some(format!(
            "it is a service of account {owner}: run rekit as that account"
        ));
    }
    let here = PathBuf::from("/proc/self");
    let is_other = |name: &str| {
        let link = |folder: &Path| host::link_target(&folder.join("ns").join(name));
        link(&folder) != link(&here)
    };
    if process.unit.is_none() && ["mnt", "net", "pid", "user"].into_iter().any(is_other) {
        return Some(
            "it was started by hand in namespaces of its own, which end with it".to_owned(),
        );
    }
    if host::link_target(&folder.join("root")) != Some(PathBuf::from("/")) {
        return Some("it runs below a root folder of its own".to_owned());
    }
    unmovable(root)
}

/// Returns whether a service belongs to the account's own manager: by its control group, or by its parent.
fn is_of_user(process: &Process) -> bool {
    let parent = field(&of(top_of(process.pid)), 1).and_then(|parent| u32::try_from(parent).ok());
    let line = parent.and_then(|parent| host::read_text(&of(parent).join("cmdline")).ok());
    let is_manager = line.is_some_and(|line| {
        let mut words = line.split('\0');
        let program = words.next().unwrap_or_default();
        program.ends_with("systemd") && words.any(|word| word == "--user")
    });
    process.unit.is_some() && (process.of_user || is_manager)
}

/// Says why a state cannot be put aside by a rename.
fn unmovable(root: &Path) -> Option<String> {
    let parent = root.parent()?;
    let words = |text: &str| Some(format!("`{}` {text}", root.display()));
    if host::resolved(root).ok().as_deref() != Some(root) {
        return words("is reached by a symbolic link, which a rename would move instead");
    }
    match (host::status(root), host::status(parent)) {
        (Ok(own), Ok(above)) if own.identity.0 != above.identity.0 => {
            return words("is the top of a disk of its own and cannot be put aside by a rename");
        }
        (Ok(_), Ok(_)) => {}
        _ => return words("cannot be seen from here"),
    }
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    if rustix::fs::access(parent, access).is_err() {
        return words("lies in a folder that this account cannot write to");
    }
    None
}

/// Returns the process that a daemon ends and begins with: the first of the rootlesskit around it, else itself.
pub(crate) fn top_of(pid: u32) -> u32 {
    let mut top = pid;
    for _ in 0..PARENTS {
        let parent = field(&of(top), 1).and_then(|parent| u32::try_from(parent).ok());
        let Some(parent) = parent.filter(|parent| is_rootlesskit(*parent)) else {
            break;
        };
        top = parent;
    }
    top
}

fn is_rootlesskit(pid: u32) -> bool {
    let program = host::link_target(&of(pid).join("exe"));
    program
        .as_deref()
        .and_then(Path::file_name)
        .is_some_and(|name| name == ROOTLESSKIT)
}

/// Returns when the process of a folder below `/proc` was started.
pub(crate) fn started(folder: &Path) -> Option<u64> {
    field(folder, 19)
}

/// Returns whether a process has ended, reaped or not, or another one has its number.
pub(crate) fn has_ended(pid: u32, started: u64) -> bool {
    let folder = of(pid);
    let Ok(text) = host::read_text(&folder.join("stat")) else {
        return true;
    };
    let state = text
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    matches!(state, None | Some('Z' | 'X')) || self::started(&folder) != Some(started)
}

/// Returns a number of a process's `stat`, counted from the field after its name.
fn field(folder: &Path, index: usize) -> Option<u64> {
    let text = host::read_text(&folder.join("stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    fields.split_whitespace().nth(index)?.parse().ok()
}

fn of(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}
