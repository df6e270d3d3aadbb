//! Asks the core whether BuildKit would take a configuration. The one place that does.

use rekit_core::inventory::ConfigVerdict;

/// Judges the bytes of a buildkitd.toml; `None` while nobody can judge them.
pub(super) fn bytes(content: &[u8]) -> Option<ConfigVerdict> {
    match std::str::from_utf8(content) {
        // The core's judge of buildkitd.toml joins here.
        Ok(_text) => None,
        Err(_) => Some(ConfigVerdict::Unreadable {
            reason: "not UTF-8 text".to_owned(),
        }),
    }
}
