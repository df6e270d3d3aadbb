//! The helper that packs and unpacks inside a container. Frames on stdin and stdout, words on stderr.
//!
//! ```text
//! rekit-archive-helper pack ROOT [--rules buildkit-state|plain] [--level N] [--record-changes] [--live PID [--staging DIR]]
//! rekit-archive-helper unpack ROOT [--only-whiteouts]
//! rekit-archive-helper list ROOT      the listing, as text
//! rekit-archive-helper digest ROOT    the digest of the listing
//! rekit-archive-helper check ROOT     what contradicts itself in a BuildKit state, or why it cannot be read: `Ok` or `Err` as JSON
//! rekit-archive-helper attend PROGRAM [ARGUMENTS]   runs a program, no longer than somebody holds stdin open
//! rekit-archive-helper watch PID      the watchdog that holds the daemon that PID leads still, and lets it go on
//! ```
//! `--channel FOLDER` goes to the socket in that folder in the place of stdin and stdout, if somebody listens there.
//! Inside a build there is neither stdin nor a stdout that could be read: `--in FILE` and `--out FILE` (not for a live pack) take their place,
//! `--digest FILE` after a pack writes the digest of the listing too, and `unpack --unless DIGEST` leaves a tree alone that is this one already;
//! `--replacing DIGEST` empties it first, if it is that one.
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
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;

use rekit_archive::{
    Changes, CompareOptions, Devices, PackOptions, Running, UnpackOptions, Watchdog,
    buildkit_state_rules, contradictions, plain_rules, tree_digest, watch, wire, write_listing,
};

/// Files in the place of pipes, and what belongs to them.
#[derive(Default)]
struct Files {
    channel: Option<PathBuf>,
    input: Option<PathBuf>,
    out: Option<PathBuf>,
    digest: Option<PathBuf>,
    unless: Option<String>,
    replacing: Option<String>,
    /// Where bytes are set aside while the daemon stands still; the root of a container if nothing is said.
    staging: Option<PathBuf>,
}

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
    Check(PathBuf),
    Attend {
        program: PathBuf,
        arguments: Vec<OsString>,
    },
    Watch(u32),
}

fn main() -> ExitCode {
    let Some((call, files)) = parse(std::env::args_os().skip(1)) else {
        say("usage: rekit-archive-helper pack|unpack|list|digest|check ROOT [options]");
        return ExitCode::from(2);
    };
    match run(call, &files) {
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

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<(Call, Files)> {
    let mut files = Files::default();
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
        "check" => Call::Check(root),
        "attend" => {
            let program = root;
            let arguments = arguments.collect();
            return Some((Call::Attend { program, arguments }, files));
        }
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
            (Call::Unpack { .. }, "--unless") => {
                files.unless = Some(arguments.next()?.to_str()?.to_owned());
            }
            (Call::Unpack { .. }, "--replacing") => {
                files.replacing = Some(arguments.next()?.to_str()?.to_owned());
            }
            (call, option) => *files.place(call, option)? = Some(arguments.next()?.into()),
        }
    }
    Some((call, files))
}

impl Files {
    /// Returns what an option of a call names.
    fn place(&mut self, call: &Call, option: &str) -> Option<&mut Option<PathBuf>> {
        match (call, option) {
            (Call::Pack { .. }, "--staging") => Some(&mut self.staging),
            (Call::Pack { .. }, "--digest") => Some(&mut self.digest),
            (Call::Pack { .. } | Call::Unpack { .. }, "--in") => Some(&mut self.input),
            (Call::Pack { .. } | Call::Unpack { .. } | Call::Check(_), "--channel") => {
                Some(&mut self.channel)
            }
            (_, "--out") => Some(&mut self.out),
            _ => None,
        }
    }
}

