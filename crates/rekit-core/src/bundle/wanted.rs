//! What of a machine goes into a bundle beside rekit's own documents, and where in it.

use std::collections::BTreeSet;

use crate::{
    inventory::{ConfigKind, Inventory},
    name::{ContainerName, HostId, HostPath},
};

use super::Kind;

/// Where an entry comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of this machine.
    File(HostPath),
    /// The last lines of a container's log.
    Log(HostId, ContainerName),
}

/// Something that is to be read and put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where it goes, relative to the bundle.
    pub path: String,
    /// What it is, in words.
    pub says: String,
    /// How it is masked.
    pub kind: Kind,
    /// Where it comes from.
    pub source: Source,
}

/// Lists all files and logs that an inventory names and that help to find out what is wrong. Shell profiles are not among them: they hold
/// more of a person than of a builder.
pub fn wanted(inventory: &Inventory) -> Vec<Wanted> {
    let mut list = List::default();
    configurations(inventory, &mut list);
    stores(inventory, &mut list);
    for context in &inventory.contexts {
        if let Some(file) = &context.file {
            let says = format!("context `{}`; its TLS keys are left out", context.name);
            list.file(&file.path, Kind::Json, &says);
        }
    }
    let desktop = inventory.desktop.as_ref();
    if let Some(file) = desktop.and_then(|desktop| desktop.settings.as_ref()) {
        list.file(&file.path, Kind::Json, "Docker Desktop's settings");
    }
    logs(inventory, &mut list);
    list.wanted
}

fn configurations(inventory: &Inventory, list: &mut List) {
    for file in &inventory.files {
        let (kind, says) = match file.kind {
            ConfigKind::Buildkitd => (Kind::Toml, "configuration of a BuildKit daemon"),
            ConfigKind::BuildxDefault => (Kind::Toml, "buildx's configuration for new builders"),
            ConfigKind::Goal => (Kind::Toml, "rekit's goal"),
            ConfigKind::Daemon => (Kind::Json, "configuration of the engine"),
            ConfigKind::Cli => (
                Kind::Json,
                "configuration of the docker CLI, without its logins",
            ),
            ConfigKind::Desktop => (Kind::Json, "Docker Desktop's settings"),
            ConfigKind::Unit => (Kind::Unit, "systemd unit"),
            ConfigKind::Profile => continue,
        };
        list.file(&file.file.path, kind, says);
    }
    for daemon in &inventory.standalone {
        if let Some(path) = &daemon.config {
            list.file(
                path,
                Kind::Toml,
                "configuration of a standalone BuildKit daemon",
            );
        }
    }
}

fn stores(inventory: &Inventory, list: &mut List) {
    for store in &inventory.stores {
        for builder in &store.builders {
            let says = format!("record of builder `{}`, without its files", builder.name);
            list.file(&builder.file.path, Kind::Record, &says);
        }
        if store.current.is_some() {
            let path = store.path.join("current");
            list.file(&path, Kind::Json, "the builder that buildx has selected");
        }
    }
}

fn logs(inventory: &Inventory, list: &mut List) {
    for (number, host) in inventory.hosts.iter().enumerate() {
        let engine = host.engine.known();
        for container in engine.into_iter().flat_map(|engine| &engine.containers) {
            if container.is_buildkit {
                let name = format!("logs/{}/{}.txt", number + 1, container.name);
                let says = format!(
                    "last lines of container `{}` on {}",
                    container.name, host.id
                );
                let source = Source::Log(host.id.clone(), container.name.clone());
                list.put(&name, Kind::Text, says, source);
            }
        }
    }
}

/// Things that are wanted, each once, each at a place of its own.
#[derive(Default)]
struct List {
    wanted: Vec<Wanted>,
    taken: BTreeSet<String>,
}

impl List {
    fn file(&mut self, path: &HostPath, kind: Kind, says: &str) {
        let source = Source::File(path.clone());
        if self.wanted.iter().all(|known| known.source != source) {
            let says = format!("`{path}`: {says}");
            self.put(&format!("files/{path}"), kind, says, source);
        }
    }

    fn put(&mut self, name: &str, kind: Kind, says: String, source: Source) {
        let mut path = safe(name);
        while !self.taken.insert(path.clone()) {
            path.push('~');
        }
        self.wanted.push(Wanted {
            path,
            says,
            kind,
            source,
        });
    }
}

/// Returns a path that every program unpacks below the folder it is in.
pub(super) fn safe(path: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-@+".contains(c) {
            c
        } else {
            '_'
        }
    };
    let parts = path.split('/').filter(|part| !part.is_empty());
    let parts = parts.map(|part| match part {
        "." | ".." => "_".to_owned(),
        part => part.chars().map(plain).collect(),
    });
    parts.collect::<Vec<_>>().join("/")
}
