//! POSIX tar with PAX headers, written and read by ourselves: the usual readers lose what we must keep.

mod header;
mod pax;
mod read;
mod sparse;
mod write;

pub use read::ReadError;
pub(crate) use read::TarReader;
pub(crate) use sparse::{MOST_EXTENTS, encode_map};
pub(crate) use write::{padding, stored_size, write_end, write_header};

/// The unit of a tar stream.
pub(crate) const BLOCK: usize = 512;
