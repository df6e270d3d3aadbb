//! Packs small files that no file system has.

use std::collections::BTreeMap;
use std::io;

use crate::cut::Scope;
use crate::entry::{Entry, Kind, Time};
use crate::manifest::SegmentKind;
use crate::pack::{Ending, PackError, PackOptions, end, keep};
use crate::path::TreePath;
use crate::segment::{SegmentBuilder, SegmentError};
use crate::sink::{Next, Sink};

/// A small file that the caller has in memory.
#[derive(Clone)]
pub struct MemoryFile {
    /// Where in the tree; directories on the way are made with mode 0700.
    pub path: TreePath,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner and group.
    pub owner: (u32, u32),
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Describes a file or directory that no file system has, without a time.
fn memory_entry(path: &TreePath, kind: Kind, mode: u32, (uid, gid): (u32, u32)) -> Entry {
    Entry {
        path: path.clone(),
        kind,
        mode,
        uid,
        gid,
        modified: Time {
            seconds: 0,
            nanoseconds: 0,
        },
        xattrs: Vec::new(),
    }
}

/// Packs files from memory, owned by root, with the time 0, as one segment.
pub fn pack_memory(
    files: &[MemoryFile],
    options: &PackOptions,
    sink: &dyn Sink,
) -> Result<Ending, PackError> {
    let mut entries: BTreeMap<TreePath, (Entry, &[u8])> = BTreeMap::new();
    entries.insert(
        TreePath::default(),
        (
            memory_entry(&TreePath::default(), Kind::Directory, 0o700, (0, 0)),
            &[],
        ),
    );
    for file in files {
        let mut path = file.path.clone();
        while let Some((parent, _)) = path.split() {
            entries.insert(
                parent.clone(),
                (memory_entry(&parent, Kind::Directory, 0o700, (0, 0)), &[]),
            );
            path = parent;
        }
    }
    for file in files {
        TreePath::parse(&file.path.member_name()).map_err(PackError::Path)?;
        let kind = Kind::File {
            size: file.bytes.len() as u64,
            extents: None,
        };
        entries.insert(
            file.path.clone(),
            (
                memory_entry(&file.path, kind, file.mode & 0o7777, file.owner),
                &file.bytes,
            ),
        );
    }
    let write = || {
        let mut segment = SegmentBuilder::new(sink.begin(1)?, options.level)?;
        for (entry, bytes) in entries.values() {
            segment.add(entry, Some(*bytes)).map_err(io::Error::other)?;
        }
        let scope = Scope {
            kind: SegmentKind::Rest,
            name: ".".to_owned(),
        };
        keep(sink, 1, segment, &scope, None)?;
        sink.place(Next::Stream(1))?;
        end(sink, 2, options.level)
    };
    write().map_err(|source| PackError::Segment {
        number: 1,
        source: SegmentError::Write(source),
    })?;
    Ok(Ending {
        rules: "memory".to_owned(),
        skipped: Vec::new(),
        skipped_total: 0,
        sockets: 0,
        changed: Vec::new(),
        freeze: None,
        databases: Vec::new(),
    })
}
