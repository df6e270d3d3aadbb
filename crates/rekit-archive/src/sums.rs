//! `SHA256SUMS`: one line for each other file of the archive, sorted by name, as `sha256sum` writes it.
//!
//! It is written last. An archive without it is not complete; a file that it does not name is a fault.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::digest::Digest;

/// The file's name.
pub(crate) const SUMS: &str = "SHA256SUMS";

/// A line is not as we write it.
#[derive(Debug, Error)]
#[error("line {line} of `SHA256SUMS` is malformed")]
pub struct SumsError {
    line: usize,
}

/// Names and digests.
pub(crate) type Sums = BTreeMap<String, Digest>;

/// Writes the lines.
pub(crate) fn write(sums: &Sums) -> String {
    let line = |(name, digest): (&String, &Digest)| {
        [
            &digest.to_string(),
            "  ",
            name,
            "
",
        ]
        .concat()
    };
    sums.iter().map(line).collect()
}

/// Reads what [`write`] wrote, and nothing else.
pub(crate) fn parse(bytes: &[u8]) -> Result<Sums, SumsError> {
    let mut sums = Sums::new();
    let text = str::from_utf8(bytes).map_err(|_| SumsError { line: 0 })?;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let wrong = || SumsError { line: index + 1 };
        let line = line.strip_suffix('\n').ok_or_else(wrong)?;
        let (digest, name) = line.split_once("  ").ok_or_else(wrong)?;
        let digest = Digest::parse(digest).map_err(|_| wrong())?;
        if sums
            .last_key_value()
            .is_some_and(|(last, _)| last.as_str() >= name)
            || name.is_empty()
        {
            return Err(wrong());
        }
        sums.insert(name.to_owned(), digest);
    }
    Ok(sums)
}
