//! The cgroups that killed containers leave: whoever kills an engine must do its sweeping.

use std::{collections::BTreeSet, fs, path::Path, thread, time::Duration};

/// Returns the ids of containers and of steps of builds: their cgroups bear them.
pub(crate) fn container_ids(root: &Path) -> BTreeSet<String> {
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

/// Removes the cgroups that bear one of `ids`, in every hierarchy.
pub(crate) fn remove(ids: &BTreeSet<String>) {
    remove_below(Path::new("/sys/fs/cgroup"), ids, 0);
}

fn remove_below(folder: &Path, ids: &BTreeSet<String>, depth: u32) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if ids.contains(&*entry.file_name().to_string_lossy()) {
            remove_one(&entry.path());
        } else if depth < 5 {
            remove_below(&entry.path(), ids, depth + 1);
        }
    }
}

fn remove_one(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_one(&entry.path());
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
