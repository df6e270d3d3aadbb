//! Writes entries as tar headers. Equal entries give equal bytes.

use std::io::{self, Write};

use super::header::{ELEVEN_DIGITS, Header, NAME, SEVEN_DIGITS};
use super::{BLOCK, encode_map, pax};
use crate::entry::{Entry, Kind, Time};

/// Returns the length of what follows the header of this entry, without padding.
pub(crate) fn stored_size(entry: &Entry) -> u64 {
    match &entry.kind {
        Kind::File {
            size,
            extents: None,
        } => *size,
        Kind::File {
            extents: Some(extents),
            ..
        } => {
            let data: u64 = extents.iter().map(|extent| extent.length).sum();
            encode_map(extents).len() as u64 + data
        }
        _ => 0,
    }
}

/// Returns how many zero bytes fill the last block of so many bytes.
pub(crate) fn padding(length: u64) -> u64 {
    length.next_multiple_of(BLOCK as u64) - length
}

/// Writes the header of an entry, with a PAX header where the plain one cannot hold it. The map of a sparse file is
/// part of what follows the header.
pub(crate) fn write_header(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let size = stored_size(entry);
    let mut records = Vec::new();
    let name = names(entry, &mut records);
    let link_name = link_name(entry, &mut records);
    for (key, value, most) in [
        ("size", size, ELEVEN_DIGITS),
        ("uid", u64::from(entry.uid), SEVEN_DIGITS),
        ("gid", u64::from(entry.gid), SEVEN_DIGITS),
    ] {
        if value > most {
            pax::append(&mut records, key.as_bytes(), value.to_string().as_bytes());
        }
    }
    let seconds = modified(entry.modified, &mut records);
    for (key, value) in &entry.xattrs {
        pax::append(&mut records, &pax::escape(key), value);
    }
    if !records.is_empty() {
        write_records(out, &records)?;
    }
    let (typeflag, device) = match &entry.kind {
        Kind::File { .. } => (b'0', None),
        Kind::HardLink { .. } => (b'1', None),
        Kind::Symlink { .. } => (b'2', None),
        Kind::CharacterDevice(device) => (b'3', Some(device)),
        Kind::BlockDevice(device) => (b'4', Some(device)),
        Kind::Directory => (b'5', None),
        Kind::Fifo => (b'6', None),
    };
    let header = Header {
        name,
        mode: u64::from(entry.mode),
        uid: u64::from(entry.uid),
        gid: u64::from(entry.gid),
        size,
        seconds,
        typeflag,
        link_name,
        major: device.map_or(0, |device| u64::from(device.major)),
        minor: device.map_or(0, |device| u64::from(device.minor)),
    };
    out.write_all(&header.encode())
}

/// Writes the two empty blocks that end a tar stream.
pub(crate) fn write_end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

fn names(entry: &Entry, records: &mut Vec<u8>) -> Vec<u8> {
    let mut name = entry.path.member_name();
    match &entry.kind {
        Kind::Directory if !entry.path.is_root() => name.push(b'/'),
        Kind::File {
            size,
            extents: Some(_),
        } => {
            pax::append(records, b"GNU.sparse.major", b"1");
            pax::append(records, b"GNU.sparse.minor", b"0");
            pax::append(records, b"GNU.sparse.name", &name);
            pax::append(records, b"GNU.sparse.realsize", size.to_string().as_bytes());
            return b"./GNUSparseFile.0/file".to_vec();
        }
        _ => {}
    }
    if name.len() > NAME {
        pax::append(records, b"path", &name);
        name.truncate(NAME);
    }
    name
}

fn link_name(entry: &Entry, records: &mut Vec<u8>) -> Vec<u8> {
    let mut link = match &entry.kind {
        Kind::Symlink { target } => target.clone(),
        Kind::HardLink { target } => target.member_name(),
        _ => return Vec::new(),
    };
    if link.len() > NAME {
        pax::append(records, b"linkpath", &link);
        link.truncate(NAME);
    }
    link
}

/// Returns the whole seconds for the header; what they cannot say becomes a record.
fn modified(time: Time, records: &mut Vec<u8>) -> u64 {
    let plain = u64::try_from(time.seconds)
        .ok()
        .filter(|seconds| *seconds <= ELEVEN_DIGITS);
    if let (Some(seconds), 0) = (plain, time.nanoseconds) {
        return seconds;
    }
    pax::append(records, b"mtime", time.to_decimal().as_bytes());
    plain.unwrap_or(0)
}

impl Time {
    /// Writes seconds with their fraction; -1.5 is half a second before -1.
    fn to_decimal(self) -> String {
        let (sign, seconds, nanoseconds) = match (self.seconds, self.nanoseconds) {
            (seconds @ ..0, 0) => ("-", seconds.unsigned_abs(), 0),
            (seconds @ ..0, nanoseconds) => (
                "-",
                (seconds + 1).unsigned_abs(),
                1_000_000_000 - nanoseconds,
            ),
            (seconds, nanoseconds) => ("", seconds.unsigned_abs(), nanoseconds),
        };
        if nanoseconds == 0 {
            return format!("{sign}{seconds}");
        }
        let fraction = format!("{nanoseconds:09}");
        format!("{sign}{seconds}.{}", fraction.trim_end_matches('0'))
    }
}

fn write_records(out: &mut impl Write, records: &[u8]) -> io::Result<()> {
    let header = Header {
        name: b"./PaxHeaders/x".to_vec(),
        mode: 0o600,
        size: records.len() as u64,
        typeflag: b'x',
        ..Header::default()
    };
    out.write_all(&header.encode())?;
    out.write_all(records)?;
    let fill = records.len().next_multiple_of(BLOCK) - records.len();
    out.write_all(&[0; BLOCK][..fill])
}
