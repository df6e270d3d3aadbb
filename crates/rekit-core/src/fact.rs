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
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
