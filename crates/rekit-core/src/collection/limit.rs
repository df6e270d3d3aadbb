//! How many bytes a rule keeps.

use super::behaviour::Behaviour;
use crate::inventory::GcRule;

/// Returns the bytes that a rule keeps of a cache of `total`: it deletes as long as the cache holds as much or more. 0: it has no such limit
/// and deletes all it may take. `None`: that hangs on the free space, which is not known.
///
/// Source: `calculateKeepBytes` in `cache/manager.go` 0.17.3 and 0.32.2; 0.12.5 has only what is reserved. "Free" counts the blocks that are
/// kept for root (`util/disk`).
pub(super) fn kept_bytes(
    rule: &GcRule,
    total: i64,
    free: Option<i64>,
    behaviour: Behaviour,
) -> Option<i64> {
    let mut kept = rule.max_used_bytes;
    if rule.min_free_bytes != 0 {
        let excess = rule.min_free_bytes.saturating_sub(free?);
        if excess > 0 {
            let left = total.saturating_sub(excess);
            kept = if kept == 0 { left } else { kept.min(left) };
        } else if kept == 0 && behaviour.spares_while_enough_is_free {
            kept = total;
        }
    }
    Some(kept.max(rule.reserved_bytes))
}
