//! Threads that place small things while the reader goes on. Making a file mostly waits for the file system, which does several at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::entry::Entry;
use crate::ground::{Folder, Ground};
use crate::place::PlaceError;

/// A batch is handed over when it holds so many things or bytes.
const MOST_PIECES: usize = 32;
const MOST_BYTES: usize = 256 << 10;
/// The reader waits while more than this is handed over and not placed.
const MOST_BYTES_AHEAD: usize = 8 << 20;
const MOST_BATCHES_AHEAD: usize = 32;

/// Returns how many threads place: two even on one core, since they wait for the file system.
pub(crate) fn size() -> usize {
    thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8))
}

/// One thing to place.
struct Piece {
    segment: usize,
    entry: Entry,
    folder: Arc<Folder>,
    content: Range<usize>,
}

/// Things to place, with their contents one after the other.
#[derive(Default)]
pub(crate) struct Batch {
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
    /// Where the content of the next piece begins.
    begins: usize,
    /// Bytes of memory that are not content.
    overhead: usize,
}

impl Batch {
    /// Takes content of the next piece.
    pub(crate) fn content(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds a piece, whose content was taken.
    pub(crate) fn add(&mut self, segment: usize, entry: &Entry, folder: &Arc<Folder>) {
        let content = self.begins..self.bytes.len();
        self.begins = self.bytes.len();
        self.overhead += entry.weight();
        self.pieces.push(Piece {
            segment,
            entry: entry.clone(),
            folder: Arc::clone(folder),
            content,
        });
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pieces.len() >= MOST_PIECES || self.weight() >= MOST_BYTES
    }

    fn weight(&self) -> usize {
        self.bytes.len() + self.overhead
    }

    fn place(self, ground: &Ground) -> Result<(), Failure> {
        for piece in self.pieces {
            let Piece {
                segment,
                entry,
                folder,
                content,
            } = piece;
            ground
                .place(&entry, &self.bytes[content], &folder)
                .and_then(|()| ground.release(folder))
                .map_err(|error| Failure { segment, error })?;
        }
        Ok(())
    }
}

/// What could not be placed, and of which segment it was.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) segment: usize,
    pub(crate) error: PlaceError,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Batch>,
    working: usize,
    /// The weight of what waits and what is worked on.
    bytes: usize,
    failure: Option<Failure>,
    is_over: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.working == 0
    }

    fn has_room(&self) -> bool {
        self.is_idle() || (self.bytes < MOST_BYTES_AHEAD && self.waiting.len() < MOST_BATCHES_AHEAD)
    }

    /// Nothing more is begun.
    fn stop(&mut self) {
        self.is_over = true;
        self.waiting.clear();
    }
}

/// What is handed over to the threads.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

/// Ends the threads, whatever way the reader ends.
pub(crate) struct Closing<'a>(&'a Queue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.state().stop();
        self.0.changed.notify_all();
    }
}

/// A batch being worked on.
struct Working<'a> {
    queue: &'a Queue,
    weight: usize,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.working -= 1;
        state.bytes -= self.weight;
        if thread::panicking() {
            // Nobody shall wait for what never comes.
            state.stop();
        }
        self.queue.changed.notify_all();
    }
}

impl Queue {
    pub(crate) fn closing(&self) -> Closing<'_> {
        Closing(self)
    }

    /// Places what is handed over until there is no more. The first failure ends it for all.
    pub(crate) fn work(&self, ground: &Ground) {
        while let Some((batch, _working)) = self.next() {
            if let Err(failure) = batch.place(ground) {
                let mut state = self.state();
                state.failure.get_or_insert(failure);
                state.stop();
            }
        }
    }

    /// Hands a batch over, when there is room.
    pub(crate) fn give(&self, batch: Batch) -> Result<(), Failure> {
        let mut state = self.wait(|state| state.has_room() || state.is_over);
        if !state.is_over {
            state.bytes += batch.weight();
            state.waiting.push_back(batch);
            self.changed.notify_all();
        }
        state.failure.take().map_or(Ok(()), Err)
    }

    /// Waits until all that was handed over is placed.
    pub(crate) fn idle(&self) -> Result<(), Failure> {
        let mut state = self.wait(State::is_idle);
        state.failure.take().map_or(Ok(()), Err)
    }

    fn next(&self) -> Option<(Batch, Working<'_>)> {
        let mut state = self.wait(|state| state.is_over || !state.waiting.is_empty());
        let batch = state.waiting.pop_front()?;
        state.working += 1;
        let weight = batch.weight();
        Some((
            batch,
            Working {
                queue: self,
                weight,
            },
        ))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, until: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let guard = self.changed.wait_while(self.state(), |state| !until(state));
        guard.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Kind, Time};
    use crate::path::TreePath;
    use crate::unpack::Owners;

    fn entry(path: &str, kind: Kind) -> Entry {
        Entry {
            path: TreePath::parse(path.as_bytes()).expect("parses"),
            kind,
            mode: 0o600,
            uid: 0,
            gid: 0,
            modified: Time {
                seconds: 0,
                nanoseconds: 0,
            },
            xattrs: Vec::new(),
        }
    }

    fn file(path: &str, size: u64) -> Entry {
        let extents = None;
        entry(path, Kind::File { size, extents })
    }

    /// Runs `act` with two threads that place below a new directory.
    fn with_crew<T>(act: impl FnOnce(&Queue, &Arc<Folder>) -> T) -> (tempfile::TempDir, T) {
        let target = tempfile::tempdir().expect("made");
        let handle = std::fs::File::open(target.path()).expect("opens");
        let ground = Ground::new(target.path(), handle.into(), Owners::Own);
        let root = ground.root(&entry("./", Kind::Directory));
        let queue = Queue::default();
        let done = thread::scope(|scope| {
            let _closing = queue.closing();
            for _ in 0..2 {
                scope.spawn(|| queue.work(&ground));
            }
            act(&queue, &root)
        });
        (target, done)
    }

    fn batch(segment: usize, files: impl IntoIterator<Item = String>, root: &Arc<Folder>) -> Batch {
        let mut batch = Batch::default();
        for path in files {
            batch.content(path.as_bytes());
            batch.add(segment, &file(&path, path.len() as u64), root);
        }
        batch
    }

    #[test]
    fn each_file_gets_its_own_content() {
        let (target, ()) = with_crew(|queue, root| {
            for number in 0..50 {
                let files = (0..20).map(|file| format!("{number}-{file}"));
                queue.give(batch(0, files, root)).expect("given");
            }
            queue.idle().expect("placed");
        });
        for number in 0..50 {
            for file in 0..20 {
                let name = format!("{number}-{file}");
                let content = std::fs::read(target.path().join(&name)).expect("readable");
                assert_eq!(content, name.as_bytes());
            }
        }
    }

    #[test]
    fn a_failure_ends_all_and_names_its_own_segment() {
        let (_target, failure) = with_crew(|queue, root| {
            let twice = ["a", "a"].map(str::to_owned);
            let given = queue.give(batch(3, twice, root));
            let later = (0..10_000).map(|number| {
                let files = (0..4).map(|file| format!("{number}-{file}"));
                queue.give(batch(4, files, root))
            });
            // Nobody waits for what is never placed.
            std::iter::once(given).chain(later).find_map(Result::err)
        });
        let failure = failure.expect("the second of a name is refused");
        assert_eq!(failure.segment, 3);
        assert_eq!(failure.error.to_string(), "could not create `a`");
    }
}
