//! Sizes and durations as the daemon reads them.
//!
//! Each function answers with the daemon's complaint, `None` where it takes the text.

/// Returns what is wrong with a size such as `2GB`, `10%` or `2000000000`.
pub(super) fn size_complaint(text: &str) -> Option<String> {
    let Some(text) = without_quotes(text) else {
        return Some("a lone quotation mark makes the daemon crash".to_owned());
    };
    if text.is_empty() {
        return None;
    }
    if let Some(percent) = text.strip_suffix('%') {
        return percent
            .parse::<i64>()
            .is_err()
            .then(|| format!("invalid percentage `{percent}`: a whole number is wanted"));
    }
    (!is_size(text)).then(|| {
        format!("invalid disk space `{text}`: bytes, or a number with `KB`, `MB`, `GB` or `TB`")
    })
}

/// Returns what is wrong with a duration such as `48h` or `172800`.
pub(super) fn duration_complaint(text: &str) -> Option<String> {
    let Some(text) = without_quotes(text) else {
        return Some("a lone quotation mark makes the daemon crash".to_owned());
    };
    (!text.is_empty() && !is_duration(text) && text.parse::<i64>().is_err()).then(|| {
        format!("invalid duration `{text}`: seconds, or a number with `h`, `m` or `s`; there are no days")
    })
}

/// Takes off one pair of quotation marks inside the text; `None`: a lone one, on which the daemon panics.
fn without_quotes(text: &str) -> Option<&str> {
    match text {
        "\"" => None,
        _ => Some(
            text.strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .unwrap_or(text),
        ),
    }
}

/// Returns whether the text is a number with an optional unit: at most one blank between, units in any case.
fn is_size(text: &str) -> bool {
    let Some(last) = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ') else {
        return false;
    };
    let number = if text.as_bytes()[last] == b' ' {
        &text[..last]
    } else {
        &text[..=last]
    };
    let unit = text[last + 1..].to_lowercase();
    is_number(number) && is_unit(&unit)
}

fn is_unit(unit: &str) -> bool {
    match unit.strip_prefix(['k', 'm', 'g', 't', 'p']) {
        Some(rest) => matches!(rest, "" | "b" | "ib"),
        None => matches!(unit, "" | "b"),
    }
}

/// Returns whether the text is a floating-point number of Go's that is not negative; `_` may stand between digits.
fn is_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let stray = |(at, _): (usize, &str)| !(at > 0 && digit(at - 1) && digit(at + 1));
    if text.match_indices('_').any(stray) {
        return false;
    }
    let text = &text.replace('_', "");
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let hexadecimal = unsigned
        .strip_prefix("0x")
        .or_else(|| unsigned.strip_prefix("0X"));
    if let Some(rest) = hexadecimal {
        return is_hexadecimal(rest);
    }
    text.parse::<f64>()
        .is_ok_and(|number| number >= 0.0 && (number.is_finite() || text.contains(['i', 'I'])))
}

fn is_hexadecimal(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['p', 'P']) else {
        return false;
    };
    let digits = mantissa.replacen('.', "", 1);
    !digits.is_empty()
        && digits.chars().all(|c| c.is_ascii_hexdigit())
        && exponent.parse::<i16>().is_ok()
}

/// Returns whether the text is a duration of Go's, for example `1h30m` or `-.5s`.
fn is_duration(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut rest = rest;
    let mut nanoseconds = 0.0_f64;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let Ok(number) = number.parse::<f64>() else {
            return false;
        };
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let factor = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 6e10,
            "h" => 3.6e12,
            _ => return false,
        };
        nanoseconds += number * factor;
        rest = tail;
    }
    // Beyond this the daemon's 64-bit count of nanoseconds is full.
    text.len() > 1 && nanoseconds < 9.223_372_036_854_776e18
}
