//! Whose a lab is: the process that started it, told apart from a later process of the same number by its start time.

use serde::{Deserialize, Serialize};
use std::fs;

/// A process, now and for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pid: u32,
    /// Clock ticks since boot, as the kernel says.
    started: u64,
}

impl Owner {
    /// Returns this process.
    pub(crate) fn this() -> Option<Self> {
        let pid = std::process::id();
        started(pid).map(|started| Self { pid, started })
    }

    /// Says whether the process still runs.
    pub(crate) fn lives(&self) -> bool {
        started(self.pid) == Some(self.started)
    }
}

fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in brackets and may hold anything, brackets too.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ended = matches!(fields.first(), Some(&("Z" | "X")));
    if ended {
        None
    } else {
        fields.get(19)?.parse().ok()
    }
}
