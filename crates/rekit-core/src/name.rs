//! Names from outside, as types: parsed once at the edge, never mixed up afterwards.
//!
//! Invariant: a value of one of these types has passed its rule, whether it came from a person, a file or a journal.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Says which rule a name broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a {kind}: {rule}")]
pub struct NameError {
    /// What the value should have been, for example `builder name`.
    pub kind: &'static str,
    /// The value as given.
    pub value: String,
    /// The rule it broke.
    pub rule: &'static str,
}

/// Defines a newtype over `String` with its kind and rule.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(value: String) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(&value) {
                    Ok(Self(value))
                } else {
                    Err(NameError { kind: $kind, value, rule: $rule })
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(value: &str) -> Result<Self, NameError> {
                Self::try_from(value.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Returns whether buildx accepts the text as the name of a builder or node: `^[a-zA-Z][a-zA-Z0-9.\-_]*$`.
fn buildx_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Returns whether Docker accepts the text as the name of a container or volume: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
fn docker_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Returns whether the text is 64 lower-case hexadecimal digits.
fn sha256_hex(text: &str) -> bool {
    text.len() == 64
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
}

/// Returns whether the text is safe as one component of a path.
fn path_component(text: &str) -> bool {
    docker_name(text) && text.len() <= 200
}

name!(
    /// A buildx builder, by the name users give it.
    BuilderName, "builder name", "a letter, then letters, digits, `.`, `_` or `-`", buildx_name
);
name!(
    /// A node of a builder.
    NodeName, "node name", "a letter, then letters, digits, `.`, `_` or `-`", buildx_name
);
name!(
    /// A container on one host.
    ContainerName, "container name", "a letter or digit, then letters, digits, `_`, `.` or `-`", docker_name
);
name!(
    /// A volume on one host.
    VolumeName, "volume name", "a letter or digit, then letters, digits, `_`, `.` or `-`", docker_name
);
name!(
    /// The engine's id of a container: 64 hexadecimal digits.
    ContainerId, "container id", "64 hexadecimal digits", sha256_hex
);
name!(
    /// A reference to an image, as the engine understands it.
    ImageRef, "image reference", "not empty, no white space", |text| !text.is_empty() && !text.contains(char::is_whitespace)
);
name!(
    /// One Docker endpoint as rekit names it within one inventory or plan, for example `unix:///var/run/docker.sock`.
    HostId, "host", "an endpoint such as `unix:///var/run/docker.sock`", |text| !text.is_empty() && !text.contains(char::is_whitespace)
);
name!(
    /// One archive: the name of its folder.
    ArchiveId, "archive id", "letters, digits, `_`, `.` or `-`, at most 200", path_component
);
name!(
    /// One run of a plan.
    RunId, "run id", "letters, digits, `_`, `.` or `-`, at most 200", path_component
);
name!(
    /// Foreign bytes kept for undo: the SHA-256 of their content.
    BlobId, "blob id", "64 hexadecimal digits", sha256_hex
);
name!(
    /// The SHA-256 of some bytes.
    Digest, "digest", "64 hexadecimal digits", sha256_hex
);
name!(
    /// A platform such as `linux/arm64`.
    Platform, "platform", "`os/architecture` or `os/architecture/variant`", |text| {
        let parts = text.split('/').count();
        (2..=3).contains(&parts) && text.split('/').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-()+".contains(c)))
    }
);

impl Digest {
    /// Returns the SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::{Digest as _, Sha256};
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        Self(text)
    }
}

impl BlobId {
    /// Returns the id that bytes with this content have.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Digest::of(bytes).0)
    }
}

impl NodeName {
    /// Returns the container that buildx's docker-container driver uses for this node.
    pub fn container(&self) -> ContainerName {
        ContainerName(format!("{CONTAINER_PREFIX}{self}"))
    }

    /// Returns the state volume that buildx's docker-container driver uses for this node.
    pub fn volume(&self) -> VolumeName {
        VolumeName(format!("{CONTAINER_PREFIX}{self}{VOLUME_SUFFIX}"))
    }

    /// Returns the node that a container of this name would belong to, `None` for containers of another kind of name.
    pub fn of_container(container: &str) -> Option<Self> {
        container.strip_prefix(CONTAINER_PREFIX)?.parse().ok()
    }

    /// Returns the node that a state volume of this name would belong to, `None` for volumes of another kind of name.
    pub fn of_volume(volume: &str) -> Option<Self> {
        Self::of_container(volume.strip_suffix(VOLUME_SUFFIX)?)
    }

    /// Returns the name without the number of its generation.
    pub fn base(&self) -> &str {
        match self.0.rsplit_once("-g") {
            Some((base, number)) if number.parse::<u32>().is_ok() => base,
            _ => &self.0,
        }
    }
}

/// What buildx puts before a node's name to name its container.
pub const CONTAINER_PREFIX: &str = "buildx_buildkit_";
/// What buildx puts behind a container's name to name its state volume.
pub const VOLUME_SUFFIX: &str = "_state";

/// A path on the machine, written so that bytes that are not UTF-8 survive: such a byte is `\xNN`, a backslash is `\\`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct HostPath(String);

impl HostPath {
    /// Encodes the bytes of a path.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(&chunk.valid().replace('\\', "\\\\"));
            for byte in chunk.invalid() {
                text.push_str("\\x");
                text.extend(
                    [byte >> 4, byte & 15]
                        .map(|half| char::from_digit(u32::from(half), 16).unwrap_or('0')),
                );
            }
        }
        Self(text)
    }

    /// Takes a path that was encoded before.
    pub fn from_encoded(text: String) -> Self {
        Self(text)
    }

    /// Returns the bytes of the path.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut rest = self.0.as_str();
        while let Some(at) = rest.find('\\') {
            bytes.extend_from_slice(&rest.as_bytes()[..at]);
            let escaped = &rest[at + 1..];
            let hex = escaped.strip_prefix('x').and_then(|hex| hex.get(..2));
            if let Some(Ok(byte)) = hex.map(|hex| u8::from_str_radix(hex, 16)) {
                bytes.push(byte);
                rest = &escaped[3..];
            } else {
                bytes.push(b'\\');
                rest = escaped.strip_prefix('\\').unwrap_or(escaped);
            }
        }
        bytes.extend_from_slice(rest.as_bytes());
        bytes
    }

    /// Returns the path of an entry of this folder.
    #[must_use]
    pub fn join(&self, entry: &str) -> Self {
        Self(format!(
            "{}/{}",
            self.0.trim_end_matches('/'),
            entry.replace('\\', "\\\\")
        ))
    }

    /// Returns the last component of the path.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the folder that holds this path.
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/')?;
        Some(Self(if parent.is_empty() {
            "/".to_owned()
        } else {
            parent.to_owned()
        }))
    }

    /// Returns the encoded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this path is `folder` or lies in it.
    pub fn is_within(&self, folder: &Self) -> bool {
        self.0
            .strip_prefix(folder.0.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl From<&str> for HostPath {
    fn from(path: &str) -> Self {
        Self::from_bytes(path.as_bytes())
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_path_survives_its_encoding(bytes: Vec<u8>) {
            prop_assert_eq!(HostPath::from_bytes(&bytes).to_bytes(), bytes);
        }
    }

    #[test]
    fn names_refuse_what_buildx_refuses() {
        for bad in ["", ".tmp-x", "1a", "a b", "a/b"] {
            assert!(bad.parse::<BuilderName>().is_err(), "{bad:?}");
        }
        let node: NodeName = "team0".parse().unwrap();
        assert_eq!(node.container().as_str(), "buildx_buildkit_team0");
        assert_eq!(NodeName::of_volume(node.volume().as_str()), Some(node));
        assert_eq!(NodeName::of_volume("other_state"), None);
    }
}
