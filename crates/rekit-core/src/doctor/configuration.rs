//! RK4: what buildkitd makes of its configuration, and the garbage collection it really runs with.

use super::{
    case::{Case, quoted},
    check::Check,
    known::Known,
    remedy::{Change, Remedy},
};
use crate::{
    config::Release,
    finding::Severity,
    inventory::{ConfigKind, ConfigRemark, ConfigVerdict, Daemon, GcRule, RemarkKind},
    name::HostPath,
    step::JsonEdit,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "RK401",
        title: "buildkitd refuses its configuration",
        severity: Severity::Error,
        explain: "The daemon does not start with this buildkitd.toml: it is no TOML, or a value has a type or unit that it does \
            not take. In a builder's container this is an endless restart. The place is shown exactly; rekit can write the same \
            file with the refused part as a comment.",
        find: refused,
    },
    Check {
        code: "RK402",
        title: "buildkitd does not read some keys",
        severity: Severity::Warning,
        explain: "buildkitd says nothing about keys that it does not know: misspelt, from another section, or from daemon.json. \
            What they should do is not done. `max_parallelism` for example is `max-parallelism` under `[worker.oci]`.",
        find: ignored,
    },
    Check {
        code: "RK403",
        title: "a buildkitd.toml cannot be read",
        severity: Severity::Warning,
        explain: "rekit may not read the file or what a record holds of it, so nobody knows what the daemon makes of it.",
        find: unreadable,
    },
    Check {
        code: "RK404",
        title: "garbage collection is bounded on one side only",
        severity: Severity::Warning,
        explain: "Since BuildKit 0.17 three sizes bound a cache: reservedSpace (once gckeepstorage, keepBytes or \
            defaultKeepStorage), maxUsedSpace, minFreeSpace. Setting any one of them turns the other two off instead of leaving \
            their defaults. Write all three.",
        find: partial_gc,
    },
    Check {
        code: "RK405",
        title: "a cache limit looks like a slip of the unit",
        severity: Severity::Warning,
        explain: "A number without a unit means bytes in buildkitd.toml, though the flag of the same purpose counts in \
            megabytes. A limit below one mebibyte keeps next to nothing.",
        find: tiny_gc,
    },
    Check {
        code: "RK406",
        title: "a garbage collection rule never matches",
        severity: Severity::Info,
        explain: "A comma inside one filter means `and`; no record has two types. BuildKit's own default rule was written so \
            until the middle of 2026: caches of sources and cache mounts are then not collected first. Newer releases mend it.",
        find: joined_filter,
    },
    Check {
        code: "RK407",
        title: "keys of a buildkitd.toml do not do what they seem to",
        severity: Severity::Warning,
        explain: "buildkitd takes the file, and the cache is not bounded as it reads: sizes that turn each other off, sizes beside rules that replace them, a number that means bytes, rules that keep young records and with them all that lies below. Each place is shown with what the daemon makes of it and what to write.",
        find: other_effect,
    },
    Check {
        code: "RK408",
        title: "dockerd refuses the builder's part of its configuration",
        severity: Severity::Error,
        explain: "The engine does not start with this daemon.json, at the latest when it is restarted. `dockerd --validate` does not look inside `builder.gc` and calls such a file right: two values of one filter, a size it cannot read, a duration in days, a value of another type. A misspelt `builder` stops the engine too.",
        find: engine_refuses,
    },
    Check {
        code: "RK409",
        title: "dockerd does not read some keys of the builder's part",
        severity: Severity::Warning,
        explain: "Below `builder` dockerd says nothing about keys that it does not know. `keepStorage` for example stands in a rule, `defaultKeepStorage` in `gc`.",
        find: engine_ignores,
    },
    Check {
        code: "RK410",
        title: "keys of the builder's part of a daemon.json do not do what they seem to",
        severity: Severity::Info, // Docker Desktop ships one with `defaultKeepStorage` alone.
        explain: "dockerd takes the file, and its cache is not bounded as it reads: one of three sizes turns the others off, `policy` replaces all defaults, a filter written with `==` as in buildkitd.toml never matches, a filter of another name is dropped.",
        find: engine_effect,
    },
    Check {
        code: "RK411",
        title: "rekit refuses the rekit.toml of this folder",
        severity: Severity::Error,
        explain: "Every plan of rekit begins with this file. A key that it does not know or a value that it cannot read stops it before anything is changed.",
        find: goal_refused,
    },
    Check {
        code: "RK412",
        title: "no rule of garbage collection takes everything",
        severity: Severity::Warning,
        explain: "A list of own rules (gcpolicy) replaces all defaults. If each of them keeps what was used lately (keepDuration) or has \
            filters, nothing bounds the cache: it runs, and frees next to nothing, because a young layer protects all that it stands on. \
            End the list with a rule `all = true` that has sizes and neither filters nor keepDuration.",
        find: no_last_resort,
    },
];

