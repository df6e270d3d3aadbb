//! Which context and builder are in force, decided as the docker CLI and buildx decide. The rule of the latter is the core's.

use rekit_core::{
    front_ends::{Chosen, current},
    inventory::{Selection, Store},
    mask,
    name::BuilderName,
};

use super::cli::CliConfig;
use crate::world::{
    environment::{DEFAULT_CONTEXT, Surroundings},
    host,
};

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
    alias: Option<String>,
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
        builder_alias: alias,
        cli_config: Some(host::host_path(
            &surroundings.docker_config().join("config.json"),
        )),
    }
}

/// Returns the builder in force.
fn builder(
    surroundings: &Surroundings,
    context: &str,
    key: &str,
    store: Option<&Store>,
) -> (Option<BuilderName>, &'static str) {
    if let Some(name) = surroundings.variable("BUILDX_BUILDER") {
        // The names of contexts stand for the contexts' own builders.
        let is_own = name == DEFAULT_CONTEXT || name == context;
        let named = (!is_own).then(|| name.to_ascii_lowercase().parse().ok());
        return (named.flatten(), "BUILDX_BUILDER");
    }
    match store.map(|store| current(store, key)) {
        Some(Chosen::Record(builder, by)) => (Some(builder.name.clone()), by.as_str()),
        _ => (None, "context"),
    }
}
