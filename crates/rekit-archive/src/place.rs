//! Places entries in the order of the stream, which `order` holds: so each parent is a directory that we made ourselves.
//!
//! Directories and large files are made at once, small things by the threads of `crew`, further names when what they name
//! is there. A directory gets its owner, mode, attributes and times when the last thing in it has been placed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use thiserror::Error;

use crate::check::Visitor;
use crate::crew::{Batch, Failure, Queue};
use crate::entry::{Device, Entry, Kind};
use crate::ground::{Folder, Ground};
use crate::path::TreePath;
use crate::unpack::Devices;

/// Larger files are written as they are read.
const SMALL: u64 = 128 << 10;
/// So many further names may wait for what they name.
const MOST_LINKS: usize = 1024;

/// An entry could not be placed.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// The file system refused.
    #[error("could not {action} `{path}`")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The entry.
        path: TreePath,
        /// The cause.
        source: io::Error,
    },
    /// A device where the caller allows none.
    #[error("`{0}` is a device, and only whiteouts are allowed")]
    Device(TreePath),
}

pub(crate) fn refused(
    action: &'static str,
    entry: &Entry,
) -> impl FnOnce(rustix::io::Errno) -> PlaceError {
    move |source| failed(action, entry)(source.into())
}

fn failed(action: &'static str, entry: &Entry) -> impl FnOnce(io::Error) -> PlaceError {
    move |source| PlaceError::Refused {
        action,
        path: entry.path.clone(),
        source,
    }
}

/// A further name that is not made yet.
struct Link {
    segment: usize,
    entry: Entry,
    folder: Arc<Folder>,
}

pub(crate) struct Placer<'a> {
    ground: &'a Ground,
    queue: &'a Queue,
    devices: Devices,
    /// Which segment is read, and of which one something could not be placed.
    segment: usize,
    failed_segment: Option<usize>,
    /// Directories that the stream has not left, outermost first.
    unfinished: Vec<Arc<Folder>>,
    links: Vec<Link>,
    batch: Batch,
    /// The file that is written as it is read.
    file: Option<File>,
}

impl<'a> Placer<'a> {
    pub(crate) fn new(ground: &'a Ground, queue: &'a Queue, devices: Devices) -> Self {
        Self {
            ground,
            queue,
            devices,
            segment: 0,
            failed_segment: None,
            unfinished: Vec::new(),
            links: Vec::new(),
            batch: Batch::default(),
            file: None,
        }
    }

    /// Says which segment comes next.
    pub(crate) fn begin(&mut self, segment: usize) {
        self.segment = segment;
    }

    /// Returns the segment of what could not be placed, which may be an earlier one than that which is read.
    pub(crate) fn failed_segment(&self) -> usize {
        self.failed_segment.unwrap_or(self.segment)
    }

    /// Places all that waits, and finishes the directories that are left.
    pub(crate) fn finish(&mut self) -> Result<(), PlaceError> {
        self.make_links()?;
        while let Some(folder) = self.unfinished.pop() {
            self.ground.release(folder)?;
        }
        Ok(())
    }

    fn leave(&mut self, next: &TreePath) -> Result<(), PlaceError> {
        while let Some(folder) = self
            .unfinished
            .pop_if(|folder| !next.is_within(folder.path()))
        {
            self.ground.release(folder)?;
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), PlaceError> {
        let given = self.queue.give(std::mem::take(&mut self.batch));
        given.map_err(|failure| self.note(failure))
    }

    fn make_links(&mut self) -> Result<(), PlaceError> {
        self.hand_over()?;
        self.queue.idle().map_err(|failure| self.note(failure))?;
        for Link {
            segment,
            entry,
            folder,
        } in std::mem::take(&mut self.links)
        {
            let Kind::HardLink { target } = &entry.kind else {
                continue;
            };
            let linked = self.ground.link(&entry, target, &folder);
            linked
                .and_then(|()| self.ground.release(folder))
                .map_err(|error| self.note(Failure { segment, error }))?;
        }
        Ok(())
    }

    fn note(&mut self, failure: Failure) -> PlaceError {
        self.failed_segment = Some(failure.segment);
        failure.error
    }

    fn may_be_made(&self, entry: &Entry) -> Result<(), PlaceError> {
        let is_device = match entry.kind {
            Kind::CharacterDevice(device) => device != Device::WHITEOUT,
            Kind::BlockDevice(_) => true,
            _ => false,
        };
        if is_device && self.devices == Devices::OnlyWhiteouts {
            return Err(PlaceError::Device(entry.path.clone()));
        }
        Ok(())
    }
}

fn is_small(kind: &Kind) -> bool {
    match kind {
        Kind::File { size, extents } => *size <= SMALL && extents.is_none(),
        Kind::Directory | Kind::HardLink { .. } => false,
        _ => true,
    }
}

impl Visitor for Placer<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<(), PlaceError> {
        self.leave(&entry.path)?;
        self.may_be_made(entry)?;
        let Some(parent) = self.unfinished.last() else {
            self.unfinished.push(self.ground.root(entry));
            return Ok(());
        };
        match &entry.kind {
            Kind::Directory => {
                let folder = self.ground.folder(entry, parent)?;
                self.unfinished.push(folder);
            }
            Kind::HardLink { .. } => {
                self.links.push(Link {
                    segment: self.segment,
                    entry: entry.clone(),
                    folder: Arc::clone(parent),
                });
                if self.links.len() >= MOST_LINKS {
                    self.make_links()?;
                }
            }
            kind if is_small(kind) => {}
            _ => self.file = Some(self.ground.create(entry, parent)?),
        }
        Ok(())
    }

    fn content(&mut self, entry: &Entry, offset: u64, bytes: &[u8]) -> Result<(), PlaceError> {
        let Some(file) = &self.file else {
            self.batch.content(bytes);
            return Ok(());
        };
        let written = file.write_all_at(bytes, offset);
        written.map_err(failed("write", entry))
    }

    fn end(&mut self, entry: &Entry) -> Result<(), PlaceError> {
        let Some(file) = self.file.take() else {
            return self.end_small(entry);
        };
        if let Kind::File {
            size,
            extents: Some(_),
        } = &entry.kind
        {
            file.set_len(*size).map_err(failed("write", entry))?;
        }
        self.ground.settle(&file, entry)
    }
}

impl Placer<'_> {
    fn end_small(&mut self, entry: &Entry) -> Result<(), PlaceError> {
        if !is_small(&entry.kind) {
            return Ok(());
        }
        if let Some(parent) = self.unfinished.last() {
            self.batch.add(self.segment, entry, parent);
        }
        if self.batch.is_full() {
            self.hand_over()?;
        }
        Ok(())
    }
}
