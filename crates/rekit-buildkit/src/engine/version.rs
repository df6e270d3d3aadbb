//! The Engine API's version, and which one to speak.
use std::fmt;
use std::str::FromStr;

/// A version such as 1.51.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// Always 1 so far.
    pub major: u16,
    /// What really counts.
    pub minor: u16,
}

impl ApiVersion {
    /// The newest version whose answers this crate was tried with (engine 28.5).
    pub const NEWEST: Self = Self {
        major: 1,
        minor: 51,
    };

    /// The version to speak: ours or the engine's, whichever is older, but never less than the engine still accepts.
    pub fn negotiate(engine: Option<Self>, engine_minimum: Option<Self>) -> Self {
        let wanted = engine.map_or(Self::NEWEST, |engine| engine.min(Self::NEWEST));
        engine_minimum.map_or(wanted, |minimum| wanted.max(minimum))
    }
}

impl FromStr for ApiVersion {
    type Err = ();

    /// Parses `1.51`; anything else is `Err(())`, which callers treat as "not said".
    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(Self {
            major: major.parse().map_err(drop)?,
            minor: minor.parse().map_err(drop)?,
        })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_version_is_spoken_but_never_one_that_the_engine_refuses() {
        let version = |text: &str| text.parse::<ApiVersion>().ok();
        for (engine, minimum, spoken) in [
            ("1.51", "1.24", "1.51"),
            ("1.41", "1.12", "1.41"),
            ("1.9", "", "1.9"),
            ("1.60", "1.44", "1.51"),
            ("1.70", "1.55", "1.55"),
            ("", "", "1.51"),
        ] {
            assert_eq!(
                ApiVersion::negotiate(version(engine), version(minimum)).to_string(),
                spoken
            );
        }
    }
}