/// Who reads a configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Buildkitd,
    Dockerd,
    Rekit,
}

/// A configuration that was judged, with a case begun about it.
struct Judged<'a> {
    case: Case,
    /// What it is, in words.
    what: String,
    verdict: &'a ConfigVerdict,
    remarks: &'a [ConfigRemark],
    /// What puts it right.
    remedy: Option<Remedy>,
}

/// Returns every configuration of this reader.
fn judged<'a>(known: &Known<'a>, reader: Reader) -> Vec<Judged<'a>> {
    let nodes = known.nodes().filter_map(|node| {
        let config = node.facts.config.as_ref()?;
        let what = format!(
            "the buildkitd.toml in the record of builder `{}`, node `{}`",
            node.builder.name, node.facts.name
        );
        let case = Case::of("builder", &node.builder.name)
            .store(&node.store.path)
            .seen(format!("{}: {what}", node.builder.file.path));
        // A record can hold another file than its container was made with.
        let case = match (node.facts.daemon.known(), &config.verdict) {
            (Some(_), ConfigVerdict::Refused { .. }) => {
                case.seen("the daemon that runs now was started with another file; one made anew would not start")
            }
            _ => case,
        };
        let remedy = node.in_container().then(|| Remedy::Renew(node.owner(), Change::default()));
        Some(Judged { case, what, verdict: &config.verdict, remarks: &config.remarks, remedy })
    });
    let files = known.inventory.files.iter().filter_map(|file| {
        let is_wanted = reader
            == match file.kind {
                ConfigKind::Daemon => Reader::Dockerd,
                ConfigKind::Goal => Reader::Rekit,
                _ => Reader::Buildkitd,
            };
        let verdict = file.verdict.as_ref().filter(|_| is_wanted)?;
        Some(Judged {
            case: Case::of("file", &file.file.path),
            what: format!("`{}`", file.file.path),
            verdict,
            remarks: &file.remarks,
            remedy: match (file.kind, verdict) {
                (
                    ConfigKind::Buildkitd | ConfigKind::BuildxDefault,
                    ConfigVerdict::Refused { .. },
                ) => Some(Remedy::RetireFile(file.file.path.clone())),
                (ConfigKind::Daemon, verdict) => {
                    without_collection(&file.file.path, verdict, &file.remarks)
                }
                _ => None,
            },
        })
    });
    let nodes = nodes.filter(|_| reader == Reader::Buildkitd);
    nodes.chain(files).collect()
}

/// Takes the garbage collection out of a daemon.json that the engine refuses for it.
fn without_collection(
    path: &HostPath,
    verdict: &ConfigVerdict,
    remarks: &[ConfigRemark],
) -> Option<Remedy> {
    let refusal = first_refusal(verdict, remarks)?;
    refusal
        .key
        .starts_with("builder.gc")
        .then(|| Remedy::EditJson {
            path: path.clone(),
            edit: JsonEdit::removal(&["builder", "gc"]),
            why: "no engine starts with it; without it the engine collects by its own rules",
        })
}

