//! What there is to say about the builder's part of a daemon.json, each at its place and with what to write instead.

use super::{
    super::{
        buildkitd::Trouble,
        mend::Recount,
        remark::{Draft, advised, remark, written},
    },
    advice::advice,
    read::{EngineRelease, troubles},
};
use crate::inventory::{ConfigRemark, RemarkKind};

/// Returns all remarks on the builder's part of a daemon.json in the order of their places.
pub fn engine_remarks(text: &str, release: EngineRelease) -> Vec<ConfigRemark> {
    let found = troubles(text, release);
    let recount: Recount<'_> = &|text| troubles(text, release).len();
    let mut remarks: Vec<(usize, ConfigRemark)> = Vec::new();
    for trouble in &found {
        let write = written(text, trouble, found.len(), recount);
        let draft = Draft {
            kind: match &trouble.refused {
                Some(_) => RemarkKind::Refused,
                None => RemarkKind::Unread,
            },
            key: &trouble.key,
            says: says(text, trouble, release),
            at: &trouble.at,
            write: &write,
        };
        remarks.push((trouble.at.start, remark(text, draft)));
    }
    if found.iter().all(|trouble| trouble.refused.is_none()) {
        let advice = advice(text, release).into_iter();
        remarks.extend(advice.map(|advice| (advice.at.start, advised(text, advice))));
    }
    remarks.sort_by_key(|(at, _)| *at);
    remarks.into_iter().map(|(_, remark)| remark).collect()
}

/// Says what dockerd does, and whether a newer one would do otherwise.
fn says(text: &str, trouble: &Trouble, release: EngineRelease) -> String {
    if let Some(reason) = &trouble.refused {
        return reason.clone();
    }
    let newest = troubles(text, EngineRelease::NEWEST);
    let still = newest.iter().any(|other| other.at == trouble.at);
    if release < EngineRelease::NEWEST && !still {
        return format!(
            "this release does not know `{}`, newer ones do",
            trouble.key
        );
    }
    format!(
        "dockerd does not know `{}` and says nothing about it",
        trouble.key
    )
}
