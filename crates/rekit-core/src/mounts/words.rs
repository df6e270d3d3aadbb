//! The words of a Dockerfile: logical lines without comments and here-documents, flags, variables.
//!
//! Invariant: any text is read to its end; what cannot be understood is left out, never guessed.

use std::collections::BTreeMap;

/// An instruction with its line, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) line: usize,
    /// In capitals.
    pub(super) name: String,
    pub(super) rest: String,
    /// What makes the next character plain; `\`, or a backtick where the file says so.
    pub(super) escape: char,
}

/// Reads the instructions of a Dockerfile.
pub(super) fn instructions(text: &str) -> Vec<Instruction> {
    let escape = escape(text);
    let mut lines = text.lines().enumerate();
    let mut found = Vec::new();
    while let Some((number, line)) = lines.next() {
        let mut whole = String::new();
        let mut next = Some(line);
        while let Some(line) = next {
            let (part, goes_on) = part(line, escape);
            whole.push_str(part);
            next = if goes_on {
                // Comments and empty lines may stand inside an instruction.
                lines.find(|(_, line)| !is_idle(line)).map(|(_, line)| line)
            } else {
                None
            };
        }
        let whole = whole.trim();
        let (name, rest) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
        let name = name.to_ascii_uppercase();
        if matches!(name.as_str(), "RUN" | "COPY" | "ADD") {
            for (end, indented) in documents(rest) {
                let is_end = |line: &str| {
                    (if indented {
                        line.trim_start_matches('\t')
                    } else {
                        line
                    }) == end
                };
                lines.find(|(_, line)| is_end(line));
            }
        }
        if !name.is_empty() {
            found.push(Instruction {
                line: number + 1,
                name,
                rest: rest.trim().to_owned(),
                escape,
            });
        }
    }
    found
}

/// Returns the escape character, which a directive at the very top may change.
fn escape(text: &str) -> char {
    for line in text.lines() {
        let Some(directive) = line.trim().strip_prefix('#') else {
            break;
        };
        let Some((name, value)) = directive.split_once('=') else {
            break;
        };
        if name.trim().eq_ignore_ascii_case("escape") {
            return if value.trim() == "`" { '`' } else { '\\' };
        }
    }
    '\\'
}

fn is_idle(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// Returns what a line adds to its instruction, and whether the next line goes on with it.
fn part(line: &str, escape: char) -> (&str, bool) {
    if is_idle(line) {
        return ("", false);
    }
    let end = line.trim_end();
    end.strip_suffix(escape)
        .map_or((line, false), |part| (part, true))
}

/// Returns the ends of the here-documents that an instruction begins, and whether tabs may stand before them.
fn documents(rest: &str) -> Vec<(String, bool)> {
    let mut ends = Vec::new();
    for (place, _) in rest.match_indices("<<") {
        let before = rest[..place].chars().next_back();
        let after = &rest[place + 2..];
        // `<<<` is a word for the shell, and `1<<4` a number.
        if before.is_some_and(|c| !c.is_whitespace() && !c.is_ascii_digit())
            || after.starts_with('<')
        {
            continue;
        }
        let (after, indented) = after
            .strip_prefix('-')
            .map_or((after, false), |after| (after, true));
        let word: String = after
            .chars()
            .take_while(|c| !c.is_whitespace() && !";&|)".contains(*c))
            .filter(|c| !"\"'".contains(*c))
            .collect();
        if word.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            ends.push((word, indented));
        }
    }
    ends
}

/// Returns the flags at the front of an instruction, unquoted.
pub(super) fn flags(rest: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = rest.trim_start();
    while rest.starts_with("--") {
        let (mut word, mut quote, mut end) = (String::new(), None, rest.len());
        let mut characters = rest.char_indices();
        while let Some((place, c)) = characters.next() {
            match quote {
                None if c.is_whitespace() => {
                    end = place;
                    break;
                }
                None if c == '"' || c == '\'' => quote = Some(c),
                Some(open) if c == open => quote = None,
                _ if c == escape => word.extend(characters.next().map(|(_, c)| c)),
                _ => word.push(c),
            }
        }
        words.push(word);
        rest = rest[end..].trim_start();
    }
    words
}

/// Splits `NAME=VALUE` pairs (ENV, ARG) with quotes; a name alone has no value.
pub(super) fn pairs(rest: &str, escape: char) -> Vec<(String, Option<String>)> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (String::new(), None);
    let mut characters = rest.chars();
    while let Some(c) = characters.next() {
        match quote {
            None if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == escape => word.extend(characters.next()),
            _ => word.push(c),
        }
    }
    words.push(word);
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word, None),
    };
    words
        .into_iter()
        .filter(|word| !word.is_empty())
        .map(pair)
        .collect()
}

/// Puts variables in; the name of one that is not known is the error.
pub(super) fn expand(text: &str, known: &BTreeMap<String, String>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, fallback, left) = variable(after).ok_or_else(|| format!("${after}"))?;
        let value = known.get(name).map(String::as_str);
        match (value, fallback) {
            (Some(value), None | Some((false, _))) => expanded.push_str(value),
            (Some(value), Some((true, fallback))) => {
                expanded.push_str(if value.is_empty() { fallback } else { value });
            }
            (None, Some((_, fallback))) => expanded.push_str(fallback),
            (None, None) => return Err(format!("${name}")),
        }
        rest = left;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// A variable after its `$`: its name, its fallback with whether it also stands for an empty value, and the text behind it.
type Variable<'a> = (&'a str, Option<(bool, &'a str)>, &'a str);

fn variable(after: &str) -> Option<Variable<'_>> {
    let length = |text: &str| {
        text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    let Some(inside) = after.strip_prefix('{') else {
        let (name, left) = after.split_at(length(after));
        return (!name.is_empty()).then_some((name, None, left));
    };
    let (inside, left) = inside.split_once('}')?;
    let (name, operator) = inside.split_at(length(inside));
    let fallback = match operator {
        "" => None,
        _ => Some(match operator.strip_prefix(":-") {
            Some(fallback) => (true, fallback),
            None => (false, operator.strip_prefix('-')?),
        }),
    };
    let is_plain = fallback.is_none_or(|(_, fallback)| !fallback.contains('$'));
    (!name.is_empty() && is_plain).then_some((name, fallback, left))
}
