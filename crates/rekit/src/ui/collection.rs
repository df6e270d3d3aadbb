//! Garbage collection for a person: the rules in plain words, what goes next and when, what never goes, and whether all of it fits the disk.

use std::collections::BTreeSet;

use rekit_core::{
    collection::{
        CacheTold, Collections, DaemonTold, Deleted, DiskTold, ForecastTold, KeptTold, Why,
    },
    fact::Fact,
};

use super::{
    doctor::headline,
    style::{Style, Tone, bytes, clean, counted},
};

/// How many of a rule's deletions are named.
const NAMED: usize = 3;
/// How much of a description is shown, in characters.
const SHOWN: usize = 70;
/// The columns before the text of a block.
const INDENT: usize = 4;

/// Returns what is told of garbage collection as text.
pub(crate) fn collection(told: &Collections, style: &Style) -> String {
    if told.daemons.is_empty() {
        return "No BuildKit daemon was found on this machine: nothing collects.\n".to_owned();
    }
    let mut text = String::new();
    for daemon in &told.daemons {
        text.push_str(&block(daemon, style));
        text.push('\n');
    }
    for disk in &told.disks {
        text.push_str(&disk_block(disk, style));
    }
    let when = "A daemon collects about a second after a build ends, at most once a minute, and when it starts; never by the clock alone. \
        What is told here holds if the cache stays as it is.";
    text.push_str(&lines(0, when, style));
    text
}

fn block(daemon: &DaemonTold, style: &Style) -> String {
    let mut text = style.paint(Tone::Heading, &clean(&head(daemon))) + "\n";
    if daemon.is_release_assumed {
        let words = "It does not tell its release: what is told here is how the newest BuildKit that rekit knows collects.";
        text.push_str(&lines(INDENT, words, style));
    }
    for finding in &daemon.findings {
        let plain = Style {
            colour: false,
            ..*style
        };
        text.push_str(&lines(INDENT, headline(finding, &plain).trim_end(), style));
    }
    if daemon.version.is_empty() {
        let why = daemon.cache.reason().unwrap_or("it does not answer");
        text.push_str(&lines(INDENT, &format!("Nothing is known: {why}"), style));
        return text;
    }
    if daemon.rules.is_empty() {
        let words = "It has no rule: it never deletes anything by itself.";
        text.push_str(&lines(INDENT, words, style));
    }
    let forecast = daemon
        .cache
        .known()
        .and_then(|cache| cache.next_collection.known());
    for (place, told) in daemon.rules.iter().enumerate() {
        let words = format!("{}. {}.", place + 1, capital(&told.words));
        text.push_str(&lines(INDENT, &words, style));
        if let Some(never) = &told.never {
            let words = format!("It can never do anything: {never}.");
            text.push_str(&lines(INDENT + 3, &words, style));
        } else if let Some(forecast) = forecast {
            text.push_str(&rule_lines(place, forecast, style));
        }
    }
    text.push_str(&match &daemon.cache {
        Fact::Known(cache) => cache_lines(cache, style),
        Fact::Unreadable { reason } => lines(
            INDENT,
            &format!("Its cache cannot be read: {reason}"),
            style,
        ),
    });
    text
}

fn head(daemon: &DaemonTold) -> String {
    let name = match (daemon.kind.as_str(), &daemon.builder) {
        ("embedded", _) => format!("engine {}", daemon.name),
        (_, Some(builder)) => format!("builder {builder}, node {}", daemon.name),
        _ => format!("daemon at {}", daemon.name),
    };
    if daemon.version.is_empty() {
        name
    } else {
        format!("{name}, BuildKit {}", daemon.version)
    }
}

/// Says what a rule deletes now, or what it waits for.
fn rule_lines(place: usize, forecast: &ForecastTold, style: &Style) -> String {
    let turn = forecast.turns.get(place);
    let Some(turn) = turn else {
        return String::new();
    };
    if turn.records == 0 {
        let room = forecast.by_size.iter().find(|room| room.rule == turn.rule);
        let Some(room) = room else {
            return lines(INDENT + 3, "Next: nothing.", style);
        };
        let grows = room
            .grows_bytes
            .map(|grows| format!("the cache grows by {}", size(grows)));
        let free = room
            .free_below_bytes
            .map(|free| format!("the disk has less than {} free", size(free)));
        let until: Vec<String> = grows.into_iter().chain(free).collect();
        let words = format!("Next: nothing until {}.", until.join(", or "));
        return lines(INDENT + 3, &words, style);
    }
    let own: Vec<&Deleted> = forecast
        .deletions
        .iter()
        .filter(|it| it.rule == turn.rule)
        .collect();
    let words = format!(
        "Next: {}, {}:",
        count(turn.records, "record"),
        size(turn.bytes)
    );
    let mut text = lines(INDENT + 3, &words, style);
    for deleted in own.iter().take(NAMED) {
        let name: String = clean(&deleted.description)
            .replace('\n', " ")
            .chars()
            .take(SHOWN)
            .collect();
        let name = if name.is_empty() {
            deleted.kind.clone()
        } else {
            name
        };
        let used = deleted.last_used.map_or_else(
            || "never used".to_owned(),
            |it| format!("used {}", style.ago(it)),
        );
        let words = format!("- {name}: {}, {used}", size(deleted.bytes));
        text.push_str(&lines(INDENT + 3, &words, style));
    }
    if own.len() > NAMED {
        let words = format!("- and {} more", own.len() - NAMED);
        text.push_str(&lines(INDENT + 3, &words, style));
    }
    text
}

