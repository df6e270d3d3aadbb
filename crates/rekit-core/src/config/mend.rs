//! A buildkitd.toml as its writer meant it: names and values mended where that is sure, the rest made a comment.
//!
//! Invariant: what is mended has less trouble than before; the result is taken whole by the release it was made for.

use std::ops::Range;

use super::{
    buildkitd::{Release, Trouble, troubles},
    correct::{Correction, corrected_buildkitd},
    cure::Cure,
};

/// Returns the same file, mended, such that the daemon takes all that is left of it.
pub fn mended_buildkitd(text: &str, release: Release) -> String {
    let mut text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
    let recount: Recount<'_> = &|text| troubles(text, release).len();
    // Each round takes one trouble away, so their number bounds the rounds.
    for _ in 0..=troubles(&text, release).len() {
        let found = troubles(&text, release);
        let better = found
            .iter()
            .find_map(|trouble| mended(&text, trouble, found.len(), recount));
        let Some((better, _)) = better else { break };
        text = better;
    }
    corrected_buildkitd(&text, &Correction { release, gc: None })
}

/// Counts the troubles of a text.
pub(super) type Recount<'a> = &'a dyn Fn(&str) -> usize;

/// Returns the text with one of `before` troubles mended, and where; `None` where nobody knows how.
pub(super) fn mended(
    text: &str,
    trouble: &Trouble,
    before: usize,
    recount: Recount<'_>,
) -> Option<(String, Range<usize>)> {
    let Some(Cure::Replace { at, with }) = &trouble.cure else {
        return None;
    };
    let mut better = text.get(..at.start)?.to_owned();
    better.push_str(with);
    better.push_str(text.get(at.end..)?);
    let is_better = recount(&better) < before;
    is_better.then(|| (better, at.start..at.start + with.len()))
}
