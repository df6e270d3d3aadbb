//! The start of a process as a shell script: its arguments, its folder, its environment, its account. A person can run it too: `env -i sh BLOB`.

use std::{
    ffi::{OsStr, OsString},
    io::Write,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Answer, ForeignBytes, WorldError, docker};
use crate::world::host;

/// How much of a process's arguments or environment is read.
const LIMIT: u64 = 4 << 20;
/// The device number of `/dev/null`.
const NULL: u64 = 0x103;
/// What a shell sets by itself, and the process may not have had.
const OF_THE_SHELL: [&str; 4] = ["PWD", "OLDPWD", "SHLVL", "_"];

/// Returns the script that starts a process as it runs now. `log`: where its output goes if it goes to a pipe or terminal now.
pub(super) fn script(pid: u32, log: &Path) -> Answer<ForeignBytes> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let what = || format!("how process {pid} was started cannot be read");
    let read = |name: &str| {
        let content = host::read(&folder.join(name), LIMIT);
        content.map_err(|error| WorldError::failed(what(), error))
    };
    let link = |name: &str| {
        let target = host::link_target(&folder.join(name));
        target.ok_or_else(|| WorldError::failed(what(), format!("`{name}` cannot be seen")))
    };
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    let words = read("cmdline")?;
    let mut words = words
        .strip_suffix(b"\0")
        .unwrap_or(&words)
        .split(|byte| *byte == 0);
    let program = program(words.next().unwrap_or_default(), &link("exe")?);
    let mut text = Vec::new();
    text.extend_from_slice(b"set -e\n");
    // A folder that its own account cannot enter was somebody else's, and nothing in it is the daemon's.
    text.extend_from_slice(b"cd ");
    text.extend(quoted(link("cwd")?.as_os_str().as_bytes()));
    text.extend_from_slice(b" 2> /dev/null || cd /\n");
    // After the change of folder, which sets variables too.
    environment(&mut text, &read("environ")?);
    if let Some(umask) = field(&status, "Umask:") {
        text.extend_from_slice(format!("umask {umask}\n").as_bytes());
    }
    text.extend_from_slice(open_files(&String::from_utf8_lossy(&read("limits")?)).as_bytes());
    let output = output(&folder, log);
    if output == log {
        let parent = log.parent().unwrap_or(Path::new("/"));
        line(
            &mut text,
            &[b"mkdir -p -m 700".as_slice(), parent.as_os_str().as_bytes()],
        );
    }
    text.extend_from_slice(b"exec setsid --fork");
    text.extend_from_slice(account(&status, &folder).as_bytes());
    for word in std::iter::once(program.as_bytes()).chain(words) {
        text.push(b' ');
        text.extend(quoted(word));
    }
    text.extend_from_slice(b" < /dev/null >> ");
    text.extend(quoted(output.as_os_str().as_bytes()));
    text.extend_from_slice(b" 2>&1\n");
    Ok(ForeignBytes::new(text))
}

/// Starts a process by its script. The script goes by a pipe: its variables are nobody's to see.
pub(super) fn start(script: &ForeignBytes) -> Answer<()> {
    let failed = |error: std::io::Error| WorldError::failed("the daemon cannot be started", error);
    let mut child = Command::new("/bin/sh")
        .arg("-s")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.expose()).map_err(failed)?;
    }
    // The daemon itself has another output: this one ends with the shell.
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let words = docker::last_words(&said, |_| false);
    Err(WorldError::failed("the daemon cannot be started", words))
}

/// The name by which the process was called, if it leads to a file; else the file itself.
fn program(called: &[u8], file: &Path) -> OsString {
    let called = Path::new(OsStr::from_bytes(called));
    if called.is_absolute() && called.is_file() {
        return called.as_os_str().to_owned();
    }
    let file = file.as_os_str().as_bytes();
    // A program that was replaced since by a newer one has the same place.
    let file = file.strip_suffix(b" (deleted)").unwrap_or(file);
    OsString::from_vec(file.to_owned())
}

fn environment(text: &mut Vec<u8>, content: &[u8]) {
    let mut names = Vec::new();
    for entry in content.split(|byte| *byte == 0) {
        let Some(at) = entry.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = (&entry[..at], &entry[at + 1..]);
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        // A shell can set no other names, and no daemon reads them.
        if name.first().is_some_and(|byte| !byte.is_ascii_digit()) && name.iter().all(is_word) {
            names.push(String::from_utf8_lossy(name).into_owned());
            text.extend_from_slice(b"export ");
            text.extend_from_slice(name);
            text.push(b'=');
            text.extend(quoted(value));
            text.push(b'\n');
        }
    }
    for name in OF_THE_SHELL {
        if !names.iter().any(|known| known == name) {
            text.extend_from_slice(format!("unset {name}\n").as_bytes());
        }
    }
}

/// The change to the process's account, where the caller's is another one.
fn account(status: &str, folder: &Path) -> String {
    let user = host::status(folder).map(|status| status.owner);
    let own = rustix::process::geteuid().as_raw();
    if user.is_ok_and(|user| user == own) {
        return String::new();
    }
    let first = |name: &str| {
        let numbers = field(status, name).unwrap_or_default();
        numbers.split_whitespace().next().unwrap_or("0").to_owned()
    };
    let groups: Vec<_> = field(status, "Groups:")
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let groups = if groups.is_empty() {
        "--clear-groups".to_owned()
    } else {
        format!("--groups={}", groups.join(","))
    };
    format!(
        " setpriv --reuid={} --regid={} {groups}",
        first("Uid:"),
        first("Gid:")
    )
}

fn open_files(limits: &str) -> String {
    let Some(numbers) = field(limits, "Max open files") else {
        return String::new();
    };
    let mut numbers = numbers.split_whitespace();
    let (soft, hard) = (numbers.next().unwrap_or("1024"), numbers.next());
    format!(
        "{{ ulimit -H -n {} && ulimit -S -n {soft}; }} 2> /dev/null || :\n",
        hard.unwrap_or(soft)
    )
}

/// Returns where the process writes to, if another one can write there as well.
fn output(folder: &Path, log: &Path) -> PathBuf {
    let target = host::link_target(&folder.join("fd/2"));
    let is_shared = |path: &PathBuf| {
        let metadata = path.metadata();
        let is_null = |it: &std::fs::Metadata| it.file_type().is_char_device() && it.rdev() == NULL;
        let is_open = rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
        is_open && metadata.is_ok_and(|it| it.is_file() || is_null(&it))
    };
    target.filter(is_shared).unwrap_or_else(|| log.to_owned())
}

/// Returns the rest of the line that begins with `name`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    lines
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

/// Adds a command and its last word.
fn line(text: &mut Vec<u8>, [command, word]: &[&[u8]; 2]) {
    text.extend_from_slice(command);
    text.push(b' ');
    text.extend(quoted(word));
    text.push(b'\n');
}

/// Returns a word as a shell takes it, whatever is in it.
fn quoted(word: &[u8]) -> Vec<u8> {
    let mut text = vec![b'\''];
    for byte in word {
        if *byte == b'\'' {
            text.extend_from_slice(br"'\''");
        } else {
            text.push(*byte);
        }
    }
    text.push(b'\'');
    text
}
