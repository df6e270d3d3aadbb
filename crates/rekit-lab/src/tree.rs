//! A tree as text, one line for each path, so that two trees can be compared to the last attribute and the difference can be read.

use crate::process::{text, words};
use anyhow::{Context, Result};
use rustix::fs::{lgetxattr, llistxattr};
use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

/// Returns every path below `root` with its kind, mode, owner, time, content, other names and extended attributes.
pub fn tree(root: &Path) -> Result<BTreeMap<String, String>> {
    let mut walk = Walk::default();
    walk.folder(root, root)?;
    walk.digest(root)?;
    Ok(walk.lines)
}

#[derive(Default)]
struct Walk {
    lines: BTreeMap<String, String>,
    /// The first path of each file that has several names.
    linked: BTreeMap<u64, String>,
    files: Vec<String>,
}

impl Walk {
    fn folder(&mut self, root: &Path, folder: &Path) -> Result<()> {
        let mut entries = fs::read_dir(folder)
            .with_context(|| format!("could not read {}", folder.display()))?
            .collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = path.strip_prefix(root)?.display().to_string();
            let line = self.describe(&path, &name)?;
            self.lines.insert(name, line);
            if entry.file_type()?.is_dir() {
                self.folder(root, &path)?;
            }
        }
        Ok(())
    }

    fn describe(&mut self, path: &Path, name: &str) -> Result<String> {
        let data = fs::symlink_metadata(path)?;
        let kind = data.file_type();
        let mut line = format!(
            "{:o} {}:{} {}.{:09}",
            data.mode(),
            data.uid(),
            data.gid(),
            data.mtime(),
            data.mtime_nsec()
        );
        if kind.is_symlink() {
            write!(line, " to {}", fs::read_link(path)?.display())?;
        } else if kind.is_char_device() || kind.is_block_device() {
            write!(line, " device {}", data.rdev())?;
        } else if kind.is_file() {
            self.files.push(name.to_owned());
            if data.nlink() > 1 {
                let first = self
                    .linked
                    .entry(data.ino())
                    .or_insert_with(|| name.to_owned());
                write!(line, " same as {first}")?;
            }
        }
        write_attributes(path, &mut line)?;
        Ok(line)
    }

    /// Adds the digest of every file, in a few runs of one program.
    fn digest(&mut self, root: &Path) -> Result<()> {
        for files in self.files.chunks(500) {
            let sums = text(
                words("sha256sum", ["-b", "-z", "--"])
                    .args(files)
                    .current_dir(root),
            )?;
            for (name, sum) in files.iter().zip(sums.split('\0')) {
                if let Some(line) = self.lines.get_mut(name) {
                    let sum = sum.split(' ').next().unwrap_or_default();
                    write!(line, " sha256 {sum}")?;
                }
            }
        }
        Ok(())
    }
}

fn write_attributes(path: &Path, line: &mut String) -> Result<()> {
    let mut names = [0_u8; 4096];
    let length = llistxattr(path, &mut names)?;
    let mut names: Vec<_> = names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    for name in names {
        let name = String::from_utf8_lossy(name).into_owned();
        let mut value = [0_u8; 4096];
        let length = lgetxattr(path, name.as_str(), &mut value)?;
        write!(line, " {name}=")?;
        for byte in &value[..length] {
            write!(line, "{byte:02x}")?;
        }
    }
    Ok(())
}
