//! PAX records: `<length> <key>=<value>\n`, read by their length, so that a value may hold any byte.

/// The prefix of extended attributes.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

/// Appends one record.
pub(super) fn append(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3; // A space, `=` and a newline.
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// Splits records into keys and values; nothing if the bytes are malformed.
pub(super) fn split(mut records: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut found = Vec::new();
    while !records.is_empty() {
        let space = records.iter().take(20).position(|byte| *byte == b' ')?;
        let digits = &records[..space];
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let length: usize = str::from_utf8(digits).ok()?.parse().ok()?;
        let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        found.push((&record[..equals], &record[equals + 1..]));
        records = &records[length..];
    }
    Some(found)
}

/// Writes `%` and `=` in an attribute's name as GNU tar does.
pub(super) fn escape(name: &[u8]) -> Vec<u8> {
    let mut escaped = XATTR.to_vec();
    for byte in name {
        match byte {
            b'%' => escaped.extend_from_slice(b"%25"),
            b'=' => escaped.extend_from_slice(b"%3D"),
            other => escaped.push(*other),
        }
    }
    escaped
}

/// The reverse of [`escape`], without the prefix.
pub(super) fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.first() {
        let (byte, length) = match rest {
            [b'%', b'2', b'5', ..] => (b'%', 3),
            [b'%', b'3', b'D', ..] => (b'=', 3),
            _ => (*first, 1),
        };
        plain.push(byte);
        rest = &rest[length..];
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_3_2_a_value_may_hold_newlines_and_equals() {
        for length in [0, 1, 80, 88, 89, 90, 91, 980, 985, 990, 9_985] {
            let value = vec![b'\n'; length];
            let mut records = Vec::new();
            append(&mut records, b"SCHILY.xattr.user.a", &value);
            append(&mut records, b"path", b"=x=\n12 path=y\n");
            let found = split(&records).expect("well formed");
            assert_eq!(found[0], (&b"SCHILY.xattr.user.a"[..], &value[..]));
            assert_eq!(found[1].1, b"=x=\n12 path=y\n");
        }
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in [
            &b"5"[..],
            b"0 a=b\n",
            b"99 a=b\n",
            b"6 a=b ",
            b"+6 a=b\n",
            b"6 abc\n",
            b"3 a=b\n",
        ] {
            assert_eq!(split(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
