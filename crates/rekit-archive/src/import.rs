//! Takes archives out of an exported file. What comes is compared, member by member, with the one list that may come.
//!
//! Nothing is followed and nothing overwritten. All archives of the file are read back from the disk before the first one gets its name.

use std::fs::{DirBuilder, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::statvfs;
use thiserror::Error;

use crate::archive::{Archive, OpenError, assemble, open, understand};
use crate::digest::{Digest, Hasher};
use crate::entry::{Entry, Kind};
use crate::layout::{Length, Member, What, head, rest};
use crate::manifest::Manifest;
use crate::pack::Progress;
use crate::pool::{create_private, share};
use crate::sums::SUMS;
use crate::tar::{ReadError, TarReader};
use crate::verify::{VerifyError, verify};
use crate::writer::{MANIFEST, discard, is_id, make_private_directory, partial, seal, sync};

/// Archives could not be imported. None of them is there; what was written of them is gone.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The bytes are no tar stream that an export writes.
    #[error("no exported file, or a damaged one")]
    Stream(#[source] ReadError),
    /// The input ends too early.
    #[error("the file is cut off")]
    CutOff,
    /// There is no archive in it.
    #[error("the file holds no archive")]
    Empty,
    /// A member that an export would not write, or not here.
    #[error("`{found}` stands where only `{expected}` may")]
    Unexpected {
        /// The path in the file.
        found: String,
        /// What belongs there.
        expected: String,
    },
    /// A name that no archive can bear.
    #[error("`{0}` cannot be the name of an archive here")]
    Name(String),
    /// A file is longer or shorter than it may be.
    #[error("`{0}` is not as long as the manifest says")]
    Length(String),
    /// A file's bytes are not those of the manifest.
    #[error("`{0}` is damaged")]
    Damaged(String),
    /// The manifest or the sums cannot be used.
    #[error("an archive in the file cannot be used")]
    Open(#[source] OpenError),
    /// What was written does not read back whole.
    #[error("archive `{archive}` is not whole")]
    Verify {
        /// Its name.
        archive: String,
        /// The cause.
        source: VerifyError,
    },
    /// Another archive has the name already.
    #[error("there is another archive `{0}`")]
    Other(String),
    /// What lies under the name already is no whole archive.
    #[error("what there is of archive `{archive}` is not whole")]
    Broken {
        /// Its name.
        archive: String,
        /// The cause.
        source: OpenError,
    },
    /// The disk has too little room.
    #[error("archive `{archive}` needs {needed} bytes, and the disk has {free} left")]
    NoRoom {
        /// Its name.
        archive: String,
        /// Bytes that come.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A file could not be written.
    #[error("could not write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// An archive that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Its name.
    pub id: String,
    /// Where it lies.
    pub path: PathBuf,
    /// The digest of its `SHA256SUMS`.
    pub identity: Digest,
    /// Whether it was there before.
    pub was_there: bool,
}

/// Reads an exported file to its end and brings its archives into the directory `home`. An archive that is there already, with the
/// same identity, stays as it is.
///
/// The caller sees to it that nobody else writes to `home`: what a killed import left there is removed.
pub fn import(
    home: &Path,
    input: &mut dyn Read,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Imported>, ImportError> {
    let mut importer = Importer {
        home,
        reader: TarReader::new(BufReader::with_capacity(256 << 10, input)),
        progress,
        so_far: Progress::default(),
    };
    let mut arrived = Vec::new();
    while let Some(entry) = importer.next()? {
        let id = Importer::id(&entry, &arrived)?;
        arrived.push(importer.archive(id)?);
    }
    if !importer.reader.is_ended() {
        return Err(ImportError::CutOff);
    }
    if arrived.is_empty() {
        return Err(ImportError::Empty);
    }
    for archive in &arrived {
        archive.read_back()?;
    }
    arrived.into_iter().map(|it| it.name(home)).collect()
}

struct Importer<'a> {
    home: &'a Path,
    reader: TarReader<BufReader<&'a mut dyn Read>>,
    progress: &'a mut dyn FnMut(Progress),
    so_far: Progress,
}

/// The `.partial` of an archive that comes; it goes unless the archive gets its name.
struct Begun<'a> {
    home: &'a Path,
    id: String,
    partial: PathBuf,
    is_named: bool,
}

/// An archive of which all has come.
struct Arrived<'a> {
    /// Where its files are; `None`: it was there before.
    begun: Option<Begun<'a>>,
    id: String,
    archive: Archive,
    sums: Vec<u8>,
    seconds: i64,
}

impl<'a> Importer<'a> {
    fn next(&mut self) -> Result<Option<Entry>, ImportError> {
        self.reader.next_entry().map_err(stream)
    }

    /// Returns the name of the archive whose directory `entry` is.
    fn id(entry: &Entry, arrived: &[Arrived<'_>]) -> Result<String, ImportError> {
        let id = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        if !is_id(&id) || arrived.iter().any(|archive| archive.id == id) {
            return Err(ImportError::Name(id));
        }
        let [folder, _] = head();
        expect(entry, &id, &folder)?;
        Ok(id)
    }

    /// Takes the archive whose directory was read.
    fn archive(&mut self, id: String) -> Result<Arrived<'a>, ImportError> {
        let [_, manifest] = head();
        self.member(&id, &manifest)?;
        let json = self.bytes()?;
        let folder = PathBuf::from(&id);
        let manifest = understand(&folder, &json).map_err(ImportError::Open)?;
        if manifest.id != id {
            return Err(ImportError::Name(manifest.id));
        }
        let begun = self.begin(&id, &manifest, &json)?;
        let mut sums = (Vec::new(), 0);
        for member in rest(&manifest) {
            let entry = self.member(&id, &member)?;
            match &member.what {
                What::File { .. } if member.name == SUMS => {
                    sums = (self.bytes()?, entry.modified.seconds);
                }
                _ => self.take(&member, begun.as_ref())?,
            }
        }
        let place = begun.as_ref().map_or(folder, |begun| begun.partial.clone());
        let archive = assemble(&place, &sums.0, &json).map_err(ImportError::Open)?;
        Ok(Arrived {
            begun,
            id,
            archive,
            sums: sums.0,
            seconds: sums.1,
        })
    }

    /// Begins an archive; `None`: it seems to be there, which the sums will show.
    fn begin(
        &self,
        id: &str,
        manifest: &Manifest,
        json: &[u8],
    ) -> Result<Option<Begun<'a>>, ImportError> {
        let target = self.home.join(id);
        if target.symlink_metadata().is_ok() {
            let there = open(&target).map_err(|source| ImportError::Broken {
                archive: id.to_owned(),
                source,
            })?;
            return if there.sums().get(MANIFEST) == Some(&Digest::of(json)) {
                Ok(None)
            } else {
                Err(ImportError::Other(id.to_owned()))
            };
        }
        let partial = partial(self.home, id);
        let failed = failed(&partial);
        discard(self.home, id).map_err(&failed)?;
        make_private_directory(&self.home.join("pool")).map_err(&failed)?;
        self.refuse_without_room(id, manifest)?;
        make_private_directory(&partial).map_err(&failed)?;
        let begun = Begun {
            home: self.home,
            id: id.to_owned(),
            partial,
            is_named: false,
        };
        write(&begun.partial.join(MANIFEST), json)?;
        Ok(Some(begun))
    }

    /// Refuses what surely does not fit before a byte of it is written.
    fn refuse_without_room(&self, id: &str, manifest: &Manifest) -> Result<(), ImportError> {
        let pool = self.home.join("pool");
        let is_there = |sha256: &Digest| pool.join(format!("{sha256}.tar.zst")).exists();
        let needed = rest(manifest)
            .iter()
            .map(|member| match &member.what {
                What::Segment { bytes, sha256 } if !is_there(sha256) => *bytes,
                What::File {
                    length: Length::Exactly(bytes),
                    ..
                } => *bytes,
                _ => 0,
            })
            .fold(0, u64::saturating_add);
        let room = statvfs(&pool).map_err(|error| failed(&pool)(error.into()))?;
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        if needed > free {
            return Err(ImportError::NoRoom {
                archive: id.to_owned(),
                needed,
                free,
            });
        }
        Ok(())
    }

    /// Returns the next entry, which must be this member.
    fn member(&mut self, id: &str, member: &Member) -> Result<Entry, ImportError> {
        let entry = self.next()?.ok_or(ImportError::CutOff)?;
        expect(&entry, id, member)?;
        Ok(entry)
    }

    /// Returns the content of a file whose length was checked.
    fn bytes(&mut self) -> Result<Vec<u8>, ImportError> {
        let mut bytes = Vec::new();
        self.content(&mut bytes)?;
        self.count_entry();
        Ok(bytes)
    }

    /// Brings a member to its place; without a place it is only compared.
    fn take(&mut self, member: &Member, begun: Option<&Begun<'_>>) -> Result<(), ImportError> {
        let place = begun.map(|begun| begun.partial.join(&member.name));
        if let (What::Directory, Some(place)) = (&member.what, &place) {
            return make_new_directory(place).map_err(failed(place));
        }
        let found = match &place {
            Some(place) => {
                let mut file = create_private(place).map_err(failed(place))?;
                self.content(&mut file).map_err(|error| error.at(place))?
            }
            None => self.content(&mut io::sink())?,
        };
        self.count_entry();
        if member
            .what
            .sha256()
            .is_some_and(|expected| expected != found)
        {
            return Err(ImportError::Damaged(member.name.clone()));
        }
        if let (What::Segment { sha256, .. }, Some(place)) = (&member.what, place) {
            // Only now: the pool's name says what the bytes are.
            let pooled = self.home.join("pool").join(format!("{sha256}.tar.zst"));
            share(&place, &pooled).map_err(failed(&place))?;
        }
        Ok(())
    }

    /// Writes the content of the present entry to `out`; returns its digest.
    fn content(&mut self, out: &mut dyn Write) -> Result<Digest, ImportError> {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = self.reader.read_content(&mut buffer).map_err(stream)?;
            if count == 0 {
                return Ok(hasher.finish().0);
            }
            hasher.update(&buffer[..count]);
            out.write_all(&buffer[..count])
                .map_err(failed(Path::new("")))?;
            self.so_far.packed_bytes += count as u64;
            self.so_far.tar_bytes = self.reader.position();
            (self.progress)(self.so_far);
        }
    }

    fn count_entry(&mut self) {
        self.so_far.entries += 1;
        (self.progress)(self.so_far);
    }
}

