//! Archives that leave in one file and come back: plain code on a thread, as all archive work.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rekit_archive::{Archive, ExportError, Imported, TreeRecord};
use rekit_core::{event::Event, fact::chain};

use super::{
    Answer, WorldError,
    archive::{on_thread, open},
};
use crate::{
    exchange::NoImport,
    sealing::{self, Identities},
    world::host::Outlet,
};

/// Whether a person asked to stop, for a thread that cannot be asked.
type Stop = Arc<AtomicBool>;

/// Bytes on their way, which end when a person asks to stop.
struct Stoppable<T> {
    inner: T,
    stop: Stop,
}

impl<T> Stoppable<T> {
    fn pass(&self) -> io::Result<()> {
        // `Interrupted` would only be tried again.
        if self.stop.load(Ordering::Relaxed) {
            Err(io::Error::other("interrupted, as asked"))
        } else {
            Ok(())
        }
    }
}

impl<T: Write> Write for Stoppable<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pass()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Stoppable<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.pass()?;
        self.inner.read(bytes)
    }
}

/// Passes events on, and sets `stop` when `interrupt` says so.
fn watched<'a>(
    stop: &Stop,
    interrupt: &'a dyn Fn() -> bool,
    listener: &'a dyn Fn(Event),
) -> impl Fn(Event) + 'a {
    let stop = Arc::clone(stop);
    move |event| {
        if interrupt() {
            stop.store(true, Ordering::Relaxed);
        }
        listener(event);
    }
}

/// Writes archives into one stream, each compared with its sums on the way; returns their identities.
pub(crate) async fn export(
    archives: &[PathBuf],
    out: Box<dyn Outlet>,
    interrupt: &dyn Fn() -> bool,
    listener: &dyn Fn(Event),
) -> Answer<Vec<Archive>> {
    let archives = archives.iter().map(|path| open(path));
    let archives: Vec<_> = archives.collect::<Answer<_>>()?;
    let trees = archives
        .iter()
        .flat_map(|archive| &archive.manifest().trees);
    let total = trees.map(TreeRecord::packed_bytes).sum();
    let stop = Stop::default();
    let heard = watched(&stop, interrupt, listener);
    let mut out = Stoppable {
        inner: out,
        stop: Arc::clone(&stop),
    };
    let work = move |progress: &mut dyn FnMut(rekit_archive::Progress)| {
        rekit_archive::export(&archives, &mut out, progress)?;
        out.inner.finish().map_err(ExportError::Write)?;
        Ok(archives)
    };
    let exported: Result<_, ExportError> = on_thread(&heard, total, work).await?;
    exported.map_err(|error| match error {
        _ if interrupt() => WorldError::Interrupted,
        ExportError::Damaged(_) | ExportError::Contradiction(_) => {
            WorldError::Refused { why: chain(&error) }
        }
        error => WorldError::failed("the archive cannot be exported", error),
    })
}

/// Takes archives out of one stream into `home`; the inner error is the stream's.
pub(crate) async fn import(
    home: PathBuf,
    (input, identities): (Box<dyn Read + Send>, Option<Identities>),
    interrupt: &dyn Fn() -> bool,
    listener: &dyn Fn(Event),
) -> Answer<Result<Vec<Imported>, NoImport>> {
    let stop = Stop::default();
    let heard = watched(&stop, interrupt, listener);
    let input = Stoppable {
        inner: input,
        stop: Arc::clone(&stop),
    };
    let work = move |progress: &mut dyn FnMut(rekit_archive::Progress)| {
        let mut input = sealing::opened(Box::new(input), identities.as_ref())?;
        Ok(rekit_archive::import(&home, &mut input, progress)?)
    };
    // Nobody says how long the stream is.
    let imported: Result<_, NoImport> = on_thread(&heard, 0, work).await?;
    if imported.is_err() && interrupt() {
        return Err(WorldError::Interrupted);
    }
    Ok(imported)
}
