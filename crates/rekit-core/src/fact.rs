//! A fact is known, or it could not be read and says why. Never null.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that was looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fact<T> {
    /// It was read.
    Known(T),
    /// It is there or should be, but reading it failed.
    Unreadable {
        /// Why, in words for a person; holds no secret.
        reason: String,
    },
}

impl<T> Fact<T> {
    /// Returns the value, `None` if it could not be read.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unreadable { .. } => None,
        }
    }

    /// Returns why it could not be read, `None` if it could.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unreadable { reason } => Some(reason),
        }
    }

    /// Makes a fact of a result; the whole chain of causes becomes the reason.
    pub fn from_result<E: std::error::Error>(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(error) => Self::Unreadable {
                reason: chain(&error),
            },
        }
    }
}

/// Returns an error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = words(error);
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&words(cause));
        source = cause.source();
    }
    text
}

/// Returns what an error says without its causes; the system's part as the system says it, without Rust's `(os error 13)`.
pub fn words(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let number = text
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once(" (os error "));
    let Some((plain, _)) = number else {
        return text;
    };
    let at = plain.rfind(": ").map_or(0, |colon| colon + 2);
    let (before, system) = plain.split_at(at);
    let mut letters = system.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_lowercase)
        .collect();
    format!("{before}{first}{}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_speaks_in_words() {
        let denied = std::io::Error::from_raw_os_error(13);
        assert_eq!(words(&denied), "permission denied");
        let within = std::io::Error::other(format!("could not open `A: b`: {denied}"));
        assert_eq!(words(&within), "could not open `A: b`: permission denied");
        let other = std::io::Error::other("Engine says (no)");
        assert_eq!(chain(&other), "Engine says (no)");
    }
}
