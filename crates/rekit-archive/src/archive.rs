//! Opens an archive: its sums and its manifest, both checked for form. The contents are `verify`'s part.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::cut::ENTRY_LIMIT;
use crate::digest::Digest;
use crate::manifest::{Manifest, SCHEMA, SegmentKind, TreeRecord, VERSION};
use crate::pool::LIST;
use crate::sink::is_named_right;
use crate::sums::{self, SUMS, Sums, SumsError};
use crate::writer::{MANIFEST, is_name};

/// Larger sums or manifests are refused.
pub(crate) const MOST_BYTES: u64 = 1 << 30;

/// An archive could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no `SHA256SUMS`: not an archive, or one that was never finished.
    #[error("`{0}` has no `SHA256SUMS`: not an archive, or not complete")]
    NotComplete(PathBuf),
    /// A file could not be read.
    #[error("could not read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The sums are malformed.
    #[error("the sums of `{archive}` are damaged")]
    Sums {
        /// The archive.
        archive: PathBuf,
        /// The cause.
        source: SumsError,
    },
    /// The manifest is not the one of the sums.
    #[error("the manifest of `{0}` is damaged")]
    ManifestDigest(PathBuf),
    /// The manifest is of another format or a newer version.
    #[error(
        "the manifest of `{archive}` is of schema `{schema}` version {version}, which this program does not read"
    )]
    Version {
        /// The archive.
        archive: PathBuf,
        /// Its schema.
        schema: String,
        /// Its version.
        version: u64,
    },
    /// The manifest has unknown fields or wrong values.
    #[error("the manifest of `{archive}` cannot be understood")]
    Manifest {
        /// The archive.
        archive: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// The manifest contradicts itself.
    #[error("the manifest of `{archive}` is not possible: {fault}")]
    Impossible {
        /// The archive.
        archive: PathBuf,
        /// What is wrong.
        fault: String,
    },
}

/// An archive with its manifest.
#[derive(Clone, Debug)]
pub struct Archive {
    directory: PathBuf,
    manifest: Manifest,
    sums: Sums,
    identity: Digest,
}

#[derive(Deserialize)]
struct Head {
    schema: String,
    version: u64,
}

/// Opens the archive in `directory`.
pub fn open(directory: &Path) -> Result<Archive, OpenError> {
    let bytes = match read(&directory.join(SUMS)) {
        Err(OpenError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::NotComplete(directory.to_owned()));
        }
        result => result?,
    };
    let json = read(&directory.join(MANIFEST))?;
    assemble(directory, &bytes, &json)
}

/// Makes the archive in `directory` of its sums and its manifest.
pub(crate) fn assemble(directory: &Path, bytes: &[u8], json: &[u8]) -> Result<Archive, OpenError> {
    let sums = sums::parse(bytes).map_err(|source| OpenError::Sums {
        archive: directory.to_owned(),
        source,
    })?;
    if sums.get(MANIFEST) != Some(&Digest::of(json)) {
        return Err(OpenError::ManifestDigest(directory.to_owned()));
    }
    Ok(Archive {
        directory: directory.to_owned(),
        manifest: understand(directory, json)?,
        sums,
        identity: Digest::of(bytes),
    })
}

/// Reads a manifest and checks it for form; `archive` is what errors name.
pub(crate) fn understand(archive: &Path, json: &[u8]) -> Result<Manifest, OpenError> {
    let archive = archive.to_owned();
    let failed = |source| OpenError::Manifest {
        archive: archive.clone(),
        source,
    };
    let Head { schema, version } = serde_json::from_slice(json).map_err(failed)?;
    if schema != SCHEMA || version != u64::from(VERSION) {
        return Err(OpenError::Version {
            archive,
            schema,
            version,
        });
    }
    let manifest: Manifest = serde_json::from_slice(json).map_err(failed)?;
    check(&manifest).map_err(|fault| OpenError::Impossible { archive, fault })?;
    Ok(manifest)
}

impl Archive {
    /// Returns the manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns where the archive lies.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Returns a further file's path, if the archive has it. Its bytes are checked by `verify`.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let known = self.manifest.files.iter().any(|file| file.name == name);
        known.then(|| self.directory.join(name))
    }

    pub(crate) fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Returns the digest of `SHA256SUMS`, which stands for all bytes of the archive.
    pub fn identity(&self) -> Digest {
        self.identity
    }

    pub(crate) fn tree(&self, name: &str) -> Option<&TreeRecord> {
        self.manifest.trees.iter().find(|tree| tree.name == name)
    }

    /// Returns the directory of a tree's segments.
    pub(crate) fn tree_directory(&self, tree: &TreeRecord) -> PathBuf {
        self.directory.join("trees").join(&tree.name)
    }
}

/// Returns the names of a tree's files in the archive, with their digests.
pub(crate) fn files_of(tree: &TreeRecord) -> impl Iterator<Item = (String, Digest)> {
    let list = (format!("trees/{}/{LIST}", tree.name), tree.list_sha256);
    let named = |segment: &crate::manifest::SegmentRecord| {
        (
            format!("trees/{}/{}", tree.name, segment.file),
            segment.sha256,
        )
    };
    tree.segments.iter().map(named).chain([list])
}

fn check(manifest: &Manifest) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for tree in &manifest.trees {
        let name = &tree.name;
        if !is_name(name) || !names.insert(name) {
            return Err(format!("tree name `{name}`"));
        }
        for (index, segment) in tree.segments.iter().enumerate() {
            let is_last = index + 1 == tree.segments.len();
            let is_end = segment.kind == SegmentKind::End;
            if !is_named_right(index, segment) || is_last != is_end || segment.entries > ENTRY_LIMIT
            {
                return Err(format!("segment `{}` of tree `{name}`", segment.file));
            }
        }
        if tree.segments.is_empty() {
            return Err(format!("tree `{name}` has no segments"));
        }
    }
    let mut names = BTreeSet::new();
    match manifest
        .files
        .iter()
        .find(|file| !is_name(&file.name) || !names.insert(&file.name))
    {
        Some(file) => Err(format!("file name `{}`", file.name)),
        None => Ok(()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == MOST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    };
    read().map_err(|source| OpenError::Read {
        path: path.to_owned(),
        source,
    })
}
