//! What a snapshotter's database says of its snapshots. Source of its shape: containerd v2, core/snapshots/storage/bolt.go.

use std::collections::HashMap;

use crate::bolt::{BoltError, Bucket, Database, Value};
use crate::segment::Content;

/// Kinds as the database writes them.
const COMMITTED: u8 = 3;

/// One snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Whether nothing writes into it any more.
    pub(crate) is_committed: bool,
    /// Whether it lies upon another one.
    pub(crate) has_parent: bool,
}

/// Reads all snapshots, by the names of their directories.
pub(crate) fn read(database: &dyn Content) -> Result<HashMap<Vec<u8>, Snapshot>, BoltError> {
    let database = Database::open(database)?;
    let mut found = HashMap::new();
    each(&database, &mut |_, number, snapshot| {
        found.insert(number.to_string().into_bytes(), snapshot);
    })?;
    Ok(found)
}

/// Reads the number of each snapshot, which is the name of its directory, by its key.
pub(crate) fn numbers(database: &Database<'_>) -> Result<HashMap<Vec<u8>, u64>, BoltError> {
    let mut found = HashMap::new();
    each(database, &mut |key, number, _| {
        found.insert(key, number);
    })?;
    Ok(found)
}

fn each(
    database: &Database<'_>,
    take: &mut dyn FnMut(Vec<u8>, u64, Snapshot),
) -> Result<(), BoltError> {
    let Some(version) = database.bucket(&database.root(), b"v1")? else {
        return Ok(());
    };
    let Some(snapshots) = database.bucket(&version, b"snapshots")? else {
        return Ok(());
    };
    database.each(&snapshots, &mut |item| {
        if let Value::Bucket(fields) = item.value
            && let (Some(number), snapshot) = one(database, &fields)?
        {
            take(item.key, number, snapshot);
        }
        Ok(())
    })
}

fn one(database: &Database<'_>, fields: &Bucket) -> Result<(Option<u64>, Snapshot), BoltError> {
    let (mut number, mut kind, mut has_parent) = (None, None, false);
    database.each(fields, &mut |field| {
        if let Value::Bytes(value) = field.value {
            match &field.key[..] {
                b"id" => number = varint(&value),
                b"kind" => kind = value.first().copied(),
                b"parent" => has_parent = !value.is_empty(),
                _ => {}
            }
        }
        Ok(())
    })?;
    let snapshot = Snapshot {
        is_committed: kind == Some(COMMITTED),
        has_parent,
    };
    Ok((number, snapshot))
}

/// Reads a number of 7 bits a byte, the lowest first.
fn varint(bytes: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
