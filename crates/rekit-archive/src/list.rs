//! `files.jsonl.zst`: one line for each regular file, with the digest of its content. One zstd frame for each segment.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use zstd::zstd_safe::CParameter;

use crate::digest::Digest;
use crate::path::TreePath;

/// A frame that grows beyond this is refused.
const MOST_BYTES: u64 = 512 << 20;

/// One regular file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileRecord {
    pub(crate) path: TreePath,
    pub(crate) size: u64,
    /// The digest of what stands in the tar stream: the content, for a sparse file its map and its data.
    pub(crate) sha256: Digest,
}

/// Compresses the lines of one segment; no lines give no frame.
pub(crate) fn pack(records: &[FileRecord]) -> io::Result<Vec<u8>> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let mut lines = Vec::new();
    for record in records {
        serde_json::to_writer(&mut lines, record)?;
        lines.push(b'\n');
    }
    let mut compressor = zstd::bulk::Compressor::new(1)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    compressor.compress(&lines)
}

/// Reads the lines of one segment.
pub(crate) fn unpack(frame: &[u8]) -> io::Result<Vec<FileRecord>> {
    if frame.is_empty() {
        return Ok(Vec::new());
    }
    let mut decoder = zstd::Decoder::with_buffer(frame)?.single_frame();
    let mut lines = Vec::new();
    (&mut decoder).take(MOST_BYTES).read_to_end(&mut lines)?;
    if !decoder.finish().is_empty() || lines.len() as u64 == MOST_BYTES {
        return Err(io::Error::other("the frame is longer than allowed"));
    }
    let lines = lines
        .strip_suffix(b"\n")
        .ok_or_else(|| io::Error::other("the last line does not end"))?;
    lines
        .split(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).map_err(io::Error::from))
        .collect()
}
