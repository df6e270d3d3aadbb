//! List filters and percent encoding for paths and queries.
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Filters of a list call: several values of one key are OR, several keys are AND (Engine API).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// No filter: everything.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a value: `Filters::none().with("label", "a=b")`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.0
            .entry(key.to_owned())
            .or_default()
            .push(value.to_owned());
        self
    }

    pub(super) fn to_query(&self) -> Option<String> {
        let json = serde_json::to_string(&self.0).unwrap_or_default();
        (!self.0.is_empty()).then(|| format!("filters={}", encoded(&json)))
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}"); // Writing to a String cannot fail.
        }
    }
    out
}

/// Encodes an image's name for a path: its slashes and colons stay, as the engine routes on them.
pub(super) fn encoded_image(name: &str) -> String {
    encoded(name)
        .replace("%2F", "/")
        .replace("%3A", ":")
        .replace("%40", "@")
}

/// Joins what is there of a query to a path.
pub(super) fn with_query<const N: usize>(path: &str, parts: [Option<String>; N]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", parts.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_json_in_a_query() {
        let filters = Filters::none()
            .with("label", "a=b")
            .with("label", "c")
            .with("name", "^/x$");
        let query = with_query(
            "/containers/json",
            [Some("all=true".to_owned()), filters.to_query()],
        );
        assert_eq!(
            query,
            "/containers/json?all=true&filters=%7B%22label%22%3A%5B%22a%3Db%22%2C%22c%22%5D%2C%22name%22%3A%5B%22%5E%2Fx%24%22%5D%7D"
        );
        assert_eq!(with_query("/x", [Filters::none().to_query()]), "/x");
        assert_eq!(
            encoded_image("r:5000/a b@sha256:0"),
            "r:5000/a%20b@sha256:0"
        );
    }
}