fn cache_lines(cache: &CacheTold, style: &Style) -> String {
    let free = cache.free_bytes.map_or_else(
        || "the free space of its disk is not seen from here".to_owned(),
        |free| format!("its disk has {} free", size(free)),
    );
    let words = format!(
        "Cache: {}, {}; {free}.",
        count(cache.records, "record"),
        size(cache.bytes)
    );
    let mut text = lines(INDENT, &words, style);
    let forecast = match &cache.next_collection {
        Fact::Known(forecast) => forecast,
        Fact::Unreadable { reason } => {
            let words = format!("What goes next cannot be foreseen: {reason}.");
            return text + &lines(INDENT, &words, style);
        }
    };
    for words in afterwards(forecast)
        .into_iter()
        .chain(at_start(cache, forecast))
    {
        text.push_str(&lines(INDENT, &words, style));
    }
    let never: Vec<String> = forecast.never.iter().map(stays).collect();
    let never = match never.as_slice() {
        [] => "Nothing in it is safe for ever.".to_owned(),
        some => format!("Never deleted: {}.", some.join("; ")),
    };
    text + &lines(INDENT, &never, style)
}

/// Says what there is to know beside the rules.
fn afterwards(forecast: &ForecastTold) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(why) = &forecast.gives_up {
        all.push(format!("The daemon gives up {why}."));
    }
    if !forecast.or_instead.is_empty() {
        let uncertain = forecast
            .deletions
            .iter()
            .filter(|it| !it.is_certain)
            .count();
        all.push(format!(
            "Chance decides between equals: {} of the records above may stay, and {} may go instead{}.",
            uncertain,
            counted(forecast.or_instead.len(), "other"),
            if forecast.is_complete { "" } else { ", or others: not all ways were looked at" }
        ));
    }
    all.push(match &forecast.by_age {
        Some(next) => format!(
            "By age, if nothing is built until then: {} at {:.0}, {} by rule {} first.",
            count(next.records, "record"),
            next.at,
            size(next.bytes),
            next.rule
        ),
        None => "By age: nothing, however long nothing is built.".to_owned(),
    });
    all
}

/// Says what goes if the daemon is started anew, where that is something else.
fn at_start(cache: &CacheTold, forecast: &ForecastTold) -> Option<String> {
    let anew = cache.at_next_start.known()?;
    let ids = |told: &ForecastTold| -> BTreeSet<String> {
        let deletions = told.deletions.iter();
        deletions.map(|it| it.id.clone()).collect()
    };
    if ids(anew) == ids(forecast) {
        return None;
    }
    let bytes = anew.deletions.iter().map(|it| it.bytes).sum();
    let unknown = if cache.is_start_known {
        ""
    } else {
        " When it was started is not known from here: of what it has from before, the same holds."
    };
    Some(format!(
        "If it is started anew, others go: {}, {}; what lies beneath a record from before the start counts as used when that goes.{unknown}",
        count(anew.deletions.len() as u64, "record"),
        size(bytes)
    ))
}

fn stays(kept: &KeptTold) -> String {
    let why = match kept.why {
        Why::InUse => "a build holds now",
        Why::Shared => "an image shares",
        Why::NoRule => "no rule takes",
        Why::Beneath => "lie beneath such",
    };
    format!(
        "{} ({}) that {why}",
        count(kept.records, "record"),
        size(kept.bytes)
    )
}

fn disk_block(disk: &DiskTold, style: &Style) -> String {
    let (tone, verdict) = if disk.fits {
        (Tone::Heading, "fits")
    } else {
        (Tone::Bad, "does not fit")
    };
    let head = format!("disk of {}", disk.path);
    let sum = format!(
        "The limits of its {} are {} together, it holds {}: that {verdict}.",
        counted(disk.caches.len(), "cache"),
        bytes(disk.kept_bytes),
        bytes(disk.total_bytes)
    );
    let mut text = style.paint(tone, &clean(&head)) + "\n";
    text.push_str(&lines(INDENT, &sum, style));
    for cache in &disk.caches {
        let words = format!(
            "- {} may keep {} however full the disk is",
            cache.path,
            bytes(cache.kept_bytes)
        );
        text.push_str(&lines(INDENT, &words, style));
    }
    text + "\n"
}

fn lines(indent: usize, words: &str, style: &Style) -> String {
    let wrapped = style.wrapped(indent, &clean(words));
    let whole: Vec<String> = wrapped
        .iter()
        .map(|line| format!("{:indent$}{line}\n", ""))
        .collect();
    whole.concat()
}

fn size(count: i64) -> String {
    bytes(u64::try_from(count).unwrap_or_default())
}

fn count(number: u64, word: &str) -> String {
    counted(usize::try_from(number).unwrap_or(usize::MAX), word)
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    first + letters.as_str()
}
