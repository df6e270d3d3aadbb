//! Colour, width, sizes and times: how text looks on this terminal, readable without any of it.
//!
//! Invariant: text from outside passes `clean`, so that a name cannot steer the terminal.

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use jiff::Timestamp;

/// How to write for one reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Whether escape sequences for colour are wanted.
    pub(crate) colour: bool,
    /// Columns of the terminal.
    pub(crate) width: usize,
    /// What "ago" counts from.
    pub(crate) now: Timestamp,
}

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Text like any other.
    Plain,
    /// A heading.
    Heading,
    /// Something is broken.
    Bad,
    /// Something needs care.
    Care,
    /// All is well.
    Good,
    /// Not the point.
    Faint,
}

impl Style {
    /// Returns the text in the colour of its meaning.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() || tone == Tone::Plain {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Plain | Tone::Heading => "1",
            Tone::Bad => "1;31",
            Tone::Care => "1;33",
            Tone::Good => "1;32",
            Tone::Faint => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Returns how long ago a moment was, in one unit.
    pub(crate) fn ago(&self, moment: Timestamp) -> String {
        let seconds = self.now.as_second().saturating_sub(moment.as_second());
        let (count, unit) = match seconds {
            ..0 => return "in the future".to_owned(),
            0..60 => return "just now".to_owned(),
            60..3_600 => (seconds / 60, "minute"),
            3_600..86_400 => (seconds / 3_600, "hour"),
            86_400..5_184_000 => (seconds / 86_400, "day"),
            5_184_000..63_072_000 => (seconds / 2_592_000, "month"),
            _ => (seconds / 31_536_000, "year"),
        };
        format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
    }

    /// Returns how long ago a moment was that is written in RFC 3339, or the text itself.
    pub(crate) fn ago_text(&self, moment: &str) -> String {
        match moment.trim().parse() {
            Ok(moment) => self.ago(moment),
            Err(_) => clean(moment),
        }
    }

    /// Breaks a text into lines that fit behind `indent`; words are never cut, so that paths can be copied.
    pub(crate) fn wrapped(&self, indent: usize, text: &str) -> Vec<String> {
        let room = self.width.saturating_sub(indent).max(20);
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let long = line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && long > room {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
        lines
    }
}

/// Returns a table that fits the terminal.
pub(crate) fn table(heads: &[&str], rows: Vec<Vec<String>>, style: &Style) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(style.width.max(40)).unwrap_or(u16::MAX))
        .set_header(heads.iter().map(|head| (*head).to_owned()));
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)));
    }
    let lines: Vec<_> = table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    lines.concat()
}

/// Returns a size in binary units with three figures.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // Tenths of the unit below, in whole numbers: no rounding up to "1024 KiB".
    let mut tenths = u128::from(count) * 10;
    let mut unit = "B";
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = next;
    }
    if tenths < 1000 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// Returns the text without characters that steer a terminal; line breaks stay.
pub(crate) fn clean(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(steers, "\u{fffd}")
}

/// Returns `1 error`, `2 errors`.
pub(crate) fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_true() {
        let shown: Vec<_> = [
            0,
            1023,
            1024,
            1_536,
            102_400,
            1_048_575,
            500_000_000,
            u64::MAX,
        ]
        .map(bytes)
        .into();
        assert_eq!(
            shown,
            [
                "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "100 KiB", "1023 KiB", "476 MiB", "15.9 EiB"
            ]
        );
    }

    #[test]
    fn times_are_relative_to_a_given_now() {
        let style = Style {
            colour: false,
            width: 80,
            now: "2026-11-23T08:00:00Z".parse().unwrap(),
        };
        assert_eq!(style.ago_text("2026-11-23T07:59:30Z"), "just now");
        assert_eq!(style.ago_text("2026-11-23T06:59:30Z"), "1 hour ago");
        assert_eq!(style.ago_text("2026-01-01T00:00:00Z"), "10 months ago");
        assert_eq!(style.ago_text("\u{1b}[2Jnever"), "\u{fffd}[2Jnever");
    }
}
