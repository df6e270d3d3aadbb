//! Where in a text something is wrong, shown without its secrets.
//!
//! Invariant: no value of a key whose name looks like a secret, and no password of a URL, is in an excerpt. A masked
//! character is one `*`, so that columns stay right.

use std::ops::Range;

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The line, counted from 1.
    pub(crate) line: u32,
    /// The column in characters, counted from 1.
    pub(crate) column: u32,
    /// How many characters, at least 1, never beyond the line.
    pub(crate) length: u32,
    /// The line, secrets masked.
    pub(crate) excerpt: String,
}

impl Place {
    /// Returns the place of a range of bytes; ranges that are out of the text are moved into it.
    pub(crate) fn of(text: &str, range: &Range<usize>) -> Self {
        let start = floor(text, range.start);
        let end = floor(text, range.end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let marked = end.min(line_start + line.len()).max(start);
        Self {
            line: count(text[..line_start].matches('\n').count() + 1),
            column: count(text[line_start..start].chars().count() + 1),
            length: count(text[start..marked].chars().count().max(1)),
            excerpt: if in_multiline_text(&text[..line_start]) {
                "*".repeat(line.chars().count())
            } else {
                masked(line)
            },
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Returns the nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Returns whether text that begins after `before` is inside a string of several lines; its key is then out of sight.
fn in_multiline_text(before: &str) -> bool {
    before.matches("\"\"\"").count() % 2 == 1 || before.matches("'''").count() % 2 == 1
}

/// Returns the line with what may be secret replaced by `*`.
pub(crate) fn masked(line: &str) -> String {
    let mut characters: Vec<char> = line.chars().collect();
    mask_values(&mut characters);
    mask_passwords(&mut characters);
    characters.into_iter().collect()
}

/// Masks all that follows a secret-looking word and a `=` or `:`.
fn mask_values(characters: &mut [char]) {
    let lower: String = characters
        .iter()
        .map(char::to_ascii_lowercase)
        .collect::<String>();
    let Some(word) = SECRET_WORDS
        .iter()
        .filter_map(|word| lower.find(word))
        .min()
    else {
        return;
    };
    let word = lower[..word].chars().count();
    let Some(sign) = (word..characters.len()).find(|&at| matches!(characters[at], '=' | ':'))
    else {
        return;
    };
    for character in &mut characters[sign + 1..] {
        if !matches!(character, ' ' | '"' | '\'') {
            *character = '*';
        }
    }
}

/// Masks `user:password@` of a URL.
fn mask_passwords(characters: &mut [char]) {
    let mut at = 0;
    while at + 3 <= characters.len() {
        if characters[at..at + 3] != [':', '/', '/'] {
            at += 1;
            continue;
        }
        let start = at + 3;
        let end = (start..characters.len())
            .find(|&at| matches!(characters[at], '/' | '"' | '\'' | ' '))
            .unwrap_or(characters.len());
        if let Some(sign) = (start..end).rev().find(|&at| characters[at] == '@') {
            characters[start..sign].fill('*');
        }
        at = end;
    }
}

const SECRET_WORDS: &[&str] = &[
    "secret",
    "token",
    "passw",
    "credential",
    "auth",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "accesskey",
    "private",
    "bearer",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_columns_stay() {
        assert_eq!(masked(r#"token = "abc"  "#), r#"token = "***"  "#);
        assert_eq!(
            masked(r#"m = ["https://u:p@h/x"]"#),
            r#"m = ["https://***@h/x"]"#
        );
        let text = "a = 1\n  ö = zz\n";
        let at = text.find("zz").unwrap();
        assert_eq!(
            Place::of(text, &(at..at + 2)),
            Place {
                line: 2,
                column: 7,
                length: 2,
                excerpt: "  ö = zz".to_owned()
            }
        );
        assert_eq!(Place::of("", &(5..9)).line, 1);
        assert_eq!(Place::of("t = \"\"\"\nabc\n", &(8..9)).excerpt, "***");
    }
}
