//! Hides credentials in text that came from outside, before it becomes a fact, a reason or a line of output.
//!
//! Invariant: what is hidden is replaced whole by [`MASK`]; neither length nor prefix of a secret survives.
//! Masking twice changes nothing.

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Words that make a name secret when they are one of its words.
const SECRET_WORDS: &[&str] = &[
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "cred",
    "creds",
    "jwt",
    "key",
    "keys",
    "pass",
    "pat",
    "pwd",
];
/// Parts that make a name secret wherever they stand in it.
const SECRET_PARTS: &[&str] = &[
    "accesskey",
    "apikey",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "token",
];
/// Beginnings of tokens that are known by their shape.
const TOKEN_PREFIXES: &[&str] = &[
    "AKIA",
    "dckr_oat_",
    "dckr_pat_",
    "eyJ",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "npm_",
    "xoxb-",
    "xoxp-",
];

/// Returns whether a variable, option or label of this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let joined: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    SECRET_PARTS.iter().any(|part| joined.contains(part))
        || words(name).any(|word| SECRET_WORDS.contains(&word.as_str()))
}

/// Returns the value of `name`, hidden if the name or the value's shape says secret. A plain path stays: it names a file, it is not the key.
pub fn value(name: &str, value: &str) -> String {
    if value.is_empty() || (is_secret_name(name) && is_plain_path(value)) {
        value.to_owned()
    } else if is_secret_name(name) || value.contains("PRIVATE KEY-----") {
        MASK.to_owned()
    } else {
        text(value)
    }
}

/// Returns a line of free text with credentials in URLs, `name=value` pairs of secret names, and known tokens hidden.
pub fn text(text: &str) -> String {
    if text.contains("PRIVATE KEY-----") {
        return MASK.to_owned();
    }
    let mut hidden = String::with_capacity(text.len());
    let mut hide_next = false;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end_matches(char::is_whitespace);
        if word.is_empty() {
            hidden.push_str(piece);
            continue;
        }
        let (shown, names_secret) = if hide_next {
            (MASK.to_owned(), names_scheme(word))
        } else {
            mask_word(word)
        };
        hidden.push_str(&shown);
        hidden.push_str(&piece[word.len()..]);
        hide_next = names_secret;
    }
    hidden
}

/// Returns an endpoint or URL with its user name and password hidden; an SSH user without a password stays, as it tells endpoints apart.
pub fn url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let at = rest[..authority_end].rfind('@').or_else(|| {
        // A password may hold an unescaped slash; then what follows the first colon is no port.
        let (_, port) = rest[..authority_end].split_once(':')?;
        let is_port = port.chars().all(|c| c.is_ascii_digit());
        (!is_port).then(|| rest.rfind('@')).flatten()
    });
    let shown = match at {
        Some(at) if scheme.ends_with("ssh") && !rest[..at].contains(':') => rest.to_owned(),
        Some(at) => format!("{MASK}{}", &rest[at..]),
        None => rest.to_owned(),
    };
    format!("{scheme}://{}", mask_query(&shown))
}

/// Returns the address of a proxy; one with a login is hidden whole, as it may have no scheme by which to tell its parts.
pub fn proxy(address: &str) -> String {
    if address.contains('@') {
        return MASK.to_owned();
    }
    url(address)
}

/// Hides the values of secret names in a URL's query.
fn mask_query(rest: &str) -> String {
    let Some((path, query)) = rest.split_once('?') else {
        return rest.to_owned();
    };
    let shown: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if is_secret_name(name) && !value.is_empty() => {
                format!("{name}={MASK}")
            }
            _ => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", shown.join("&"))
}

/// Hides the secret in one word; says whether the next word is a secret that this one names.
fn mask_word(word: &str) -> (String, bool) {
    let quote_less = word.trim_matches(['"', '\'', ',', ';']);
    if is_token(quote_less) {
        return (MASK.to_owned(), false);
    }
    let named = word
        .find("://")
        .map_or(word, |scheme| &word[..scheme])
        .find(['=', ':']);
    if let Some(at) = named {
        let (name, value) = (&word[..at], &word[at + 1..]);
        if is_secret_name(name) && !is_plain_path(value) {
            return if value.trim_matches(['"', '\'']).is_empty() {
                (word.to_owned(), true)
            } else {
                (format!("{name}{}{MASK}", &word[at..=at]), false)
            };
        }
        // Lists such as `type=registry,token=x` hold several pairs.
        if word.contains(',') && !word.contains("://") {
            let parts: Vec<String> = word.split(',').map(|part| mask_word(part).0).collect();
            return (parts.join(","), false);
        }
        if is_token(value.trim_matches(['"', '\''])) {
            return (format!("{name}{}{MASK}", &word[at..=at]), false);
        }
    }
    let hide_next =
        word.starts_with("--") && named.is_none() && is_secret_name(word) || names_scheme(word);
    (mask_urls(word), hide_next)
}

