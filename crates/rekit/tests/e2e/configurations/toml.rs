//! Makes a buildkitd.toml: pieces such as people write, one in two with a slip somewhere.
//!
//! The table of keys is this test's own, so that it does not share a misunderstanding with rekit.

use super::Question;
use crate::support::Dice;

/// What a key takes.
#[derive(Clone, Copy)]
enum Takes {
    Flag,
    Text,
    Number,
    Size,
    Duration,
    Texts,
}

use Takes::{Duration, Flag, Number, Size, Text, Texts};

/// A section and some of its keys.
const SECTIONS: &[(&str, &[(&str, Takes)])] = &[
    (
        "",
        &[
            ("debug", Flag),
            ("trace", Flag),
            ("insecure-entitlements", Texts),
            ("provenanceEnvDir", Text),
            ("proxyNetwork", Flag),
        ],
    ),
    ("log", &[("format", Text), ("level", Text)]),
    (
        "grpc",
        &[
            ("debugAddress", Text),
            ("uid", Number),
            ("gid", Number),
            ("securityDescriptor", Text),
        ],
    ),
    ("grpc.tls", &[("cert", Text), ("key", Text), ("ca", Text)]),
    ("otel", &[("socketPath", Text)]),
    (
        "cdi",
        &[
            ("disabled", Flag),
            ("specDirs", Texts),
            ("autoAllowed", Texts),
        ],
    ),
    (
        "worker.oci",
        &[
            ("enabled", Flag),
            ("platforms", Texts),
            ("snapshotter", Text),
            ("rootless", Flag),
            ("noProcessSandbox", Flag),
            ("binary", Text),
            ("apparmor-profile", Text),
            ("selinux", Flag),
            ("max-parallelism", Number),
            ("cniPoolSize", Number),
            ("networkMode", Text),
            ("cniConfigPath", Text),
            ("bridgeName", Text),
            ("bridgeSubnet", Text),
            ("defaultCgroupParent", Text),
            ("proxySnapshotterPath", Text),
        ],
    ),
    ("worker.oci.labels", &[("team", Text), ("zone", Text)]),
    (
        "worker.containerd",
        &[
            ("enabled", Flag),
            ("address", Text),
            ("namespace", Text),
            ("platforms", Texts),
            ("gc", Flag),
            ("gckeepstorage", Size),
            ("reservedSpace", Size),
            ("max-parallelism", Number),
            ("defaultCgroupParent", Text),
        ],
    ),
    (
        "worker.containerd.runtime",
        &[("name", Text), ("path", Text)],
    ),
    (
        "registry.\"docker.io\"",
        &[
            ("mirrors", Texts),
            ("http", Flag),
            ("insecure", Flag),
            ("ca", Texts),
            ("tlsconfigdir", Texts),
        ],
    ),
    (
        "registry.\"mirror.local:5000\"",
        &[
            ("mirrors", Texts),
            ("http", Flag),
            ("insecure", Flag),
            ("ca", Texts),
        ],
    ),
    (
        "dns",
        &[
            ("nameservers", Texts),
            ("options", Texts),
            ("searchDomains", Texts),
        ],
    ),
    ("history", &[("maxAge", Duration), ("maxEntries", Number)]),
    ("frontend.\"dockerfile.v0\"", &[("enabled", Flag)]),
    (
        "frontend.\"gateway.v0\"",
        &[("enabled", Flag), ("allowedRepositories", Texts)],
    ),
    (
        "system",
        &[
            ("platformsCacheMaxAge", Duration),
            ("maxRegistryConcurrency", Number),
        ],
    ),
];

const GC: &[(&str, Takes)] = &[
    ("gc", Flag),
    ("gckeepstorage", Size),
    ("reservedSpace", Size),
    ("maxUsedSpace", Size),
    ("minFreeSpace", Size),
];

const RULE: &[(&str, Takes)] = &[
    ("all", Flag),
    ("filters", Texts),
    ("keepDuration", Duration),
    ("keepBytes", Size),
    ("reservedSpace", Size),
    ("maxUsedSpace", Size),
    ("minFreeSpace", Size),
];

/// Keys that no release reads, and keys of others.
const STRANGERS: &[&str] = &[
    "bogus = 1",
    "max_parallelism = 4",
    "defaultKeepStorage = \"20GB\"",
    "keep_storage = \"1GB\"",
    "[limits]\ncpu = 2",
    "[worker.docker]\nenabled = true",
    "[build]\nparallel = 4",
    "maxParallelism = 4",
    "[gc]\nenabled = true",
    "[registry]\nmirrors = [\"m\"]",
    "[[worker.oci]]\nenabled = true",
    "[worker.oci.gc]\nenabled = true",
    "[worker.oci.gcpolicy]\nall = true",
    "[[registry.\"x\".keypair]]\nkey = \"k\"\ncert = \"c\"",
    "[cache.gha.verify]\nrequired = true",
    "[worker.oci.stargzSnapshotter]\nno_prefetch = true",
    "[[grpc]]\nuid = 1",
    "registry.\"a.b\".http = true",
    "worker.oci.gc = false",
    "[experimental]\nx = true",
];

/// Makes one configuration.
pub(super) fn question(dice: &mut Dice) -> Question {
    let (family, mut text) = match dice.below(10) {
        0..=3 => ("keys", keys(dice)),
        4..=7 => ("garbage collection", collection(dice)),
        8 => ("sections", sections(dice)),
        _ => ("syntax", keys(dice)),
    };
    if family == "syntax" {
        text = slipped(dice, &text);
    }
    Question { family, text }
}

