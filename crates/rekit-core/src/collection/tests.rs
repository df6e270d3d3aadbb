//! Each edge of a collection, in tables.

use jiff::{SignedDuration, Timestamp};

use super::{
    behaviour::Behaviour,
    forecast::{Forecast, Unforeseen, forecast},
    kept::{Why, kept},
    next::{Room, next, rooms},
    record::{Cache, CacheRecord, Started},
    words::{never, rule_in_words, size},
};
use crate::inventory::GcRule;

const NEWEST: &str = "v0.32.2";
const GIB: i64 = 1 << 30;

fn now() -> Timestamp {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

/// A record of 100 bytes that was used once, `minutes` ago.
fn record(id: &str, minutes: i64) -> CacheRecord {
    CacheRecord {
        id: id.to_owned(),
        kind: "regular".to_owned(),
        description: format!("step {id}"),
        parents: Vec::new(),
        bytes: 100,
        created: Some(now() - SignedDuration::from_mins(minutes)),
        last_used: Some(now() - SignedDuration::from_mins(minutes)),
        uses: 1,
        mutable: false,
        in_use: false,
        shared: false,
    }
}

fn on(record: CacheRecord, parents: &[&str]) -> CacheRecord {
    CacheRecord {
        parents: parents.iter().map(|&id| id.to_owned()).collect(),
        ..record
    }
}

fn of_kind(record: CacheRecord, kind: &str) -> CacheRecord {
    CacheRecord {
        kind: kind.to_owned(),
        ..record
    }
}

fn used(record: CacheRecord, uses: i64) -> CacheRecord {
    CacheRecord { uses, ..record }
}

fn held(record: CacheRecord) -> CacheRecord {
    CacheRecord {
        in_use: true,
        ..record
    }
}

fn shared(record: CacheRecord) -> CacheRecord {
    CacheRecord {
        shared: true,
        ..record
    }
}

fn rule() -> GcRule {
    GcRule {
        all: false,
        filters: Vec::new(),
        keep_seconds: 0,
        reserved_bytes: 0,
        max_used_bytes: 0,
        min_free_bytes: 0,
    }
}

fn everything() -> GcRule {
    GcRule {
        all: true,
        ..rule()
    }
}

fn most(bytes: i64) -> GcRule {
    GcRule {
        max_used_bytes: bytes,
        ..everything()
    }
}

fn filtered(filters: &[&str]) -> GcRule {
    GcRule {
        filters: filters.iter().map(|&filter| filter.to_owned()).collect(),
        ..rule()
    }
}

fn cache(records: &[CacheRecord], free: Option<i64>) -> Cache<'_> {
    Cache {
        records,
        free_bytes: free,
        started: Started::Unknown,
        now: now(),
    }
}

fn foreseen(version: &str, rules: &[GcRule], records: &[CacheRecord], free: i64) -> Forecast {
    forecast(rules, cache(records, Some(free)), Behaviour::of(version)).unwrap()
}

/// Says what goes as `id/rule`, in order.
fn told(forecast: &Forecast, records: &[CacheRecord]) -> Vec<String> {
    let deletions = forecast.deletions.iter();
    deletions
        .map(|it| format!("{}/{}", records[it.record].id, it.rule + 1))
        .collect()
}

#[track_caller]
fn check(rules: &[GcRule], records: &[CacheRecord], expected: &[&str]) {
    let forecast = foreseen(NEWEST, rules, records, GIB);
    assert_eq!(told(&forecast, records), expected);
    let certain: Vec<_> = forecast.certain.iter().collect();
    assert_eq!(
        certain.len(),
        expected.len(),
        "chance decides: {forecast:?}"
    );
}

fn ids(places: &std::collections::BTreeSet<usize>, records: &[CacheRecord]) -> String {
    let ids: Vec<_> = places.iter().map(|&it| records[it].id.as_str()).collect();
    ids.join(" ")
}

#[test]
fn without_limits_all_goes_the_upper_before_the_lower() {
    let records = [
        record("base", 3),
        on(record("top", 1), &["middle"]),
        on(record("middle", 2), &["base"]),
    ];
    check(&[everything()], &records, &["top/1", "middle/1", "base/1"]);
    check(&[], &records, &[]);
}

