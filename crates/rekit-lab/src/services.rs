//! A real systemd that manages an account's own services, apart from the machine's.
//!
//! Invariant: it runs in control groups of its own. A manager takes over every process beside it in its group; in the topmost one that would be
//! the whole machine.

use crate::{
    engine::{add_namespace, detached, wait_for},
    lab::Lab,
    process::{succeeds, text},
    record::namespace,
};
use anyhow::{Context, Result};
use std::{fs, path::Path, path::PathBuf, time::Duration};

/// Enters the groups named by the first argument, looks whether it is there, and becomes the rest.
const ENTER: &str = r#"set -e
own=$1; shift
if [ -f /sys/fs/cgroup/cgroup.procs ]; then tops=/sys/fs/cgroup; else tops=/sys/fs/cgroup/*; fi
for top in $tops; do
  mkdir -p "$top/$own" && echo $$ > "$top/$own/cgroup.procs" || :
done 2> /dev/null
manager=$(grep -E '^(0:|[0-9]+:name=systemd:)' /proc/self/cgroup)
[ -n "$manager" ] || exit 1
if printf '%s\n' "$manager" | grep -qv "/$own\$"; then exit 1; fi
mkdir -p /run/systemd && mount -t tmpfs lab /run/systemd && mkdir /run/systemd/system
exec "$@""#;

impl Lab {
    /// Starts the manager and waits until it answers `systemctl --user` in the lab; it ends with the lab.
    pub fn service_manager(&self) -> Result<()> {
        let space = namespace(self.name(), "services");
        add_namespace(&space)?;
        let mut command = detached(&space, &self.root().join("services.log"));
        command
            .args(["unshare", "--mount", "--propagation", "private"])
            .args(["sh", "-c", ENTER, "sh", &group(self.name())])
            .args(["/usr/lib/systemd/systemd", "--user", "--unit=basic.target"])
            .envs(self.env());
        text(&mut command)?;
        let answers = || {
            let mut ask = self.command("systemctl");
            succeeds(ask.args(["--user", "is-active", "basic.target"]))
        };
        wait_for(Duration::from_secs(20), answers).context("systemd does not answer")
    }
}

fn group(lab: &str) -> String {
    format!("rekit-lab-{lab}")
}

/// Removes the control groups of a lab's manager, whose processes have ended.
pub(crate) fn forget(lab: &str) {
    let top = PathBuf::from("/sys/fs/cgroup");
    let tops = fs::read_dir(&top).into_iter().flatten().flatten();
    let tops: Vec<_> = tops.map(|entry| entry.path()).collect();
    for top in tops.iter().chain([&top]) {
        remove(&top.join(group(lab)));
    }
}

/// Removes a group with those within it; one that is not there is gone.
fn remove(group: &Path) {
    let within = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in within.filter(|entry| entry.path().is_dir()) {
        remove(&entry.path());
    }
    let _gone = fs::remove_dir(group);
}
