//! Reads a stretch of a tar stream that we wrote. Whatever we would not write is refused.

use std::io::{self, Read};

use thiserror::Error;

use super::header::Header;
use super::sparse::MapReader;
use super::{BLOCK, padding, pax, stored_size};
use crate::entry::{Device, Entry, Kind, Time};
use crate::path::{PathError, TreePath};

/// The longest PAX header. Attributes are at most 64 KiB each; a hostile header shall not fill the memory.
const MOST_RECORDS: u64 = 16 << 20;

/// The tar stream cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Reading or decompressing failed.
    #[error("could not read the tar stream")]
    Read(#[source] io::Error),
    /// A block is no ustar header or its checksum is wrong.
    #[error("a block of the tar stream is no header")]
    NoHeader,
    /// A type of entry that we do not write.
    #[error("unknown type of entry `{}`", char::from(*.0))]
    UnknownType(u8),
    /// A PAX header that is malformed, too long or unknown.
    #[error("malformed header record `{0}`")]
    Record(String),
    /// A path that cannot stand in a tree.
    #[error("a path of the tar stream is not allowed")]
    Path(#[source] PathError),
    /// A number out of its range.
    #[error("`{path}` has an impossible {field}")]
    Absurd {
        /// The entry.
        path: TreePath,
        /// The field.
        field: &'static str,
    },
}

/// Yields the entries of a stretch of a tar stream, with their contents.
pub(crate) struct TarReader<R> {
    input: R,
    /// Bytes of the present entry's content that are still to be read.
    left: u64,
    fill: u64,
    /// Bytes of the tar stream read so far.
    position: u64,
    /// Whether the end mark was read.
    is_ended: bool,
}

#[derive(Default)]
struct Records {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    modified: Option<Time>,
    sparse_name: Option<Vec<u8>>,
    sparse_size: Option<u64>,
    sparse_version: (Option<u64>, Option<u64>),
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            left: 0,
            fill: 0,
            position: 0,
            is_ended: false,
        }
    }

    /// Returns whether the end mark was read: without it the input may be cut off.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Returns the number of bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Returns what was read from.
    pub(crate) fn into_inner(self) -> R {
        self.input
    }

    /// Returns the next entry; nothing at the end. The content of the last one must have been read or is skipped.
    /// For a sparse file the map has been read, and its data follows.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        self.skip_content()?;
        let Some(mut header) = self.header()? else {
            return Ok(None);
        };
        let mut records = Records::default();
        if header.typeflag == b'x' {
            records = self.records(header.size)?;
            header = self.header()?.ok_or(ReadError::NoHeader)?;
        }
        let entry = self.entry(&header, records)?;
        Ok(Some(entry))
    }

    /// Reads content of the present entry.
    pub(crate) fn read_content(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self
            .input
            .read(&mut buffer[..most])
            .map_err(ReadError::Read)?;
        if count == 0 {
            return Err(ReadError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        self.left -= count as u64;
        self.position += count as u64;
        Ok(count)
    }

    fn skip_content(&mut self) -> Result<(), ReadError> {
        let mut buffer = [0; 8 * BLOCK];
        while self.read_content(&mut buffer)? > 0 {}
        let fill = usize::try_from(std::mem::take(&mut self.fill)).unwrap_or(0);
        self.read_exact(&mut buffer[..fill])?;
        if buffer[..fill].iter().any(|byte| *byte != 0) {
            return Err(ReadError::Record("padding".to_owned()));
        }
        Ok(())
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.input.read_exact(buffer).map_err(ReadError::Read)?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    /// Reads a header; nothing at the end of the input or at the end mark, after which nothing may follow.
    fn header(&mut self) -> Result<Option<Header>, ReadError> {
        let mut block = [0; BLOCK];
        if self.input.read(&mut block[..1]).map_err(ReadError::Read)? == 0 {
            return Ok(None);
        }
        self.position += 1;
        self.read_exact(&mut block[1..])?;
        if block == [0; BLOCK] {
            self.read_exact(&mut block)?;
            let mut more = [0];
            let at_end = self.input.read(&mut more).map_err(ReadError::Read)? == 0;
            self.is_ended = at_end && block == [0; BLOCK];
            return if self.is_ended {
                Ok(None)
            } else {
                Err(ReadError::NoHeader)
            };
        }
        Header::decode(&block).map(Some).ok_or(ReadError::NoHeader)
    }

    fn records(&mut self, length: u64) -> Result<Records, ReadError> {
        let wrong = |key: &[u8]| {
            ReadError::Record(String::from_utf8_lossy(&key[..key.len().min(80)]).into_owned())
        };
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length as u64 <= MOST_RECORDS);
        let mut bytes = vec![0; length.ok_or_else(|| wrong(b"too long"))?];
        self.read_exact(&mut bytes)?;
        self.fill = padding(bytes.len() as u64);
        self.skip_content()?;
        let mut records = Records::default();
        for (key, value) in pax::split(&bytes).ok_or_else(|| wrong(b"not a record"))? {
            records.take(key, value).ok_or_else(|| wrong(key))?;
        }
        Ok(records)
    }

    fn entry(&mut self, header: &Header, records: Records) -> Result<Entry, ReadError> {
        let is_sparse = records.sparse_name.is_some();
        let name = records
            .sparse_name
            .or(records.path)
            .unwrap_or_else(|| header.name.clone());
        let path = TreePath::parse(&name).map_err(ReadError::Path)?;
        let absurd = |field| ReadError::Absurd {
            path: path.clone(),
            field,
        };
        let narrow = |value: u64, field| u32::try_from(value).map_err(|_| absurd(field));
        let size = records.size.unwrap_or(header.size);
        let link = records.link.unwrap_or_else(|| header.link_name.clone());
        let device = Device {
            major: narrow(header.major, "device")?,
            minor: narrow(header.minor, "device")?,
        };
        let mut entry = Entry {
            path: path.clone(),
            kind: kind(header.typeflag, size, link, device)?,
            mode: narrow(header.mode, "mode")?,
            uid: narrow(records.uid.unwrap_or(header.uid), "uid")?,
            gid: narrow(records.gid.unwrap_or(header.gid), "gid")?,
            modified: records.modified.unwrap_or(Time {
                seconds: i64::try_from(header.seconds).map_err(|_| absurd("time"))?,
                nanoseconds: 0,
            }),
            xattrs: records.xattrs,
        };
        let is_file = matches!(entry.kind, Kind::File { .. });
        if size > i64::MAX as u64 || (size > 0 && !is_file) {
            return Err(absurd("size"));
        }
        if entry.mode > 0o7777 {
            return Err(absurd("mode"));
        }
        if matches!(entry.kind, Kind::HardLink { .. }) && !entry.xattrs.is_empty() {
            return Err(absurd("attribute"));
        }
        (self.left, self.fill) = (size, padding(size));
        if is_sparse {
            let full = records
                .sparse_size
                .filter(|_| is_file && records.sparse_version == (Some(1), Some(0)));
            self.map(&mut entry, full.ok_or_else(|| absurd("sparse header"))?)?;
        }
        Ok(entry)
    }

    /// Reads the map of a sparse file of `full` bytes.
    fn map(&mut self, entry: &mut Entry, full: u64) -> Result<(), ReadError> {
        let absurd = || ReadError::Absurd {
            path: entry.path.clone(),
            field: "sparse map",
        };
        let stored = self.left;
        let mut map = MapReader::default();
        let mut block = [0; BLOCK];
        loop {
            self.left = self.left.checked_sub(BLOCK as u64).ok_or_else(absurd)?;
            self.read_exact(&mut block)?;
            if map.take(&block).ok_or_else(absurd)? {
                break;
            }
        }
        let extents = map
            .extents(full)
            .filter(|_| i64::try_from(full).is_ok())
            .ok_or_else(absurd)?;
        let wrong = absurd();
        entry.kind = Kind::File {
            size: full,
            extents: Some(extents),
        };
        if stored_size(entry) == stored {
            Ok(())
        } else {
            Err(wrong)
        }
    }
}

fn kind(typeflag: u8, size: u64, link: Vec<u8>, device: Device) -> Result<Kind, ReadError> {
    Ok(match typeflag {
        b'0' => Kind::File {
            size,
            extents: None,
        },
        b'1' => Kind::HardLink {
            target: TreePath::parse(&link).map_err(ReadError::Path)?,
        },
        b'2' if link.is_empty() || link.contains(&0) || link.len() > 4095 => {
            return Err(ReadError::Record("linkpath".to_owned()));
        }
        b'2' => Kind::Symlink { target: link },
        b'3' => Kind::CharacterDevice(device),
        b'4' => Kind::BlockDevice(device),
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => return Err(ReadError::UnknownType(other)),
    })
}

impl Records {
    /// Takes one record; nothing if it is unknown, malformed or comes twice.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
            slot.replace(value).is_none().then_some(())
        }
        match key {
            b"path" => once(&mut self.path, value.to_vec()),
            b"linkpath" => once(&mut self.link, value.to_vec()),
            b"size" => once(&mut self.size, decimal(value)?),
            b"uid" => once(&mut self.uid, decimal(value)?),
            b"gid" => once(&mut self.gid, decimal(value)?),
            b"mtime" => once(&mut self.modified, time(value)?),
            b"GNU.sparse.major" => once(&mut self.sparse_version.0, decimal(value)?),
            b"GNU.sparse.minor" => once(&mut self.sparse_version.1, decimal(value)?),
            b"GNU.sparse.name" => once(&mut self.sparse_name, value.to_vec()),
            b"GNU.sparse.realsize" => once(&mut self.sparse_size, decimal(value)?),
            _ => {
                let name = pax::unescape(key.strip_prefix(pax::XATTR)?);
                let ascends = self.xattrs.last().is_none_or(|(last, _)| *last < name);
                let fits = !name.is_empty()
                    && name.len() < 256
                    && !name.contains(&0)
                    && value.len() <= 65_536;
                self.xattrs.push((name, value.to_vec()));
                (ascends && fits).then_some(())
            }
        }
    }
}

fn decimal(value: &[u8]) -> Option<u64> {
    let plain = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| plain)?.parse().ok()
}

/// Reads what `Time::to_decimal` writes.
fn time(value: &[u8]) -> Option<Time> {
    let (negative, digits) = value
        .strip_prefix(b"-")
        .map_or((false, value), |rest| (true, rest));
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or(b"0");
    if fraction.len() > 9 {
        return None;
    }
    let scale = 10_u64.pow(9 - u32::try_from(fraction.len()).ok()?);
    let nanoseconds = u32::try_from(decimal(fraction)? * scale).ok()?;
    Some(match (negative, nanoseconds) {
        (false, _) => Time {
            seconds,
            nanoseconds,
        },
        (true, 0) => Time {
            seconds: -seconds,
            nanoseconds,
        },
        (true, _) => Time {
            seconds: -seconds - 1,
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    })
}
