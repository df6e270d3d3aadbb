//! Packs, verifies and unpacks a state tree exactly. Knows nothing of Docker.
//!
//! - [`ArchiveWriter`] builds an archive: trees, files, metadata; `SHA256SUMS` is written last.
//! - [`verify`] reads everything back; only it can make a [`Verified`].
//! - [`unpack`] puts a tree back into an empty directory.
//! - [`export`] writes archives into one file; [`import`] takes them out of it again.
//! - [`wire`] carries a tree over a pipe, to and from the static helper.
//! - [`write_listing`] is the independent comparer.
//! - [`contradictions`] finds what a state names and does not have.
//!
//! The format is written up in `docs/formats/archive.md`.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the archive is one of the three doors to the file system"
)]

mod archive;
mod beneath;
mod bolt;
mod check;
mod compare;
mod contradictions;
mod count;
mod crew;
mod cut;
mod databases;
mod digest;
mod entry;
mod export;
mod ground;
mod import;
mod layout;
mod list;
mod live;
mod manifest;
mod memory;
mod order;
mod pack;
mod path;
mod place;
mod pool;
mod removal;
mod restore;
mod rules;
mod segment;
mod settle;
mod sink;
mod snapshots;
mod source;
mod staging;
mod sums;
mod tar;
mod unpack;
mod verify;
mod walk;
pub mod wire;
mod writer;

pub use archive::{Archive, OpenError, open};
pub use compare::{CompareOptions, ListingError, tree_digest, write_listing};
pub use contradictions::{Contradiction, ContradictionKind, contradictions};
pub use databases::DatabaseRecord;
pub use digest::{Digest, ParseDigestError};
pub use export::{ExportError, export};
pub use import::{ImportError, Imported, import};
pub use live::{Freeze, Freezer, LiveError, Mounts, Running, Watchdog, watch};
pub use manifest::{
    Consistency, Counts, FileInManifest, Manifest, SegmentKind, SegmentRecord, Skipped, TreeRecord,
};
pub use memory::{MemoryFile, pack_memory};
pub use pack::{Changes, Ending, PackError, PackOptions, Progress, pack};
pub use path::{PathError, TreePath};
pub use pool::sweep;
pub use removal::{removable_bytes, remove};
pub use rules::{
    Rule, Rules, Treatment, buildkit_state_rules, engine_layers_rules, engine_parts_rules,
    plain_rules,
};
pub use segment::SegmentError;
pub use sink::{NewSegment, Next, Sealed, Sink, StreamWriter};
pub use tar::ReadError;
pub use unpack::{Devices, Owners, UnpackError, UnpackOptions, Unpacked, unpack};
pub use verify::{Fault, FaultKind, Verified, VerifyError, verify};
pub use writer::{ArchiveWriter, Finished, MetadataOfArchive, WriteError, discard};
