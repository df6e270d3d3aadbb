//! The 512-byte ustar header.

use super::BLOCK;

/// The fields that we use, as they stand in the block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) mode: u64,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) seconds: u64,
    pub(super) typeflag: u8,
    pub(super) link_name: Vec<u8>,
    pub(super) major: u64,
    pub(super) minor: u64,
}

/// The largest number of a field with 7 and with 11 octal digits.
pub(super) const SEVEN_DIGITS: u64 = 0o7_777_777;
pub(super) const ELEVEN_DIGITS: u64 = 0o77_777_777_777;
/// The length of the name fields.
pub(super) const NAME: usize = 100;

impl Header {
    /// Writes the block; names are cut and numbers that do not fit are 0: a PAX record carries them.
    pub(super) fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        put_bytes(&mut block[0..100], &self.name);
        put_number(&mut block[100..108], self.mode);
        put_number(&mut block[108..116], self.uid);
        put_number(&mut block[116..124], self.gid);
        put_number(&mut block[124..136], self.size);
        put_number(&mut block[136..148], self.seconds);
        block[156] = self.typeflag;
        put_bytes(&mut block[157..257], &self.link_name);
        block[257..265].copy_from_slice(b"ustar\x0000");
        put_number(&mut block[329..337], self.major);
        put_number(&mut block[337..345], self.minor);
        let sum = format!("{:06o}\0 ", checksum(&block));
        block[148..156].copy_from_slice(sum.as_bytes());
        block
    }

    /// Reads a block; nothing if it is no ustar header or its checksum is wrong.
    pub(super) fn decode(block: &[u8; BLOCK]) -> Option<Self> {
        if &block[257..265] != b"ustar\x0000" || number(&block[148..156])? != checksum(block) {
            return None;
        }
        Some(Self {
            name: until_zero(&block[0..100]),
            mode: number(&block[100..108])?,
            uid: number(&block[108..116])?,
            gid: number(&block[116..124])?,
            size: number(&block[124..136])?,
            seconds: number(&block[136..148])?,
            typeflag: block[156],
            link_name: until_zero(&block[157..257]),
            major: number(&block[329..337])?,
            minor: number(&block[337..345])?,
        })
    }
}

fn checksum(block: &[u8; BLOCK]) -> u64 {
    let (before, after) = (&block[..148], &block[156..]);
    let sum: u64 = before
        .iter()
        .chain(after)
        .map(|byte| u64::from(*byte))
        .sum();
    sum + 8 * u64::from(b' ')
}

fn put_bytes(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

fn put_number(field: &mut [u8], value: u64) {
    let mut rest = value;
    let Some((last, digits)) = field.split_last_mut() else {
        return;
    };
    *last = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest & 7).to_le_bytes()[0];
        rest >>= 3;
    }
    if rest != 0 {
        digits.fill(b'0');
    }
}

/// Reads octal digits that end with a zero byte or a space.
fn number(field: &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    for byte in field {
        match byte {
            b'0'..=b'7' => value = value.checked_mul(8)? + u64::from(byte - b'0'),
            0 | b' ' => break,
            _ => return None,
        }
    }
    Some(value)
}

fn until_zero(field: &[u8]) -> Vec<u8> {
    field
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default()
        .to_vec()
}
