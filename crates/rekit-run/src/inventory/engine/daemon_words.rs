//! What a daemon that ended said why: between its log lines stand its help, and errors with the places in its program they came from.

use rekit_core::mask;

/// The longest that is told.
const MOST: usize = 300;

/// Returns why a daemon ended, by its log, if it says so.
pub(crate) fn last_words(log: &[u8]) -> Option<String> {
    let log = String::from_utf8_lossy(log);
    let lines: Vec<&str> = log.lines().map(str::trim_end).collect();
    let last = (0..lines.len()).rfind(|&at| is_end(lines[at]) || is_error(&lines, at))?;
    let mut said = vec![lines[last].to_owned()];
    if !is_end(lines[last]) {
        // Above an error stands what it came of, with places or without.
        let above = (0..last).rev();
        let own = above.take_while(|&at| is_place(&lines, at) || is_plain(lines[at]));
        let errors = own.filter(|&at| !is_place(&lines, at));
        said.extend(errors.map(|at| lines[at].to_owned()));
    }
    Some(mask::text(&said.join(": ")).chars().take(MOST).collect())
}

/// Whether a line says by itself that it is the end.
fn is_end(line: &str) -> bool {
    ["buildkitd: ", "panic: "]
        .iter()
        .any(|sign| line.starts_with(sign))
        || line.contains("level=fatal")
}

/// Whether a line is a place in the program: a function, or the file and line below it.
fn is_place(lines: &[&str], at: usize) -> bool {
    let is_file = |at: usize| lines.get(at).is_some_and(|line| line.starts_with('\t'));
    is_file(at) || is_file(at + 1)
}

/// Whether a line is an error with places.
fn is_error(lines: &[&str], at: usize) -> bool {
    is_plain(lines[at]) && !is_place(lines, at) && is_place(lines, at + 1)
}

/// Whether a line is neither of the log nor of the help.
fn is_plain(line: &str) -> bool {
    let others = ["goroutine ", "time=", " "];
    !line.is_empty() && !others.iter().any(|sign| line.starts_with(sign)) && !is_end(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(log: &str) -> String {
        last_words(log.as_bytes()).unwrap_or_default()
    }

    #[test]
    fn the_last_error_is_told_with_what_it_came_from() {
        let started = "time=\"…\" level=info msg=\"found 1 workers\"\n";
        // BuildKit 0.32.2, 2026-12-01: `gc = "perhaps"`.
        let refused =
            "toml: cannot decode TOML string\nfailed to parse config\nmain.main\n\tmain.go:1\n";
        let whole = "failed to parse config: toml: cannot decode TOML string";
        assert_eq!(said(refused), whole);
        let traced = refused.replace("string\n", "string\nmain.load\n\tmain.go:9\n");
        assert_eq!(said(&traced), whole);
        let stopped = "buildkitd: got SIGTERM/SIGINT, forcing shutdown\nmain.f\n\ta.go:53\n";
        assert_eq!(said(&format!("{started}{stopped}{refused}")), whole);
        assert_eq!(
            said(&format!("{refused}{started}{stopped}")),
            "buildkitd: got SIGTERM/SIGINT, forcing shutdown"
        );
        let help = "Incorrect Usage\n\nNAME:\n   buildkitd - build daemon\n\nbuildkitd: flag provided but not defined: -x\n";
        assert_eq!(said(help), "buildkitd: flag provided but not defined: -x");
        let panic = "panic: freelist\n\ngoroutine 1 [running]:\nmain.f(0x1)\n\ta.go:5 +0x1\n";
        assert_eq!(said(panic), "panic: freelist");
        assert_eq!(said(started), "");
    }
}
