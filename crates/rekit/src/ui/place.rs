//! A place in a file: its line, with what is wrong underlined.

use super::style::clean;

/// Returns a line with `length` characters from `column` on underlined; both are counted from 1.
pub(crate) fn underlined(line: usize, column: usize, length: usize, excerpt: &str) -> String {
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    // A tab stays a tab, so that the mark stands below what it means.
    let indent: String = excerpt
        .chars()
        .take(column.saturating_sub(1))
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let mark = "^".repeat(length.max(1));
    let excerpt = clean(&excerpt.replace('\t', "    "));
    let indent = indent.replace('\t', "    ");
    format!("{margin} |\n{number} | {excerpt}\n{margin} | {indent}{mark}")
}

#[cfg(test)]
mod tests {
    use super::underlined;

    #[test]
    fn the_mark_stands_below_what_it_means() {
        assert_eq!(
            underlined(12, 2, 3, "\tabc = 1"),
            "   |\n12 |     abc = 1\n   |     ^^^"
        );
    }
}
