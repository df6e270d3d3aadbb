//! Configurations such as people have: written by hand, from memory, from a page on the net, from another tool.

use super::Question;

/// Returns the buildkitd.toml among them.
pub(super) fn buildkitd() -> Vec<Question> {
    questions(include_str!("real-buildkitd.txt"))
}

/// Returns the daemon.json among them.
pub(super) fn daemon_json() -> Vec<Question> {
    questions(include_str!("real-daemon.txt"))
}

/// A file of them has a line `=== what it is` before each.
fn questions(file: &str) -> Vec<Question> {
    let texts = file.split("=== ").skip(1);
    let question = |text: &str| Question {
        family: "such as people have",
        text: text
            .split_once('\n')
            .map_or("", |(_, text)| text)
            .to_owned(),
    };
    texts.map(question).collect()
}
