//! A platform such as `linux/arm/v7`.
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::generated::pb;

/// Operating system, architecture and variant, as BuildKit names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// Such as `linux`.
    pub os: String,
    /// Go's name, such as `arm64`.
    pub architecture: String,
    /// Such as `v7`; empty for most.
    pub variant: String,
}

/// The text is no platform.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is not a platform such as `linux/arm64` or `linux/arm/v7`")]
pub struct PlatformError(pub String);

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, ""),
            [os, architecture, variant] if !variant.is_empty() => (os, architecture, variant),
            _ => return Err(PlatformError(text.to_owned())),
        };
        if os.is_empty() || architecture.is_empty() {
            return Err(PlatformError(text.to_owned()));
        }
        Ok(Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() {
            Ok(())
        } else {
            write!(out, "/{}", self.variant)
        }
    }
}

impl Platform {
    pub(crate) fn to_pb(&self) -> pb::Platform {
        pb::Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: self.variant.clone(),
            ..pb::Platform::default()
        }
    }

    pub(crate) fn from_pb(from: pb::Platform) -> Self {
        Self {
            os: from.os,
            architecture: from.architecture,
            variant: from.variant,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_parse_and_show() {
        for good in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(good.parse::<Platform>().unwrap().to_string(), good);
        }
        for bad in ["linux", "linux/", "/amd64", "linux/arm/", "a/b/c/d", ""] {
            assert_eq!(bad.parse::<Platform>(), Err(PlatformError(bad.to_owned())));
        }
    }
}
