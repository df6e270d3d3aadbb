//! The process of an engine on this machine, found by where its data lies.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::processes::{Process, flag_values, processes};
use crate::world::{environment::Surroundings, host};

/// Where an engine keeps its data if nothing is said.
const DATA_ROOT: &str = "/var/lib/docker";
/// Where its configuration lies if nothing is said.
const CONFIG: &str = "/etc/docker/daemon.json";

/// Returns the process of the engine whose data lies at `root`, if it is seen from here.
pub(crate) fn engine_on(surroundings: &Surroundings, root: &Path) -> Option<u32> {
    process(surroundings, root).map(|process| process.pid)
}

/// Returns the systemd unit of that engine, where it has one.
pub(crate) fn unit_of(surroundings: &Surroundings, root: &Path) -> Option<String> {
    process(surroundings, root)?.unit
}

fn process(surroundings: &Surroundings, root: &Path) -> Option<Process> {
    processes(surroundings)
        .into_iter()
        .filter(|process| process.program == "dockerd")
        .find(|process| {
            let place = data_root(surroundings, process);
            place.canonicalize().unwrap_or(place) == root
        })
}

fn data_root(surroundings: &Surroundings, process: &Process) -> PathBuf {
    let flag = |name: &str| flag_values(&process.arguments, name).pop();
    let config = flag("config-file").map_or_else(|| surroundings.system(CONFIG), PathBuf::from);
    let in_config = || {
        let text = host::read_text(&config).ok()?;
        let document: Value = serde_json::from_str(&text).ok()?;
        document.get("data-root")?.as_str().map(str::to_owned)
    };
    let named = flag("data-root").or_else(in_config);
    named.map_or_else(|| surroundings.system(DATA_ROOT), PathBuf::from)
}
