//! buildx's stores, read from their files, never through buildx.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use rekit_core::{
    fact::Fact,
    inventory::{BuilderRecord, Current, RefsFolder, SelectionFile, Store},
    mask,
    name::{BuilderName, HostPath, NodeName},
};
use serde_json::Value;

use super::record::{self, NodeAddress};
use crate::world::{
    environment::Surroundings,
    host::{self, Entry, Kind, ReadError},
};

/// How many entries of one folder of a store are looked at.
const ENTRIES: usize = 100_000;

/// A store with what its inventory must not hold.
pub(super) struct ReadStore {
    /// What goes into the inventory.
    pub(super) store: Store,
    /// How to reach the nodes of each builder, in the order of builders and nodes; empty for records that do not parse.
    pub(super) addresses: Vec<Vec<NodeAddress>>,
    /// Records that do not parse: what they are worth as evidence that a node is somebody's.
    pub(super) claims: Vec<Claim>,
}

/// A record that does not parse still claims nodes: nothing of them may be taken for an orphan.
pub(super) struct Claim {
    /// The builder.
    pub(super) builder: BuilderName,
    content: String,
}

impl Claim {
    /// Returns whether the record names the node, or buildx would have named the builder's node so.
    pub(super) fn covers(&self, node: &NodeName) -> bool {
        let usual = node
            .as_str()
            .strip_prefix(self.builder.as_str())
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()));
        usual || self.content.contains(&format!("\"{node}\""))
    }
}

/// Returns the folders of stores: the active one first, then others that this account can see.
pub(super) fn folders(surroundings: &Surroundings) -> Vec<PathBuf> {
    let mut found = vec![surroundings.buildx_store()];
    found.push(surroundings.docker_config().join("buildx"));
    found.push(surroundings.home().join(".docker/buildx"));
    found.push(surroundings.system("/root/.docker/buildx"));
    for homes in ["/home", "/mnt/c/Users"] {
        let users = host::list(&surroundings.system(homes), 1000).unwrap_or_default();
        found.extend(users.iter().map(|user| user.path.join(".docker/buildx")));
    }
    let mut seen = HashSet::new();
    let mut folders = found.into_iter();
    // The active store counts even when there is none yet.
    let active = folders.next().into_iter();
    active
        .chain(folders.filter(|folder| host::list(folder, ENTRIES).is_ok()))
        .filter(|folder| {
            let identity = host::status(folder).map(|status| status.identity);
            identity.map_or(true, |identity| seen.insert(identity))
        })
        .collect()
}

/// Reads a store. `None` for a folder that is not there, other than as an empty store.
pub(super) fn store(folder: &Path) -> ReadStore {
    let mut reader = Reader {
        folder,
        unreadable: Vec::new(),
        claims: Vec::new(),
    };
    let activity = reader.activity();
    let (builders, addresses, strays) = reader.builders(&activity);
    let claims = std::mem::take(&mut reader.claims);
    let lock = folder.join(".lock");
    let locked = host::is_flocked(&lock).unwrap_or_else(|error| {
        reader.note(&lock, &error);
        false
    });
    let store = Store {
        path: host::host_path(folder),
        locked,
        builders,
        current: current(&folder.join("current")),
        defaults: reader.defaults(),
        activity,
        refs: reader.refs(),
        strays,
        default_config: host::facts(&folder.join("buildkitd.default.toml")).map(|found| found.0),
        unreadable: reader.unreadable,
    };
    ReadStore {
        store,
        addresses,
        claims,
    }
}

/// Reads the file `current`.
fn current(path: &Path) -> Option<Fact<SelectionFile>> {
    let (file, content) = host::facts(path)?;
    let said = content
        .map_err(|error| error.to_string())
        .and_then(|bytes| {
            serde_json::from_slice::<Value>(&bytes)
                .map_err(|error| format!("does not parse: {error}"))
        });
    Some(match said {
        Ok(said) => {
            let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
            Fact::Known(SelectionFile {
                file,
                current: Current {
                    key: mask::url(text("Key")),
                    name: text("Name").to_owned(),
                    global: said
                        .get("Global")
                        .and_then(Value::as_bool)
                        .unwrap_or_default(),
                },
            })
        }
        Err(reason) => Fact::Unreadable { reason },
    })
}

