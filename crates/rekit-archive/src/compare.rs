//! A canonical listing of a tree, to compare two trees. It shares no code with packing, so that both cannot be wrong
//! in the same way.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::digest::Digest;

/// What to compare.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// Whether times belong to the listing.
    pub times: bool,
    /// Paths, relative to the root, that are left out with all that is in them.
    pub leave_out: Vec<PathBuf>,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            times: true,
            leave_out: Vec::new(),
        }
    }
}

/// The tree could not be listed.
#[derive(Debug, Error)]
pub enum ListingError {
    /// A place could not be read.
    #[error("could not read `{path}`")]
    Read {
        /// The place.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The listing could not be written.
    #[error("could not write the listing")]
    Write(#[source] io::Error),
}

/// Returns the digest of the listing: equal trees, equal digests.
pub fn tree_digest(root: &Path, options: &CompareOptions) -> Result<Digest, ListingError> {
    struct Hash(Sha256);
    impl Write for Hash {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Hash(Sha256::new());
    write_listing(root, options, &mut hash)?;
    let digits = hex(&hash.0.finalize());
    Digest::parse(&digits).map_err(|error| ListingError::Write(io::Error::other(error)))
}

/// Writes one line for each place, sorted: path, type, mode, owner, size, time, device, link, content, attributes.
pub fn write_listing(
    root: &Path,
    options: &CompareOptions,
    out: &mut dyn Write,
) -> Result<(), ListingError> {
    let mut links = HashMap::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        if options.leave_out.contains(&path) {
            continue;
        }
        let failed = |source| ListingError::Read {
            path: path.clone(),
            source,
        };
        let full = if path.as_os_str().is_empty() {
            root.to_owned()
        } else {
            root.join(&path)
        };
        let line = line(&full, &path, options, &mut links).map_err(failed)?;
        out.write_all(&line).map_err(ListingError::Write)?;
        if fs::symlink_metadata(&full).map_err(failed)?.is_dir() {
            let mut children = Vec::new();
            for child in fs::read_dir(&full).map_err(failed)? {
                children.push(path.join(child.map_err(failed)?.file_name()));
            }
            children.sort_by(|one, other| other.cmp(one));
            waiting.append(&mut children);
        }
    }
    Ok(())
}

fn line(
    full: &Path,
    path: &Path,
    options: &CompareOptions,
    links: &mut HashMap<(u64, u64), PathBuf>,
) -> io::Result<Vec<u8>> {
    let metadata = fs::symlink_metadata(full)?;
    let kind = metadata.file_type();
    let mut parts = vec![plain(path.as_os_str().as_bytes()), name_of(kind).to_owned()];
    parts.push(format!("{:o}", metadata.mode() & 0o7777));
    parts.push(format!("{}:{}", metadata.uid(), metadata.gid()));
    if options.times {
        parts.push(format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec()));
    }
    if kind.is_char_device() || kind.is_block_device() {
        parts.push(format!("device {:x}", metadata.rdev()));
    }
    if kind.is_symlink() {
        let target = fs::read_link(full)?.into_os_string().into_vec();
        parts.push(format!("to {}", plain(&target)));
    }
    let first = (!kind.is_dir() && metadata.nlink() > 1).then(|| {
        links
            .entry((metadata.dev(), metadata.ino()))
            .or_insert_with(|| path.to_owned())
    });
    match first {
        Some(first) if first != path => {
            parts.push(format!("same as {}", plain(first.as_os_str().as_bytes())));
        }
        _ if kind.is_file() => parts.push(format!("{} {}", metadata.size(), content(full)?)),
        _ => {}
    }
    parts.append(&mut attributes(full)?);
    Ok(format!("{}\n", parts.join(" ")).into_bytes())
}

fn name_of(kind: fs::FileType) -> &'static str {
    match () {
        () if kind.is_dir() => "directory",
        () if kind.is_file() => "file",
        () if kind.is_symlink() => "symlink",
        () if kind.is_char_device() => "character",
        () if kind.is_block_device() => "block",
        () if kind.is_fifo() => "fifo",
        () => "socket",
    }
}

fn content(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn attributes(path: &Path) -> io::Result<Vec<String>> {
    let mut names = vec![0; 1 << 16];
    let length = match rustix::fs::llistxattr(path, &mut names) {
        Err(rustix::io::Errno::NOTSUP) => 0,
        result => result?,
    };
    let mut lines = Vec::new();
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 1 << 16];
        let length = rustix::fs::lgetxattr(path, name, &mut value)?;
        lines.push(format!("{}={}", plain(name), hex(&value[..length])));
    }
    lines.sort();
    Ok(lines)
}

fn plain(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace(' ', "\\x20")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
