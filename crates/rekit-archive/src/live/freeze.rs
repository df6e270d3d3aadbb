//! Holds a daemon's processes still for a moment, and lets them go on whatever happens.
//!
//! A watchdog, a process of its own, sends the signals. It lets the daemon go on when it is told to, when the pipe from the one who asked
//! ends, or when its lease runs out: whichever comes first. It is in no group that a terminal could interrupt.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// A daemon stands still no longer than this.
const LEASE: Duration = Duration::from_secs(3);
/// How long threads may take to come to a stop.
const STOP_LIMIT: Duration = Duration::from_millis(500);
/// How often they are looked at meanwhile.
const STOP_PAUSE: Duration = Duration::from_micros(300);

const MOUNTS: u8 = b'm';
const FREEZE: u8 = b'f';
const THAW: u8 = b't';
const DONE: u8 = b'd';
const FAILED: u8 = b'e';

/// Holds a daemon still and lets it go on.
pub trait Freezer: Send + Sync {
    /// Returns what the daemon has mounted for writing.
    fn mounts(&mut self) -> io::Result<Mounts>;
    /// Holds the daemon still; returns what it has mounted for writing.
    fn freeze(&mut self) -> io::Result<Mounts>;
    /// Lets the daemon go on. An error means that it may have gone on before.
    fn thaw(&mut self) -> io::Result<()>;
}

/// Directories that may be written to through mounts, as the mounts name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts(BTreeSet<Vec<u8>>);

impl Mounts {
    /// Returns true if `directory` of a snapshot, such as `snapshots/12/fs`, may be written to.
    pub(crate) fn has(&self, directory: &[u8]) -> bool {
        self.0.iter().any(|mount| {
            let before = mount.strip_suffix(directory);
            before.is_some_and(|before| before.last().is_none_or(|byte| *byte == b'/'))
        })
    }

    /// Takes the writable directories out of a mount table (`proc_pid_mountinfo(5)`).
    fn read(&mut self, table: &[u8]) {
        for line in table.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b' ');
            self.0.extend(fields.nth(3).map(<[u8]>::to_vec));
            let options = fields.next_back().unwrap_or_default();
            let options = options.split(|byte| *byte == b',');
            let upper = options.filter_map(|option| option.strip_prefix(b"upperdir="));
            self.0.extend(upper.map(<[u8]>::to_vec));
        }
        self.0.remove(&b"/"[..]);
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mounts: Vec<&[u8]> = self.0.iter().map(Vec::as_slice).collect();
        mounts.join(&0)
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
    }
}

/// The watchdog, seen from the process that uses it.
#[derive(Debug)]
pub struct Watchdog {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl Watchdog {
    /// Starts `program`, the helper, as the watchdog of the daemon that `pid` leads.
    pub fn start(program: &Path, pid: u32) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(["watch", &pid.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let ends = child.stdin.take().zip(child.stdout.take());
        let (input, output) = ends.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self {
            child,
            input: Some(input),
            output,
        })
    }

    fn ask(&mut self, command: u8) -> io::Result<Vec<u8>> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(&[command])?;
        let mut head = [0; 5];
        self.output.read_exact(&mut head)?;
        let [status, length @ ..] = head;
        let length = u32::from_be_bytes(length).into();
        let mut bytes = Vec::new();
        (&mut self.output).take(length).read_to_end(&mut bytes)?;
        match status {
            DONE => Ok(bytes),
            _ => Err(io::Error::other(
                String::from_utf8_lossy(&bytes).into_owned(),
            )),
        }
    }
}

impl Freezer for Watchdog {
    fn mounts(&mut self) -> io::Result<Mounts> {
        Ok(Mounts::from_bytes(&self.ask(MOUNTS)?))
    }

    fn freeze(&mut self) -> io::Result<Mounts> {
        Ok(Mounts::from_bytes(&self.ask(FREEZE)?))
    }

    fn thaw(&mut self) -> io::Result<()> {
        self.ask(THAW).map(drop)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // The end of the pipe lets the daemon go on, and ends the watchdog.
        self.input = None;
        let _ended = self.child.wait();
    }
}

/// Serves as the watchdog of the daemon that `pid` leads, until `input` ends.
pub fn watch(pid: u32, input: impl AsFd + Read, output: impl Write) -> io::Result<()> {
    let processes = Processes::of(pid)?;
    // What an earlier watchdog that was killed left standing goes on.
    processes.send(Signal::CONT);
    let served = serve(&processes, input, output);
    processes.send(Signal::CONT);
    match served {
        // Nobody listens any more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        served => served,
    }
}

fn serve(
    processes: &Processes,
    mut input: impl AsFd + Read,
    mut output: impl Write,
) -> io::Result<()> {
    let mut frozen_since: Option<Instant> = None;
    let mut has_run_out = false;
    loop {
        if let Some(since) = frozen_since
            && !is_ready(&input, LEASE.saturating_sub(since.elapsed()))?
        {
            if since.elapsed() >= LEASE {
                processes.send(Signal::CONT);
                frozen_since = None;
                has_run_out = true;
            }
            continue;
        }
        let mut command = [0];
        if input.read(&mut command)? == 0 {
            return Ok(());
        }
        let answer = match command[0] {
            MOUNTS => Ok(mounts(&processes.all()?)),
            FREEZE => {
                has_run_out = false;
                frozen_since = Some(Instant::now());
                processes.stop()
            }
            _ => {
                processes.send(Signal::CONT);
                frozen_since = None;
                if has_run_out {
                    Err(io::Error::other(
                        "the daemon stood still too long and went on",
                    ))
                } else {
                    Ok(Mounts::default())
                }
            }
        };
        if answer.is_err() {
            processes.send(Signal::CONT);
            frozen_since = None;
        }
        let (status, bytes) = match answer {
            Ok(mounts) => (DONE, mounts.to_bytes()),
            Err(error) => (FAILED, error.to_string().into_bytes()),
        };
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        output.write_all(&[&[status], &length.to_be_bytes()[..], &bytes].concat())?;
        output.flush()?;
    }
}

