//! Builds an archive in `<id>.partial/` and renames it to `<id>/` when everything is on the disk.
//!
//! Write order: segments and lists; further files; `manifest.json`, `RESTORE.md`; all synced; `SHA256SUMS`, synced; the
//! rename. A writer that is dropped early takes its directory away, so nothing half looks whole.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::syncfs;
use thiserror::Error;

use crate::archive::{Archive, open};
use crate::digest::Digest;
use crate::live::{LiveError, Running, pack_live};
use crate::manifest::{Consistency, FileInManifest, Manifest, SCHEMA, TreeRecord, VERSION};
use crate::memory::{MemoryFile, pack_memory};
use crate::pack::{Ending, PackError, PackOptions, Progress, pack};
use crate::pool::{self, LIST, TreeFiles, create_private};
use crate::restore::{self, RESTORE};
use crate::rules::Rules;
use crate::sums::{self, SUMS, Sums};
use crate::wire::{self, WireError};

/// The manifest's name.
pub(crate) const MANIFEST: &str = "manifest.json";

/// An archive could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The name cannot be used.
    #[error(
        "`{0}` is not a name: letters, digits, `.`, `_`, `-`, not `.` first, and none that the format uses"
    )]
    Name(String),
    /// There is an archive of that name, finished or not.
    #[error("`{0}` exists already")]
    Exists(PathBuf),
    /// A file of the archive could not be written.
    #[error("could not write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A tree could not be packed.
    #[error("could not pack tree `{tree}`")]
    Pack {
        /// Its name.
        tree: String,
        /// The cause.
        source: PackError,
    },
    /// The state of a running daemon could not be packed.
    #[error("could not copy the running state `{tree}`")]
    Live {
        /// The tree's name.
        tree: String,
        /// The cause.
        source: LiveError,
    },
    /// A tree could not be received.
    #[error("could not receive tree `{tree}`")]
    Receive {
        /// Its name.
        tree: String,
        /// The cause.
        source: WireError,
    },
}

/// What the caller wants to stand in the manifest.
#[derive(Clone, Debug)]
pub struct MetadataOfArchive {
    /// The moment in which the trees were read.
    pub consistency: Consistency,
    /// Free.
    pub metadata: serde_json::Value,
}

/// A finished archive. Whether it can be trusted says `verify`.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Where it lies.
    pub path: PathBuf,
    /// The digest of `SHA256SUMS`.
    pub identity: Digest,
}

/// An archive being written.
#[derive(Debug)]
pub struct ArchiveWriter {
    home: PathBuf,
    id: String,
    partial: PathBuf,
    sums: Sums,
    names: BTreeSet<String>,
    trees: Vec<TreeRecord>,
    files: Vec<FileInManifest>,
    is_finished: bool,
}

/// Returns true for names that can stand in an archive.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with(['.', '-'])
}

/// Returns true for names that an archive can bear.
pub(crate) fn is_id(id: &str) -> bool {
    is_name(id) && id != "pool" && !id.ends_with(".partial")
}

/// Returns the whole archives in `home` that have a tree packed by these rules.
fn earlier(home: &Path, rules: &str) -> Vec<Archive> {
    let has_tree = |archive: &Archive| {
        let mut trees = archive.manifest().trees.iter();
        trees.any(|tree| tree.rules == rules)
    };
    let entries = fs::read_dir(home).into_iter().flatten().flatten();
    // What is no archive, or a damaged one, only makes the next one dearer.
    let archives = entries.filter_map(|entry| open(&entry.path()).ok());
    archives.filter(has_tree).collect()
}