#[test]
fn a_limit_is_undercut_and_not_only_met() {
    let records = [record("a", 3), record("b", 2), record("c", 1)];
    check(&[most(301)], &records, &[]);
    // A cache that is exactly as large as it may be loses one.
    check(&[most(300)], &records, &["a/1"]);
    check(&[most(299)], &records, &["a/1"]);
    check(&[most(100)], &records, &["a/1", "b/1", "c/1"]);
    check(&[most(101)], &records, &["a/1", "b/1"]);
}

#[test]
fn the_greater_of_reserved_and_most_counts() {
    let records = [record("a", 3), record("b", 2), record("c", 1)];
    let rules = [GcRule {
        reserved_bytes: 250,
        ..most(150)
    }];
    check(&rules, &records, &["a/1"]);
    let rules = [GcRule {
        reserved_bytes: 150,
        ..everything()
    }];
    check(&rules, &records, &["a/1", "b/1"]);
}

#[test]
fn a_disk_that_lacks_free_space_lowers_the_limit_but_not_below_what_is_reserved() {
    let records = [record("a", 3), record("b", 2), record("c", 1)];
    let rules = [GcRule {
        min_free_bytes: 1_000,
        reserved_bytes: 150,
        ..most(10_000)
    }];
    let at = |free| told(&foreseen(NEWEST, &rules, &records, free), &records);
    assert_eq!(at(1_000), Vec::<String>::new());
    // 50 bytes too few: 250 may stay.
    assert_eq!(at(950), ["a/1"]);
    assert_eq!(at(0), ["a/1", "b/1"]);
    let blind = forecast(&rules, cache(&records, None), Behaviour::of(NEWEST));
    assert_eq!(blind, Err(Unforeseen::FreeSpace(0)));
}

#[test]
fn each_rule_counts_the_disk_as_it_was_before_the_collection() {
    // 150 bytes too few; the first rule frees 100 of them, the second still wants 150 of the rest.
    let records = [
        of_kind(record("source", 9), "source.local"),
        record("a", 3),
        record("b", 2),
        record("c", 1),
    ];
    let last = GcRule {
        min_free_bytes: 1_000,
        ..most(10_000)
    };
    let rules = [filtered(&["type==source.local"]), last];
    let forecast = foreseen(NEWEST, &rules, &records, 850);
    assert_eq!(told(&forecast, &records), ["source/1", "a/2", "b/2"]);
}

#[test]
fn a_least_free_space_alone_differs_from_release_to_release() {
    let records = [record("a", 3), record("b", 2), record("c", 1)];
    let rules = [GcRule {
        min_free_bytes: 1_000,
        ..everything()
    }];
    let at = |version, free| told(&foreseen(version, &rules, &records, free), &records);
    // Enough is free: one goes, because the cache is exactly as large as it may be; before 0.21 all.
    assert_eq!(at(NEWEST, 5_000), ["a/1"]);
    assert_eq!(at("v0.21.0", 5_000), ["a/1"]);
    assert_eq!(at("v0.20.2", 5_000).len(), 3);
    assert_eq!(at("v0.17.3", 900).len(), 2);
    assert_eq!(at(NEWEST, 900).len(), 2);
}

#[test]
fn an_age_keeps_what_was_used_and_all_beneath_it() {
    let hour = GcRule {
        keep_seconds: 3_600,
        ..everything()
    };
    let records = [
        record("old", 61),
        record("exact", 60),
        record("young", 59),
        CacheRecord {
            last_used: None,
            ..record("never used", 0)
        },
        record("base", 500),
        on(record("top", 5), &["base"]),
    ];
    let forecast = foreseen(NEWEST, &[hour], &records, GIB);
    assert_eq!(
        told(&forecast, &records),
        ["old/1", "exact/1", "never used/1"]
    );
}

#[test]
fn what_is_in_use_shared_internal_or_a_frontend_is_spared() {
    let records = [
        held(record("held", 9)),
        shared(record("shared", 8)),
        of_kind(record("internal", 7), "internal"),
        of_kind(record("frontend", 6), "frontend"),
        record("base", 5),
        held(on(record("top", 4), &["base"])),
    ];
    check(&[rule()], &records, &[]);
    let names = ["shared/1", "internal/1", "frontend/1"];
    check(&[everything()], &records, &names);
}

