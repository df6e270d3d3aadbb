//! A file that somebody else changed, met by an undo: whether it may stay as it is.

use std::collections::BTreeSet;

use rekit_core::{
    name::{BlobId, HostPath, NodeName},
    record,
};

use super::kept;
use crate::{
    journal::Journal,
    world::{ReadWorld, WorldError},
};

/// Returns whether somebody's version of a file of buildx's store stays. A selection does: it is the person's last word. A builder's record
/// does unless it names a successor of a node that it named before: that one is about to be removed, and the builder would be cut off.
pub(super) async fn stands<W: ReadWorld, J: Journal>(
    path: &HostPath,
    was: Option<&BlobId>,
    world: &W,
    journal: &J,
) -> Result<bool, WorldError> {
    let folder = path.parent();
    if folder.is_none_or(|folder| folder.file_name() != "instances") {
        return Ok(true);
    }
    let Some((now, _)) = world.read_file(path).await? else {
        return Ok(true); // It names nothing any more.
    };
    let Some(was) = was else { return Ok(false) };
    let before = record::nodes(kept(journal, was)?.expose());
    Ok(match (before, record::nodes(now.expose())) {
        (Some(before), Some(now)) => !names_a_successor(&before, &now),
        _ => false,
    })
}

/// Returns whether a node is new and bears the name of one that was there, in another generation.
fn names_a_successor(before: &[NodeName], now: &[NodeName]) -> bool {
    let bases: BTreeSet<_> = before.iter().map(NodeName::base).collect();
    now.iter()
        .any(|node| !before.contains(node) && bases.contains(&node.base()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_record_that_names_a_successor_cannot_stay() {
        let nodes = |names: &[&str]| -> Vec<NodeName> {
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        let before = nodes(&["team0-g1", "other"]);
        for (now, expected) in [
            (nodes(&["team0-g1", "other", "team1"]), false),
            (nodes(&["other"]), false),
            (nodes(&[]), false),
            (nodes(&["team0-g2", "other"]), true),
            (nodes(&["team0-g2", "mine"]), true),
        ] {
            assert_eq!(names_a_successor(&before, &now), expected, "{now:?}");
        }
    }
}
