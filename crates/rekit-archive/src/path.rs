//! Paths inside a tree: bytes, relative, without `.`, `..` or empty parts. The root is the empty path.
//!
//! In JSON a path is text in which `%` and every byte that is not UTF-8 are written `%XX`.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// The longest path that Linux takes in one call, with its final NUL.
const LONGEST: usize = 4096;

/// A path inside a tree.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct TreePath(Vec<u8>);

/// The path cannot stand in a tree.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("path `{path}` {fault}")]
pub struct PathError {
    path: String,
    fault: &'static str,
}

impl TreePath {
    /// Takes the name of a tar member: `./` in front and one `/` at the end are no part of the path.
    pub fn parse(name: &[u8]) -> Result<Self, PathError> {
        let fail = |fault| {
            Err(PathError {
                path: encode(&name[..name.len().min(200)]),
                fault,
            })
        };
        if name.len() >= LONGEST {
            return fail("is longer than 4095 bytes");
        }
        if name.first() == Some(&b'/') {
            return fail("is absolute");
        }
        if name == b"./" || name == b"." {
            return Ok(Self::default());
        }
        let inner = name.strip_prefix(b"./").unwrap_or(name);
        let inner = inner.strip_suffix(b"/").unwrap_or(inner);
        for part in inner.split(|byte| *byte == b'/') {
            match part {
                b"" => return fail("has an empty part"),
                b"." => return fail("has a part `.`"),
                b".." => return fail("has a part `..`"),
                _ if part.contains(&0) => return fail("has a zero byte"),
                _ if part.len() > 255 => return fail("has a part longer than 255 bytes"),
                _ => {}
            }
        }
        Ok(Self(inner.to_vec()))
    }

    /// Returns the path of `name` in the directory `self`.
    pub(crate) fn child(&self, name: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        if !self.0.is_empty() {
            bytes.extend_from_slice(&self.0);
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        Self(bytes)
    }

    /// Returns the directory that holds this path, and its name there; nothing for the root.
    pub(crate) fn split(&self) -> Option<(Self, &[u8])> {
        if self.0.is_empty() {
            return None;
        }
        let at = self.0.iter().rposition(|byte| *byte == b'/');
        Some(at.map_or((Self::default(), &self.0[..]), |at| {
            (Self(self.0[..at].to_vec()), &self.0[at + 1..])
        }))
    }

    /// Returns the bytes; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns true for the root of the tree.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the parts between the slashes.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
    }

    /// Returns true if `self` is `directory` or lies in it.
    pub(crate) fn is_within(&self, directory: &Self) -> bool {
        directory.is_root()
            || self
                .0
                .strip_prefix(&directory.0[..])
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// Returns this path below `root`.
    pub(crate) fn below(&self, root: &Path) -> PathBuf {
        if self.is_root() {
            return root.to_owned();
        }
        root.join(OsStr::from_bytes(&self.0))
    }

    /// Returns the name of the tar member: `./` and the path.
    pub(crate) fn member_name(&self) -> Vec<u8> {
        [b"./", &self.0[..]].concat()
    }
}

/// Orders as a walk does that enters each directory at once, names sorted by their bytes.
impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(other.parts())
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '%' => text.push_str("%25"),
                _ => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            let _infallible = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    Some(bytes)
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { "" })?;
        f.write_str(&encode(&self.0))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TreePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TreePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes =
            decode(&text).ok_or_else(|| de::Error::custom("a `%` without two hex digits"))?;
        Self::parse(&bytes).map_err(de::Error::custom)
    }
}
