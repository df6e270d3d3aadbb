//! Takes a lab away: processes, mounts, cgroups, network namespaces, files. Every step may run twice, and none touches what is not the lab's.

use crate::{
    cache,
    lab::{home_of_labs, namespace, read_record},
    process::{succeeds, words},
};
use anyhow::{Context, Result, bail};
use rustix::{
    mount::{UnmountFlags, unmount},
    process::{Pid, Signal, kill_process},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
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
    "nsenter",
    "docker-proxy",
];

/// Removes the lab `name`.
pub fn down(name: &str) -> Result<()> {
    let root = home_of_labs().join(name);
    if read_record(&root).is_none() {
        bail!("there is no lab `{name}` in {}", home_of_labs().display());
    }
    remove(&root, name)
}

/// Removes every lab and returns their names.
pub fn down_all() -> Result<Vec<String>> {
    remove_each(|_| true)
}

/// Removes the labs whose owner has died and returns their names.
pub fn sweep() -> Result<Vec<String>> {
    remove_each(|record| record.owner.as_ref().is_some_and(|owner| !owner.lives()))
}

fn remove_each(chosen: impl Fn(&crate::lab::Record) -> bool) -> Result<Vec<String>> {
    let labs = home_of_labs();
    let Ok(entries) = fs::read_dir(&labs) else {
        return Ok(Vec::new());
    };
    let _lock = cache::lock(&labs.join(".sweep"))?;
    let mut removed = Vec::new();
    for root in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(record) = read_record(&root).filter(&chosen) else {
            continue;
        };
        remove(&root, &record.name)?;
        removed.push(record.name);
    }
    Ok(removed)
}

/// Removes the lab `name` in `root`.
pub(crate) fn remove(root: &Path, name: &str) -> Result<()> {
    let namespaces = namespaces_of(name);
    let sockets = shim_sockets(root);
    let cgroups = container_ids(root);
    kill_all(root, &namespaces)?;
    unmount_all(root)?;
    remove_cgroups(Path::new("/sys/fs/cgroup"), &cgroups, 0);
    for socket in sockets {
        let _gone = fs::remove_file(socket);
    }
    for namespace in namespaces {
        succeeds(&mut words("ip", ["netns", "del", &namespace]));
    }
    let mut removed = fs::remove_dir_all(root);
    for _ in 0..20 {
        if removed.is_ok() || !root.exists() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
        removed = fs::remove_dir_all(root);
    }
    removed.with_context(|| format!("could not remove {}", root.display()))
}

fn namespaces_of(name: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/run/netns") else {
        return Vec::new();
    };
    let names =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    names
        .filter(|file| file.starts_with(&namespace(name, "")))
        .collect()
}

/// Kills the lab's processes until none is left.
fn kill_all(root: &Path, namespaces: &[String]) -> Result<()> {
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
pub(crate) fn processes_of(root: &Path, namespaces: &[String]) -> BTreeSet<i32> {
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
    let program = line
        .split('\0')
        .next()
        .unwrap_or_default()
        .rsplit('/')
        .next()
        .unwrap_or_default();
    DAEMONS.iter().any(|daemon| program.starts_with(daemon))
        && line.split('\0').skip(1).any(|word| word.contains(prefix))
}

fn unmount_all(root: &Path) -> Result<()> {
    for _ in 0..3 {
        let mounts = mounts_under(root);
        if mounts.is_empty() {
            return Ok(());
        }
        for mount in mounts.iter().rev() {
            let _gone = unmount(mount, UnmountFlags::DETACH);
        }
    }
    let left = mounts_under(root);
    if left.is_empty() {
        return Ok(());
    }
    // Removing files below a mount would remove somebody's.
    bail!("could not unmount {left:?}");
}

/// Returns the mount points below `root`, in the order of mounting.
pub(crate) fn mounts_under(root: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(point.replace("\\040", " ")));
    points.filter(|point| point.starts_with(root)).collect()
}

/// Returns the sockets that containerd's shims keep outside the lab, in /run/containerd/s.
fn shim_sockets(root: &Path) -> Vec<PathBuf> {
    let mut sockets = Vec::new();
    for engine in ["engine", "desktop"] {
        let tasks = root
            .join(engine)
            .join("exec/containerd/daemon/io.containerd.runtime.v2.task/moby");
        for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
            for file in ["address", "bootstrap.json"] {
                let text = fs::read_to_string(task.path().join(file)).unwrap_or_default();
                let path = text
                    .split("unix://")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next())
                    .unwrap_or_default()
                    .trim();
                if path.starts_with("/run/containerd/s/") {
                    sockets.push(PathBuf::from(path));
                }
            }
        }
    }
    sockets
}

/// Returns the ids of containers and of steps of builds: their cgroups bear them.
fn container_ids(root: &Path) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut folders = Vec::new();
    for engine in ["engine", "desktop"] {
        let data = root.join(engine).join("data");
        folders.extend([data.join("containers"), data.join("buildkit/executor")]);
    }
    for daemon in fs::read_dir(root).into_iter().flatten().flatten() {
        folders.push(daemon.path().join("data/runc-overlayfs/executor"));
    }
    for entry in folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten()
    {
        ids.insert(entry.file_name().to_string_lossy().into_owned());
    }
    ids
}

fn remove_cgroups(folder: &Path, ids: &BTreeSet<String>, depth: u32) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if ids.contains(&*entry.file_name().to_string_lossy()) {
            remove_cgroup(&entry.path());
        } else if depth < 5 {
            remove_cgroups(&entry.path(), ids, depth + 1);
        }
    }
}

fn remove_cgroup(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    // A cgroup stays busy for a moment after its last process was killed.
    for _ in 0..20 {
        if fs::remove_dir(folder).is_ok() || !folder.exists() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
