//! An archive of configuration, read back: it must yield the same inventory as the machine that it was made of (R1.2.5).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use rekit_core::{inventory::FileFacts, name::HostPath};
use serde::Serialize;
use serde_json::Value;

use super::{files, foundations::foundations};
use crate::world::{environment::Surroundings, path_of};

/// Facts by what they are about, as text without the root they were read below.
type Picture = BTreeMap<String, String>;

/// Returns in what the inventory of a copy below `copy` differs from that of the machine, as far as `saved` reaches; one line each.
///
/// Left out is what builds that run meanwhile change by right: activity, build references, locks. So is the owner of a file, which a user
/// without root cannot give to a copy.
pub(crate) fn differences(
    surroundings: &Surroundings,
    copy: &Path,
    saved: &[HostPath],
) -> Vec<String> {
    let saved: Vec<PathBuf> = saved.iter().map(path_of).collect();
    let here = picture(surroundings, Path::new(""), &saved);
    let there = picture(&surroundings.below(copy), copy, &saved);
    let names: BTreeSet<_> = here.keys().chain(there.keys()).collect();
    let differs = |name: &&&String| here.get(**name) != there.get(**name);
    let says = |name: &String| match (here.get(name), there.get(name)) {
        (Some(_), None) => format!("{name} is not in it"),
        (None, Some(_)) => format!("{name} is only in it"),
        _ => format!("{name} is another one in it"),
    };
    names
        .iter()
        .filter(differs)
        .map(|name| says(name))
        .collect()
}

/// Reads what `saved` reaches, with all paths as they are below `root`.
fn picture(surroundings: &Surroundings, root: &Path, saved: &[PathBuf]) -> Picture {
    let base = foundations(surroundings);
    let mut picture = Painter {
        root: root.display().to_string(),
        saved,
        facts: Picture::new(),
    };
    for context in &base.contexts {
        if let Some(file) = &context.file {
            picture.add("context", &context.name, file, context);
        }
    }
    for store in base.stores.iter().map(|read| &read.store) {
        for builder in &store.builders {
            picture.add("builder", builder.name.as_str(), &builder.file, builder);
        }
        if let Some(file) = store.current.as_ref().and_then(|fact| fact.known()) {
            picture.add("selection", "current", &file.file, file);
        }
        if let Some(file) = &store.default_config {
            picture.add("configuration", "default", file, file);
        }
    }
    let mut unreadable = Vec::new();
    for config in files::files(surroundings, &base.store_folders, &[], &mut unreadable) {
        let name = path_of(&config.file.path).display().to_string();
        picture.add("file", &name, &config.file, &config);
    }
    picture.facts
}

struct Painter<'a> {
    root: String,
    saved: &'a [PathBuf],
    facts: Picture,
}

impl Painter<'_> {
    /// Takes a fact in if its file was to be saved and can be read.
    fn add(&mut self, kind: &str, name: &str, file: &FileFacts, fact: &impl Serialize) {
        let path = path_of(&file.path).display().to_string();
        let path = path.strip_prefix(&self.root).unwrap_or(&path);
        let is_saved = self
            .saved
            .iter()
            .any(|saved| Path::new(path).starts_with(saved));
        if !is_saved || file.digest.known().is_none() {
            return;
        }
        let mut fact = match serde_json::to_value(fact) {
            Ok(fact) => fact,
            Err(error) => unreachable!("BUG: a fact holds something JSON cannot: {error}"),
        };
        forget(&mut fact, &["owner", "last_activity"]);
        let plain = |text: &str| match self.root.as_str() {
            "" => text.to_owned(),
            root => text.replace(root, ""),
        };
        let subject = format!("{kind} `{}`", plain(name));
        self.facts.insert(subject, plain(&fact.to_string()));
    }
}

/// Takes keys out of a fact, at any depth.
fn forget(fact: &mut Value, keys: &[&str]) {
    match fact {
        Value::Object(map) => {
            map.retain(|key, _| !keys.contains(&key.as_str()));
            map.values_mut().for_each(|value| forget(value, keys));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| forget(value, keys)),
        _ => {}
    }
}
