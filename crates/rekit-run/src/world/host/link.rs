//! What a Go program's file tells of how it was linked, read instead of running the program.
//!
//! Invariant: tells nothing unless this machine would really run this file: executable by us, whole, static, of this architecture.

#![expect(
    clippy::disallowed_types,
    reason = "a part of the one door to files: only some pages of a large program are read"
)]

use std::{fs::File, path::Path};

use object::{
    Architecture, Endianness, Object, ObjectSection, ReadCache, ReadRef,
    elf::PT_INTERP,
    read::elf::{ElfFile64, ProgramHeader},
};
use rustix::fs::{Access, Mode, OFlags};

/// How the section of a Go program begins that describes its build.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The length of what comes before the texts in that section.
const HEAD: usize = 32;
/// The flag in the head: the texts follow it directly, as since Go 1.18.
const INLINE: u8 = 2;

/// Returns the text that the linker gave to `variable` (`-X`) in the Go program whose main package is `package`. `None`: its file
/// does not tell.
pub fn linked_text(program: &Path, package: &str, variable: &str) -> Option<String> {
    // Also refuses what lies on a disk that programs are not run from.
    rustix::fs::access(program, Access::EXEC_OK).ok()?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(program, flags, Mode::empty()).ok()?);
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let cache = ReadCache::new(file);
    let elf = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
    if !runs_here(&elf, metadata.len()) {
        return None;
    }
    let section = elf.section_by_name(".go.buildinfo")?;
    variable_text(build(section.data().ok()?)?, package, variable)
}

/// Returns whether the file is all there and needs nothing but this machine.
fn runs_here<'data, R: ReadRef<'data>>(elf: &ElfFile64<'data, Endianness, R>, size: u64) -> bool {
    let is_ours = match elf.architecture() {
        Architecture::X86_64 => cfg!(target_arch = "x86_64"),
        Architecture::Aarch64 => cfg!(target_arch = "aarch64"),
        _ => false,
    };
    let is_static = elf
        .elf_program_headers()
        .iter()
        .all(|header| header.p_type(elf.endian()) != PT_INTERP);
    let is_whole = elf
        .sections()
        .filter_map(|section| section.file_range())
        .all(|(start, length)| start.checked_add(length).is_some_and(|end| end <= size));
    is_ours && is_static && is_whole
}

/// Returns the description of the build that a section holds.
fn build(section: &[u8]) -> Option<&str> {
    let (head, texts) = section.split_at_checked(HEAD)?;
    if !head.starts_with(MAGIC) || head[MAGIC.len() + 1] & INLINE == 0 {
        return None;
    }
    let (_go, rest) = text(texts)?;
    let (build, _) = text(rest)?;
    std::str::from_utf8(build.get(16..build.len().checked_sub(16)?)?).ok()
}

/// Takes a text that follows its own length, written in groups of seven bits.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)?;
    let length = bytes[..=end]
        .iter()
        .rev()
        .fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
    bytes[end + 1..].split_at_checked(length)
}

/// Returns what the flags of the linker give to a variable; as for the linker, the last one counts.
fn variable_text(build: &str, package: &str, variable: &str) -> Option<String> {
    let is_package = |line: &str| line.strip_prefix("path\t") == Some(package);
    if !build.lines().any(is_package) {
        return None;
    }
    let flags = build
        .lines()
        .find_map(|line| line.strip_prefix("build\t-ldflags="))?;
    let flags = unquoted(flags)?;
    let words = words(&flags)?;
    words
        .iter()
        .zip(words.iter().skip(1))
        .filter(|(flag, _)| **flag == "-X")
        .filter_map(|(_, given)| given.strip_prefix(variable)?.strip_prefix('='))
        .next_back()
        .map(str::to_owned)
}

/// Undoes Go's quotes around a value, where it has them. Escapes other than of quotes and backslashes are not met here.
fn unquoted(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else {
        return Some(value.to_owned());
    };
    let mut text = String::new();
    let mut letters = inner.strip_suffix('"')?.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => letters.next().filter(|next| matches!(next, '"' | '\\'))?,
            other => other,
        });
    }
    Some(text)
}

/// Splits flags as the go command does: at white space; a word may stand in quotes of either kind, which know no escapes.
fn words(flags: &str) -> Option<Vec<&str>> {
    let mut words = Vec::new();
    let mut rest = flags.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = if matches!(first, '"' | '\'') {
            rest[1..].split_once(first)?
        } else {
            rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()))
        };
        words.push(word);
        rest = after.trim_start();
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: &str = concat!(
        "path\tgithub.com/docker/cli/cmd/docker\nbuild\t-compiler=gc\n",
        r#"build	-ldflags=" -X \"a/b.Commit=e6 5\" -X \"a/b.Version=28.2.2\" -extldflags -static""#,
        "\nbuild\tCGO_ENABLED=1\n"
    );

    #[test]
    fn flags_of_the_linker_are_read_as_the_go_command_reads_them() {
        let says =
            |variable: &str| variable_text(BUILD, "github.com/docker/cli/cmd/docker", variable);
        assert_eq!(says("a/b.Version").as_deref(), Some("28.2.2"));
        assert_eq!(says("a/b.Commit").as_deref(), Some("e6 5"));
        assert_eq!(says("a/b.Vers"), None);
        assert_eq!(variable_text(BUILD, "another", "a/b.Version"), None);
        let twice = "path\tp\nbuild\t-ldflags=-X v=1 -X v=2\n";
        assert_eq!(variable_text(twice, "p", "v").as_deref(), Some("2"));
        let broken = "path\tp\nbuild\t-ldflags=-X 'v=1\n";
        assert_eq!(variable_text(broken, "p", "v"), None);
    }

    #[test]
    fn what_is_no_whole_go_program_tells_nothing() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(linked_text(&own, "p", "v"), None);
        assert_eq!(linked_text(Path::new("/etc/passwd"), "p", "v"), None);
        assert_eq!(linked_text(Path::new("/proc"), "p", "v"), None);
        assert_eq!(build(b"\xff Go buildinf:\x08\x02 and nothing more"), None);
        assert_eq!(text(b"\x83\x80\x00abcd"), Some((&b"abc"[..], &b"d"[..])));
        assert_eq!(text(b"\xff\xff\xff\xff\xff\xff"), None);
    }
}
