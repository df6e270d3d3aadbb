//! Takes a lab away: processes, mounts, cgroups, network namespaces, files. Every step may run twice, and none touches what is not the lab's.

use crate::{
    cache, cgroups,
    process::{succeeds, words},
    processes,
    record::{self, Record, home_of_labs, namespace},
    services,
};
use anyhow::{Context, Result, bail};
use rustix::mount::{UnmountFlags, unmount};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Removes the lab `name`.
pub fn down(name: &str) -> Result<()> {
    let root = home_of_labs().join(name);
    if record::read(&root).is_none() {
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

fn remove_each(chosen: impl Fn(&Record) -> bool) -> Result<Vec<String>> {
    let labs = home_of_labs();
    let Ok(entries) = fs::read_dir(&labs) else {
        return Ok(Vec::new());
    };
    let _lock = cache::lock(&labs.join(".sweep"))?;
    let mut removed = Vec::new();
    for root in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(record) = record::read(&root).filter(&chosen) else {
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
    let containers = cgroups::container_ids(root);
    processes::kill_all(root, &namespaces)?;
    unmount_all(root)?;
    cgroups::remove(&containers);
    services::forget(name);
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