impl Arrived<'_> {
    /// Reads everything back from the disk: bytes, contents, counts, names.
    fn read_back(&self) -> Result<(), ImportError> {
        let Some(begun) = &self.begun else {
            return Ok(());
        };
        sync(&begun.partial).map_err(failed(&begun.partial))?;
        let verified = verify(&self.archive, &mut |_| {});
        verified.map(drop).map_err(|source| ImportError::Verify {
            archive: self.id.clone(),
            source,
        })
    }

    /// Gives the archive its name.
    fn name(self, home: &Path) -> Result<Imported, ImportError> {
        let path = home.join(&self.id);
        let identity = self.archive.identity();
        let was_there = self.begun.is_none();
        match self.begun {
            None => {
                let there = open(&path).map_err(ImportError::Open)?;
                if there.identity() != identity {
                    return Err(ImportError::Other(self.id));
                }
            }
            Some(mut begun) => {
                seal(&begun.partial, &self.sums, &path).map_err(failed(&path))?;
                begun.is_named = true;
                // When it was made is told by its sums; that it cannot be set costs no byte of the archive.
                let _unset = remember(&path.join(SUMS), self.seconds);
            }
        }
        Ok(Imported {
            id: self.id,
            path,
            identity,
            was_there,
        })
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.is_named {
            // Nobody is left to hear of a failure; the next import of it tries again.
            let _failed = discard(self.home, &self.id);
        }
    }
}

