//! What a folder or file that somebody left is made of, and whether anything still uses it.

#![expect(clippy::disallowed_methods, reason = "a part of the one door to files")]

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{Kind, ReadError, list, read_text};

/// How many entries of a leftover folder are looked at.
const ENTRIES: usize = 10_000;

/// What lies at a path, links not followed.
#[derive(Clone, Debug)]
pub struct Remains {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub owner: u32,
    /// Bytes of all files in it.
    pub size: u64,
    /// When it, or the newest in it, was written to.
    pub modified: Timestamp,
    /// The names in it.
    pub names: Vec<String>,
    /// Sockets in it.
    pub sockets: Vec<PathBuf>,
    /// A pipe or device in it.
    pub special: Option<PathBuf>,
}

/// Looks through what lies at a path.
pub fn remains(path: &Path) -> Result<Remains, ReadError> {
    let metadata = fs::symlink_metadata(path).map_err(ReadError::System)?;
    let mut remains = Remains {
        kind: Kind::of(&metadata),
        mode: metadata.mode() & 0o7777,
        owner: metadata.uid(),
        size: 0,
        modified: Timestamp::UNIX_EPOCH,
        names: Vec::new(),
        sockets: Vec::new(),
        special: None,
    };
    let (mut pending, mut seen) = (vec![path.to_owned()], 0);
    while let Some(place) = pending.pop() {
        seen += 1;
        if seen > ENTRIES {
            return Err(ReadError::TooMany { limit: ENTRIES });
        }
        let metadata = fs::symlink_metadata(&place).map_err(ReadError::System)?;
        remains.modified = remains.modified.max(modified(&metadata));
        match Kind::of(&metadata) {
            Kind::File => remains.size += metadata.len(),
            Kind::Folder => {
                let entries = list(&place, ENTRIES)?;
                if place == path {
                    remains.names = entries.iter().map(|entry| entry.name.clone()).collect();
                }
                pending.extend(entries.into_iter().map(|entry| entry.path));
            }
            Kind::Socket => remains.sockets.push(place),
            Kind::Link => {}
            Kind::Other => remains.special = Some(place),
        }
    }
    Ok(remains)
}

fn modified(metadata: &fs::Metadata) -> Timestamp {
    Timestamp::from_second(metadata.mtime()).unwrap_or(Timestamp::MAX)
}

/// The paths that processes have open, work in or have mounted, as far as this account may see them.
///
/// Paths are matched by a name in them: a process in a container sees the same file under another path.
#[derive(Debug)]
pub struct Usage(BTreeSet<PathBuf>);

impl Usage {
    /// Looks through a `/proc`. `Err`: it is not there, so nothing is known of any use.
    pub fn look(proc: &Path) -> Result<Self, ReadError> {
        let mut used = BTreeSet::new();
        let mut namespaces = BTreeSet::new();
        mounts(&read_text(&proc.join("self/mountinfo"))?, &mut used);
        for entry in list(proc, 1_000_000)? {
            if entry.name.parse::<u32>().is_err() {
                continue;
            }
            let links = ["cwd", "root", "exe"].map(|name| entry.path.join(name));
            let open = list(&entry.path.join("fd"), 1_000_000).unwrap_or_default();
            let links = links.into_iter().chain(open.into_iter().map(|fd| fd.path));
            used.extend(links.filter_map(|link| fs::read_link(link).ok()));
            let namespace = fs::read_link(entry.path.join("ns/mnt")).ok();
            if namespace.is_some_and(|namespace| namespaces.insert(namespace))
                && let Ok(text) = read_text(&entry.path.join("mountinfo"))
            {
                mounts(&text, &mut used);
            }
        }
        Ok(Self(used))
    }

    /// Returns whether anything of this name, or in it, is used.
    pub fn has(&self, name: &OsStr) -> bool {
        self.0
            .iter()
            .any(|path| path.iter().any(|part| part == name))
    }
}

/// Adds the mount points, and what of their file systems is mounted there.
fn mounts(text: &str, used: &mut BTreeSet<PathBuf>) {
    for line in text.lines() {
        let fields = line.split(' ').skip(3).take(2);
        used.extend(fields.map(|field| PathBuf::from(unescaped(field))));
    }
}

/// Undoes the kernel's `\040` for a space in a path.
fn unescaped(field: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(field.to_owned(), |text, (code, letter)| {
        text.replace(code, letter)
    })
}

/// Returns a mount point that is a folder or lies in it.
pub fn mount_within(folder: &Path) -> io::Result<Option<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let folder = folder.canonicalize()?;
    let points = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|field| PathBuf::from(unescaped(field)));
    Ok(points.into_iter().find(|point| point.starts_with(&folder)))
}