fn pick<'t, T>(dice: &mut Dice, all: &'t [T]) -> &'t T {
    &all[usize::try_from(dice.below(all.len() as u64)).unwrap()]
}

fn keys(dice: &mut Dice) -> String {
    let mut text = String::new();
    let mut begun: Vec<&str> = Vec::new();
    for _ in 0..=dice.below(3) {
        let (section, keys) = pick(dice, SECTIONS);
        // The keys of the file itself stand first, and a section is written once.
        if begun.contains(section) || (section.is_empty() && !begun.is_empty()) {
            continue;
        }
        begun.push(section);
        if !section.is_empty() {
            text.extend(["[", section, "]\n"]);
        }
        text += &some(dice, keys);
    }
    text
}

fn collection(dice: &mut Dice) -> String {
    let mut text = "[worker.oci]\n".to_owned();
    if dice.below(3) < 2 {
        text += &some(dice, GC);
    }
    if dice.below(2) == 0 {
        for _ in 0..=dice.below(2) {
            text += "[[worker.oci.gcpolicy]]\n";
            text += &some(dice, RULE);
        }
    }
    text
}

fn sections(dice: &mut Dice) -> String {
    let stranger = *pick(dice, STRANGERS);
    let more = keys(dice);
    if stranger.starts_with('[') && !more.contains("\"x\"") {
        return format!("{more}{stranger}\n");
    }
    format!("{stranger}\n{}", sections_only(&more))
}

/// Returns the part of a text that may stand behind keys.
fn sections_only(text: &str) -> &str {
    text.find('[').filter(|at| *at == 0).map_or("", |_| text)
}

/// Returns some of the keys, each with a value.
fn some(dice: &mut Dice, keys: &[(&str, Takes)]) -> String {
    let mut text = String::new();
    let skip = dice.below(keys.len() as u64);
    let count = 1 + dice.below(3);
    let chosen = keys.iter().cycle().skip(usize::try_from(skip).unwrap());
    for (name, takes) in chosen.take(usize::try_from(count).unwrap().min(keys.len())) {
        let name = spelled(dice, name);
        let value = match dice.below(8) {
            0 => wrong(dice),
            _ => right(dice, *takes),
        };
        text.extend([name.as_str(), " = ", value.as_str(), "\n"]);
    }
    text
}

/// Returns the name, now and then in another spelling.
fn spelled(dice: &mut Dice, name: &str) -> String {
    match dice.below(16) {
        0 => name.to_uppercase(),
        1 => name.to_lowercase(),
        2 => name.replace('-', "_"),
        3 => {
            let mut letters = name.chars();
            let first = letters.next().unwrap().to_ascii_uppercase();
            format!("{first}{}", letters.as_str())
        }
        4 => name.replace("Space", "space").replace("torage", "Torage"),
        5 => name[..name.len() - 1].to_owned(),
        _ => name.to_owned(),
    }
}

fn right(dice: &mut Dice, takes: Takes) -> String {
    let all: &[&str] = match takes {
        Flag => &["true", "false"],
        Text => &["\"x\"", "\"json\"", "'/var/lib/x'", "\"\"", "\"debug\""],
        Number => &["0", "4", "-1", "1_000", "0x10"],
        Size => &[
            "\"2GB\"",
            "\"10%\"",
            "2000",
            "\"512MB\"",
            "\"1.5GB\"",
            "\"20 GB\"",
            "10000000000",
            "\"5gib\"",
            "\"80%\"",
            "\"100%\"",
            "\"0\"",
            "\"1TB\"",
            "\"2g\"",
        ],
        Duration => &[
            "\"48h\"",
            "172800",
            "\"1h30m\"",
            "\"0s\"",
            "\"90\"",
            "\"1.5h\"",
            "0",
        ],
        Texts => &[
            "[]",
            "[\"a\"]",
            "[\"type==source.local\"]",
            "[\"a\", \"b\"]",
            "[\"type==source.local,type==exec.cachemount\", \"type==regular\"]",
        ],
    };
    (*pick(dice, all)).to_owned()
}

/// Returns a value that most keys do not take.
fn wrong(dice: &mut Dice) -> String {
    let all = [
        "\"true\"",
        "1",
        "\"4\"",
        "4.0",
        "\"20 gigs\"",
        "\"2d\"",
        "\"7 days\"",
        "[\"a\", 1]",
        "[1]",
        "{ a = 1 }",
        "{}",
        "true",
        "\"10 %\"",
        "\"-5GB\"",
        "1979-05-27",
        "inf",
        "\"GB\"",
        "\"1,5GB\"",
        "[[\"a\"]]",
        "\"10.5%\"",
        "\"1_000\"",
    ];
    (*pick(dice, &all)).to_owned()
}

/// Returns the text with one slip of the hand.
fn slipped(dice: &mut Dice, text: &str) -> String {
    let at = usize::try_from(dice.below(text.len() as u64)).unwrap();
    let (before, after) = text.split_at(at);
    let mut rest = after.chars();
    match dice.below(8) {
        0 | 1 => {
            rest.next();
            format!("{before}{}", rest.as_str())
        }
        2 => format!("{before}\"{after}"),
        3 => format!("{before},{after}"),
        4 => text.replace('\n', "\r\n"),
        5 => format!("{text}{}", text.lines().last().unwrap_or_default()),
        6 => text.replacen(" = ", ": ", 1),
        _ => format!("{before}]{after}"),
    }
}
