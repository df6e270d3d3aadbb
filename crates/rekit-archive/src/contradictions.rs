//! Whether a BuildKit state agrees with itself: what its databases name is there, and what is there is whole.
//!
//! A worker keeps four accounts of one layer: the cache record (`metadata_v2.db`), the name (`containerdmeta.db`), the number
//! (`snapshots/metadata.db`), the folder of that number. Source of their shapes: `BuildKit` 0.12 to 0.32, cache/metadata.go; containerd v2,
//! core/metadata/buckets.go and core/snapshots/storage/bolt.go.
//!
//! Invariants: nothing is changed, databases are read on copies; a daemon may run meanwhile, so only what every look finds is a contradiction.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::bolt::{BoltError, Bucket, Database, Value};
use crate::digest::{Digest, Hashing};
use crate::snapshots;

/// How often it is looked until a contradiction is believed, and how long between two looks.
const LOOKS: usize = 3;
const PAUSE: Duration = Duration::from_millis(700);
/// How often a database that is being written is copied until it is given up.
const COPIES: usize = 20;
/// A file that was written more recently may be written again within one tick of its time stamp.
const SETTLED: Duration = Duration::from_millis(50);
/// `BuildKit`'s namespace among containerd's names.
const NAMESPACE: &[u8] = b"buildkit";

/// A kind of contradiction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContradictionKind {
    /// A database whose pages do not hold together.
    Database,
    /// A cache record whose layer has no name.
    Name,
    /// A layer with a name and no number.
    Number,
    /// A layer whose folder is gone.
    Folder,
    /// A packed file that is gone.
    Blob,
    /// A packed file that holds something else than its name says.
    Content,
}

/// What contradicts itself in a state, one kind at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contradiction {
    /// What kind it is.
    pub kind: ContradictionKind,
    /// How many there are.
    pub count: u64,
    /// One of them: a path below the state, or what is wrong with a database.
    pub example: String,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            count,
            example,
        } = self;
        let what = match kind {
            ContradictionKind::Database => "databases are damaged",
            ContradictionKind::Name => "cache records name layers that the daemon does not know",
            ContradictionKind::Number => "layers are known by name and not by number",
            ContradictionKind::Folder => "layers have no folder on the disk",
            ContradictionKind::Blob => "packed layers are not on the disk",
            ContradictionKind::Content => {
                "packed layers hold something else than their digest says"
            }
        };
        write!(f, "{count} {what}, such as {example}")
    }
}

type Found = BTreeSet<(ContradictionKind, String)>;

/// Returns what contradicts itself in the state below `root`. Copies of databases lie in `scratch` for a moment.
pub fn contradictions(root: &Path, scratch: &Path) -> io::Result<Vec<Contradiction>> {
    let mut found = look(root, scratch, None)?;
    for _ in 1..LOOKS {
        if found.is_empty() {
            break;
        }
        thread::sleep(PAUSE);
        let again = look(root, scratch, Some(&found))?;
        found.retain(|entry| again.contains(entry));
    }
    let mut kinds: BTreeMap<ContradictionKind, Contradiction> = BTreeMap::new();
    for (kind, example) in found {
        let entry = kinds.entry(kind).or_insert(Contradiction {
            kind,
            count: 0,
            example,
        });
        entry.count += 1;
    }
    Ok(kinds.into_values().collect())
}

/// Looks once. After the first look, only packed files that were `suspected` are read.
fn look(root: &Path, scratch: &Path, suspected: Option<&Found>) -> io::Result<Found> {
    let mut look = Look {
        root,
        scratch,
        found: Found::new(),
    };
    for name in ["cache.db", "history.db"] {
        look.database(name, |database| database.check().map(drop))?;
    }
    for entry in fs::read_dir(root)? {
        let worker = entry?;
        let name = worker.file_name().to_string_lossy().into_owned();
        if worker.path().join("metadata_v2.db").is_file() {
            look.worker(&name, suspected)?;
        }
    }
    Ok(look.found)
}

