//! The helper that packs and unpacks inside a container. Frames on stdin and stdout, words on stderr.
//!
//! ```text
//! rekit-archive-helper pack ROOT [--rules buildkit-state|plain] [--level N] [--record-changes] [--live PID]
//! rekit-archive-helper unpack ROOT [--only-whiteouts]
//! rekit-archive-helper list ROOT      the listing, as text
//! rekit-archive-helper digest ROOT    the digest of the listing
//! rekit-archive-helper watch PID      the watchdog that holds the daemon that PID leads still, and lets it go on
//! ```
//! Exit codes: 0 done · 1 failed; the last frame and stderr say why · 2 wrong use.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the archive is one of the three doors to the file system"
)]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rekit_archive::{
    Changes, CompareOptions, Devices, PackOptions, Running, UnpackOptions, Watchdog,
    buildkit_state_rules, plain_rules, tree_digest, watch, wire, write_listing,
};

enum Call {
    Pack {
        root: PathBuf,
        options: PackOptions,
        live: Option<u32>,
    },
    Unpack {
        root: PathBuf,
        options: UnpackOptions,
    },
    List(PathBuf),
    Digest(PathBuf),
    Watch(u32),
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
            live: None,
        },
        "unpack" => Call::Unpack {
            root,
            options: UnpackOptions::default(),
        },
        "list" => Call::List(root),
        "digest" => Call::Digest(root),
        "watch" => Call::Watch(root.to_str()?.parse().ok()?),
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
            (Call::Pack { live, .. }, "--live") => {
                *live = Some(arguments.next()?.to_str()?.parse().ok()?);
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
        Call::Pack {
            root,
            options,
            live: None,
        } => wire::pack_to(&root, &options, &mut io::stdin().lock(), out),
        Call::Pack {
            root,
            options,
            live: Some(pid),
        } => pack_live(&root, &options, pid, out),
        Call::Watch(pid) => {
            watch(pid, io::stdin().lock(), io::stdout()).map_err(|error| plain(&error))
        }
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

/// Packs while the daemon that `pid` leads runs. When whoever asked is gone, so is this process, and its watchdog lets the daemon go on.
fn pack_live(
    root: &Path,
    options: &PackOptions,
    pid: u32,
    out: impl Write + Send,
) -> Result<(), String> {
    let own = Path::new("/proc/self/exe");
    let started = Watchdog::start(own, pid);
    let mut watchdog = started.map_err(|error| format!("the watchdog does not start: {error}"))?;
    let staging = tempfile_in(Path::new("/"));
    let staging = staging.map_err(|error| format!("no room to set bytes aside: {error}"))?;
    let running = Running {
        root,
        freezer: &mut watchdog,
    };
    wire::pack_live_to(running, options, staging, &mut io::stdin(), out)
}

/// Makes a file without a name.
fn tempfile_in(folder: &Path) -> io::Result<File> {
    let path = folder.join("rekit-staging");
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

fn print_digest(root: &Path, options: &CompareOptions, out: &mut impl Write) -> Result<(), String> {
    let digest = tree_digest(root, options).map_err(|error| error.to_string())?;
    writeln!(out, "{digest}")
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())
}
