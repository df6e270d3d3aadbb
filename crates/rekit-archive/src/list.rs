//! `files.jsonl.zst`: one line for each regular file, with the digest of its content. One zstd frame for each segment.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use serde::{Deserialize, Serialize};
use zstd::zstd_safe::CParameter;

use crate::check::WINDOW_LOG;
use crate::digest::Digest;
use crate::path::TreePath;

/// No line is longer: a path of 4,095 bytes, each written as six.
const LONGEST: u64 = 32 << 10;

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

/// Reads the lines of one segment, one by one: a list that somebody made large shall not fill the memory.
#[derive(Default)]
pub(crate) struct Lines {
    lines: Option<BufReader<zstd::Decoder<'static, Cursor<Vec<u8>>>>>,
    line: Vec<u8>,
}

impl Lines {
    /// Takes the frame of a segment; one without files has none.
    pub(crate) fn new(frame: Vec<u8>) -> io::Result<Self> {
        if frame.is_empty() {
            return Ok(Self::default());
        }
        let mut decoder = zstd::Decoder::with_buffer(Cursor::new(frame))?.single_frame();
        decoder.window_log_max(WINDOW_LOG)?;
        Ok(Self {
            lines: Some(BufReader::new(decoder)),
            line: Vec::new(),
        })
    }

    /// Returns the next file; nothing at the end, after which nothing may follow.
    pub(crate) fn next(&mut self) -> io::Result<Option<FileRecord>> {
        let Some(lines) = &mut self.lines else {
            return Ok(None);
        };
        self.line.clear();
        lines.take(LONGEST).read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() {
            return self.end();
        }
        let line = self.line.strip_suffix(b"\n");
        let line = line.ok_or_else(|| io::Error::other("a line does not end"))?;
        Ok(Some(serde_json::from_slice(line)?))
    }

    fn end(&mut self) -> io::Result<Option<FileRecord>> {
        let rest = self.lines.take().map(|lines| lines.into_inner().finish());
        let is_all = rest.is_none_or(|rest| rest.position() == rest.get_ref().len() as u64);
        if is_all {
            Ok(None)
        } else {
            Err(io::Error::other("bytes after the frame"))
        }
    }
}