struct Look<'a> {
    root: &'a Path,
    scratch: &'a Path,
    found: Found,
}

impl Look<'_> {
    /// Reads a copy of a database; `None`: there is none, or it is damaged, which is a contradiction by itself.
    fn database<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Database<'_>) -> Result<T, BoltError>,
    ) -> io::Result<Option<T>> {
        let Some(copy) = copy(&self.root.join(name), self.scratch)? else {
            return Ok(None);
        };
        match Database::open(&copy).and_then(|database| read(&database)) {
            Ok(read) => Ok(Some(read)),
            Err(BoltError::Read(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                Err(error)
            }
            Err(error) => {
                let fault = format!("{name}: {error}");
                self.found.insert((ContradictionKind::Database, fault));
                Ok(None)
            }
        }
    }

    fn worker(&mut self, worker: &str, suspected: Option<&Found>) -> io::Result<()> {
        // In this order: a layer that is made meanwhile is in what is read later.
        let records = self.database(&format!("{worker}/metadata_v2.db"), Records::read)?;
        let names = self.database(&format!("{worker}/containerdmeta.db"), Names::read)?;
        let numbers = self.database(
            &format!("{worker}/snapshots/metadata.db"),
            snapshots::numbers,
        )?;
        let (Some(records), Some(names)) = (records, names) else {
            return Ok(());
        };
        for (record, layer) in records.layers {
            if !names.layers.contains_key(&layer) {
                let what = format!("{worker}/metadata_v2.db: record {record}, layer {layer}");
                self.found.insert((ContradictionKind::Name, what));
            }
        }
        for (layer, name) in &names.layers {
            let Some(numbers) = &numbers else { break };
            match numbers.get(name) {
                None => {
                    let what = format!("{worker}/snapshots/metadata.db: layer {layer}");
                    self.found.insert((ContradictionKind::Number, what));
                }
                Some(number) => {
                    let folder = format!("{worker}/snapshots/snapshots/{number}");
                    if !self.root.join(&folder).is_dir() {
                        self.found.insert((ContradictionKind::Folder, folder));
                    }
                }
            }
        }
        for digest in names.blobs.union(&records.blobs) {
            self.blob(worker, digest, suspected)?;
        }
        Ok(())
    }

    fn blob(&mut self, worker: &str, digest: &str, suspected: Option<&Found>) -> io::Result<()> {
        let Some(name) = digest.strip_prefix("sha256:") else {
            return Ok(());
        };
        let path = format!("{worker}/content/blobs/sha256/{name}");
        let file = match File::open(self.root.join(&path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.found.insert((ContradictionKind::Blob, path));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let key = (ContradictionKind::Content, path);
        if suspected.is_none_or(|suspected| suspected.contains(&key))
            && digest_of(file)?.to_string() != name
        {
            self.found.insert(key);
        }
        Ok(())
    }
}

fn digest_of(file: File) -> io::Result<Digest> {
    let mut file = Hashing::new(file);
    io::copy(&mut file, &mut io::sink())?;
    Ok(file.hasher.finish().0)
}

/// What containerd's names lead to in `BuildKit`'s namespace.
#[derive(Default)]
struct Names {
    /// The key of each layer, with its name in the snapshotter.
    layers: BTreeMap<String, Vec<u8>>,
    /// The digest of each packed file.
    blobs: BTreeSet<String>,
}

impl Names {
    fn read(database: &Database<'_>) -> Result<Self, BoltError> {
        let mut names = Self::default();
        let Some(version) = database.bucket(&database.root(), b"v1")? else {
            return Ok(names);
        };
        let Some(namespace) = database.bucket(&version, NAMESPACE)? else {
            return Ok(names);
        };
        if let Some(snapshotters) = database.bucket(&namespace, b"snapshots")? {
            for (_, layers) in buckets(database, &snapshotters)? {
                for (key, fields) in buckets(database, &layers)? {
                    let name = value(database, &fields, b"name")?;
                    names.layers.insert(key, name.unwrap_or_default());
                }
            }
        }
        if let Some(content) = database.bucket(&namespace, b"content")?
            && let Some(blobs) = database.bucket(&content, b"blob")?
        {
            names.blobs = buckets(database, &blobs)?.into_keys().collect();
        }
        Ok(names)
    }
}

/// What cache records say must be there.
#[derive(Default)]
struct Records {
    /// The layer's key, by record.
    layers: BTreeMap<String, String>,
    /// The digests of packed layers.
    blobs: BTreeSet<String>,
}

impl Records {
    fn read(database: &Database<'_>) -> Result<Self, BoltError> {
        let mut records = Self::default();
        let Some(main) = database.bucket(&database.root(), b"_main")? else {
            return Ok(records);
        };
        for (record, fields) in buckets(database, &main)? {
            let mut keys: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            database.each(&fields, &mut |item| {
                if let Value::Bytes(bytes) = item.value {
                    keys.insert(String::from_utf8_lossy(&item.key).into_owned(), bytes);
                }
                Ok(())
            })?;
            records.add(record, &keys);
        }
        Ok(records)
    }

    fn add(&mut self, record: String, keys: &BTreeMap<String, Vec<u8>>) {
        let is_set = |key: &str| keys.get(key).is_some_and(|bytes| !bytes.is_empty());
        // Not there until somebody needs it: one that is still the same as a mutable one, has not been unpacked or not even been
        // fetched, or is put together of others.
        let is_lazy = [
            "cache.equalMutable",
            "cache.blobonly",
            "cache.mergeParents",
            "cache.lowerDiffParent",
            "cache.upperDiffParent",
            "cache.deleted",
        ]
        .into_iter()
        .any(is_set);
        if is_lazy {
            return;
        }
        let said = |key: &str| keys.get(key).and_then(|bytes| text(bytes));
        self.blobs.extend(said("cache.blob"));
        if let Some(layer) = said("cache.snapshot") {
            self.layers.insert(record, layer);
        }
    }
}

/// Returns the text that a field of a record holds.
fn text(bytes: &[u8]) -> Option<String> {
    let field: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let text = field.get("value")?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn buckets(database: &Database<'_>, of: &Bucket) -> Result<BTreeMap<String, Bucket>, BoltError> {
    let mut found = BTreeMap::new();
    database.each(of, &mut |item| {
        if let Value::Bucket(bucket) = item.value {
            found.insert(String::from_utf8_lossy(&item.key).into_owned(), bucket);
        }
        Ok(())
    })?;
    Ok(found)
}

fn value(database: &Database<'_>, of: &Bucket, key: &[u8]) -> Result<Option<Vec<u8>>, BoltError> {
    let mut found = None;
    database.each(of, &mut |item| {
        if let Value::Bytes(bytes) = item.value
            && item.key == key
        {
            found = Some(bytes);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Copies a database as it is between two writes; `None`: it is not there.
fn copy(path: &Path, scratch: &Path) -> io::Result<Option<File>> {
    for _ in 0..COPIES {
        let mut source = match File::open(path) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let stamp = |file: &File| -> io::Result<(SystemTime, u64)> {
            let metadata = file.metadata()?;
            Ok((metadata.modified()?, metadata.len()))
        };
        let before = stamp(&source)?;
        let is_settled = before.0.elapsed().is_ok_and(|age| age > SETTLED);
        if is_settled {
            let mut copy = nameless(scratch)?;
            io::copy(&mut source, &mut copy)?;
            if stamp(&source)? == before {
                return Ok(Some(copy));
            }
        }
        thread::sleep(2 * SETTLED);
    }
    let why = format!("{} is being written all the time", path.display());
    Err(io::Error::new(io::ErrorKind::ResourceBusy, why))
}

/// Makes a file that goes when it is closed, and that no other account can open in the meantime: a history may hold what was no one's business.
fn nameless(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".rekit-copy-{}", std::process::id()));
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}
