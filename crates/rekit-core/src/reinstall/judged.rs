//! The baseline of a reinstall, and what its decision points are judged by.

use super::{Reinstall, builders::Renewal};
use crate::{
    criteria::{JudgedNode, Yardstick},
    name::{BuilderName, NodeName},
    plan::Choice,
    record::RecordEdit,
    step::{Action, Claim, DaemonPlace},
};

/// How long a build may take at most when nothing else is said, in hundredths of what it took before.
const SLOWER_PERCENT: u32 = 200;
/// Milliseconds that it may take besides when nothing else is said.
const SLACK_MS: u64 = 1000;

impl Reinstall<'_> {
    /// Measures first of all what the builders can do; which ones they are, [`Self::settle_baseline`] says.
    pub(super) fn take_baseline(&mut self) {
        let wish = &self.goal.criteria;
        let said = wish.slower_factor.is_some() || wish.slack_ms.is_some();
        let baseline = self.draft.push(
            "what they can do now is what they must be able to do afterwards",
            Action::TakeBaseline {
                store: self.store.path.clone(),
                builders: Vec::new(),
            },
        );
        let by = Yardstick {
            baseline,
            slower_percent: wish.slower_factor.map_or(SLOWER_PERCENT, |factor| factor.0),
            slack_ms: wish.slack_ms.unwrap_or(SLACK_MS),
        };
        let why = if said {
            "rekit.toml says so"
        } else {
            "usual; `[criteria]` in rekit.toml says otherwise"
        };
        self.draft.choices().push(Choice {
            what: format!("slower than before: over the baseline {}", by.words()),
            why: why.to_owned(),
        });
        self.judged = Some(by);
        if self.wishes.decided_by_hand {
            self.draft.decide_by_hand();
        }
    }

    /// Says whose baseline is taken: of every builder that is proven at the end, with the daemons that it has now.
    pub(super) fn settle_baseline(&mut self) {
        let Some(by) = &self.judged else { return };
        let present = |claim: &Claim| {
            let mut known = self.present.iter();
            let renewed = known.find(|it| it.builder == claim.builder);
            let stays = claim.daemons.iter().all(|it| it.container.is_none());
            renewed.or(stays.then_some(claim)).cloned()
        };
        let builders = self.claims.iter().filter_map(present).collect();
        self.draft.settle(
            by.baseline,
            Action::TakeBaseline {
                store: self.store.path.clone(),
                builders,
            },
        );
    }

    /// Notes which daemons a builder has now, in the order of those that it gets. A new builder has none.
    pub(super) fn note_present(&mut self, builder: &BuilderName, renewals: &[Renewal]) {
        let present = renewals.iter().map(|renewal| {
            let named = renewal.edit.replaces.as_ref().map(NodeName::container);
            let container = renewal.old.as_ref().map(|old| old.container.clone());
            Some(DaemonPlace {
                host: renewal.host.clone(),
                container: Some(container.or(named)?),
            })
        });
        let Some(daemons) = present.collect() else {
            return;
        };
        let mut platforms: Vec<_> = renewals
            .iter()
            .flat_map(|it| it.platforms.clone())
            .collect();
        platforms.sort();
        platforms.dedup();
        self.present.push(Claim {
            builder: builder.to_string(),
            daemons,
            platforms,
        });
    }

    /// Returns what a probe of a new node is judged by.
    pub(super) fn judged_node(&self, edit: &RecordEdit, node: &NodeName) -> Option<JudgedNode> {
        let place = edit.nodes.iter().position(|it| &it.name == node)?;
        Some(JudgedNode {
            builder: edit.builder.to_string(),
            node: u32::try_from(place + 1).ok()?,
            by: self.judged.clone()?,
        })
    }
}
