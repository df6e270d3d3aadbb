//! The helper that packs and unpacks inside a container. Frames on stdin and stdout, words on stderr.
//!
//! ```text
//! rekit-archive-helper pack ROOT [--rules buildkit-state|plain] [--level N] [--record-changes]
//! rekit-archive-helper unpack ROOT [--only-whiteouts]
//! rekit-archive-helper list ROOT      the listing, as text
//! rekit-archive-helper digest ROOT    the digest of the listing
//! ```
//! Exit codes: 0 done · 1 failed; the last frame and stderr say why · 2 wrong use.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rekit_archive::{
    Changes, CompareOptions, Devices, PackOptions, UnpackOptions, buildkit_state_rules,
    plain_rules, tree_digest, wire, write_listing,
};

enum Call {
    Pack {
        root: PathBuf,
        options: PackOptions,
    },
    Unpack {
        root: PathBuf,
        options: UnpackOptions,
    },
    List(PathBuf),
    Digest(PathBuf),
}

fn main() -> ExitCode {
    let Some(call) = parse(std::env::args_os().skip(1)) else {
        say("usage: rekit-archive-helper pack|unpack|list|digest ROOT [options]");
        return ExitCode::from(2);
    };
    match run(call) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&message);
            ExitCode::FAILURE
        }
    }
}

fn say(message: &str) {
    // There is nowhere else to say it.
    let _closed = writeln!(io::stderr(), "rekit-archive-helper: {message}");
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<Call> {
    let verb = arguments.next()?;
    let root = PathBuf::from(arguments.next()?);
    let mut call = match verb.to_str()? {
        "pack" => Call::Pack {
            root,
            options: PackOptions::default(),
        },
        "unpack" => Call::Unpack {
            root,
            options: UnpackOptions::default(),
        },
        "list" => Call::List(root),
        "digest" => Call::Digest(root),
        _ => return None,
    };
    while let Some(option) = arguments.next() {
        match (&mut call, option.to_str()?) {
            (Call::Pack { options, .. }, "--rules") => {
                options.rules = match arguments.next()?.to_str()? {
                    "buildkit-state" => buildkit_state_rules(),
                    "plain" => plain_rules(),
                    _ => return None,
                }
            }
            (Call::Pack { options, .. }, "--level") => {
                options.level = arguments
                    .next()?
                    .to_str()?
                    .parse()
                    .ok()
                    .filter(|level| (1..=19).contains(level))?;
            }
            (Call::Pack { options, .. }, "--record-changes") => options.changes = Changes::Record,
            (Call::Unpack { options, .. }, "--only-whiteouts") => {
                options.devices = Devices::OnlyWhiteouts;
            }
            _ => return None,
        }
    }
    Some(call)
}

fn run(call: Call) -> Result<(), String> {
    let mut out = BufWriter::with_capacity(1 << 18, io::stdout());
    let options = CompareOptions::default();
    let plain = |error: &dyn std::error::Error| error.to_string();
    match call {
        Call::Pack { root, options } => wire::pack_to(&root, &options, out),
        Call::Unpack { root, options } => {
            wire::unpack_from(&mut io::stdin().lock(), &root, &options, &mut out)
        }
        Call::List(root) => {
            write_listing(&root, &options, &mut out).map_err(|error| plain(&error))?;
            out.flush().map_err(|error| plain(&error))
        }
        Call::Digest(root) => print_digest(&root, &options, &mut out),
    }
}

fn print_digest(root: &Path, options: &CompareOptions, out: &mut impl Write) -> Result<(), String> {
    let digest = tree_digest(root, options).map_err(|error| error.to_string())?;
    writeln!(out, "{digest}")
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())
}
