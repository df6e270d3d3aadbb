//! Takes archives away, and says what that frees: a segment that another archive shares is not freed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::pool::sweep;
use crate::writer::is_name;

/// Returns the bytes that the disk would get back if these archives in `home` went: files whose every name lies in them or in the pool.
pub fn removable_bytes(home: &Path, ids: &[&str]) -> io::Result<u64> {
    let mut files = Files::default();
    for id in ids {
        files.add(&home.join(id))?;
    }
    // Only now the pool: it adds the last name of what lies in these archives, and what nobody uses.
    files.add(&home.join("pool"))?;
    let gone = files.0.values().filter(|file| file.seen == file.links);
    Ok(gone.map(|file| file.bytes).sum())
}

/// Removes archives, whole or begun, from `home`, and then what no other archive uses of the pool; returns the bytes freed.
///
/// An archive loses its name first, so that nothing that is half removed looks whole.
pub fn remove(home: &Path, ids: &[&str]) -> io::Result<u64> {
    let mut freed = 0;
    for id in ids {
        if !is_name(id) || *id == "pool" {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{id}` is no archive"),
            ));
        }
        let partial = match id.strip_suffix(".partial") {
            Some(_) => home.join(id),
            None => home.join(format!("{id}.partial")),
        };
        match fs::rename(home.join(id), &partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut files = Files::default();
        files.add(&partial)?;
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let gone = files.0.values().filter(|file| file.seen == file.links);
        freed += gone.map(|file| file.bytes).sum::<u64>();
    }
    Ok(freed + sweep(home)?)
}

/// Files by device and inode.
#[derive(Default)]
struct Files(BTreeMap<(u64, u64), Names>);

struct Names {
    bytes: u64,
    links: u64,
    seen: u64,
}

impl Files {
    /// Adds all files below a folder; what is not there holds none.
    fn add(&mut self, folder: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result?,
        };
        for entry in entries {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                self.add(&entry.path())?;
                continue;
            }
            let file = self
                .0
                .entry((metadata.dev(), metadata.ino()))
                .or_insert(Names {
                    bytes: metadata.len(),
                    links: metadata.nlink(),
                    seen: 0,
                });
            file.seen += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArchiveWriter, Consistency, MemoryFile, MetadataOfArchive, TreePath};

    fn archive(home: &Path, id: &str, bytes: &[u8]) {
        let file = MemoryFile {
            path: TreePath::parse(b"file").unwrap(),
            mode: 0o600,
            owner: (0, 0),
            bytes: bytes.to_vec(),
        };
        let mut writer = ArchiveWriter::create(home, id).unwrap();
        writer.add_memory_tree("tree", &[file]).unwrap();
        let metadata = MetadataOfArchive {
            consistency: Consistency::CleanStop,
            metadata: serde_json::Value::Null,
        };
        writer.finish(metadata).unwrap();
    }

    fn used(home: &Path) -> u64 {
        let mut files = Files::default();
        files.add(home).unwrap();
        files.0.values().map(|file| file.bytes).sum()
    }

    #[test]
    fn what_another_archive_shares_stays_and_the_rest_is_counted() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        archive(home, "one", b"shared");
        archive(home, "two", b"shared");
        archive(home, "three", b"of its own");
        for ids in [&["one"][..], &["three", "two"][..]] {
            let (before, promised) = (used(home), removable_bytes(home, ids).unwrap());
            let freed = remove(home, ids).unwrap();
            assert_eq!(
                (freed, used(home)),
                (promised, before - promised),
                "{ids:?}"
            );
        }
        assert_eq!(
            used(home),
            0,
            "the pool is empty when the last archive is gone"
        );
    }

    #[test]
    fn only_names_of_archives_are_removed() {
        let home = tempfile::tempdir().unwrap();
        archive(home.path(), "one", b"x");
        for bad in ["pool", "..", "a/b", ""] {
            assert!(remove(home.path(), &[bad]).is_err(), "{bad}");
        }
        assert_eq!(
            remove(home.path(), &["gone"]).unwrap(),
            0,
            "removed before is removed"
        );
        assert!(home.path().join("one").exists());
    }
}
