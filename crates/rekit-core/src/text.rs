//! Lines of somebody's text file, whatever its bytes are.

use crate::name::HostPath;

/// Sets a mark before lines, counted from 1, and keeps every other byte.
pub fn silence(bytes: &[u8], lines: &[u32], mark: &str) -> Vec<u8> {
    let mut new = Vec::with_capacity(bytes.len() + lines.len() * mark.len());
    for (line, number) in bytes.split_inclusive(|byte| *byte == b'\n').zip(1_u32..) {
        if lines.contains(&number) {
            new.extend_from_slice(mark.as_bytes());
        }
        new.extend_from_slice(line);
    }
    new
}

/// Returns what makes a line of a file that sets variables do nothing: a list of variables has comments alone, a shell wants a command where
/// the line is the only one between `then` and `fi`.
pub fn silent_mark(path: &HostPath) -> &'static str {
    let name = path.file_name();
    let is_a_list = matches!(name, ".env" | ".pam_environment" | "environment")
        || path
            .parent()
            .is_some_and(|folder| folder.file_name() == "environment.d");
    if is_a_list { "# " } else { ": # " }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_that_are_named_change() {
        let old = b"\xffone\r\nexport A=1\nthree";
        assert_eq!(
            silence(old, &[2], ": # "),
            b"\xffone\r\n: # export A=1\nthree"
        );
        assert_eq!(
            silence(old, &[1, 3, 9], "# "),
            b"# \xffone\r\nexport A=1\n# three"
        );
        assert_eq!(silence(b"", &[1], "# "), b"");
    }

    #[test]
    fn a_shell_gets_a_command_and_a_list_a_comment() {
        for (path, mark) in [
            ("/home/a/.bashrc", ": # "),
            ("/home/a/.config/fish/config.fish", ": # "),
            ("/etc/environment", "# "),
            ("/home/a/project/.env", "# "),
            ("/home/a/project/.envrc", ": # "),
            ("/home/a/.config/environment.d/10-docker.conf", "# "),
        ] {
            assert_eq!(
                silent_mark(&HostPath::from_bytes(path.as_bytes())),
                mark,
                "{path}"
            );
        }
    }
}
