//! Real texts with damage in them, as power cuts, editors, copies and people leave it.

use proptest::prelude::*;

/// One damage: its kind, where, and how much.
pub(crate) type Damage = (u8, usize, usize);

/// What is put into a text.
const TOKENS: &[&[u8]] = &[
    b"\"",
    b"'",
    b"\"\"\"",
    b"[",
    b"]",
    b"{",
    b"}",
    b"=",
    b":",
    b",",
    b"#",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff\xfe",
    b"\xc3",
    b"\xef\xbb\xbf",
    "ö".as_bytes(),
    "\u{202e}".as_bytes(),
    b"null",
    b"true",
    b"-1e999",
    b"99999999999999999999999999",
    b"0x7fffffffffffffff",
    b"://",
    b"@",
    b"*",
    b"***",
    b"-----BEGIN PRIVATE KEY-----",
    b"--mount=type=cache,",
    b"$",
    b"${",
];

/// Chooses a few damages.
pub(crate) fn damages() -> impl Strategy<Value = Vec<Damage>> {
    proptest::collection::vec(any::<Damage>(), 1..5)
}

/// Returns a text with damages in it.
pub(crate) fn damaged(text: &[u8], damages: &[Damage]) -> Vec<u8> {
    damages
        .iter()
        .fold(text.to_vec(), |bytes, damage| damage_once(bytes, *damage))
}

fn damage_once(mut bytes: Vec<u8>, (kind, at, length): Damage) -> Vec<u8> {
    let at = at % (bytes.len() + 1);
    let end = at + length % (bytes.len() - at + 1);
    match kind % 11 {
        // A write that was cut off.
        0 => bytes.truncate(at),
        // A bit of a disk.
        1 if at < bytes.len() => bytes[at] ^= 1 << (length % 8),
        // A block that was written twice, or lost, or never written.
        2 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
        3 => drop(bytes.drain(at..end)),
        4 => bytes[at..end].fill(0),
        // An editor of another system.
        5 => drop(bytes.splice(0..0, *b"\xef\xbb\xbf")),
        6 => {
            bytes = String::from_utf8_lossy(&bytes)
                .replace('\n', "\r\n")
                .into_bytes();
        }
        // What no reader expects: depth, length, size.
        7 => drop(
            bytes.splice(
                at..at,
                ["[", "{\"a\":", "((", "[["][length % 4]
                    .repeat(length % 3000)
                    .into_bytes(),
            ),
        ),
        8 => drop(bytes.splice(
            at..at,
            [b"9".as_slice(), b"\xc3\xb6", b"a", b" "][length % 4].repeat(length % 5000),
        )),
        // A slip of the hand.
        _ => drop(bytes.splice(at..at, TOKENS[length % TOKENS.len()].iter().copied())),
    }
    bytes
}
