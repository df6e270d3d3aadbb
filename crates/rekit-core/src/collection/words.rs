//! A rule in plain words, and why it may never do anything.

use super::{
    behaviour::Behaviour,
    filter::{FilterFault, Filters, Operator, Selector},
};
use crate::inventory::GcRule;

/// Returns what a rule does, as one sentence without its end.
pub(super) fn rule_in_words(rule: &GcRule, behaviour: Behaviour) -> String {
    let age = match rule.keep_seconds {
        0 => String::new(),
        seconds => format!(" that no build used for {}", duration(seconds)),
    };
    format!("{}{age}: {}", what(rule), when(rule, behaviour))
}

/// Returns the records that a rule is about.
fn what(rule: &GcRule) -> String {
    let spared = if rule.all {
        ""
    } else {
        " (except internal records, frontends and what an image shares)"
    };
    match Filters::parse(&rule.filters) {
        Ok(filters) if filters.0.is_empty() || filters.0.iter().any(Vec::is_empty) => {
            let all = if rule.all { "every record" } else { "records" };
            format!("{all}{spared}")
        }
        Ok(filters) => {
            let parts: Vec<String> = filters.0.iter().map(|one| alternative(one)).collect();
            list(&parts)
        }
        Err(_) => format!("records that match `{}`", rule.filters.join("` or `")),
    }
}

fn alternative(selectors: &[Selector]) -> String {
    if let [one] = selectors
        && one.operator == Operator::Equal
        && one.field == "type"
        && let Some(kind) = kind(&one.value)
    {
        return kind.to_owned();
    }
    let told: Vec<String> = selectors.iter().map(condition).collect();
    format!("records with {}", told.join(" and at once "))
}

fn condition(selector: &Selector) -> String {
    let Selector {
        field,
        operator,
        value,
    } = selector;
    match operator {
        Operator::Present => format!("`{field}`"),
        Operator::Equal => format!("{field} `{value}`"),
        Operator::Unequal => format!("{field} other than `{value}`"),
        Operator::Contains => format!("`{value}` in their {field}"),
    }
}

fn kind(value: &str) -> Option<&'static str> {
    Some(match value {
        "source.local" => "local sources",
        "source.git.checkout" => "git checkouts",
        "exec.cachemount" => "cache mounts",
        "regular" => "layers and results",
        "internal" => "internal records",
        "frontend" => "frontends",
        _ => return None,
    })
}

/// Returns how far a rule goes.
fn when(rule: &GcRule, behaviour: Behaviour) -> String {
    let (most, least, free) = (
        rule.max_used_bytes,
        rule.reserved_bytes,
        rule.min_free_bytes,
    );
    let floor = match least {
        0 => String::new(),
        least => format!(", but {} stay whatever the disk has", size(least)),
    };
    match (most, free) {
        (0, 0) if least == 0 => "all of them, at every collection".to_owned(),
        (0, 0) => format!("while the whole cache holds {} or more", size(least)),
        (most, 0) => format!(
            "while the whole cache holds {} or more",
            size(most.max(least))
        ),
        (0, free) if behaviour.spares_while_enough_is_free => format!(
            "one at each collection, and more while the disk has less than {} free{floor}",
            size(free)
        ),
        (0, free) if least == 0 => format!(
            "all of them while {} of the disk are free, and while less is free down to that",
            size(free)
        ),
        (0, _) => format!("while the whole cache holds {} or more", size(least)),
        (most, free) => format!(
            "while the whole cache holds {} or more, or the disk has less than {} free{floor}",
            size(most.max(least)),
            size(free)
        ),
    }
}

