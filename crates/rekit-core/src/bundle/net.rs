//! The last net: secrets in any text, found by their shape and by the names that stand before them.
//!
//! Invariants: what is hidden is replaced whole by [`MASK`]; neither length nor prefix of a secret survives. Every rule reads the text a
//! bounded number of times.

use std::ops::Range;

use crate::mask::{MASK, is_plain_path};

use super::{known::hides, setting};

/// Beginnings of tokens, and how many plain characters follow at least.
const TOKENS: &[(&str, usize)] = &[
    ("AIza", 16),
    ("AKIA", 12),
    ("ASIA", 12),
    ("LS0tLS1CRUdJTi", 2),
    ("SG.", 16),
    ("dckr_oat_", 8),
    ("dckr_pat_", 8),
    ("eyJ", 13),
    ("gho_", 12),
    ("ghp_", 12),
    ("ghr_", 12),
    ("ghs_", 12),
    ("ghu_", 12),
    ("github_pat_", 8),
    ("glpat-", 12),
    ("hf_", 20),
    ("hvs.", 12),
    ("npm_", 20),
    ("pypi-", 16),
    ("sk-", 20),
    ("sk_live_", 12),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("ya29.", 12),
];
/// A run of characters shorter than this may be any word.
const DENSE_LENGTH: usize = 20;
/// Names whose whole line is the secret.
const HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-registry-auth",
];

type Found = Vec<Range<usize>>;

/// Hides what is a secret by its shape, whatever stands before it.
pub(super) fn shapes(text: &str) -> String {
    hide(text, &[pem, tokens, dense, schemes, urls, bare_logins])
}

/// Hides what is a secret by its shape or by the name that stands before it.
pub(super) fn all(text: &str) -> String {
    hide(
        text,
        &[
            pem,
            tokens,
            dense,
            schemes,
            urls,
            bare_logins,
            named,
            flagged,
        ],
    )
}

/// Replaces all that the rules find.
fn hide(text: &str, rules: &[fn(&str, &mut Found)]) -> String {
    let mut found = Found::new();
    for rule in rules {
        rule(text, &mut found);
    }
    found.retain(|range| !range.is_empty());
    found.sort_by_key(|range| (range.start, range.end));
    let (mut hidden, mut at) = (String::with_capacity(text.len()), 0);
    for range in found {
        if range.end <= at {
            continue;
        }
        // What touches or overlaps the last one belongs to it.
        if range.start > at || at == 0 {
            hidden.push_str(&text[at..range.start.max(at)]);
            hidden.push_str(MASK);
        }
        at = range.end;
    }
    hidden.push_str(&text[at..]);
    hidden
}

/// Finds PEM blocks, on one line or several; one that does not end goes on to the end of the text.
fn pem(text: &str, found: &mut Found) {
    const END: &str = "-----END ";
    let mut from = 0;
    while let Some(at) = text[from..].find("-----BEGIN ") {
        let start = from + at;
        let end = text[start..].find(END).map_or(text.len(), |at| {
            let after = start + at + END.len();
            let dashes = text[after..].find("-----");
            dashes.map_or(text.len(), |dashes| after + dashes + 5)
        });
        found.push(start..end);
        from = end;
    }
}

/// Finds tokens that are known by how they begin.
fn tokens(text: &str, found: &mut Found) {
    for (prefix, least) in TOKENS {
        for (start, _) in text.match_indices(prefix) {
            let is_inside = text[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
            let rest = &text[start + prefix.len()..];
            let end = rest.find(|c: char| !is_token_letter(c));
            let body = &rest[..end.unwrap_or(rest.len())];
            let is_plain = body.len() >= *least
                && body.bytes().take(*least).all(|byte| {
                    byte.is_ascii_alphanumeric() || (b"-_".contains(&byte) && *prefix != "npm_")
                });
            if !is_inside && is_plain {
                found.push(start..start + prefix.len() + body.len());
            }
        }
    }
}

fn is_token_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-~+/=".contains(c)
}

/// Finds runs that change between capitals, small letters and digits as no word, path or hexadecimal number does.
fn dense(text: &str, found: &mut Found) {
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_in(**byte)).count();
        if length >= DENSE_LENGTH && is_dense(&bytes[at..at + length]) {
            found.push(at..at + length);
        }
        at += length.max(1);
    }
}

