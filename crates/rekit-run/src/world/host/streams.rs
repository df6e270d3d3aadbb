//! Streams of bytes that leave and arrive: new files that appear only when they are whole, and files that are read once.

#![expect(clippy::disallowed_types, reason = "this is the one door to files")]

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::ReadError;

/// Where bytes go. One that is dropped before it is finished leaves nothing that looks whole.
pub trait Outlet: Write + Send {
    /// Ends the bytes.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// A pipe, such as stdout.
#[derive(Debug)]
pub struct Pipe<W>(pub W);

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send> Outlet for Pipe<W> {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.0.flush()
    }
}

/// A file that gets its name when it is finished; only its owner may read it.
struct NewFile {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

/// Begins a file that must not be there yet.
pub fn new_file(path: &Path) -> Result<Box<dyn Outlet>, ReadError> {
    if path.symlink_metadata().is_ok() {
        let exists = io::Error::from(rustix::io::Errno::EXIST);
        return Err(ReadError::System(exists));
    }
    // Beside its place, so that the name can be given without a copy; tempfile makes it mode 0600.
    let beside = tempfile::Builder::new()
        .prefix(".rekit-")
        .tempfile_in(folder_of(path))
        .map_err(|error| ReadError::System(bare(error)))?;
    Ok(Box::new(NewFile {
        file: BufWriter::with_capacity(256 << 10, beside),
        path: path.to_owned(),
    }))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Outlet for NewFile {
    fn finish(self: Box<Self>) -> io::Result<()> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&self.path)
            .map_err(|error| error.error)?;
        File::open(folder_of(&self.path))?.sync_all()
    }
}

/// Opens a file, pipe or device to be read once.
pub fn source(path: &Path) -> Result<Box<dyn Read + Send>, ReadError> {
    let file = File::open(path).map_err(ReadError::System)?;
    if file.metadata().map_err(ReadError::System)?.is_dir() {
        return Err(ReadError::NotAFile);
    }
    Ok(Box::new(file))
}

/// Returns the system's own error: tempfile adds the name that it tried, which nobody knows.
fn bare(error: io::Error) -> io::Error {
    error
        .get_ref()
        .and_then(std::error::Error::source)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error)
        .map_or(error, io::Error::from_raw_os_error)
}