fn is_ready(input: &impl AsFd, limit: Duration) -> io::Result<bool> {
    let limit = Timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(0),
        tv_nsec: limit.subsec_nanos().into(),
    };
    let mut watched = [PollFd::new(input, PollFlags::IN)];
    match poll(&mut watched, Some(&limit)) {
        Err(Errno::INTR) => Ok(false),
        result => Ok(result? > 0),
    }
}

/// The processes of one daemon: its leader, what that started, and all in the container that it leads.
struct Processes {
    leader: u32,
    /// The container's process name space, if it has one of its own.
    space: Option<PathBuf>,
}

impl Processes {
    fn of(leader: u32) -> io::Result<Self> {
        let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid"));
        let (own, theirs) = (space("self")?, space(&leader.to_string())?);
        Ok(Self {
            leader,
            space: (own != theirs).then_some(theirs),
        })
    }

    fn all(&self) -> io::Result<BTreeSet<u32>> {
        let mut found = BTreeSet::from([self.leader]);
        let mut parents = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // What ends meanwhile needs no stop.
            let Some((_, parent)) = state(&format!("/proc/{pid}/stat")) else {
                continue;
            };
            parents.insert(pid, parent);
            let space = || fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
            if self.space.is_some() && space() == self.space {
                found.insert(pid);
            }
        }
        loop {
            let children = parents
                .iter()
                .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid));
            let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
            if children.is_empty() {
                return Ok(found);
            }
            found.extend(children);
        }
    }

    /// Sends a signal to all; what has ended meanwhile needs none.
    fn send(&self, signal: Signal) {
        for pid in self.all().unwrap_or_default() {
            send(pid, signal);
        }
    }

    /// Stops all, until no new ones appear and no thread runs any more.
    fn stop(&self) -> io::Result<Mounts> {
        let begun = Instant::now();
        let mut stopped = BTreeSet::new();
        loop {
            let now = self.all()?;
            for pid in now.difference(&stopped) {
                send(*pid, Signal::STOP);
            }
            if now.is_subset(&stopped) && now.iter().all(|pid| stands_still(*pid)) {
                return Ok(mounts(&now));
            }
            if begun.elapsed() > STOP_LIMIT {
                return Err(io::Error::other("the daemon does not come to a stop"));
            }
            stopped.extend(now);
            while begun.elapsed() < STOP_LIMIT && !stopped.iter().all(|pid| stands_still(*pid)) {
                thread::sleep(STOP_PAUSE);
            }
        }
    }
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _gone = kill_process(pid, signal);
    }
}

/// Returns the state and the parent in a `stat` file of `/proc`.
fn state(path: &str) -> Option<(u8, u32)> {
    let text = fs::read(path).ok()?;
    // The name before it may hold anything.
    let at = text.iter().rposition(|byte| *byte == b')')?;
    let rest = str::from_utf8(&text[at + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    Some((state, fields.next()?.parse().ok()?))
}

/// Returns true if no thread of a process can change a file now.
fn stands_still(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        let path = thread.path();
        match state(&path.join("stat").display().to_string()) {
            Some((b'T' | b't' | b'Z' | b'X', _)) | None => true,
            Some((b'D', _)) => waits_harmlessly(&path),
            Some(_) => false,
        }
    })
}

/// A thread that waits for its child to begin, or for the disk to have what was written, changes nothing more; it stops when that is over.
fn waits_harmlessly(thread: &Path) -> bool {
    let Ok(text) = fs::read_to_string(thread.join("syscall")) else {
        return false;
    };
    let call = text
        .split(' ')
        .next()
        .and_then(|call| call.parse::<u32>().ok());
    call.is_some_and(|call| WAITING_CALLS.contains(&call))
}

/// `vfork`, `clone`, `clone3`, `fsync`, `fdatasync`, `sync_file_range`, `syncfs`.
#[cfg(target_arch = "x86_64")]
const WAITING_CALLS: [u32; 7] = [58, 56, 435, 74, 75, 277, 306];
/// `clone`, `clone3`, `fsync`, `fdatasync`, `sync_file_range`, `syncfs`.
#[cfg(not(target_arch = "x86_64"))]
const WAITING_CALLS: [u32; 6] = [220, 435, 82, 83, 84, 267];

/// Returns what these processes have mounted for writing; processes with one mount table are asked once.
fn mounts(processes: &BTreeSet<u32>) -> Mounts {
    let mut found = Mounts::default();
    let mut tables = BTreeSet::new();
    for pid in processes {
        let space = fs::metadata(format!("/proc/{pid}/ns/mnt")).map(|space| space.ino());
        if space.is_ok_and(|space| tables.insert(space))
            && let Ok(table) = fs::read(format!("/proc/{pid}/mountinfo"))
        {
            found.read(&table);
        }
    }
    found
}