fn is_dense(run: &[u8]) -> bool {
    let class = |byte: u8| match byte {
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 3,
        _ => 0_u8,
    };
    let has = |wanted| run.iter().any(|byte| class(*byte) == wanted);
    let turns = run.windows(2).filter(|pair| {
        let (one, other) = (class(pair[0]), class(pair[1]));
        one != other && one != 0 && other != 0
    });
    (1..=3).all(has) && turns.count() * 100 > run.len() * 28
}

/// Finds what follows `Bearer` and `Basic`.
fn schemes(text: &str, found: &mut Found) {
    let lower = text.to_ascii_lowercase();
    for scheme in ["bearer", "basic"] {
        for (start, _) in lower.match_indices(scheme) {
            let rest = &text[start + scheme.len()..];
            let gap = rest.len() - rest.trim_start_matches([' ', '\t', '=', ':']).len();
            let is_word = !text[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
            if gap > 0 && is_word {
                let start = start + scheme.len() + gap;
                found.push(start..start + value_length(&text[start..]));
            }
        }
    }
}

/// Finds user names and passwords in URLs, and secret names in their queries.
fn urls(text: &str, found: &mut Found) {
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let rest = &text[start..];
        let end = rest.find(|c: char| c.is_whitespace() || "\"'`<>".contains(c));
        let mut url = &rest[..end.unwrap_or(rest.len())];
        if let Some(next) = url.find("://") {
            let scheme =
                url[..next].rfind(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
            url = &url[..scheme.unwrap_or(0)];
        }
        let is_ssh = text[..at].ends_with("ssh");
        match login(url) {
            Some(login) if is_ssh && !url[..login].contains(':') => {}
            Some(login) => found.push(start..start + login),
            None => found.extend(no_port(url).map(|range| start + range.start..start + range.end)),
        }
        query(url, start, found);
    }
}

/// Returns where the `@` behind a login stands in a URL without its scheme. A password may hold any sign unescaped.
fn login(url: &str) -> Option<usize> {
    let end = url.find('/').unwrap_or(url.len());
    url[..end].rfind('@').or_else(|| {
        // With a slash in the password, what follows the first colon is no port.
        let (_, port) = url[..end].split_once(':')?;
        let is_port = port.chars().all(|c| c.is_ascii_digit());
        (!is_port).then(|| url.rfind('@')).flatten()
    })
}

/// Returns what stands where a port should and is none: a login that was cut off before its `@`.
fn no_port(url: &str) -> Option<Range<usize>> {
    let end = url.find('/').unwrap_or(url.len());
    let (host, port) = url[..end].split_once(':')?;
    let is_port = port.chars().all(|c| c.is_ascii_digit());
    (!is_port && !host.starts_with('[')).then_some(host.len() + 1..end)
}

/// Finds the values of secret names in a URL's query.
fn query(url: &str, start: usize, found: &mut Found) {
    let Some((before, query)) = url.split_once('?') else {
        return;
    };
    let mut at = start + before.len() + 1;
    for pair in query.split('&') {
        if let Some((name, value)) = pair.split_once('=')
            && hides(name)
        {
            let from = at + name.len() + 1;
            found.push(from..from + value.len());
        }
        at += pair.len() + 1;
    }
}

/// Finds `user:password@host` without a scheme; `name:tag@sha256:…` is an image.
fn bare_logins(text: &str, found: &mut Found) {
    let stops = |c: char| c.is_whitespace() || "\"'`<>/,=".contains(c);
    for (at, _) in text.match_indices('@') {
        let start = text[..at].rfind(stops).map_or(0, |before| {
            before + text[before..].chars().next().map_or(1, char::len_utf8)
        });
        let after = &text[at + 1..];
        let is_host = after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
        let is_image = after.starts_with("sha256:") || after.starts_with("sha512:");
        let has_password = text[start..at]
            .split_once(':')
            .is_some_and(|(user, password)| !user.is_empty() && !password.is_empty());
        if is_host && !is_image && has_password {
            found.push(start..at);
        }
    }
}

/// Finds what stands behind a secret name and a `=` or `:`.
fn named(text: &str, found: &mut Found) {
    for (at, sign) in text.match_indices(['=', ':']) {
        let rest = &text[at + 1..];
        if sign == ":" && rest.starts_with("//") {
            continue;
        }
        let name = name_before(&text[..at]);
        if name.is_empty() || !hides(name) {
            continue;
        }
        let gap = rest.len() - rest.trim_start_matches([' ', '\t', '=', '>']).len();
        let start = at + 1 + gap;
        let value = &text[start..];
        let length = if HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            line_length(value)
        } else {
            value_length(value)
        };
        let (open, shut) = quotes(&value[..length]);
        if !is_plain_path(&value[open..length - shut]) {
            found.push(start + open..start + length - shut);
        }
    }
}