impl ImportError {
    /// Names the file that could not be written.
    fn at(self, place: &Path) -> Self {
        match self {
            Self::Write { source, .. } => failed(place)(source),
            other => other,
        }
    }
}

/// Refuses an entry that is not this member.
fn expect(entry: &Entry, id: &str, member: &Member) -> Result<(), ImportError> {
    let text = |path: &crate::path::TreePath| String::from_utf8_lossy(path.as_bytes()).into_owned();
    let path = member
        .path(id)
        .map_err(|error| stream(ReadError::Path(error)))?;
    let unexpected = || ImportError::Unexpected {
        found: text(&entry.path),
        expected: text(&path),
    };
    if entry.path != path || !entry.xattrs.is_empty() {
        return Err(unexpected());
    }
    let length = match (&member.what, &entry.kind) {
        (What::Directory, Kind::Directory) => return Ok(()),
        (
            What::File { .. } | What::Segment { .. },
            Kind::File {
                size,
                extents: None,
            },
        ) => *size,
        _ => return Err(unexpected()),
    };
    if member.what.fits(length) {
        Ok(())
    } else {
        Err(ImportError::Length(text(&path)))
    }
}

/// Says why the stream cannot be read.
fn stream(error: ReadError) -> ImportError {
    match error {
        ReadError::Read(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            ImportError::CutOff
        }
        error => ImportError::Stream(error),
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> ImportError + use<> {
    let path = path.to_owned();
    move |source| ImportError::Write {
        path: path.clone(),
        source,
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ImportError> {
    let write = || create_private(path)?.write_all(bytes);
    write().map_err(failed(path))
}

/// Makes a directory that nobody else may enter and that was not there.
fn make_new_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

fn remember(path: &Path, seconds: i64) -> io::Result<()> {
    let seconds = u64::try_from(seconds).map_err(io::Error::other)?;
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let file = File::options().write(true).open(path)?;
    file.set_modified(time.ok_or(io::ErrorKind::InvalidInput)?)
}
