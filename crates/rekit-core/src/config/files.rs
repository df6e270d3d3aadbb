//! The files that BuildKit's behaviour on a machine hangs on, and how they come back from an archive.

use std::collections::BTreeSet;

use crate::{
    draft::{Draft, Ground},
    inventory::Inventory,
    name::{Digest, HostPath},
    plan::{Plan, Purpose},
    step::{Action, FileState, StateSource},
};

/// The options of buildx's remote driver that name a file.
const TLS_OPTIONS: [&str; 3] = ["cacert", "cert", "key"];

/// Returns every file and folder that steers BuildKit: stores, contexts, configuration, units, scripts, keys and certificates.
pub fn paths(inventory: &Inventory) -> Vec<HostPath> {
    let stores = inventory.stores.iter().take(1);
    let mut paths: Vec<HostPath> = stores.map(|store| store.path.clone()).collect();
    let contexts = inventory.contexts.iter().flat_map(|context| {
        let meta = context.file.as_ref().and_then(|file| file.path.parent());
        meta.into_iter().chain(context.tls.clone())
    });
    paths.extend(contexts);
    let files = inventory.files.iter().map(|config| &config.file);
    let readable = files.filter(|file| file.digest.known().is_some());
    paths.extend(readable.map(|file| file.path.clone()));
    let scripts = inventory.scripts.iter();
    paths.extend(scripts.map(|script| script.file.path.clone()));
    for (.., node) in inventory.nodes() {
        let named = TLS_OPTIONS
            .iter()
            .filter_map(|name| node.driver_opts.get(*name));
        let absolute = named.filter(|path| path.starts_with('/'));
        paths.extend(absolute.map(|path| HostPath::from(path.as_str())));
    }
    let standalone = inventory.standalone.iter();
    paths.extend(standalone.flat_map(|daemon| daemon.tls.clone()));
    paths.sort();
    paths.dedup();
    paths
}

/// A file of an archive of configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedFile {
    /// Where it lay.
    pub path: HostPath,
    /// The digest of its content.
    pub digest: Digest,
    /// Its permission bits.
    pub mode: u32,
}

/// Archived configuration and what of it is wanted.
#[derive(Clone, Debug)]
pub struct ConfigurationRestore {
    /// The archive.
    pub source: StateSource,
    /// Every file in it.
    pub files: Vec<ArchivedFile>,
    /// The files and folders that come back whatever lies there now; none: what is absent comes back.
    pub wanted: Vec<HostPath>,
}

/// Plans to bring configuration back. A path that the archive does not hold is returned.
pub fn restore(ground: &Ground<'_>, restore: &ConfigurationRestore) -> Result<Plan, HostPath> {
    let mut draft = Draft::new(ground, Purpose::Restore, ground.highest_generation + 1);
    let begin = draft.next_id();
    let is_wanted = |path: &HostPath| restore.wanted.iter().any(|wanted| path.is_within(wanted));
    let mut met = BTreeSet::new();
    for file in &restore.files {
        let wanted = is_wanted(&file.path);
        let named = restore.wanted.iter();
        met.extend(named.filter(|wanted| file.path.is_within(wanted)));
        let before = ground.file(&file.path);
        let is_same = matches!(&before, FileState::Present { digest } if digest == &file.digest);
        let is_absent = before == FileState::Absent {};
        if is_same || !(wanted || (restore.wanted.is_empty() && is_absent)) {
            if !is_same && restore.wanted.is_empty() {
                draft.leave_out(
                    file.path.to_string(),
                    "it differs from the archived one; name it after the archive to have that one",
                );
            }
            continue;
        }
        let why = if is_absent {
            "it is gone"
        } else {
            "the archived one is wanted"
        };
        draft.push(
            why,
            Action::BringFile {
                source: restore.source.clone(),
                store: store_of(ground.inventory, &file.path),
                path: file.path.clone(),
                before,
                content: file.digest.clone(),
                mode: file.mode,
            },
        );
    }
    match restore.wanted.iter().find(|wanted| !met.contains(wanted)) {
        Some(missing) => Err(missing.clone()),
        None => Ok(draft.finish_unless_at(begin)),
    }
}

/// Returns buildx's store whose lock protects a file.
fn store_of(inventory: &Inventory, path: &HostPath) -> Option<HostPath> {
    let mut stores = inventory.stores.iter().map(|store| &store.path);
    stores.find(|store| path.is_within(store)).cloned()
}
