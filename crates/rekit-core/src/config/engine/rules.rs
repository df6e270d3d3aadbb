//! The rules of garbage collection that dockerd makes of its daemon.json.

use jsonc_parser::{
    ast::{Object, Value},
    common::Ranged as _,
};

use super::{
    super::scalar::{bytes, is_size},
    filter::{Refusal, chosen, filters},
    read::{EngineRelease, collector, get, root, troubles},
};
use crate::inventory::GcRule;

/// e times pi times phi: the share of the cache, in percent, that sources and cache mounts may take for two days.
const SHORT_LIVED_PERCENT: f64 = 13.817_580_227_176_494;

/// Returns the rules of the engine's builder on a disk of this size; `None`: dockerd refuses the text, or rekit cannot tell.
pub fn engine_gc_rules(text: &str, release: EngineRelease, disk_bytes: i64) -> Option<Vec<GcRule>> {
    if troubles(text, release)
        .iter()
        .any(|trouble| trouble.refused.is_some())
    {
        return None;
    }
    let root = root(text).ok()?;
    match root.as_ref().and_then(collector) {
        Some(gc) => rules(gc, release, disk_bytes).ok()?,
        None if release.has_three_sizes() => Some(usual([0; 3], release, disk_bytes)),
        None => Some(Vec::new()),
    }
}

/// Returns the rules of a section `gc`, or what dockerd does not start with; `None`: rekit cannot tell.
pub(super) fn rules(
    gc: &Object<'_>,
    release: EngineRelease,
    disk_bytes: i64,
) -> Result<Option<Vec<GcRule>>, Refusal> {
    let enabled =
        get(gc, "enabled").and_then(|property| Some(property.value.as_boolean_lit()?.value));
    if !enabled.unwrap_or(release.has_three_sizes()) {
        return Ok(Some(Vec::new()));
    }
    let policy = get(gc, "policy").and_then(|property| property.value.as_array());
    let names = [
        "defaultReservedSpace",
        "defaultMaxUsedSpace",
        "defaultMinFreeSpace",
    ];
    // Releases before 28 read the default also where rules replace it.
    let default = if policy.is_none() || !release.has_three_sizes() {
        sizes(gc, names, "defaultKeepStorage", release)?
    } else {
        [0; 3]
    };
    let Some(policy) = policy else {
        return Ok(Some(usual(default, release, disk_bytes)));
    };
    let mut all = Some(Vec::new());
    for element in &policy.elements {
        let rule = match element {
            Value::Object(object) => rule(object, release, default[0], element)?,
            _ => empty_rule(release, default[0], element)?,
        };
        match (rule, &mut all) {
            (Some(rule), Some(all)) => all.push(rule),
            _ => all = None,
        }
    }
    Ok(all)
}

fn rule(
    object: &Object<'_>,
    release: EngineRelease,
    default: i64,
    whole: &Value<'_>,
) -> Result<Option<GcRule>, Refusal> {
    let names = ["reservedSpace", "maxUsedSpace", "minFreeSpace"];
    let mut sizes = sizes(object, names, "keepStorage", release)?;
    if !release.has_three_sizes() {
        let written =
            get(object, "keepStorage").and_then(|property| property.value.as_string_lit());
        if written.is_none_or(|text| text.value.is_empty()) {
            return empty_rule(release, default, whole);
        }
        if sizes[0] == 0 {
            sizes[0] = default;
        }
    }
    let filter = get(object, "filter").map(|property| filters(&property.value));
    let chosen = chosen(&filter.unwrap_or_default())?;
    let all = get(object, "all").and_then(|property| Some(property.value.as_boolean_lit()?.value));
    Ok(chosen.keep_seconds.map(|keep_seconds| GcRule {
        all: all == Some(true),
        filters: vec![chosen.filter],
        keep_seconds,
        reserved_bytes: sizes[0],
        max_used_bytes: sizes[1],
        min_free_bytes: sizes[2],
    }))
}

/// Returns a rule in which nothing is written.
fn empty_rule(
    release: EngineRelease,
    _default: i64,
    whole: &Value<'_>,
) -> Result<Option<GcRule>, Refusal> {
    if release.has_three_sizes() {
        return Ok(Some(GcRule {
            all: false,
            filters: vec![String::new()],
            keep_seconds: 0,
            reserved_bytes: 0,
            max_used_bytes: 0,
            min_free_bytes: 0,
        }));
    }
    let start = whole.start();
    Err(Refusal {
        at: start..start + 1,
        reason: "before 28 each rule wants a `keepStorage`: without one the daemon does not start"
            .to_owned(),
    })
}

/// Returns three sizes; the old name stands in for the first.
fn sizes(
    object: &Object<'_>,
    names: [&str; 3],
    old: &str,
    release: EngineRelease,
) -> Result<[i64; 3], Refusal> {
    let mut sizes = [0; 3];
    for (size, name) in sizes.iter_mut().zip(names) {
        let written = |name: &str| {
            let value = &get(object, name)?.value;
            value.as_string_lit().filter(|text| !text.value.is_empty())
        };
        let mut text = if release.has_three_sizes() {
            written(name)
        } else {
            None
        };
        if name == names[0] {
            text = text.or_else(|| written(old));
        }
        let Some(text) = text else { continue };
        if !is_size(&text.value) {
            let hint = if text.value.ends_with('%') {
                "; no share of the disk, other than in buildkitd.toml"
            } else {
                ""
            };
            return Err(Refusal {
                at: text.start()..text.end(),
                reason: format!(
                    "invalid size `{}`: bytes, or a number with `KB`, `MB`, `GB` or `TB`{hint}",
                    text.value
                ),
            });
        }
        *size = bytes(&text.value).unwrap_or_default();
    }
    Ok(sizes)
}

/// Returns the engine's own rules with the sizes that were written.
fn usual(mut sizes: [i64; 3], release: EngineRelease, disk_bytes: i64) -> Vec<GcRule> {
    let share =
        |percent: i64| (disk_bytes.wrapping_mul(percent) / 100 / (1 << 30) + 1) * 1_000_000_000;
    if sizes == [0; 3] {
        sizes = if release.has_three_sizes() {
            [share(10), share(80), share(20)]
        } else {
            [share(10), 0, 0]
        };
    }
    let [reserved_bytes, max_used_bytes, min_free_bytes] = sizes;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "the daemon rounds as well"
    )]
    let short_lived =
        ((reserved_bytes as f64 / 100.0 * SHORT_LIVED_PERCENT).round() as i64).max(512_000_000);
    let rule = |all: bool, days: i64, filter: &[&str]| GcRule {
        all,
        filters: filter.iter().map(|&filter| filter.to_owned()).collect(),
        keep_seconds: days * 86_400,
        reserved_bytes,
        max_used_bytes,
        min_free_bytes,
    };
    let mut first = rule(
        false,
        2,
        &["type==source.local,type==exec.cachemount,type==source.git.checkout"],
    );
    (
        first.reserved_bytes,
        first.max_used_bytes,
        first.min_free_bytes,
    ) = if release.has_three_sizes() {
        (0, short_lived, 0)
    } else {
        (short_lived, 0, 0)
    };
    vec![
        first,
        rule(false, 60, &[]),
        rule(false, 0, &[]),
        rule(true, 0, &[]),
    ]
}
