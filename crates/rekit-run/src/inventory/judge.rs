//! Asks the core whether BuildKit would take a configuration. The one place that does.

use rekit_core::{config::judge_buildkitd, inventory::ConfigVerdict};

/// Judges the bytes of a buildkitd.toml.
pub(super) fn bytes(content: &[u8]) -> ConfigVerdict {
    match std::str::from_utf8(content) {
        Ok(text) => judge_buildkitd(text),
        Err(_) => ConfigVerdict::Unreadable {
            reason: "not UTF-8 text".to_owned(),
        },
    }
}