fn run(call: Call, files: &Files) -> Result<(), String> {
    let options = CompareOptions::default();
    let plain = |error: &dyn std::error::Error| error.to_string();
    let (mut input, out) = ends(files).map_err(|error| plain(&error))?;
    let mut out = BufWriter::with_capacity(1 << 18, out);
    match call {
        Call::Pack {
            root,
            options,
            live: None,
        } => {
            wire::pack_to(&root, &options, &mut input, out)?;
            let Some(path) = &files.digest else {
                return Ok(());
            };
            let mut file = File::create(path).map_err(|error| plain(&error))?;
            print_digest(&root, &CompareOptions::default(), &mut file)
        }
        Call::Pack {
            root,
            options,
            live: Some(pid),
        } => {
            let staging = files.staging.as_deref().unwrap_or(Path::new("/"));
            pack_live(&root, &options, (pid, staging), &mut input, out)
        }
        Call::Attend { program, arguments } => attend(&program, &arguments),
        Call::Watch(pid) => {
            watch(pid, io::stdin().lock(), io::stdout()).map_err(|error| plain(&error))
        }
        Call::Unpack { root, options: how } => {
            if files.unless.is_some() || files.replacing.is_some() {
                let found = tree_digest(&root, &options).map_err(|error| plain(&error))?;
                let found = Some(found.to_string());
                if found == files.unless {
                    return Ok(());
                }
                if found == files.replacing {
                    empty(&root).map_err(|error| plain(&error))?;
                }
            }
            wire::unpack_from(&mut input, &root, &how, &mut out)
        }
        Call::List(root) => {
            write_listing(&root, &options, &mut out).map_err(|error| plain(&error))?;
            out.flush().map_err(|error| plain(&error))
        }
        Call::Digest(root) => print_digest(&root, &options, &mut out),
        Call::Check(root) => {
            let found = contradictions(&root, Path::new("/")).map_err(|error| plain(&error));
            serde_json::to_writer(&mut out, &found).map_err(|error| plain(&error))?;
            out.flush().map_err(|error| plain(&error))
        }
    }
}

/// Returns what to read from and what to write to.
fn ends(files: &Files) -> io::Result<(Box<dyn io::Read>, Box<dyn Write + Send>)> {
    if let Some(folder) = &files.channel {
        return wire::join(folder);
    }
    let out: Box<dyn Write + Send> = match &files.out {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout()),
    };
    let input: Box<dyn io::Read> = match &files.input {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(io::stdin()),
    };
    Ok((input, out))
}

/// Packs while the daemon that `pid` leads runs. When whoever asked is gone, so is this process, and its watchdog lets the daemon go on.
fn pack_live(
    root: &Path,
    options: &PackOptions,
    (pid, staging): (u32, &Path),
    input: &mut dyn io::Read,
    out: impl Write + Send,
) -> Result<(), String> {
    let own = Path::new("/proc/self/exe");
    let started = Watchdog::start(own, pid);
    let mut watchdog = started.map_err(|error| format!("the watchdog does not start: {error}"))?;
    let running = Running {
        root,
        freezer: &mut watchdog,
    };
    wire::pack_live_to(running, options, staging, input, out)
}

/// Runs a program until it ends. Once nobody holds stdin open any more, this process ends, and with the first process of a container all others.
fn attend(program: &Path, arguments: &[OsString]) -> Result<(), String> {
    let mut command = Command::new(program);
    let mut child = command
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let (says, said) = mpsc::channel();
    let says_too = says.clone();
    std::thread::spawn(move || {
        let closed = io::copy(&mut io::stdin().lock(), &mut io::sink());
        says.send(closed.map(|_| "nobody attends any more".to_owned()))
    });
    std::thread::spawn(move || {
        says_too.send(child.wait().map(|ended| format!("it ended: {ended}")))
    });
    let first = said.recv().map_err(|error| error.to_string())?;
    let why = first.map_err(|error| error.to_string())?;
    Err(format!("{}: {why}", program.display()))
}

/// Removes all that is in a folder.
fn empty(root: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn print_digest(root: &Path, options: &CompareOptions, out: &mut impl Write) -> Result<(), String> {
    let digest = tree_digest(root, options).map_err(|error| error.to_string())?;
    writeln!(out, "{digest}")
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())
}
