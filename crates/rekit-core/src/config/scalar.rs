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
    (!text.is_empty() && nanoseconds(text).is_none() && text.parse::<i64>().is_err()).then(|| {
        format!("invalid duration `{text}`: seconds, or a number with `h`, `m` or `s`; there are no days")
    })
}

/// A size: bytes, or a share of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) bytes: i64,
    pub(super) percent: i64,
}

impl Amount {
    /// Returns whether nothing was said.
    pub(super) fn is_unset(self) -> bool {
        self == Self::default()
    }

    /// Returns the bytes on a disk of this size, rounded as the daemon does.
    pub(super) fn on(self, disk_bytes: i64) -> i64 {
        if self.bytes != 0 || self.percent == 0 {
            return self.bytes;
        }
        let share = disk_bytes.wrapping_mul(self.percent) / 100;
        (share / (1 << 30))
            .wrapping_add(1)
            .wrapping_mul(1_000_000_000)
    }
}

/// Returns the amount that a size means; `None` where it is refused, or is a number that rekit does not work out.
pub(super) fn amount(text: &str) -> Option<Amount> {
    if size_complaint(text).is_some() {
        return None;
    }
    let text = without_quotes(text)?;
    if text.is_empty() {
        return Some(Amount::default());
    }
    if let Some(percent) = text.strip_suffix('%') {
        let percent = percent.parse().ok()?;
        return Some(Amount { bytes: 0, percent });
    }
    let bytes = bytes(text)?;
    Some(Amount { bytes, percent: 0 })
}

/// Returns the bytes that a size means; `None` where it is refused, or is a number that rekit does not work out.
pub(super) fn bytes(text: &str) -> Option<i64> {
    if !is_size(text) {
        return None;
    }
    let (number, unit) = split_size(text)?;
    let number: f64 = number.replace('_', "").parse().ok()?;
    let power = match unit.chars().next() {
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        _ => 0,
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the daemon cuts off the fraction as well"
    )]
    Some((number * 1024_f64.powi(power)) as i64)
}

/// Returns the seconds that a duration means; `None` where it is refused.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let text = without_quotes(text)?;
    if text.is_empty() {
        return Some(0);
    }
    match nanoseconds(text) {
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds are wanted")]
        Some(nanoseconds) => Some((nanoseconds / 1e9) as i64),
        // The daemon counts nanoseconds, and overflows silently.
        None => Some(text.parse::<i64>().ok()?.wrapping_mul(1_000_000_000) / 1_000_000_000),
    }
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
pub(super) fn is_size(text: &str) -> bool {
    split_size(text).is_some_and(|(number, unit)| is_number(number) && is_unit(&unit))
}

/// Parts a size into its number and its unit in lower case.
fn split_size(text: &str) -> Option<(&str, String)> {
    let last = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')?;
    let number = if text.as_bytes()[last] == b' ' {
        &text[..last]
    } else {
        &text[..=last]
    };
    Some((number, text[last + 1..].to_lowercase()))
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

/// Returns the nanoseconds of a duration of Go's, for example `1h30m` or `-.5s`.
pub(super) fn nanoseconds(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some(0.0);
    }
    let mut nanoseconds = 0.0_f64;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let number: f64 = number.parse().ok()?;
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
            _ => return None,
        };
        nanoseconds += number * factor;
        rest = tail;
    }
    // Beyond this the daemon's 64-bit count of nanoseconds is full.
    let fits = text.len() > 1 && nanoseconds < 9.223_372_036_854_776e18;
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    fits.then_some(sign * nanoseconds)
}
