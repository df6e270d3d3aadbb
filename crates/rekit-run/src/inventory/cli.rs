//! The docker CLI's config.json, as far as it steers builds.

use std::{collections::BTreeMap, path::PathBuf};

use rekit_core::mask;
use serde_json::Value;

use crate::world::{environment::Surroundings, host};

/// What config.json says; empty where it does not parse.
#[derive(Clone, Debug, Default)]
pub(super) struct CliConfig {
    /// The context to use.
    pub(super) current_context: Option<String>,
    /// The plugin that the alias `builder` names.
    pub(super) builder_alias: Option<String>,
    /// Further folders of plugins.
    pub(super) plugin_folders: Vec<PathBuf>,
    /// The programs that keep passwords: key and name, each name once.
    pub(super) credential_helpers: Vec<(&'static str, String)>,
    /// The proxies for every RUN, by variable, passwords hidden.
    pub(super) proxies: BTreeMap<String, String>,
}

/// Lists the proxies for the builds of any engine; those of single engines are theirs.
fn proxies(config: &Value) -> BTreeMap<String, String> {
    let variables = [
        ("httpProxy", "http_proxy"),
        ("httpsProxy", "https_proxy"),
        ("noProxy", "no_proxy"),
    ];
    let said = config.pointer("/proxies/default");
    let set = variables.into_iter().filter_map(|(key, variable)| {
        let value = said?.get(key)?.as_str().filter(|value| !value.is_empty())?;
        Some((variable.to_owned(), mask::proxy(value)))
    });
    set.collect()
}

/// Lists the programs that keep passwords. For which registries is nobody's business.
fn credential_helpers(config: &Value) -> Vec<(&'static str, String)> {
    let store = config.get("credsStore").and_then(Value::as_str);
    let store = store.map(|name| ("credsStore", name.to_owned()));
    let others = config.get("credHelpers").and_then(Value::as_object);
    let others = others.into_iter().flatten();
    let others = others.filter_map(|(_, name)| Some(("credHelpers", name.as_str()?.to_owned())));
    let mut helpers: Vec<(&str, String)> = Vec::new();
    for (key, name) in store.into_iter().chain(others) {
        let is_new = !helpers.iter().any(|(_, known)| *known == name);
        if is_new && !name.is_empty() && !name.contains('/') {
            helpers.push((key, name));
        }
    }
    helpers
}

/// Reads config.json. That it does not parse is told by its entry among the configuration files.
pub(super) fn cli_config(surroundings: &Surroundings) -> CliConfig {
    let path = surroundings.docker_config().join("config.json");
    let Ok(text) = host::read_text(&path) else {
        return CliConfig::default();
    };
    let Ok(config) = serde_json::from_str::<Value>(&text) else {
        return CliConfig::default();
    };
    CliConfig {
        current_context: config
            .get("currentContext")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
        builder_alias: config
            .pointer("/aliases/builder")
            .and_then(Value::as_str)
            .map(str::to_owned),
        plugin_folders: config
            .get("cliPluginsExtraDirs")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(PathBuf::from)
            .collect(),
        credential_helpers: credential_helpers(&config),
        proxies: proxies(&config),
    }
}
