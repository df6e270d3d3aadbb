//! Which context and builder are in force, decided as the docker CLI and buildx decide.

use rekit_core::{
    inventory::{Current, Selection, Store},
    mask,
    name::{BuilderName, Digest},
};

use super::cli::CliConfig;
use crate::world::environment::{DEFAULT_CONTEXT, Surroundings};

/// Returns the context in force and what decided it.
pub(super) fn context(surroundings: &Surroundings, cli: &CliConfig) -> (String, &'static str) {
    if surroundings.variable("DOCKER_HOST").is_some() {
        (DEFAULT_CONTEXT.to_owned(), "DOCKER_HOST")
    } else if let Some(name) = surroundings.variable("DOCKER_CONTEXT") {
        (name.to_owned(), "DOCKER_CONTEXT")
    } else if let Some(name) = &cli.current_context {
        (name.clone(), "config.json")
    } else {
        (DEFAULT_CONTEXT.to_owned(), "default")
    }
}

/// Returns what is in force; `store` is the active one.
pub(super) fn selection(
    surroundings: &Surroundings,
    context: (String, &'static str),
    store: Option<&Store>,
) -> Selection {
    let (context, context_from) = context;
    let key = if context == DEFAULT_CONTEXT {
        surroundings.default_endpoint()
    } else {
        context.clone()
    };
    let (builder, builder_from) = builder(surroundings, &context, &key, store);
    Selection {
        context,
        context_from: context_from.to_owned(),
        key: mask::url(&key),
        builder,
        builder_from: builder_from.to_owned(),
    }
}

/// Returns the builder in force, as buildx's `Txn.Current` finds it.
fn builder(
    surroundings: &Surroundings,
    context: &str,
    key: &str,
    store: Option<&Store>,
) -> (Option<BuilderName>, &'static str) {
    // The names of contexts stand for the contexts' own builders.
    let own = |name: &str| name == DEFAULT_CONTEXT || name == context;
    let named = |name: &str| {
        (!own(name))
            .then(|| name.to_ascii_lowercase().parse().ok())
            .flatten()
    };
    if let Some(name) = surroundings.variable("BUILDX_BUILDER") {
        return (named(name), "BUILDX_BUILDER");
    }
    let Some(store) = store else {
        return (None, "context");
    };
    let current = store
        .current
        .as_ref()
        .and_then(|current| current.known())
        .map(|file| &file.current)
        .filter(|current| !current.name.is_empty());
    if let Some(current) = current {
        let is_there = exists(store, &current.name);
        if current.global && is_there {
            return (named(&current.name), "current");
        }
        if is_for(current, key) {
            // A dangling name falls back to the context's own builder.
            return if is_there {
                (named(&current.name), "current")
            } else {
                (None, "context")
            };
        }
    }
    let short = &Digest::of(key.as_bytes()).as_str()[..20].to_owned();
    match store.defaults.get(short) {
        Some(name) if exists(store, name) => (named(name), "defaults"),
        _ => (None, "context"),
    }
}

/// Returns whether `current` is meant for the key; in the inventory both have their credentials hidden.
fn is_for(current: &Current, key: &str) -> bool {
    current.key == mask::url(key)
}

/// Returns whether the store has a record of this name.
fn exists(store: &Store, name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    store
        .builders
        .iter()
        .any(|builder| builder.name.as_str() == lower)
}