#[test]
fn shared_bytes_do_not_count_for_a_limit() {
    let records = [shared(record("image", 9)), record("a", 3), record("b", 2)];
    check(&[most(201)], &records, &[]);
    check(
        &[GcRule {
            all: false,
            ..most(200)
        }],
        &records,
        &["a/1"],
    );
}

#[test]
fn a_list_of_filters_means_or_and_a_comma_means_and() {
    let records = [
        of_kind(record("local", 9), "source.local"),
        CacheRecord {
            mutable: true,
            ..of_kind(record("mount", 8), "exec.cachemount")
        },
        record("layer", 7),
    ];
    let either = filtered(&["type==source.local", "type==exec.cachemount"]);
    check(&[either], &records, &["local/1", "mount/1"]);
    let both = filtered(&["type==source.local,type==exec.cachemount"]);
    check(&[both], &records, &[]);
    let cases: [(&str, &[&str]); 9] = [
        ("type==exec.cachemount,mutable", &["mount/1"]),
        ("mutable,private", &["mount/1"]),
        ("immutable", &["local/1", "layer/1"]),
        ("type!=regular", &["local/1", "mount/1"]),
        ("id==layer", &["layer/1"]),
        ("description==\"step layer\"", &["layer/1"]),
        ("description~=mount", &["mount/1"]),
        ("mutable==true", &[]),
        ("inuse", &[]),
    ];
    for (filter, expected) in cases {
        check(&[filtered(&[filter])], &records, expected);
    }
}

#[test]
fn a_filter_that_does_not_parse_ends_the_collection() {
    let records = [record("a", 3), of_kind(record("b", 2), "source.local")];
    for wrong in ["type===regular", "type=regular", "type==", "type==a b", ","] {
        let rules = [
            filtered(&["type==source.local"]),
            filtered(&[wrong]),
            everything(),
        ];
        let forecast = foreseen(NEWEST, &rules, &records, GIB);
        assert_eq!(told(&forecast, &records), ["b/1"], "{wrong}");
        assert_eq!(forecast.ends_at.unwrap().0, 1, "{wrong}");
    }
    let rules = [filtered(&["id~=^a.*"])];
    let beyond = forecast(&rules, cache(&records, None), Behaviour::of(NEWEST));
    assert!(matches!(beyond, Err(Unforeseen::Filter { rule: 0, .. })));
}

#[test]
fn old_and_seldom_used_goes_first_and_chance_decides_between_equals() {
    // Ranks of age: a < b < c; of use: c < b < a. Each sum is the same.
    let records = [
        used(record("a", 3), 9),
        used(record("b", 2), 5),
        used(record("c", 1), 2),
    ];
    let forecast = foreseen(NEWEST, &[most(300)], &records, GIB);
    assert_eq!(forecast.deletions.len(), 1);
    assert_eq!(ids(&forecast.certain, &records), "");
    assert_eq!(ids(&forecast.possible, &records), "a b c");
    assert!(forecast.is_complete);
    // The one that is older and not used more often goes for sure.
    let records = [
        used(record("a", 3), 2),
        used(record("b", 2), 9),
        used(record("c", 1), 2),
    ];
    check(&[most(300)], &records, &["a/1"]);
}

#[test]
fn what_goes_in_any_case_is_certain_though_chance_decides_the_order() {
    let records = [
        used(record("a", 3), 9),
        used(record("b", 2), 2),
        used(record("c", 1), 30),
    ];
    let forecast = foreseen(NEWEST, &[most(150)], &records, GIB);
    assert_eq!(ids(&forecast.certain, &records), "a b");
    assert_eq!(ids(&forecast.possible, &records), "a b");
}

