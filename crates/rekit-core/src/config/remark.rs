//! What there is to say about a buildkitd.toml, each at its place and with what to write instead.

use std::ops::Range;

use super::{
    buildkitd::{Release, Trouble, troubles},
    cure::Cure,
    gc,
    mend::{Recount, mended},
    place::{Place, masked},
};
use crate::inventory::{ConfigRemark, RemarkKind};

/// Returns all remarks on a buildkitd.toml in the order of their places.
pub fn buildkitd_remarks(text: &str, release: Release) -> Vec<ConfigRemark> {
    let found = troubles(text, release);
    let recount: Recount<'_> = &|text| troubles(text, release).len();
    let mut remarks: Vec<(usize, ConfigRemark)> = found
        .iter()
        .map(|trouble| {
            let (kind, says) = match &trouble.refused {
                Some(reason) => (RemarkKind::Refused, reason.clone()),
                None => (RemarkKind::Unread, unread(text, trouble, release)),
            };
            let write = written(text, trouble, found.len(), recount);
            let draft = Draft {
                kind,
                key: &trouble.key,
                says,
                at: &trouble.at,
                write: &write,
            };
            (trouble.at.start, remark(text, draft))
        })
        .collect();
    if found.iter().all(|trouble| trouble.refused.is_none()) {
        let advice = gc::advice(text, release).into_iter();
        remarks.extend(advice.map(|advice| (advice.at.start, advised(text, advice))));
    }
    remarks.sort_by_key(|(at, _)| *at);
    remarks.into_iter().map(|(_, remark)| remark).collect()
}

/// Makes a remark of a piece of advice.
pub(super) fn advised(text: &str, advice: gc::Advice) -> ConfigRemark {
    let draft = Draft {
        kind: RemarkKind::Effect,
        key: &advice.key,
        says: advice.says,
        at: &advice.at,
        write: &advice.write,
    };
    remark(text, draft)
}

/// A remark in the making.
pub(super) struct Draft<'a> {
    pub(super) kind: RemarkKind,
    pub(super) key: &'a str,
    pub(super) says: String,
    pub(super) at: &'a Range<usize>,
    pub(super) write: &'a [String],
}

/// Makes a remark about some bytes of a text.
pub(super) fn remark(text: &str, draft: Draft<'_>) -> ConfigRemark {
    let place = Place::of(text, draft.at);
    ConfigRemark {
        kind: draft.kind,
        key: draft.key.to_owned(),
        says: draft.says,
        line: place.line,
        column: place.column,
        length: place.length,
        excerpt: place.excerpt,
        write: draft.write.iter().map(|line| masked(line)).collect(),
    }
}

/// Says that a key is not read, and whether another release would.
fn unread(text: &str, trouble: &Trouble, release: Release) -> String {
    let newest = troubles(text, Release::NEWEST);
    let still = newest.iter().any(|other| other.at == trouble.at);
    if release < Release::NEWEST && !still {
        return format!(
            "this release does not know `{}`, newer ones do",
            trouble.key
        );
    }
    format!(
        "buildkitd does not know `{}` and says nothing about it",
        trouble.key
    )
}

/// Returns the lines to write instead.
pub(super) fn written(
    text: &str,
    trouble: &Trouble,
    before: usize,
    recount: Recount<'_>,
) -> Vec<String> {
    if let Some(Cure::Write(lines)) = &trouble.cure {
        return lines.lines().map(str::to_owned).collect();
    }
    let Some((better, at)) = mended(text, trouble, before, recount) else {
        return Vec::new();
    };
    let start = better[..at.start].rfind('\n').map_or(0, |line| line + 1);
    let end = better[at.end..]
        .find('\n')
        .map_or(better.len(), |line| at.end + line);
    better[start..end]
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}
