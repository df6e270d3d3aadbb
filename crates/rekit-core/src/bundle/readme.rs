//! The texts of a bundle that rekit writes itself: what each file is, what was hidden, how to look; and the versions.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::{fact::Fact, inventory::Inventory};

use super::packed::{Described, LeftOut};

/// What the reader is told before the list of files.
const HEAD: &str = "\
What `rekit doctor --bundle` put together so that somebody can help with BuildKit on this machine.

READ IT BEFORE YOU SEND IT. These are plain text files. To see all of them:

    tar -xf FILE && less $(find rekit-bundle -type f)

To look for a word that nobody else should read, such as a password or the name of a customer:

    tar -xOf FILE | grep -n 'the word'

What was hidden: `***` stands in its place.

- logins, tokens, passwords and keys, by the name that stands before them, wherever they stand
- all of `auths` and every value of `HttpHeaders` in config.json
- user names and passwords in URLs, those of proxies too
- files within builder records, such as keys and certificates; their buildkitd.toml lies beside the record
- variables of daemons (`env.*` of builders, `Environment=` of units), except numbers, switches, paths, proxies and what steers docker or BuildKit
- PEM blocks, well-known tokens (ghp_, AKIA, eyJ and others), and every run of letters and digits that looks as if made by chance
- digests of foreign files, by which a secret in them could be tried out (zeros, or `left out`)
- in JSON that does not parse: all but its punctuation and well-known names

What was not hidden: names of hosts, users, builders, images, registries and paths; free text such as comments and lines of logs, apart from
the above. What was never read: TLS folders of contexts, shell profiles, Dockerfiles, sources, .npmrc and other files of the project, blobs
and archives of rekit, caches.
";

/// Writes the file that is read first.
pub(super) fn readme(taken: Timestamp, entries: &[Described], left_out: &[LeftOut]) -> String {
    let mut text = format!("{HEAD}\nTaken {taken}. Files, and how often `***` stands in each:\n\n");
    for entry in entries {
        let Described {
            path, says, masked, ..
        } = entry;
        line(
            &mut text,
            format_args!("{masked:>5}  {path}\n       {says}"),
        );
    }
    if !left_out.is_empty() {
        text.push_str("\nNot in it:\n\n");
    }
    for LeftOut { says, reason } in left_out {
        line(&mut text, format_args!("- {says}: {reason}"));
    }
    text
}

/// Lists the versions of rekit, the machine, programs, engines and daemons.
pub(super) fn versions(program: &str, inventory: &Inventory) -> String {
    let machine = &inventory.machine;
    let mut text = format!("rekit {program}\n");
    let (os, architecture) = (&machine.os, &machine.architecture);
    let wsl = if machine.wsl { ", WSL" } else { "" };
    line(
        &mut text,
        format_args!("kernel {} ({os}/{architecture}{wsl})", machine.kernel),
    );
    for tool in &inventory.tools {
        let rank = if tool.in_force { "" } else { ", not in force" };
        let version = known(&tool.version);
        line(
            &mut text,
            format_args!("{} {version} ({}{rank})", tool.name, tool.path),
        );
    }
    for host in &inventory.hosts {
        let engine = match &host.engine {
            Fact::Known(engine) => format!("{} (API {})", engine.version, engine.api_version),
            Fact::Unreadable { reason } => reason.clone(),
        };
        line(&mut text, format_args!("engine {} {engine}", host.id));
    }
    for (_, builder, _, node) in inventory.nodes() {
        let daemon = match &node.daemon {
            Fact::Known(daemon) => format!("BuildKit {}", daemon.version),
            Fact::Unreadable { reason } => reason.clone(),
        };
        line(
            &mut text,
            format_args!("node {} of builder {}: {daemon}", node.name, builder.name),
        );
    }
    text
}

fn known(version: &Fact<String>) -> &str {
    match version {
        Fact::Known(version) => version,
        Fact::Unreadable { reason } => reason,
    }
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    if writeln!(text, "{words}").is_err() {
        unreachable!("BUG: a text takes whatever is written to it");
    }
}
