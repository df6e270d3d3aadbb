//! Advice on the builder's part of a daemon.json: taken by dockerd, yet not what was meant.

use jsonc_parser::{
    ast::{Object, Value},
    common::Ranged as _,
};

use super::{
    super::gc::Advice,
    filter::{AGES, NAMES, filters},
    read::{EngineRelease, collector, get, quoted, root},
};

/// Returns advice on a text that dockerd takes.
pub(super) fn advice(text: &str, release: EngineRelease) -> Vec<Advice> {
    let Ok(Some(root)) = root(text) else {
        return Vec::new();
    };
    let Some(gc) = collector(&root) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    let enabled =
        get(gc, "enabled").and_then(|property| Some(property.value.as_boolean_lit()?.value));
    if !enabled.unwrap_or(release.has_three_sizes()) {
        let unused = [
            "policy",
            "defaultReservedSpace",
            "defaultKeepStorage",
            "defaultMaxUsedSpace",
            "defaultMinFreeSpace",
        ];
        let first = unused.into_iter().find(|name| get(gc, name).is_some());
        let says =
            "garbage collection is off: without `\"enabled\": true` nothing else in `gc` is used";
        all.extend(first.and_then(|name| {
            note(
                gc,
                "builder.gc",
                name,
                says.to_owned(),
                vec!["\"enabled\": true".to_owned()],
            )
        }));
        return all;
    }
    match get(gc, "policy").and_then(|property| property.value.as_array()) {
        Some(policy) => {
            let rules: Vec<&Object<'_>> = policy
                .elements
                .iter()
                .filter_map(Value::as_object)
                .collect();
            rules_advice(gc, &rules, release, &mut all);
        }
        None if release.has_three_sizes() => {
            let names = [
                "defaultReservedSpace",
                "defaultMaxUsedSpace",
                "defaultMinFreeSpace",
            ];
            all.extend(partial(gc, "builder.gc", names, "defaultKeepStorage"));
        }
        None => {}
    }
    all
}

fn note(
    object: &Object<'_>,
    path: &str,
    name: &str,
    says: String,
    write: Vec<String>,
) -> Option<Advice> {
    let property = get(object, name)?;
    Some(Advice {
        key: format!("{path}.{}", property.name.as_str()),
        at: property.name.start()..property.name.end(),
        says,
        write,
    })
}

fn rules_advice(
    gc: &Object<'_>,
    rules: &[&Object<'_>],
    release: EngineRelease,
    all: &mut Vec<Advice>,
) {
    let path = "builder.gc";
    if rules.is_empty() {
        let says = "an empty list leaves no rule at all: nothing is ever collected";
        all.extend(note(gc, path, "policy", says.to_owned(), Vec::new()));
        return;
    }
    if release.has_three_sizes() {
        for name in [
            "defaultReservedSpace",
            "defaultKeepStorage",
            "defaultMaxUsedSpace",
            "defaultMinFreeSpace",
        ] {
            let says =
                format!("`policy` replaces the engine's own rules: `{name}` beside it is not used");
            all.extend(note(gc, path, name, says, Vec::new()));
        }
    }
    let path = "builder.gc.policy";
    for rule in rules {
        if release.has_three_sizes() {
            all.extend(partial(
                rule,
                path,
                ["reservedSpace", "maxUsedSpace", "minFreeSpace"],
                "keepStorage",
            ));
        }
        filter_advice(rule, all);
    }
    let is_last_resort = |rule: &&&Object<'_>| {
        let takes_all =
            get(rule, "all").and_then(|property| Some(property.value.as_boolean_lit()?.value));
        takes_all == Some(true)
            && get(rule, "filter").is_none_or(|property| filters(&property.value).is_empty())
    };
    if !rules.iter().any(|rule| is_last_resort(&rule)) {
        let says = "no rule takes everything (`\"all\": true` without `filter`): young records pin all that lies below them, and the cache \
            grows past its limits";
        let sizes = if release.has_three_sizes() {
            r#""reservedSpace": "10GB", "maxUsedSpace": "50GB", "minFreeSpace": "20GB""#
        } else {
            r#""keepStorage": "50GB""#
        };
        let write = vec![format!(r#"{{"all": true, {sizes}}}"#)];
        all.extend(note(gc, "builder.gc", "policy", says.to_owned(), write));
    }
}

/// Returns advice where only some of the three sizes are set.
fn partial(object: &Object<'_>, path: &str, names: [&str; 3], old: &str) -> Option<Advice> {
    let is_set = |name: &str| {
        let property = get(object, name)?;
        property
            .value
            .as_string_lit()
            .filter(|text| !text.value.is_empty())
    };
    let reserved = is_set(names[0]).or_else(|| is_set(old));
    let (most, free) = (is_set(names[1]), is_set(names[2]));
    if [reserved, most, free].iter().all(Option::is_none) || (most.is_some() && free.is_some()) {
        return None;
    }
    let off = match (most.is_some(), free.is_some()) {
        (false, false) => "the cache has no upper limit, and no part of the disk is kept free",
        (false, true) => "the cache has no upper limit",
        _ => "no part of the disk is kept free",
    };
    let says = format!("what is not set of the three sizes is off, not at its usual value: {off}");
    let usual = ["10GB", "50GB", "20GB"];
    let set = [reserved, most, free];
    let lines = names
        .iter()
        .zip(set)
        .zip(usual)
        .map(|((name, size), usual)| {
            let size = size.map_or(usual, |text| &text.value);
            format!("{}: {}", quoted(name), quoted(size))
        });
    let write = vec![lines.collect::<Vec<_>>().join(", ")];
    let first = names
        .into_iter()
        .chain([old])
        .find(|name| is_set(name).is_some())?;
    note(object, path, first, says, write)
}

fn filter_advice(rule: &Object<'_>, all: &mut Vec<Advice>) {
    let Some(property) = get(rule, "filter") else {
        return;
    };
    for filter in filters(&property.value) {
        let known = NAMES.contains(&filter.name.as_str()) || AGES.contains(&filter.name.as_str());
        let (says, write) = if !known {
            let says = format!(
                "dockerd drops the filter `{}` without a word: the rule takes other records than it should",
                filter.name
            );
            (says, Vec::new())
        } else if filter.value.starts_with(['=', '~', '!']) {
            let value = filter.value.trim_start_matches(['=', '~', '!']);
            let says = format!(
                "here a filter has one `=`: this looks for `{}`, which no record has, so the rule never matches",
                filter.value
            );
            (says, vec![quoted(&format!("{}={value}", filter.name))])
        } else if filter.value.contains(",type=") {
            let says = "here a filter is one condition: this looks for a type with a comma in it, so the rule never matches; write a rule for each type";
            (says.to_owned(), Vec::new())
        } else {
            continue;
        };
        all.push(Advice {
            key: "builder.gc.policy.filter".to_owned(),
            at: filter.at,
            says,
            write,
        });
    }
}
