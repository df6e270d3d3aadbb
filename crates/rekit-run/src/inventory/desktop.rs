//! Docker Desktop's traces: settings, sockets, contexts, and which of them disagree (R1.1.5).

use std::{collections::BTreeMap, path::PathBuf};

use rekit_core::{
    fact::Fact,
    inventory::{ContextEntry, Desktop, FileFacts},
    mask,
    name::{HostId, HostPath},
};
use serde_json::Value;

use super::endpoints::{Endpoints, host_id};
use crate::world::{
    environment::Surroundings,
    host::{self, Kind},
};

/// Words in the names of Desktop's settings that concern builds. The keys are undocumented and change from version to version.
const BUILD_WORDS: &[&str] = &[
    "buildkit",
    "builder",
    "buildview",
    "buildsview",
    "containerdsnapshotter",
    "diskimage",
    "disksize",
    "integrateddistros",
    "wslintegration",
    "enableintegration",
    "rosetta",
    "vmmemory",
    "memorymib",
    "cpus",
    "exposedockerapi",
    "hostnetworking",
];
/// Sockets of Desktop's engine, relative to the home.
const OWN_SOCKETS: &[&str] = &[
    ".docker/desktop/docker.sock",
    ".docker/run/docker.sock",
    "Library/Containers/com.docker.docker/Data/docker.raw.sock",
];
/// Sockets that Desktop for Windows lays into WSL.
const WSL_SOCKETS: &[&str] = &[
    "/mnt/wsl/docker-desktop/shared-sockets/guest-services/docker.proxy.sock",
    "/mnt/wsl/docker-desktop/shared-sockets/guest-services/docker.sock",
    "/mnt/wsl/docker-desktop/shared-sockets/host-services/docker-desktop-build.sock",
];
/// Sockets of Desktop's build service, relative to the home: they are no engines.
const BUILD_SOCKETS: &[&str] = &[
    ".docker/desktop/docker-desktop-build.sock",
    "Library/Containers/com.docker.docker/Data/docker-desktop-build.sock",
];

/// What the files say of Desktop, before its engine is asked.
pub(super) struct Traces {
    settings: Option<FileFacts>,
    build_settings: Fact<BTreeMap<String, String>>,
    sockets: Vec<(PathBuf, Result<HostId, String>)>,
    contexts: Vec<String>,
    disagreements: Vec<String>,
}

/// Looks for Desktop's traces and adds its engine's sockets to the endpoints. `None`: no trace.
pub(super) fn traces(
    surroundings: &Surroundings,
    contexts: &[ContextEntry],
    endpoints: &mut Endpoints,
) -> Option<Traces> {
    let settings = settings_places(surroundings)
        .into_iter()
        .find_map(|path| host::facts(&path));
    let sockets = sockets(surroundings, endpoints);
    let own: Vec<&ContextEntry> = contexts
        .iter()
        .filter(|context| is_desktops(context))
        .collect();
    if settings.is_none() && sockets.is_empty() && own.is_empty() {
        return None;
    }
    let mut disagreements = disagreements(&own, settings.is_some(), &sockets);
    let (settings, build_settings) = match settings {
        Some((file, content)) => {
            let said = content.map_err(|error| error.to_string());
            (Some(file), build_settings(said))
        }
        None => (None, unreadable("there is no settings file")),
    };
    if let Some(reason) = build_settings.reason().filter(|_| settings.is_some()) {
        disagreements.push(format!("the settings file cannot be read: {reason}"));
    }
    Some(Traces {
        settings,
        build_settings,
        sockets,
        contexts: own.iter().map(|context| context.name.clone()).collect(),
        disagreements,
    })
}

impl Traces {
    /// Completes the picture with what the engines answered: `answer` tells an engine's name or why it is silent.
    pub(super) fn complete(self, answer: impl Fn(&HostId) -> Fact<String>) -> Desktop {
        let sockets: Vec<(HostPath, Fact<String>)> = self
            .sockets
            .into_iter()
            .map(|(path, host)| {
                let said = match host {
                    Ok(id) => answer(&id),
                    Err(reason) => Fact::Unreadable { reason },
                };
                (host::host_path(&path), said)
            })
            .collect();
        let running = sockets.iter().any(|(_, said)| said.known().is_some());
        let mut disagreements = self.disagreements;
        if !running && !self.contexts.is_empty() {
            disagreements.push(format!(
                "there is the context `{}`, but no engine of Desktop answers here",
                self.contexts.join("`, `")
            ));
        }
        if running && self.contexts.is_empty() {
            disagreements.push(
                "an engine of Desktop answers, but there is no context `desktop-linux`".to_owned(),
            );
        }
        Desktop {
            settings: self.settings,
            build_settings: self.build_settings,
            sockets,
            contexts: self.contexts,
            running,
            disagreements,
        }
    }
}