/// Returns a place as compilers show it: the line, a mark below it, and what to write instead.
fn shown(remark: &ConfigRemark) -> String {
    let number = remark.line.to_string();
    let gutter = " ".repeat(number.len());
    let mark = " ".repeat(remark.column.saturating_sub(1).min(400) as usize)
        + &"^".repeat(remark.length.clamp(1, 400) as usize);
    let mut text = format!(
        "line {}, column {}:\n{gutter} |\n{number} | {}\n{gutter} | {mark}",
        remark.line, remark.column, remark.excerpt
    );
    if remark.write.is_empty() {
        return text;
    }
    text.push_str("\nwrite instead:");
    for line in &remark.write {
        text.extend(["\n", &gutter, " | ", line]);
    }
    text
}

/// Returns the remark that a verdict is about; one without remarks has the place at least.
fn first_refusal(verdict: &ConfigVerdict, remarks: &[ConfigRemark]) -> Option<ConfigRemark> {
    let ConfigVerdict::Refused {
        reason,
        line,
        column,
        length,
        excerpt,
    } = verdict
    else {
        return None;
    };
    let same = |remark: &&ConfigRemark| {
        remark.kind == RemarkKind::Refused && &remark.says == reason && remark.line == *line
    };
    Some(
        remarks
            .iter()
            .find(same)
            .cloned()
            .unwrap_or_else(|| ConfigRemark {
                kind: RemarkKind::Refused,
                key: String::new(),
                says: reason.clone(),
                line: *line,
                column: *column,
                length: *length,
                excerpt: excerpt.clone(),
                write: Vec::new(),
            }),
    )
}

fn refused(known: &Known<'_>) -> Vec<Case> {
    let all = judged(known, Reader::Buildkitd).into_iter();
    all.filter_map(
        |Judged {
             case,
             what,
             verdict,
             remarks,
             remedy,
         }| {
            let remark = first_refusal(verdict, remarks)?;
            let summary = match remedy {
                Some(Remedy::RetireFile(_)) => {
                    "correct the place, or remove the file; a copy is kept"
                }
                _ => "make the refused part a comment, keep all else, and make the container anew",
            };
            Some(
                case.cause(format!(
                    "buildkitd does not start with {what}: {}.",
                    remark.says
                ))
                .seen(shown(&remark))
                .with_consent(remedy, summary),
            )
        },
    )
    .collect()
}

fn ignored(known: &Known<'_>) -> Vec<Case> {
    unread(known, Reader::Buildkitd, "buildkitd")
}

/// Returns a case for each configuration with keys that its reader does not read.
fn unread(known: &Known<'_>, reader: Reader, who: &str) -> Vec<Case> {
    let all = judged(known, reader).into_iter();
    all.filter_map(
        |Judged {
             mut case,
             what,
             verdict,
             remarks,
             remedy,
         }| {
            let ConfigVerdict::Ignored { keys } = verdict else {
                return None;
            };
            let list: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            let places: Vec<&ConfigRemark> = remarks
                .iter()
                .filter(|remark| remark.kind == RemarkKind::Unread)
                .collect();
            for place in &places {
                case = case.seen(shown(place));
            }
            if places.is_empty() {
                case = case.seen(format!(
                    "not in the list of keys that {who} reads: {}",
                    list.join(", ")
                ));
            }
            Some(
                case.cause(format!(
                    "{who} does not read {} in {what}.",
                    list.join(", ")
                ))
                .with_consent(remedy, "correct the names, or remove the keys"),
            )
        },
    )
    .collect()
}

/// Returns a case for each configuration with keys that have another effect than was hoped for.
fn effects(known: &Known<'_>, reader: Reader) -> Vec<Case> {
    let all = judged(known, reader).into_iter();
    all.filter_map(
        |Judged {
             mut case,
             what,
             remarks,
             remedy,
             ..
         }| {
            let mut effects = remarks
                .iter()
                .filter(|remark| remark.kind == RemarkKind::Effect)
                .peekable();
            let first = effects.peek()?;
            let cause = format!("In {what}: {}.", first.says);
            for effect in effects {
                case = case
                    .seen(format!("`{}`: {}", effect.key, effect.says))
                    .seen(shown(effect));
            }
            Some(
                case.cause(cause)
                    .with_consent(remedy, "write what is shown at each place"),
            )
        },
    )
    .collect()
}

