//! What the databases in a state hold: whether their pages hold together, and how many keys each bucket has.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::bolt::{BoltError, Database};
use crate::path::TreePath;
use crate::rules::Rules;
use crate::segment::Content;
use crate::source::Source;
use crate::staging::Staging;
use crate::walk::Scene;

/// A database as it was packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseRecord {
    /// Where it lies.
    pub path: TreePath,
    /// The number of keys in each bucket of its root.
    pub keys: BTreeMap<String, u64>,
    /// What is wrong with it. It is packed as it is.
    pub fault: Option<String>,
}

/// Reads all databases that the rules name.
pub(crate) fn read(
    scene: &dyn Scene,
    rules: &Rules,
    source: &Source,
    staging: Option<(&Staging, SystemTime)>,
) -> Vec<DatabaseRecord> {
    let mut found = Vec::new();
    for pattern in rules.databases {
        find(scene, &TreePath::default(), pattern, &mut found);
    }
    let record = |path: TreePath| {
        let content = staging
            .zip(scene.staged(&path))
            .and_then(|((staging, _), staged)| staged.content(staging));
        let counts = match content {
            Some(content) => keys(&content),
            None => match source.open_file(&path) {
                Ok(file) => keys(&file),
                Err(error) => Err(BoltError::Read(error)),
            },
        };
        let (keys, fault) = match counts {
            Ok(keys) => (keys, None),
            Err(error) => (BTreeMap::new(), Some(words(&error))),
        };
        DatabaseRecord { path, keys, fault }
    };
    found.into_iter().map(record).collect()
}

fn keys(content: &dyn Content) -> Result<BTreeMap<String, u64>, BoltError> {
    let counts = Database::open(content)?.check()?;
    let named =
        |(name, count): (Vec<u8>, u64)| (String::from_utf8_lossy(&name).into_owned(), count);
    Ok(counts.into_iter().map(named).collect())
}

fn words(error: &BoltError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Finds the files that a pattern names; `*` stands for one whole name.
fn find(scene: &dyn Scene, folder: &TreePath, pattern: &str, found: &mut Vec<TreePath>) {
    let (first, rest) = match pattern.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (pattern, None),
    };
    let names = if first == "*" {
        scene.names(folder).unwrap_or_default()
    } else {
        vec![first.as_bytes().to_vec()]
    };
    for name in names {
        let path = folder.child(&name);
        match (scene.look(&path), rest) {
            (Ok(place), Some(rest)) if place.is_directory() => find(scene, &path, rest, found),
            (Ok(place), None) if place.is_file() => found.push(path),
            _ => {}
        }
    }
}
