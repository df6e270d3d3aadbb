//! The builder that buildx takes when nothing on its command line and no variable names one, as its `Txn.Current` finds it.

use crate::{
    inventory::{BuilderRecord, Store},
    mask,
    name::Digest,
};

/// What buildx finds.
#[derive(Clone, Copy, Debug)]
pub enum Chosen<'a> {
    /// A record of the store.
    Record(&'a BuilderRecord, ChosenBy),
    /// None: the context's own builder.
    Context,
    /// Its file `current` cannot be read, and buildx ends there.
    Broken(&'a str),
}

/// Which file of the store decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenBy {
    /// `current`.
    Current,
    /// A file below `defaults/`.
    Defaults,
}

impl ChosenBy {
    /// Returns its name below the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Defaults => "defaults",
        }
    }
}

/// Returns what buildx takes for `key`: the context's name, or the endpoint for `default`.
pub fn current<'a>(store: &'a Store, key: &str) -> Chosen<'a> {
    let file = match &store.current {
        None => None,
        Some(fact) => match fact.known() {
            Some(file) => Some(&file.current),
            None => return Chosen::Broken(fact.reason().unwrap_or_default()),
        },
    };
    if let Some(current) = file.filter(|current| !current.name.is_empty()) {
        let named = readable(store, &current.name);
        if let (true, Some(builder)) = (current.global, named) {
            return Chosen::Record(builder, ChosenBy::Current);
        }
        // In the inventory both have their credentials hidden.
        if current.key == mask::url(key) {
            // A name without a record falls back to the context's own builder, whatever `defaults/` says.
            return named.map_or(Chosen::Context, |builder| {
                Chosen::Record(builder, ChosenBy::Current)
            });
        }
    }
    let named = store.defaults.get(default_file(key).as_str());
    match named.and_then(|name| readable(store, name)) {
        Some(builder) => Chosen::Record(builder, ChosenBy::Defaults),
        None => Chosen::Context,
    }
}

/// Returns the name of the file below `defaults/` that is meant for a key.
pub(super) fn default_file(key: &str) -> String {
    Digest::of(key.as_bytes()).as_str()[..20].to_owned()
}

/// Returns the record of this name, damaged or not.
pub(super) fn record<'a>(store: &'a Store, name: &str) -> Option<&'a BuilderRecord> {
    let lower = name.to_ascii_lowercase();
    let mut builders = store.builders.iter();
    builders.find(|builder| builder.name.as_str() == lower)
}

/// Returns the record of this name that buildx can read: to a choice, a damaged one is as good as none.
fn readable<'a>(store: &'a Store, name: &str) -> Option<&'a BuilderRecord> {
    record(store, name).filter(|builder| builder.record.known().is_some())
}
