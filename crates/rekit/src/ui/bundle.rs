//! What went into a bundle, for a person who is about to send it.

use rekit_core::bundle::Contents;

use super::style::counted;

/// Lists the files, what could not be put in, and what to do before it is sent.
pub(crate) fn contents(contents: &Contents) -> String {
    let mut text = String::new();
    for entry in &contents.entries {
        let hidden = match entry.masked {
            0 => String::new(),
            some => format!(" ({} hidden)", secrets(some)),
        };
        text += &format!("  {}{hidden}\n", entry.path);
    }
    for left_out in &contents.left_out {
        text += &format!("  not in it: {}: {}\n", left_out.says, left_out.reason);
    }
    let (file, masked) = (&contents.file, contents.masked);
    let place = if file == "-" { "went to stdout" } else { file };
    let count = contents.entries.len();
    text += &format!(
        "\nThe bundle: {place}. {count} files and README.txt; {} hidden as `***`.\n",
        secrets(masked)
    );
    let name = if file == "-" { "FILE" } else { file };
    text += &format!(
        "Read it before you send it: names of hosts, users and registries are in it, and no mask knows every secret.\n\
         `tar -xOf {name} | less` shows all of it.\n"
    );
    text
}

fn secrets(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "secret")
}