/// Returns why a rule can never delete anything, given the rules before it.
pub(super) fn never(
    rule: &GcRule,
    earlier: &[GcRule],
    behaviour: Behaviour,
    disk_bytes: Option<i64>,
) -> Option<String> {
    let broken = earlier.iter().find_map(refused);
    if let Some(fault) = broken {
        return Some(format!("the daemon gives up before it: {fault}"));
    }
    let filters = match Filters::parse(&rule.filters) {
        Ok(filters) => filters,
        Err(fault @ FilterFault::Refused { .. }) => {
            return Some(format!("the collection ends here with an error: {fault}"));
        }
        Err(FilterFault::Unknown { .. }) => return None,
    };
    let reasons: Vec<Option<String>> = filters
        .0
        .iter()
        .map(|one| impossible(one, rule.all, behaviour))
        .collect();
    if !reasons.is_empty() && reasons.iter().all(Option::is_some) {
        return reasons.into_iter().flatten().next();
    }
    let takes_all = |it: &GcRule| {
        let sizes = [it.reserved_bytes, it.max_used_bytes, it.min_free_bytes];
        let reaches = it.all || !rule.all;
        sizes == [0; 3] && it.keep_seconds == 0 && it.filters.is_empty() && reaches
    };
    if let Some(place) = earlier.iter().position(takes_all) {
        return Some(format!("rule {} leaves it nothing", place + 1));
    }
    let bound = rule.max_used_bytes.max(rule.reserved_bytes);
    let disk = disk_bytes.filter(|disk| bound > *disk && rule.min_free_bytes == 0)?;
    Some(format!(
        "the cache never holds {}: its disk has {} in all",
        size(bound),
        size(disk)
    ))
}

fn refused(rule: &GcRule) -> Option<FilterFault> {
    let fault = Filters::parse(&rule.filters).err();
    fault.filter(|it| matches!(it, FilterFault::Refused { .. }))
}

/// Returns why no record meets all of these conditions.
fn impossible(selectors: &[Selector], all: bool, behaviour: Behaviour) -> Option<String> {
    for (place, one) in selectors.iter().enumerate() {
        let is_asked = one.operator != Operator::Unequal;
        let known = match one.field.as_str() {
            "id" | "type" | "mutable" | "immutable" | "shared" | "private" => true,
            "description" => behaviour.filters_by_description,
            _ => false,
        };
        if is_asked && !known {
            let field = &one.field;
            return Some(format!("a collection cannot be asked for `{field}`"));
        }
        let is_flag = matches!(
            one.field.as_str(),
            "mutable" | "immutable" | "shared" | "private"
        );
        if one.operator == Operator::Equal && is_flag {
            let (field, value) = (&one.field, &one.value);
            return Some(format!(
                "`{field}` has no value, so that it never is `{value}`"
            ));
        }
        let other = selectors[place + 1..].iter().find(|it| {
            let both = it.operator == Operator::Equal && one.operator == Operator::Equal;
            both && it.field == one.field && it.value != one.value
        });
        if let Some(other) = other {
            return Some(format!(
                "a comma means \"and\", and no record has the {} `{}` and `{}` at once",
                one.field, one.value, other.value
            ));
        }
        let is_spared = one.operator == Operator::Equal
            && one.field == "type"
            && matches!(one.value.as_str(), "internal" | "frontend");
        if !all && (is_spared || (one.operator == Operator::Present && one.field == "shared")) {
            return Some("only a rule with `all = true` takes such records".to_owned());
        }
        let is_unknown = one.field == "type" && kind(&one.value).is_none();
        if one.operator == Operator::Equal && is_unknown {
            return Some(format!("no record has the type `{}`", one.value));
        }
    }
    None
}

/// Joins words as one writes them.
fn list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Returns a duration in its largest whole unit.
pub(super) fn duration(seconds: i64) -> String {
    let (count, unit) = match seconds {
        it if it % 86_400 == 0 && it > 172_800 => (it / 86_400, "days"),
        it if it % 3_600 == 0 => (it / 3_600, "h"),
        it if it % 60 == 0 => (it / 60, "min"),
        it => (it, "s"),
    };
    format!("{count} {unit}")
}

/// Returns a size as its writer probably wrote it: BuildKit reads `2GB` as 2 GiB, its own defaults are powers of ten.
pub(super) fn size(bytes: i64) -> String {
    const BINARY: [(i64, &str); 3] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB")];
    const DECIMAL: [(i64, &str); 2] = [(1_000_000_000, "GB"), (1_000_000, "MB")];
    let whole = |units: &[(i64, &str)]| {
        let fits = units.iter().find(|(unit, _)| bytes % unit == 0);
        fits.map(|(unit, name)| format!("{} {name}", bytes / unit))
    };
    if bytes <= 0 {
        return format!("{bytes} B");
    }
    if let Some(text) = whole(&BINARY).or_else(|| whole(&DECIMAL)) {
        return text;
    }
    match BINARY.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit / (unit / 10)),
        None => format!("{bytes} B"),
    }
}
