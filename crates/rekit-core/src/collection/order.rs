//! Which record goes first.
//!
//! Source: `sortDeleteRecords` in `cache/manager.go` 0.17.3, 0.21.0 and 0.32.2. A record's rank of age and its rank of use, each a share of
//! the highest rank, are added; the lowest sum goes. Equal sums are no rarity (older and used more often against younger and used less
//! often), and among them the order of a Go map decides: chance.

use super::{behaviour::Behaviour, record::Use};

/// Returns the places of those candidates of which the daemon takes one: more than one where chance decides.
pub(super) fn first_to_go(candidates: &[Use], behaviour: Behaviour) -> Vec<usize> {
    let ages = ranks(candidates, behaviour, |it| it.last, None);
    let uses = ranks(candidates, behaviour, |it| it.count, 0);
    let sums: Vec<f64> = ages
        .iter()
        .zip(&uses)
        .map(|(age, use_)| age + use_)
        .collect();
    let lowest = sums.iter().copied().fold(f64::INFINITY, f64::min);
    // Before 0.22 the highest rank may be 0; then no sum is less than another.
    let is_lowest = |sum: f64| sum.is_nan() || sum <= lowest;
    (0..sums.len())
        .filter(|&place| is_lowest(sums[place]))
        .collect()
}

/// Returns the rank of each candidate as a share of the highest one; each greater value counts one up, beginning at `least`.
fn ranks<T: Ord + Copy>(
    candidates: &[Use],
    behaviour: Behaviour,
    value: impl Fn(Use) -> T,
    least: T,
) -> Vec<f64> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|&place| value(candidates[place]));
    let mut rank = if behaviour.ranks_from_one { 1.0 } else { 0.0 };
    let mut seen = least;
    let mut ranks = vec![0.0; candidates.len()];
    for place in order {
        let next = value(candidates[place]);
        if next != seen {
            seen = next;
            rank += 1.0;
        }
        ranks[place] = rank;
    }
    ranks.into_iter().map(|it| it / rank).collect()
}
