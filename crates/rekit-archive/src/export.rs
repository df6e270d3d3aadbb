//! Writes archives into one plain tar stream, each as a folder of its own with all its segments.
//!
//! Every byte is compared with the archive's sums on its way. `SHA256SUMS` comes last, so what breaks off before never looks whole.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use thiserror::Error;

use crate::archive::Archive;
use crate::digest::{Digest, Hasher};
use crate::layout::{Member, What, head, rest};
use crate::pack::Progress;
use crate::path::PathError;
use crate::sums::SUMS;
use crate::tar::{padding, write_end, write_header};

/// Archives could not be exported. What was written until then is cut off, and no import takes it.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A file of the archive could not be read.
    #[error("could not read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file of the archive is not as it was written.
    #[error("`{0}` is damaged")]
    Damaged(PathBuf),
    /// The sums name another set of files than the manifest.
    #[error("`SHA256SUMS` and the manifest of `{0}` contradict each other")]
    Contradiction(PathBuf),
    /// A name is too long for a path.
    #[error("a name in the archive is too long")]
    Path(#[source] PathError),
    /// Nobody takes the stream, or its disk is full.
    #[error("could not write the exported file")]
    Write(#[source] io::Error),
}

/// Writes the archives, one after the other. The same archives always give the same bytes.
pub fn export(
    archives: &[Archive],
    out: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ExportError> {
    let mut exporter = Exporter {
        out,
        progress,
        so_far: Progress::default(),
    };
    for archive in archives {
        exporter.archive(archive)?;
    }
    let mut out = exporter.out;
    write_end(&mut out)
        .and_then(|()| out.flush())
        .map_err(ExportError::Write)
}

struct Exporter<'a> {
    out: &'a mut dyn Write,
    progress: &'a mut dyn FnMut(Progress),
    so_far: Progress,
}

impl Exporter<'_> {
    fn archive(&mut self, archive: &Archive) -> Result<(), ExportError> {
        let id = &archive.manifest().id;
        let sums = archive.path().join(SUMS);
        let made =
            fs::metadata(&sums).map_err(|source| ExportError::Read { path: sums, source })?;
        let members: Vec<_> = head().into_iter().chain(rest(archive.manifest())).collect();
        let files = members
            .iter()
            .filter(|member| member.what != What::Directory);
        // All but `SHA256SUMS` itself stands in it.
        if files.count() != archive.sums().len() + 1 {
            return Err(ExportError::Contradiction(archive.path().to_owned()));
        }
        for member in &members {
            if member.what == What::Directory {
                let entry = member
                    .entry(id, 0, made.mtime())
                    .map_err(ExportError::Path)?;
                write_header(&mut self.out, &entry).map_err(ExportError::Write)?;
            } else {
                self.file(archive, member, made.mtime())?;
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        archive: &Archive,
        member: &Member,
        seconds: i64,
    ) -> Result<(), ExportError> {
        let path = archive.path().join(&member.name);
        let read = |source| ExportError::Read {
            path: path.clone(),
            source,
        };
        let file = File::open(&path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let named = if member.name == SUMS {
            Some(archive.identity())
        } else {
            archive.sums().get(&member.name).copied()
        };
        let expected = member.what.sha256();
        if expected.is_some() && expected != named {
            return Err(ExportError::Contradiction(archive.path().to_owned()));
        }
        if !member.what.fits(length) {
            return Err(ExportError::Damaged(path));
        }
        let entry = member.entry(&archive.manifest().id, length, seconds);
        let entry = entry.map_err(ExportError::Path)?;
        write_header(&mut self.out, &entry).map_err(ExportError::Write)?;
        if Some(self.copy(file, &path, length)?) != named {
            return Err(ExportError::Damaged(path));
        }
        self.so_far.entries += 1;
        (self.progress)(self.so_far);
        Ok(())
    }

    /// Writes a file's bytes and what fills its last block; returns the digest of the bytes.
    fn copy(
        &mut self,
        file: File,
        path: &std::path::Path,
        length: u64,
    ) -> Result<Digest, ExportError> {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 256 << 10];
        let mut file = file.take(length);
        loop {
            let count = file.read(&mut buffer).map_err(|source| ExportError::Read {
                path: path.to_owned(),
                source,
            })?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            self.out
                .write_all(&buffer[..count])
                .map_err(ExportError::Write)?;
            self.so_far.packed_bytes += count as u64;
            (self.progress)(self.so_far);
        }
        let (digest, read) = hasher.finish();
        if read != length {
            return Err(ExportError::Damaged(path.to_owned()));
        }
        let zeros = usize::try_from(padding(length)).unwrap_or(0);
        self.out
            .write_all(&[0; crate::tar::BLOCK][..zeros])
            .map_err(ExportError::Write)?;
        Ok(digest)
    }
}