fn other_effect(known: &Known<'_>) -> Vec<Case> {
    effects(known, Reader::Buildkitd)
}

fn engine_refuses(known: &Known<'_>) -> Vec<Case> {
    let all = judged(known, Reader::Dockerd).into_iter();
    all.filter_map(|Judged { case, what, verdict, remarks, remedy }| {
        let case = match (first_refusal(verdict, remarks), verdict) {
            (Some(remark), _) => case
                .cause(format!("dockerd does not start with {what}: {}.", remark.says))
                .seen(shown(&remark)),
            (None, ConfigVerdict::Unreadable { reason }) => case
                .cause(format!("dockerd does not start with {what}: {reason}."))
                .seen(reason.clone()),
            _ => return None,
        };
        let summary = match remedy {
            Some(_) => "correct the place, or drop `builder.gc`, and let the engine collect by its own rules",
            None => "correct the place before the engine is started again; a copy of the old file beside it",
        };
        Some(case.with_consent(remedy, summary))
    })
    .collect()
}

fn engine_ignores(known: &Known<'_>) -> Vec<Case> {
    unread(known, Reader::Dockerd, "dockerd")
}

fn engine_effect(known: &Known<'_>) -> Vec<Case> {
    effects(known, Reader::Dockerd)
}

fn goal_refused(known: &Known<'_>) -> Vec<Case> {
    let all = judged(known, Reader::Rekit).into_iter();
    all.filter_map(
        |Judged {
             case,
             what,
             verdict,
             remarks,
             ..
         }| {
            let remark = first_refusal(verdict, remarks)?;
            let says = remark.says.lines().next().unwrap_or_default();
            Some(
                case.cause(format!("rekit plans nothing with {what}: {says}."))
                    .seen(shown(&remark))
                    .by_hand("correct the place"),
            )
        },
    )
    .collect()
}

fn unreadable(known: &Known<'_>) -> Vec<Case> {
    let mut all = judged(known, Reader::Buildkitd);
    all.extend(judged(known, Reader::Rekit));
    all.into_iter()
        .filter_map(
            |Judged {
                 case,
                 what,
                 verdict,
                 ..
             }| {
                let ConfigVerdict::Unreadable { reason } = verdict else {
                    return None;
                };
                Some(
                    case.cause(format!("{what} cannot be read: {reason}."))
                        .seen(reason.clone())
                        .by_hand("make it readable, or write it anew"),
                )
            },
        )
        .collect()
}

/// A daemon that answered, with a case begun about it.
struct Asked<'a> {
    case: Case,
    daemon: &'a Daemon,
    /// What gives it rules that hold.
    remedy: Option<Remedy>,
}

/// Returns every daemon that answered.
fn daemons<'a>(known: &Known<'a>) -> Vec<Asked<'a>> {
    let nodes = known.nodes().filter_map(|node| {
        let remedy = || Remedy::Renew(node.owner(), Change::default());
        Some(Asked {
            case: Case::of("node", &node.facts.name).store(&node.store.path),
            daemon: node.facts.daemon.known()?,
            remedy: node.in_container().then(remedy),
        })
    });
    let embedded = known.engines().filter_map(|(host, engine)| {
        Some(Asked {
            case: Case::of("host", &host.id).host(&host.id),
            daemon: engine.embedded.known()?,
            remedy: None,
        })
    });
    let standalone = known.inventory.standalone.iter().filter_map(|standalone| {
        let name = standalone.known_by.first().map_or("", String::as_str);
        Some(Asked {
            case: Case::of("standalone", name),
            daemon: standalone.daemon.known()?,
            remedy: None,
        })
    });
    nodes.chain(embedded).chain(standalone).collect()
}

