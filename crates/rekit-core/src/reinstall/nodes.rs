//! Which nodes of a builder are renewed, and which stay as they are: never half of them without a word.

use super::{NoPlan, Reinstall};
use crate::{
    inventory::{BuilderRecord, NodeRecord, Record, Store},
    name::BuilderName,
    record::NodeEdit,
};

/// The nodes of a builder, as they are to be treated.
pub(super) struct Chosen<'a> {
    /// Those that get a successor.
    pub(super) renewed: Vec<&'a NodeRecord>,
    /// Those that stay in the record as they are.
    pub(super) kept: Vec<NodeEdit>,
    /// Whether one that stays can build.
    pub(super) builds: bool,
}

/// Refuses the name of a node that no builder has.
pub(super) fn check_names(store: &Store, names: &[String]) -> Result<(), NoPlan> {
    let records = store.builders.iter().filter_map(|it| it.record.known());
    let nodes: Vec<_> = records.flat_map(|record| &record.nodes).collect();
    let has = |name: &&String| nodes.iter().any(|node| node.name.as_str() == name.as_str());
    match names.iter().find(|name| !has(name)) {
        Some(missing) => Err(NoPlan::NoNode(missing.clone())),
        None => Ok(()),
    }
}

impl Reinstall<'_> {
    /// Returns what becomes of each node of a builder; or, where the builder is left as it is, whether it builds.
    pub(super) fn choose_nodes<'a>(
        &mut self,
        builder: &BuilderRecord,
        record: &'a Record,
    ) -> Result<Chosen<'a>, bool> {
        let what = format!("builder {}", builder.name);
        let names = &self.wishes.without_nodes;
        let is_kept = |node: &&NodeRecord| names.iter().any(|name| name == node.name.as_str());
        let (kept, renewed): (Vec<_>, Vec<_>) = record.nodes.iter().partition(is_kept);
        if let Some(claimed) = self.claimed_elsewhere(&renewed) {
            self.draft.leave_out(what, claimed.why());
            return Err(true);
        }
        let answers = |node: &NodeRecord| {
            let host = node.host.as_ref();
            host.is_some_and(|host| self.ground.engine(host).is_some())
        };
        let (renewed, silent): (Vec<_>, Vec<_>) =
            renewed.into_iter().partition(|node| answers(node));
        if !silent.is_empty() {
            self.draft
                .leave_out(what, unreachable(&silent, !renewed.is_empty()));
            return Err(false);
        }
        for node in &kept {
            let what = format!("node {} of builder {}", node.name, builder.name);
            let why = "you named it (`--without-node`): it stays in the record as it is, and nothing on its engine is touched";
            self.draft.leave_out(what, why);
        }
        Ok(Chosen {
            renewed,
            builds: kept.iter().any(|node| answers(node)),
            kept: kept.into_iter().map(as_it_is).collect(),
        })
    }

    /// Puts nodes in the order of those that they come of: builds for one platform go to the first that can.
    pub(super) fn in_order(
        &self,
        builder: &BuilderName,
        mut nodes: Vec<NodeEdit>,
    ) -> Vec<NodeEdit> {
        let mut builders = self.store.builders.iter();
        let found = builders.find(|known| &known.name == builder);
        let record = found.and_then(|known| known.record.known());
        let place = |edit: &NodeEdit| {
            let mut nodes = record?.nodes.iter();
            nodes.position(|node| Some(&node.name) == edit.replaces.as_ref())
        };
        nodes.sort_by_key(|edit| place(edit).unwrap_or(usize::MAX));
        nodes
    }
}

/// Says why a builder is left as it is, and what may be chosen.
fn unreachable(silent: &[&NodeRecord], others: bool) -> String {
    let nodes: Vec<_> = silent
        .iter()
        .map(|node| format!("{} ({})", node.name, node.endpoint))
        .collect();
    let why = match nodes.as_slice() {
        [node] => format!("the endpoint of its node {node} does not answer"),
        nodes => format!(
            "the endpoints of its nodes {} do not answer",
            nodes.join(", ")
        ),
    };
    if !others {
        return why;
    }
    let flags: Vec<_> = silent
        .iter()
        .map(|node| format!("--without-node {}", node.name))
        .collect();
    format!(
        "{why}, and half a builder is not renewed without a word. Bring them up and run this again; or renew the other nodes alone: `{}`",
        flags.join(" ")
    )
}

/// Returns the edit that leaves a node as it is.
pub(super) fn as_it_is(node: &NodeRecord) -> NodeEdit {
    NodeEdit {
        name: node.name.clone(),
        replaces: Some(node.name.clone()),
        endpoint: None,
        settings: None,
    }
}