/// Returns the name that ends a text, quotes and blanks behind it left out.
fn name_before(text: &str) -> &str {
    let text = text.trim_end_matches([' ', '\t', '"', '\'', '\\']);
    let is_in = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let start = text.rfind(|c: char| !is_in(c));
    let start = start.map_or(0, |at| {
        at + text[at..].chars().next().map_or(1, char::len_utf8)
    });
    &text[start..]
}

/// Finds what follows flags such as `--password`, `-u user:password` and `-e NAME=value`.
fn flagged(text: &str, found: &mut Found) {
    let mut before = "";
    for word in text.split_whitespace() {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        let takes_login = ["-u", "--user", "--proxy-user"].contains(&before);
        let takes_setting = ["-e", "--env", "--build-arg"].contains(&before);
        if is_secret_flag(before) || (takes_login && word.contains(':')) {
            found.push(start..start + word.len());
        } else if takes_setting && let Some((name, value)) = word.split_once('=') {
            let name = name.trim_start_matches(['"', '\'']);
            let from = start + word.len() - value.len();
            if setting::hidden(name, value.trim_matches(['"', '\''])) {
                found.push(from..start + word.len());
            }
        }
        before = word;
    }
}

/// Returns whether a word is a flag whose value is a secret.
pub(super) fn is_secret_flag(word: &str) -> bool {
    word.starts_with('-') && !word.contains(['=', ':']) && hides(word.trim_start_matches('-'))
}

/// Returns how long the value is that begins a text: to its closing quote or bracket, or to the end of the word.
fn value_length(text: &str) -> usize {
    for quotes in ["\"\"\"", "'''"] {
        if let Some(rest) = text.strip_prefix(quotes) {
            return rest.find(quotes).map_or(text.len(), |end| end + 6);
        }
    }
    let line = &text[..line_length_unquoted(text)];
    let (quote, from) = match line.as_bytes() {
        [b'\\', quote @ (b'"' | b'\''), ..] => (*quote, 2),
        [quote @ (b'"' | b'\'' | b'`'), ..] => (*quote, 1),
        [b'[' | b'{', ..] => return line.len(),
        _ => {
            let end = line.find(|c: char| c.is_whitespace() || ",;&)]}\"'`".contains(c));
            return end.unwrap_or(line.len());
        }
    };
    let (bytes, mut at) = (line.as_bytes(), from);
    while at < bytes.len() {
        if bytes[at] == quote {
            return at + 1;
        }
        // In a quoted text that is itself escaped, `\"` is the end.
        at += if bytes[at] == b'\\' && from == 1 {
            2
        } else {
            1
        };
    }
    line.len()
}

/// Returns how many bytes of quotes open and shut a value.
fn quotes(value: &str) -> (usize, usize) {
    let open = value.len() - value.trim_start_matches(['\\', '"', '\'', '`']).len();
    let body = &value[open..];
    let shut = body.len() - body.trim_end_matches(['\\', '"', '\'', '`']).len();
    (open, if open == 0 { 0 } else { shut })
}

/// Returns how long the rest of a header is: to the end of the line, or of the quotes that it stands in.
fn line_length(text: &str) -> usize {
    let quoted = text.len() - text.trim_start_matches(['"', '\'', '\\']).len();
    let rest = &text[quoted..];
    quoted + rest.find(['\n', '\r', '"', '\'']).unwrap_or(rest.len())
}

fn line_length_unquoted(text: &str) -> usize {
    text.find(['\n', '\r']).unwrap_or(text.len())
}