#[test]
fn the_order_of_older_releases_weighs_use_and_age_otherwise() {
    // From 0: 1/4 + 2/2, 2/4 + 2/2, 3/4 + 1/2, 4/4 + 1/2. From 1: 2/5 + 3/3, 3/5 + 3/3, 4/5 + 2/3, 5/5 + 2/3.
    let records = [
        used(record("a", 4), 9),
        used(record("b", 3), 9),
        used(record("c", 2), 2),
        used(record("d", 1), 2),
    ];
    let possible = |version, records: &[CacheRecord], limit| {
        let forecast = foreseen(version, &[most(limit)], records, GIB);
        ids(&forecast.possible, records)
    };
    assert_eq!(possible("v0.21.0", &records, 400), "a c");
    assert_eq!(possible(NEWEST, &records, 400), "a");
    // Nothing was ever used: before 0.22 no record is before another.
    let records = [used(record("a", 3), 0), used(record("b", 2), 0)];
    assert_eq!(possible("v0.17.3", &records, 200), "a b");
    assert_eq!(possible(NEWEST, &records, 200), "a");
}

#[test]
fn an_upper_record_is_taken_before_an_older_lower_one() {
    let records = [
        record("base", 100),
        on(record("top", 1), &["base"]),
        record("other", 50),
    ];
    check(&[most(300)], &records, &["other/1"]);
    check(&[most(200)], &records, &["other/1", "top/1"]);
    check(&[most(100)], &records, &["other/1", "top/1", "base/1"]);
}

#[test]
fn what_lies_beneath_a_record_from_the_disk_counts_as_used_when_that_goes() {
    let records = [
        record("base", 100),
        on(record("top", 90), &["base"]),
        record("other", 50),
    ];
    let rules = [most(200)];
    let went = |started, rules: &[GcRule]| {
        let cache = Cache {
            started,
            ..cache(&records, None)
        };
        told(
            &forecast(rules, cache, Behaviour::of(NEWEST)).unwrap(),
            &records,
        )
    };
    assert_eq!(went(Started::Unknown, &rules), ["top/1", "base/1"]);
    assert_eq!(went(Started::Anew, &rules), ["top/1", "other/1"]);
    // Between the two: only what was made before the start.
    let minutes = |minutes| Started::At(now() - SignedDuration::from_mins(minutes));
    assert_eq!(went(minutes(80), &rules), ["top/1", "other/1"]);
    assert_eq!(went(minutes(95), &rules), ["top/1", "base/1"]);
    // An age then keeps it anew.
    let hour = [GcRule {
        keep_seconds: 3_600,
        ..everything()
    }];
    assert_eq!(went(Started::Anew, &hour), ["top/1"]);
    assert_eq!(went(Started::Unknown, &hour), ["top/1", "base/1"]);
}

#[test]
fn what_never_goes_is_told_with_its_reason() {
    let records = [
        held(record("held", 9)),
        shared(record("image", 8)),
        of_kind(record("internal", 7), "internal"),
        record("base", 6),
        on(of_kind(record("front", 5), "frontend"), &["base"]),
        record("layer", 4),
    ];
    let reasons = |rules: &[GcRule]| -> Vec<(usize, Why)> {
        let kept = kept(rules, cache(&records, None), Behaviour::of(NEWEST)).unwrap();
        kept.into_iter().map(|it| (it.record, it.why)).collect()
    };
    let spared = [
        (0, Why::InUse),
        (1, Why::Shared),
        (2, Why::NoRule),
        (3, Why::Beneath),
        (4, Why::NoRule),
    ];
    assert_eq!(reasons(&[rule()]), spared);
    // Age and limits only put off; a free disk that is not seen does not matter here.
    let old = GcRule {
        keep_seconds: 99_999_999,
        min_free_bytes: 5,
        ..everything()
    };
    assert_eq!(reasons(&[old]), [(0, Why::InUse)]);
    assert_eq!(reasons(&[]).len(), records.len());
}

#[test]
fn the_next_moment_is_the_first_at_which_something_would_go() {
    let records = [
        record("base", 500),
        on(record("top", 10), &["base"]),
        record("lone", 20),
    ];
    let hour = GcRule {
        keep_seconds: 3_600,
        ..everything()
    };
    let behaviour = Behaviour::of(NEWEST);
    let cache = cache(&records, None);
    let soon = |rules: &[GcRule]| {
        let now = forecast(rules, cache, behaviour).unwrap();
        next(rules, cache, behaviour, &now).unwrap()
    };
    let due = soon(std::slice::from_ref(&hour)).unwrap();
    assert_eq!(due.at, now() + SignedDuration::from_mins(40));
    assert_eq!((due.rule, due.records, due.bytes), (1, 1, 100));
    // Below its limit an age alone deletes nothing.
    assert_eq!(
        soon(&[GcRule {
            max_used_bytes: 301,
            ..hour
        }]),
        None
    );
    assert_eq!(soon(&[most(400)]), None);
}

