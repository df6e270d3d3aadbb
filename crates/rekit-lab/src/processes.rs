//! The processes of a lab: found by namespace, by daemon and by descent, and ended.

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::Duration,
};

/// The daemons of a lab that are recognised by a path of the lab in their arguments. Others are found through their namespace or their parent:
/// somebody's editor or `tail` that names a file of the lab is not the lab's.
const DAEMONS: &[&str] = &[
    "dockerd",
    "containerd",
    "containerd-shim",
    "buildkitd",
    "runc",
    "setsid",
    "nsenter",
    "docker-proxy",
];

/// Kills the lab's processes until none is left.
pub(crate) fn kill_all(root: &Path, namespaces: &[String]) -> Result<()> {
    for round in 0..200 {
        let doomed = processes_of(root, namespaces);
        if doomed.is_empty() {
            return Ok(());
        }
        for pid in doomed {
            if let Some(pid) = Pid::from_raw(pid) {
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
        thread::sleep(Duration::from_millis(if round < 5 { 10 } else { 50 }));
    }
    bail!(
        "processes of the lab in {} do not end: {:?}",
        root.display(),
        processes_of(root, namespaces)
    );
}

/// Returns the processes in the lab's namespaces, its daemons, and all their descendants.
fn processes_of(root: &Path, namespaces: &[String]) -> BTreeSet<i32> {
    let inodes: BTreeSet<_> = namespaces
        .iter()
        .filter_map(|name| fs::metadata(Path::new("/run/netns").join(name)).ok())
        .map(|it| it.ino())
        .collect();
    let mut parents = BTreeMap::new();
    let mut found = BTreeSet::new();
    let prefix = format!("{}/", root.display());
    let Ok(entries) = fs::read_dir("/proc") else {
        return found;
    };
    for pid in entries.filter_map(|entry| {
        entry
            .ok()?
            .file_name()
            .to_string_lossy()
            .parse::<i32>()
            .ok()
    }) {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let Some((_, fields)) = stat.rsplit_once(')') else {
            continue;
        };
        let mut fields = fields.split_whitespace();
        if matches!(fields.next(), None | Some("Z" | "X")) {
            continue;
        }
        parents.insert(
            pid,
            fields
                .next()
                .and_then(|parent| parent.parse::<i32>().ok())
                .unwrap_or(0),
        );
        let network = fs::metadata(format!("/proc/{pid}/ns/net")).map(|it| it.ino());
        if network.is_ok_and(|inode| inodes.contains(&inode)) || is_daemon(pid, &prefix) {
            found.insert(pid);
        }
    }
    loop {
        let children: Vec<_> = parents
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if children.is_empty() {
            break;
        }
        found.extend(children);
    }
    found.remove(&i32::try_from(std::process::id()).unwrap_or(0));
    found
}

fn is_daemon(pid: i32, prefix: &str) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let line = String::from_utf8_lossy(&line).into_owned();
    // The shell that is about to become the daemon (`engine::detached`) counts too.
    let starting = line.contains("exec setsid --fork nsenter");
    let program = line
        .split('\0')
        .next()
        .unwrap_or_default()
        .rsplit('/')
        .next()
        .unwrap_or_default();
    (starting || DAEMONS.iter().any(|daemon| program.starts_with(daemon)))
        && line.split('\0').skip(1).any(|word| word.contains(prefix))
}
