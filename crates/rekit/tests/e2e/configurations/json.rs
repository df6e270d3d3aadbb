//! Makes a daemon.json with a builder's part, one in two with a slip somewhere.

use super::Question;
use crate::support::Dice;

const SIZES: &[&str] = &[
    "\"20GB\"",
    "\"512MB\"",
    "\"2000\"",
    "\"1.5GB\"",
    "\"0\"",
    "\"\"",
    "\"5 GB\"",
    "\"10gib\"",
    "\"10%\"",
    "\"20 gigs\"",
    "20000000000",
    "\"-1GB\"",
    "null",
    "true",
];
const FLAGS: &[&str] = &[
    "true", "true", "true", "true", "false", "null", "\"true\"", "1",
];
const FILTERS: &[&str] = &[
    "[]",
    "[\"type=source.local\"]",
    "[\"unused-for=48h\"]",
    "[\"type=regular\", \"unused-for=24h\"]",
    "[\"type==source.local\"]",
    "[\"until=72h\"]",
    "null",
    "[\"type=regular\", \"type=exec.cachemount\"]",
    "[\"unused-for=2d\"]",
    "\"type=regular\"",
    "[\"until=24h\", \"unused-for=24h\"]",
    "[\"id=abc\"]",
    "[\"colour=red\"]",
    "{\"type\": {\"regular\": true}}",
    "[\"Type = regular\"]",
    "[\"shared\"]",
    "[1]",
    "[\"until=0\"]",
    "[\"unused-for=24h\", \"unused-for=24h\"]",
];
const DEFAULTS: &[&str] = &[
    "defaultKeepStorage",
    "defaultReservedSpace",
    "defaultMaxUsedSpace",
    "defaultMinFreeSpace",
    "DefaultKeepStorage",
    "defaultkeepstorage",
    "keepStorage",
    "maxUsedSpace",
    "default-keep-storage",
];
const RULE: &[&str] = &[
    "keepStorage",
    "reservedSpace",
    "maxUsedSpace",
    "minFreeSpace",
    "KeepStorage",
    "keepBytes",
    "keep_storage",
];

/// Makes one configuration.
pub(super) fn question(dice: &mut Dice) -> Question {
    let mut parts = Vec::new();
    let family = match dice.below(6) {
        0 | 1 => {
            parts.push(format!("\"gc\": {}", sizes(dice)));
            "gc sizes"
        }
        2 | 3 => {
            parts.push(format!("\"gc\": {}", policy(dice)));
            "gc policy"
        }
        4 => {
            parts.push(others(dice));
            "entitlements and history"
        }
        _ => {
            parts.push(format!("\"gc\": {}", sizes(dice)));
            "syntax and names"
        }
    };
    let name = if family == "syntax and names" {
        *pick(
            dice,
            &["builder", "buildr", "Builder", "builder", "builders"],
        )
    } else {
        "builder"
    };
    let mut text = format!("{{\n  \"{name}\": {{ {} }}\n}}\n", parts.join(", "));
    if family == "syntax and names" && dice.below(2) == 0 {
        let at = usize::try_from(dice.below(text.len() as u64)).unwrap();
        match dice.below(3) {
            0 => drop(text.remove(at)),
            1 => text.insert(at, ','),
            _ => text.insert_str(at, "/* why */"),
        }
    }
    Question { family, text }
}

fn pick<'t, T>(dice: &mut Dice, all: &'t [T]) -> &'t T {
    &all[usize::try_from(dice.below(all.len() as u64)).unwrap()]
}

/// Returns one of several, a slip at the end of the list only now and then.
fn mostly<'t>(dice: &mut Dice, all: &'t [&'t str]) -> &'t str {
    let right = if dice.below(4) == 0 {
        all.len()
    } else {
        all.len() / 2
    };
    pick::<&str>(dice, &all[..right])
}

fn sizes(dice: &mut Dice) -> String {
    let mut parts = Vec::new();
    if dice.below(2) == 0 {
        parts.push(format!("\"enabled\": {}", mostly(dice, FLAGS)));
    }
    for _ in 0..=dice.below(3) {
        parts.push(format!(
            "\"{}\": {}",
            mostly(dice, DEFAULTS),
            mostly(dice, SIZES)
        ));
    }
    format!("{{ {} }}", parts.join(", "))
}

fn policy(dice: &mut Dice) -> String {
    let mut rules = Vec::new();
    for _ in 0..dice.below(4) {
        let mut parts = Vec::new();
        if dice.below(2) == 0 {
            parts.push(format!("\"all\": {}", mostly(dice, FLAGS)));
        }
        if dice.below(2) == 0 {
            parts.push(format!("\"filter\": {}", mostly(dice, FILTERS)));
        }
        for _ in 0..dice.below(3) {
            parts.push(format!(
                "\"{}\": {}",
                mostly(dice, RULE),
                mostly(dice, SIZES)
            ));
        }
        rules.push(format!("{{ {} }}", parts.join(", ")));
    }
    let list = format!("[{}]", rules.join(", "));
    let list = if dice.below(12) == 0 {
        list.replace(['[', ']'], "")
    } else {
        list
    };
    let list = if list.is_empty() {
        "{}".to_owned()
    } else {
        list
    };
    let enabled = mostly(dice, FLAGS);
    match dice.below(3) {
        0 => format!("{{ \"policy\": {list} }}"),
        1 => format!("{{ \"enabled\": {enabled}, \"policy\": {list} }}"),
        _ => format!(
            "{{ \"defaultKeepStorage\": {}, \"policy\": {list} }}",
            mostly(dice, SIZES)
        ),
    }
}

fn others(dice: &mut Dice) -> String {
    let flags = ["true", "false", "null", "\"false\""];
    let ages = ["\"48h\"", "\"172800\"", "\"2d\"", "172800", "null", "\"\""];
    let counts = ["50", "0", "\"50\"", "5.5", "-1", "1e2"];
    match dice.below(2) {
        0 => format!(
            "\"entitlements\": {{ \"{}\": {} }}",
            pick(
                dice,
                &[
                    "network-host",
                    "security-insecure",
                    "networkHost",
                    "Network-Host"
                ]
            ),
            pick(dice, &flags)
        ),
        _ => format!(
            "\"history\": {{ \"maxAge\": {}, \"maxEntries\": {} }}",
            pick(dice, &ages),
            pick(dice, &counts)
        ),
    }
}