/// Hides credentials in each URL of a word.
fn mask_urls(word: &str) -> String {
    match word.find("://") {
        Some(at) => {
            let before = word[..at]
                .trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "+-.".contains(c));
            let start = before.len();
            format!("{}{}", &word[..start], url(&word[start..]))
        }
        None => word.to_owned(),
    }
}

/// Returns whether a word of an `Authorization` header announces the secret that follows.
fn names_scheme(word: &str) -> bool {
    word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic")
}

/// Returns whether a text is a token by its shape.
fn is_token(text: &str) -> bool {
    text.len() >= 16
        && TOKEN_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Returns whether a value can only be a path.
pub(crate) fn is_plain_path(value: &str) -> bool {
    let is_rooted = ["/", "~/", "./", "../"]
        .iter()
        .any(|root| value.starts_with(root));
    is_rooted
        && value
            .chars()
            .all(|c| c.is_alphanumeric() || "._-/@~ ".contains(c))
        && value
            .rsplit('/')
            .next()
            .is_some_and(|last| last.len() < 32 || last.contains('.'))
}

/// Splits a name into lower-case words, at separators and where camel case begins a new one.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut spaced = String::with_capacity(name.len() + 4);
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && was_lower {
            spaced.push(' ');
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        spaced.push(if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            ' '
        });
    }
    spaced
        .split_whitespace()
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What must never be seen again.
    const PLANTED: &str = "hunter2hunter2hunter2";

    #[test]
    fn planted_secrets_do_not_survive() {
        for line in [
            format!("http://user:{PLANTED}@proxy:3128"),
            format!("https://{PLANTED}@github.com/a/b"),
            format!("http://user:{PLANTED}/x@proxy"),
            format!("ssh://me:{PLANTED}@host"),
            format!("proxy=http://user:{PLANTED}@proxy:3128"),
            format!("type=s3,secret_access_key={PLANTED},bucket=b"),
            format!("--password {PLANTED} --name x"),
            format!("Authorization: Bearer {PLANTED}"),
            format!("Authorization: {PLANTED}"),
            format!("token=\"{PLANTED}\""),
            format!("x ghp_{PLANTED} y"),
            format!("https://h/p?token={PLANTED}&a=1"),
            format!("-----BEGIN EC PRIVATE KEY-----\n{PLANTED}"),
        ] {
            let hidden = text(&line);
            assert!(!hidden.contains("hunter2"), "{line} became {hidden}");
            assert_eq!(text(&hidden), hidden, "masking twice changes nothing");
        }
        for name in [
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "env.NPM_PASSWORD",
            "apiKey",
            "registryAuth",
            "DB_PASS",
            "MY_CREDENTIALS",
        ] {
            assert_eq!(value(name, PLANTED), MASK, "{name}");
        }
    }

    #[test]
    fn a_url_behind_a_sign_of_several_bytes_is_masked() {
        assert_eq!(text("“http://u:p@h/x”"), "“http://***@h/x”");
    }

    #[test]
    fn what_is_no_secret_stays() {
        for (name, plain) in [
            ("key", "/etc/buildkit/certs/host/key.pem"),
            ("DOCKER_CERT_PATH", "/home/u/certs"),
            ("SSH_AUTH_SOCK", "/tmp/agent.1"),
            ("DOCKER_HOST", "tcp://10.0.0.1:2376"),
            ("DOCKER_HOST", "ssh://me@host"),
            ("network", "host"),
            ("image", "moby/buildkit:buildx-stable-1"),
            ("KEEP_STORAGE", "10gb"),
            ("AUTHOR", "someone"),
            ("url", "https://h:8080/p@v1"),
        ] {
            assert_eq!(value(name, plain), plain, "{name}");
        }
    }
}