/// Takes away what a writer that was killed left of the archive `id`. The pool keeps what others use.
pub fn discard(home: &Path, id: &str) -> io::Result<()> {
    match fs::remove_dir_all(partial(home, id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => pool::sweep(home).map(|_| ()),
    }
}

pub(crate) fn partial(home: &Path, id: &str) -> PathBuf {
    home.join(format!("{id}.partial"))
}

impl ArchiveWriter {
    /// Begins the archive `id` in the directory `home`, which is made if it is not there.
    pub fn create(home: &Path, id: &str) -> Result<Self, WriteError> {
        if !is_id(id) {
            return Err(WriteError::Name(id.to_owned()));
        }
        let partial = partial(home, id);
        for path in [home.join(id), partial.clone()] {
            if path.symlink_metadata().is_ok() {
                return Err(WriteError::Exists(path));
            }
        }
        let writer = Self {
            home: home.to_owned(),
            id: id.to_owned(),
            partial: partial.clone(),
            sums: Sums::new(),
            names: BTreeSet::from([MANIFEST, SUMS, RESTORE, "trees"].map(str::to_owned)),
            trees: Vec::new(),
            files: Vec::new(),
            is_finished: false,
        };
        for path in [home.join("pool"), partial.join("trees")] {
            make_directory(&path)?;
        }
        Ok(writer)
    }

    /// Packs the tree at `source`.
    pub fn add_tree(
        &mut self,
        name: &str,
        source: &Path,
        options: &PackOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<&TreeRecord, WriteError> {
        let tree = self.begin_tree(name, Some(&options.rules))?;
        let packed = pack(source, options, &tree, progress);
        let ending = packed.map_err(|source| WriteError::Pack {
            tree: name.to_owned(),
            source,
        })?;
        self.end_tree(name, tree, ending)
    }

    /// Packs a state while its daemon runs.
    pub fn add_live_tree(
        &mut self,
        name: &str,
        running: Running<'_>,
        options: &PackOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<&TreeRecord, WriteError> {
        let tree = self.begin_tree(name, Some(&options.rules))?;
        let packed = pack_live(running, options, (&tree, tree.ahead()), progress);
        let ending = packed.map_err(|source| WriteError::Live {
            tree: name.to_owned(),
            source,
        })?;
        self.end_tree(name, tree, ending)
    }

    /// Packs files from memory as a tree.
    pub fn add_memory_tree(
        &mut self,
        name: &str,
        files: &[MemoryFile],
    ) -> Result<&TreeRecord, WriteError> {
        let tree = self.begin_tree(name, None)?;
        let packed = pack_memory(files, &PackOptions::default(), &tree);
        let ending = packed.map_err(|source| WriteError::Pack {
            tree: name.to_owned(),
            source,
        })?;
        self.end_tree(name, tree, ending)
    }

    /// Takes a tree that the helper packs at the other end of `reader` and `writer`.
    pub fn receive_tree(
        &mut self,
        name: &str,
        rules: &Rules,
        (reader, writer): (&mut dyn Read, &mut dyn Write),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<&TreeRecord, WriteError> {
        let tree = self.begin_tree(name, Some(rules))?;
        let failed = |source| WriteError::Receive {
            tree: name.to_owned(),
            source,
        };
        wire::tell_known(&tree.known(), writer).map_err(failed)?;
        let ending = wire::receive(reader, &tree, progress).map_err(failed)?;
        self.end_tree(name, tree, ending)
    }

    /// Adds a further file.
    pub fn add_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        if !is_name(name) || !self.names.insert(name.to_owned()) {
            return Err(WriteError::Name(name.to_owned()));
        }
        let sha256 = self.write(name, bytes)?;
        self.files.push(FileInManifest {
            name: name.to_owned(),
            sha256,
            bytes: bytes.len() as u64,
        });
        Ok(())
    }

    /// Writes the manifest and the rest, brings everything to the disk, and gives the archive its name.
    pub fn finish(mut self, metadata: MetadataOfArchive) -> Result<Finished, WriteError> {
        let manifest = Manifest {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            id: self.id.clone(),
            consistency: metadata.consistency,
            metadata: metadata.metadata,
            trees: std::mem::take(&mut self.trees),
            files: std::mem::take(&mut self.files),
        };
        let path = self.partial.join(MANIFEST);
        let json = serde_json::to_vec_pretty(&manifest);
        let json = json.map_err(|error| WriteError::Write {
            path,
            source: error.into(),
        })?;
        self.write(MANIFEST, &json)?;
        self.write(RESTORE, restore::text(&manifest).as_bytes())?;
        self.sync()?;
        let sums = sums::write(&self.sums);
        let target = self.home.join(&self.id);
        let failed = |source| WriteError::Write {
            path: target.clone(),
            source,
        };
        seal(&self.partial, sums.as_bytes(), &target).map_err(failed)?;
        self.is_finished = true;
        Ok(Finished {
            path: target.clone(),
            identity: Digest::of(sums.as_bytes()),
        })
    }

    fn sync(&self) -> Result<(), WriteError> {
        sync(&self.partial).map_err(|source| WriteError::Write {
            path: self.partial.clone(),
            source,
        })
    }

    /// Begins a tree; with rules, what earlier archives hold of such a tree need not be packed again.
    fn begin_tree(&self, name: &str, rules: Option<&Rules>) -> Result<TreeFiles, WriteError> {
        let taken = self.trees.iter().any(|tree| tree.name == name);
        if !is_name(name) || taken {
            return Err(WriteError::Name(name.to_owned()));
        }
        let directory = self.partial.join("trees").join(name);
        let ahead = self.partial.join("ahead");
        make_directory(&directory)?;
        make_directory(&ahead)?;
        let earlier = rules.map(|rules| earlier(&self.home, rules.name));
        let earlier = earlier.unwrap_or_default();
        let tree = TreeFiles::create(directory.clone(), ahead, self.home.join("pool"), &earlier);
        tree.map_err(|source| WriteError::Write {
            path: directory,
            source,
        })
    }

    fn end_tree(
        &mut self,
        name: &str,
        tree: TreeFiles,
        ending: Ending,
    ) -> Result<&TreeRecord, WriteError> {
        let failed = |source| WriteError::Write {
            path: self.partial.clone(),
            source,
        };
        let mut record = tree.finish(ending).map_err(failed)?;
        fs::remove_dir_all(self.partial.join("ahead")).map_err(failed)?;
        name.clone_into(&mut record.name);
        self.sums
            .insert(format!("trees/{name}/{LIST}"), record.list_sha256);
        for segment in &record.segments {
            self.sums
                .insert(format!("trees/{name}/{}", segment.file), segment.sha256);
        }
        self.trees.push(record);
        self.trees
            .last()
            .ok_or_else(|| WriteError::Name(name.to_owned()))
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<Digest, WriteError> {
        let path = self.partial.join(name);
        let write = || create_private(&path)?.write_all(bytes);
        write().map_err(|source| WriteError::Write {
            path: path.clone(),
            source,
        })?;
        let sha256 = Digest::of(bytes);
        self.sums.insert(name.to_owned(), sha256);
        Ok(sha256)
    }
}

impl Drop for ArchiveWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            // Nobody is left to hear of a failure; `discard` can be called again.
            let _failed = discard(&self.home, &self.id);
        }
    }
}

/// Brings everything below `directory` to the disk.
pub(crate) fn sync(directory: &Path) -> io::Result<()> {
    syncfs(File::open(directory)?).map_err(io::Error::from)
}

/// Writes the sums of what is on the disk already, and gives the archive in `partial` its name.
pub(crate) fn seal(partial: &Path, sums: &[u8], target: &Path) -> io::Result<()> {
    let temporary = partial.join("SHA256SUMS.incoming");
    let mut file = create_private(&temporary)?;
    file.write_all(sums)?;
    file.sync_all()?;
    fs::rename(&temporary, partial.join(SUMS))?;
    File::open(partial)?.sync_all()?;
    if target.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(partial, target)?;
    let home = target.parent().unwrap_or(target);
    File::open(home)?.sync_all()
}

/// Makes a directory that nobody else may enter, with all above it.
pub(crate) fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn make_directory(path: &Path) -> Result<(), WriteError> {
    make_private_directory(path).map_err(|source| WriteError::Write {
        path: path.to_owned(),
        source,
    })
}