fn told(rule: &GcRule) -> String {
    format!(
        "last rule: reserved {}, most used {}, least free {} bytes",
        rule.reserved_bytes, rule.max_used_bytes, rule.min_free_bytes
    )
}

fn partial_gc(known: &Known<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for Asked {
        case,
        daemon,
        remedy,
    } in daemons(known)
    {
        // Before 0.17 there was one size only.
        if Release::of_version(&daemon.version).is_some_and(|release| !release.has_three_sizes()) {
            continue;
        }
        let rule = daemon
            .workers
            .iter()
            .filter_map(|worker| worker.gc.last())
            .find(|rule| {
                let sizes = [
                    rule.reserved_bytes,
                    rule.max_used_bytes,
                    rule.min_free_bytes,
                ];
                sizes.iter().any(|&size| size > 0)
                    && (rule.max_used_bytes <= 0 || rule.min_free_bytes <= 0)
            });
        let Some(rule) = rule else { continue };
        let off = match (rule.max_used_bytes <= 0, rule.min_free_bytes <= 0) {
            (true, true) => "neither a most used space nor a least free space",
            (true, false) => "no most used space",
            _ => "no least free space",
        };
        cases.push(
            case.cause(format!(
                "The cache has {off}: one of three sizes was set, which turns the others off."
            ))
            .seen(told(rule))
            .with_consent(
                remedy,
                "write reservedSpace, maxUsedSpace and minFreeSpace, all three",
            ),
        );
    }
    cases
}

fn tiny_gc(known: &Known<'_>) -> Vec<Case> {
    const MEBIBYTE: i64 = 1 << 20;
    let mut cases = Vec::new();
    for Asked {
        case,
        daemon,
        remedy,
    } in daemons(known)
    {
        let rules = daemon.workers.iter().filter_map(|worker| worker.gc.last());
        let tiny = |size: i64| size > 0 && size < MEBIBYTE;
        let rule = rules
            .into_iter()
            .find(|rule| tiny(rule.reserved_bytes) || tiny(rule.max_used_bytes));
        if let Some(rule) = rule {
            cases.push(
                case.cause(
                    "A limit of the cache is below one mebibyte, so that nearly nothing is kept.",
                )
                .seen(told(rule))
                .with_consent(remedy, "write the size with its unit, for example \"20GB\""),
            );
        }
    }
    cases
}

fn joined_filter(known: &Known<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for Asked { case, daemon, .. } in daemons(known) {
        let mut filters = daemon
            .workers
            .iter()
            .flat_map(|worker| &worker.gc)
            .flat_map(|rule| &rule.filters);
        if let Some(filter) = filters.find(|filter| filter.matches("type==").count() > 1) {
            let case = case
                .cause("A rule of garbage collection wants one record to have several types, so it never matches.")
                .seen(format!("BuildKit {}: filter {}", daemon.version, quoted(filter)));
            cases.push(case.by_hand("use a newer BuildKit, or write the filters as a list"));
        }
    }
    cases
}

fn no_last_resort(known: &Known<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for Asked {
        case,
        daemon,
        remedy,
    } in daemons(known)
    {
        let rules: Vec<&GcRule> = daemon
            .workers
            .iter()
            .flat_map(|worker| &worker.gc)
            .collect();
        let takes_all = |rule: &&GcRule| rule.keep_seconds == 0 && rule.filters.is_empty();
        let Some(last) = rules.last().filter(|_| !rules.iter().any(takes_all)) else {
            continue;
        };
        let seen = format!(
            "{} rules, each with filters or an age; the last keeps what was used within {} s",
            rules.len(),
            last.keep_seconds
        );
        cases.push(
            case.cause("Each rule of garbage collection spares what was used lately or is of other types, so that nothing bounds the cache.")
                .seen(seen)
                .seen(told(last))
                .with_consent(remedy, "end the list with a rule that has `all = true`, sizes, and neither filters nor keepDuration"),
        );
    }
    cases
}
