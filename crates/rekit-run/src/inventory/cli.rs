//! The docker CLI's config.json, as far as it steers builds.

use std::path::PathBuf;

use serde_json::Value;

use crate::world::{environment::Surroundings, host};

/// What config.json says; empty where it does not parse.
#[derive(Clone, Debug, Default)]
pub(super) struct CliConfig {
    /// The context to use.
    pub(super) current_context: Option<String>,
    /// Further folders of plugins.
    pub(super) plugin_folders: Vec<PathBuf>,
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
        plugin_folders: config
            .get("cliPluginsExtraDirs")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(PathBuf::from)
            .collect(),
    }
}