/// Reads the parts of one store and keeps what could not be read.
struct Reader<'a> {
    folder: &'a Path,
    unreadable: Vec<(HostPath, String)>,
    claims: Vec<Claim>,
}

impl Reader<'_> {
    /// Notes what could not be read; what is not there is no news.
    fn note(&mut self, path: &Path, error: &ReadError) {
        if !error.is_absent() {
            self.unreadable
                .push((host::host_path(path), error.to_string()));
        }
    }

    /// Lists a folder of the store.
    fn list(&mut self, folder: &Path) -> Vec<Entry> {
        host::list(folder, ENTRIES).unwrap_or_else(|error| {
            self.note(folder, &error);
            Vec::new()
        })
    }

    /// Reads `activity/`: builder to time.
    fn activity(&mut self) -> BTreeMap<String, String> {
        self.small_files("activity")
    }

    /// Reads `defaults/`: short hash to builder.
    fn defaults(&mut self) -> BTreeMap<String, String> {
        self.small_files("defaults")
    }

    /// Reads a folder of one-line files.
    fn small_files(&mut self, name: &str) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for entry in self.list(&self.folder.join(name)) {
            match host::read(&entry.path, 4096) {
                Ok(content) => {
                    let line = String::from_utf8_lossy(&content).trim().to_owned();
                    files.insert(entry.name, mask::text(&line));
                }
                Err(error) => self.note(&entry.path, &error),
            }
        }
        files
    }

    /// Reads `instances/`: the builders, how to reach them, and what no builder can be.
    fn builders(
        &mut self,
        activity: &BTreeMap<String, String>,
    ) -> (Vec<BuilderRecord>, Vec<Vec<NodeAddress>>, Vec<HostPath>) {
        let (mut builders, mut addresses, mut strays) = (Vec::new(), Vec::new(), Vec::new());
        for entry in self.list(&self.folder.join("instances")) {
            let name = entry.name.parse::<BuilderName>();
            let is_file = entry.kind == Kind::File
                || host::status(&entry.path).is_ok_and(|status| status.kind == Kind::File);
            let (Ok(name), true, Some((file, content))) = (name, is_file, host::facts(&entry.path))
            else {
                strays.push(host::host_path(&entry.path));
                continue;
            };
            let content = content.map_err(|error| error.to_string());
            let read = content
                .as_deref()
                .map_err(Clone::clone)
                .and_then(record::parse);
            let (record, nodes) = match read {
                Ok(read) => (Fact::Known(read.record), read.addresses),
                Err(reason) => {
                    let content = content.unwrap_or_default();
                    self.claims.push(Claim {
                        builder: name.clone(),
                        content: String::from_utf8_lossy(&content).into_owned(),
                    });
                    (Fact::Unreadable { reason }, Vec::new())
                }
            };
            builders.push(BuilderRecord {
                last_activity: activity.get(name.as_str()).cloned(),
                name,
                file,
                record,
            });
            addresses.push(nodes);
        }
        (builders, addresses, strays)
    }

    /// Counts what lies under `refs/`.
    fn refs(&mut self) -> Vec<RefsFolder> {
        let mut refs = Vec::new();
        for builder in self.list(&self.folder.join("refs")) {
            if builder.kind != Kind::Folder || builder.name == "__group__" {
                continue;
            }
            for node in self.list(&builder.path) {
                if node.kind == Kind::Folder {
                    refs.push(RefsFolder {
                        path: host::host_path(&node.path),
                        builder: builder.name.clone(),
                        entries: self.list(&node.path).len() as u64,
                        node: node.name,
                    });
                }
            }
        }
        refs
    }
}
