//! What went into a bundle, for a person who is about to send it.

use rekit_core::bundle::Contents;

use super::style::counted;

/// Lists the files, what could not be put in, and what to do before it is sent.
pub(crate) fn contents(contents: &Contents) -> String {
    let put_in = contents.entries.iter().map(|entry| match entry.masked {
        0 => format!("  {}\n", entry.path),
        some => format!("  {} ({} hidden)\n", entry.path, secrets(some)),
    });
    let left_out = contents.left_out.iter();
    let left_out = left_out.map(|it| format!("  not in it: {}: {}\n", it.says, it.reason));
    let (place, name) = match contents.file.as_str() {
        "-" => ("went to stdout", "FILE"),
        file => (file, file),
    };
    let end = format!(
        "\nThe bundle: {place}. {} files and README.txt; {} hidden as `***`.\n\
         Read it before you send it: names of hosts, users and registries are in it, and no mask knows every secret.\n\
         `tar -xOf {name} | less` shows all of it.\n",
        contents.entries.len(),
        secrets(contents.masked)
    );
    put_in.chain(left_out).chain([end]).collect()
}

fn secrets(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "secret")
}