/// Lists where Desktop keeps its settings: new name before old; macOS, Linux, Windows seen from WSL.
fn settings_places(surroundings: &Surroundings) -> Vec<PathBuf> {
    let home = surroundings.home();
    let mut folders = vec![
        home.join("Library/Group Containers/group.com.docker"),
        home.join(".docker/desktop"),
    ];
    if let Some(roaming) = surroundings.variable("APPDATA") {
        folders.push(PathBuf::from(roaming).join("Docker"));
    }
    let users = host::list(&surroundings.system("/mnt/c/Users"), 1000).unwrap_or_default();
    folders.extend(
        users
            .iter()
            .map(|user| user.path.join("AppData/Roaming/Docker")),
    );
    let names = ["settings-store.json", "settings.json"];
    folders
        .iter()
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .collect()
}

/// Lists the sockets that are there; those of engines become endpoints.
fn sockets(
    surroundings: &Surroundings,
    endpoints: &mut Endpoints,
) -> Vec<(PathBuf, Result<HostId, String>)> {
    let home = surroundings.home();
    let own = OWN_SOCKETS.iter().map(|path| home.join(path));
    let wsl = WSL_SOCKETS.iter().map(|path| surroundings.system(path));
    let builds = BUILD_SOCKETS.iter().map(|path| home.join(path));
    own.chain(wsl)
        .chain(builds)
        .filter(|path| host::status(path).is_ok_and(|status| status.kind == Kind::Socket))
        .map(|path| {
            let is_build = path
                .to_string_lossy()
                .ends_with("docker-desktop-build.sock");
            let id = if is_build {
                Err("Desktop's build service: it speaks no protocol that rekit knows".to_owned())
            } else {
                endpoints.add(
                    &format!("unix://{}", path.display()),
                    None,
                    "Docker Desktop".to_owned(),
                )
            };
            (path, id)
        })
        .collect()
}

/// Returns whether Desktop made a context.
fn is_desktops(context: &ContextEntry) -> bool {
    let endpoint = context
        .state
        .known()
        .map_or("", |state| state.endpoint.as_str());
    context.name.starts_with("desktop-")
        || endpoint.contains("dockerDesktop")
        || endpoint.contains("/.docker/desktop/")
        || endpoint.contains("/mnt/wsl/docker-desktop/")
}

/// Says which of the files contradict each other.
fn disagreements(
    contexts: &[&ContextEntry],
    has_settings: bool,
    sockets: &[(PathBuf, Result<HostId, String>)],
) -> Vec<String> {
    let mut found = Vec::new();
    for context in contexts {
        let name = &context.name;
        match &context.state {
            Fact::Unreadable { reason } => {
                found.push(format!("the context `{name}` cannot be read: {reason}"));
            }
            Fact::Known(state) => {
                let endpoint = &state.endpoint;
                if let Some(reason) = &state.unusable {
                    found.push(format!(
                        "the context `{name}` names `{endpoint}`, which this machine cannot dial: {reason}"
                    ));
                } else if let Some(path) = endpoint.strip_prefix("unix://")
                    && host::status(&PathBuf::from(path)).is_err()
                {
                    found.push(format!(
                        "the context `{name}` names `{endpoint}`, which is not there"
                    ));
                }
            }
        }
        let names_a_socket = sockets.iter().any(|(path, _)| {
            let id = host_id(&format!("unix://{}", path.display())).ok();
            id.is_some() && id == context.state.known().and_then(|state| state.host.clone())
        });
        if !sockets.is_empty() && !names_a_socket && context.name == "desktop-linux" {
            found.push(format!(
                "the context `{name}` does not name the socket `{}`, which is there",
                sockets[0].0.display()
            ));
        }
    }
    if has_settings && contexts.is_empty() {
        found.push("there is a settings file, but no context of Desktop".to_owned());
    }
    if !has_settings && !contexts.is_empty() {
        found.push("there is a context of Desktop, but no settings file".to_owned());
    }
    found
}

/// Returns the settings that concern builds, secrets hidden.
fn build_settings(content: Result<Vec<u8>, String>) -> Fact<BTreeMap<String, String>> {
    let settings = content.and_then(|bytes| {
        serde_json::from_slice::<Value>(&bytes).map_err(|error| format!("does not parse: {error}"))
    });
    match settings {
        Ok(Value::Object(settings)) => Fact::Known(
            settings
                .iter()
                .filter(|(key, _)| {
                    let lower = key.to_ascii_lowercase();
                    BUILD_WORDS.iter().any(|word| lower.contains(word))
                })
                .map(|(key, value)| (key.clone(), mask::value(key, &value.to_string())))
                .collect(),
        ),
        Ok(_) => unreadable("it is no JSON object"),
        Err(reason) => Fact::Unreadable { reason },
    }
}

fn unreadable<T>(reason: &str) -> Fact<T> {
    Fact::Unreadable {
        reason: reason.to_owned(),
    }
}
