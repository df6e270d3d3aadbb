//! Standalone daemons by hand: what the undo of their steps is as shell commands.

use super::StandalonePlace;
use crate::{
    by_hand::{ByHand, READY_SECONDS, STOP_SECONDS, quoted, unpack, verify},
    name::HostPath,
};

/// The file in a state folder that its daemon holds while it runs, and removes when it has ended well.
fn lock(root: &HostPath) -> String {
    quoted(&root.join("buildkitd.lock"))
}

/// Starts a daemon, unless one works on its state. `script` is the blob with its start.
pub(crate) fn start(daemon: &StandalonePlace, script: Option<&HostPath>) -> ByHand {
    let lock = lock(&daemon.root);
    let start = daemon
        .systemctl("start")
        .or_else(|| Some(format!("env -i sh {}", quoted(script?))));
    let idle = format!("[ ! -e {lock} ] || flock -ns {lock} true");
    ByHand {
        commands: start
            .map(|start| format!("if {idle}; then {start}; fi"))
            .into_iter()
            .collect(),
        proof: vec![format!(
            "timeout {READY_SECONDS} sh -c 'until buildctl --addr \"$0\" debug workers > /dev/null; do sleep 1; done' {}",
            quoted(&daemon.address)
        )],
    }
}

/// Ends the daemon that works on a state. The kernel tells who holds its lock.
pub(crate) fn stop(daemon: &StandalonePlace) -> ByHand {
    let lock = lock(&daemon.root);
    let end = daemon.systemctl("stop").unwrap_or_else(|| {
        format!(
            "if [ -e {lock} ]; then awk -v inode=\"$(stat -c %i {lock})\" '$2 == \"FLOCK\" && $6 ~ \":\" inode \"$\" {{ print $5 }}' /proc/locks | xargs -r kill -TERM; fi"
        )
    });
    ByHand {
        commands: vec![
            end,
            format!("timeout {STOP_SECONDS} sh -c 'while [ -e \"$0\" ]; do sleep 1; done' {lock}"),
        ],
        proof: vec![format!("test ! -e {lock}")],
    }
}

/// Brings a parked state back. What a new daemon wrote meanwhile is not removed but put aside.
pub(crate) fn unpark(parked: &HostPath, root: &HostPath) -> ByHand {
    let aside = quoted(&format!("{root}.rekit-left"));
    let (parked, root) = (quoted(parked), quoted(root));
    ByHand {
        commands: vec![format!(
            "if [ -e {parked} ]; then if [ -e {root} ]; then mv -T {root} {aside}; fi && mv -T {parked} {root}; fi"
        )],
        proof: vec![format!("test ! -e {parked} && test -e {root}")],
    }
}

/// Parks a state again.
pub(crate) fn park(root: &HostPath, parked: &HostPath) -> ByHand {
    let (parked, root) = (quoted(parked), quoted(root));
    ByHand {
        commands: vec![format!("[ -e {parked} ] || mv -T {root} {parked}")],
        proof: vec![format!("test -e {parked}")],
    }
}

/// Brings a removed state back from its archive. The owners of a rootless state exist in its user namespace alone.
pub(crate) fn restore(folder: &HostPath, archive: &HostPath) -> ByHand {
    let (folder, archive) = (quoted(folder), quoted(archive));
    let unpacked = unpack(&format!("{archive}/trees/state"), &folder);
    let inside = "unshare --user --map-root-user --map-auto";
    ByHand {
        commands: vec![
            verify(&archive),
            format!("mkdir -p {folder}"),
            format!(
                "if grep -q '\"owners\": *\"namespace\"' {archive}/manifest.json; then {inside} sh -c {}; else {unpacked}; fi",
                quoted(&unpacked)
            ),
        ],
        proof: vec![format!("test -n \"$(ls -A {folder})\"")],
    }
}