#[test]
fn what_a_limit_waits_for_is_told() {
    let records = [record("a", 3), record("b", 2), record("c", 1)];
    let rules = [
        most(301),
        GcRule {
            min_free_bytes: 50,
            ..most(1_000)
        },
        most(250),
    ];
    let cache = cache(&records, Some(80));
    let now = forecast(&rules, cache, Behaviour::of(NEWEST)).unwrap();
    assert_eq!(told(&now, &records), ["a/3"]);
    let room = |rule, grows, free| Room {
        rule,
        grows_bytes: Some(grows),
        free_below_bytes: free,
    };
    // The third leaves 200, but the first and the second saw 300.
    let expected = [room(1, 1, None), room(2, 700, Some(50)), room(3, 50, None)];
    assert_eq!(rooms(&rules, cache, &now), expected);
}

#[test]
fn rules_are_told_in_plain_words() {
    let behaviour = Behaviour::of(NEWEST);
    let words = |rule: &GcRule| rule_in_words(rule, behaviour);
    let first = GcRule {
        keep_seconds: 172_800,
        max_used_bytes: 512_000_000,
        ..filtered(&[
            "type==source.local",
            "type==exec.cachemount",
            "type==source.git.checkout",
        ])
    };
    assert_eq!(
        words(&first),
        "local sources, cache mounts and git checkouts that no build used for 48 h: while the whole cache holds 512 MB or more"
    );
    let usual = GcRule {
        reserved_bytes: 10_000_000_000,
        min_free_bytes: 20 * GIB,
        ..most(100_000_000_000)
    };
    assert_eq!(
        words(&usual),
        "every record: while the whole cache holds 100 GB or more, or the disk has less than 20 GiB free, but 10 GB stay whatever the disk has"
    );
    assert_eq!(
        words(&everything()),
        "every record: all of them, at every collection"
    );
    assert_eq!(size(1_500_000_001), "1.3 GiB");
}

#[test]
fn a_rule_that_can_never_do_anything_is_told() {
    let behaviour = Behaviour::of(NEWEST);
    let why = |rule: &GcRule, earlier: &[GcRule]| {
        never(rule, earlier, behaviour, Some(50 * GIB)).unwrap_or_default()
    };
    let both = filtered(&["type==source.local,type==exec.cachemount"]);
    assert!(why(&both, &[]).contains("at once"), "{}", why(&both, &[]));
    let cases = [
        (filtered(&["type==internal"]), "all = true"),
        (filtered(&["type==source.lokal"]), "no record has the type"),
        (filtered(&["parents==x"]), "cannot be asked"),
        (filtered(&["mutable==true"]), "has no value"),
        (filtered(&["type===regular"]), "ends here with an error"),
        (most(80 * GIB), "its disk has"),
    ];
    for (rule, part) in cases {
        assert!(
            why(&rule, &[]).contains(part),
            "{part}: {}",
            why(&rule, &[])
        );
    }
    assert!(why(&rule(), &[everything()]).contains("rule 1 leaves it nothing"));
    assert!(why(&rule(), &[filtered(&["x="])]).contains("gives up before it"));
    for fine in [
        everything(),
        most(GIB),
        filtered(&["type==regular", "parents"]),
    ] {
        assert_eq!(why(&fine, &[most(GIB)]), "", "{fine:?}");
    }
    // What takes all but internal records leaves those to the next.
    assert_eq!(why(&everything(), &[rule()]), "");
}

#[test]
fn a_release_that_is_not_told_is_taken_for_the_newest() {
    assert!(Behaviour::of("v0.0.0+unknown").is_assumed);
    assert!(Behaviour::of("").spares_while_enough_is_free);
    assert!(!Behaviour::of("v0.17.3").is_assumed);
    assert!(!Behaviour::of("v0.13.2").filters_by_description);
}
