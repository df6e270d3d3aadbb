//! What an archive of a state will take, judged by the archives that were made here before. Nothing is guessed without one.

use crate::name::ArchiveId;

/// An archive of a state that was made before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastArchive {
    /// Its name.
    pub id: ArchiveId,
    /// What it is an archive of.
    pub subject: String,
    /// Bytes before packing.
    pub bytes: u64,
    /// Bytes on disk.
    pub packed_bytes: u64,
    /// How long it took to make, where the journal tells.
    pub milliseconds: Option<u64>,
    /// Whether it is whole where the new archive goes, so that what both hold takes no room and is not read again.
    pub is_shared: bool,
}

/// What an archive of a state will take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// What it is an archive of.
    pub subject: String,
    /// Bytes of the state; `None`: the engine does not tell.
    pub bytes: Option<u64>,
    /// Bytes on disk if nothing of it is known; `None`: nobody knows how well it packs.
    pub packed_bytes: Option<u64>,
    /// Milliseconds if nothing of it is known; `None`: no archive was made here yet.
    pub milliseconds: Option<u64>,
    /// The last archive of the same state that shares what has not changed since, and its bytes before packing.
    pub known: Option<(ArchiveId, u64)>,
}

/// Estimates the archive of a state; `past` in the order of time.
pub fn estimate(subject: &str, bytes: Option<u64>, past: &[PastArchive]) -> Estimate {
    let own: Vec<_> = past.iter().filter(|it| it.subject == subject).collect();
    let known = own.iter().rfind(|it| it.is_shared);
    // The same state packs as it did; of another one all archives together tell more than any one.
    let (whole, packed) = match own.last() {
        Some(last) if last.bytes > 0 => (last.bytes, last.packed_bytes),
        _ => past.iter().fold((0_u64, 0_u64), |(whole, packed), it| {
            (
                whole.saturating_add(it.bytes),
                packed.saturating_add(it.packed_bytes),
            )
        }),
    };
    let bytes_per_second = slow(past);
    Estimate {
        subject: subject.to_owned(),
        bytes,
        packed_bytes: bytes.and_then(|bytes| scaled(bytes, packed, whole)),
        milliseconds: bytes
            .zip(bytes_per_second)
            .and_then(|(bytes, speed)| scaled(bytes, 1000, speed)),
        known: known.map(|it| (it.id.clone(), it.bytes)),
    }
}

/// Returns bytes per second, slower than most were: an archive of which most was known was quick, one that was broken off and resumed slow.
fn slow(past: &[PastArchive]) -> Option<u64> {
    let speed = |it: &PastArchive| scaled(it.bytes, 1000, it.milliseconds?.max(1));
    let mut speeds: Vec<_> = past.iter().filter_map(speed).filter(|it| *it > 0).collect();
    speeds.sort_unstable();
    speeds.get(speeds.len() / 4).copied()
}

/// Returns `count · numerator / denominator`; `None` for a denominator of 0.
fn scaled(count: u64, numerator: u64, denominator: u64) -> Option<u64> {
    let product = u128::from(count) * u128::from(numerator);
    let quotient = product.checked_div(u128::from(denominator))?;
    Some(u64::try_from(quotient).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(
        id: &str,
        subject: &str,
        (bytes, packed_bytes): (u64, u64),
        milliseconds: Option<u64>,
    ) -> PastArchive {
        PastArchive {
            id: id.parse().unwrap(),
            subject: subject.to_owned(),
            bytes,
            packed_bytes,
            milliseconds,
            is_shared: true,
        }
    }

    fn of(subject: &str, bytes: Option<u64>, past: &[PastArchive]) -> Estimate {
        estimate(subject, bytes, past)
    }

    #[test]
    fn without_an_earlier_archive_nothing_is_guessed() {
        let found = of("team", Some(1000), &[]);
        assert_eq!((found.packed_bytes, found.milliseconds), (None, None));
        assert_eq!((found.bytes, found.known), (Some(1000), None));
    }

    #[test]
    fn without_a_size_only_what_is_known_is_said() {
        let earlier = [past("a", "team", (900, 300), Some(10))];
        let found = of("team", None, &earlier);
        assert_eq!((found.packed_bytes, found.milliseconds), (None, None));
        assert_eq!(found.known, Some(("a".parse().unwrap(), 900)));
    }

    #[test]
    fn a_state_packs_as_it_did_and_another_as_all_did() {
        let earlier = [
            past("a", "team", (1000, 900), None),
            past("b", "team", (1000, 200), None),
            past("c", "other", (2000, 900), None),
        ];
        assert_eq!(of("team", Some(2000), &earlier).packed_bytes, Some(400));
        assert_eq!(of("new", Some(2000), &earlier).packed_bytes, Some(1000));
        let found = of("team", Some(2000), &earlier);
        assert_eq!(found.known, Some(("b".parse().unwrap(), 1000)));
    }

    #[test]
    fn what_lies_elsewhere_is_not_shared() {
        let mut elsewhere = past("a", "team", (1000, 900), None);
        elsewhere.is_shared = false;
        let found = of("team", Some(1000), &[elsewhere]);
        assert_eq!((found.known, found.packed_bytes), (None, Some(900)));
    }

    #[test]
    fn neither_the_quick_nor_one_slow_archive_decides() {
        let took = |milliseconds| past("a", "team", (100_000, 1), Some(milliseconds));
        let earlier = [3_600_000, 1000, 1000, 10, 10].map(took);
        let found = of("team", Some(200_000), &earlier);
        assert_eq!(found.milliseconds, Some(2000));
        assert_eq!(of("team", Some(5), &[took(0)]).milliseconds, Some(0));
    }
}
