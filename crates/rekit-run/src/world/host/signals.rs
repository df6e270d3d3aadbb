//! What this process was told about signals by whoever started it.

use std::path::Path;

use super::read_text;

/// Returns whether SIGHUP is to be ignored, as `nohup` asks; a handler would undo that.
pub fn ignores_hangup() -> bool {
    let status = read_text(Path::new("/proc/self/status")).unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // One bit for each signal, beginning with 1, which is SIGHUP.
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 != 0)
}
