//! Docker contexts, read from their files.

use std::path::{Path, PathBuf};

use rekit_core::{
    fact::Fact,
    inventory::{ContextEntry, ContextState},
    mask,
    name::{Digest, HostPath},
};
use serde_json::Value;

use super::endpoints::{Endpoints, TlsFiles};
use crate::world::{
    environment::{DEFAULT_CONTEXT, Surroundings},
    host::{self, Kind},
};

/// Lists contexts and adds their endpoints. `current` is the name of the one in force.
pub(super) fn contexts(
    surroundings: &Surroundings,
    current: &str,
    endpoints: &mut Endpoints,
    unreadable: &mut Vec<(HostPath, String)>,
) -> Vec<ContextEntry> {
    let folder = surroundings.docker_config().join("contexts");
    let mut entries = vec![default_context(surroundings, current, endpoints)];
    let meta = folder.join("meta");
    match host::list(&meta, 10_000) {
        Ok(found) => entries.extend(
            found
                .into_iter()
                .filter(|entry| matches!(entry.kind, Kind::Folder | Kind::Link))
                .map(|entry| context(&folder, &entry.name, current, endpoints)),
        ),
        Err(error) if error.is_absent() => {}
        Err(error) => unreadable.push((host::host_path(&meta), error.to_string())),
    }
    entries
}

/// Describes the context that has no files.
fn default_context(
    surroundings: &Surroundings,
    current: &str,
    endpoints: &mut Endpoints,
) -> ContextEntry {
    let address = surroundings.default_endpoint();
    let tls = surroundings.wants_tls().then(|| {
        let folder = surroundings.certificates();
        let skip_verify = surroundings.variable("DOCKER_TLS_VERIFY").is_none();
        tls_files(&folder, skip_verify)
    });
    let named_by = if surroundings.variable("DOCKER_HOST").is_some() {
        "DOCKER_HOST"
    } else {
        "default socket"
    };
    let host = endpoints.add(&address, tls, named_by.to_owned());
    ContextEntry {
        name: DEFAULT_CONTEXT.to_owned(),
        file: None,
        tls: None,
        state: Fact::Known(ContextState {
            endpoint: mask::url(&address),
            description: String::new(),
            unusable: host.as_ref().err().cloned(),
            host: host.ok(),
        }),
        current: current == DEFAULT_CONTEXT,
    }
}

/// Reads one context's metadata.
fn context(folder: &Path, id: &str, current: &str, endpoints: &mut Endpoints) -> ContextEntry {
    let tls_folder = folder.join("tls").join(id);
    let has_tls = host::status(&tls_folder).is_ok();
    let (file, content) = match host::facts(&folder.join("meta").join(id).join("meta.json")) {
        Some((file, content)) => (Some(file), content.map_err(|error| error.to_string())),
        None => (None, Err("it has no meta.json".to_owned())),
    };
    let parsed = content.and_then(|bytes| {
        serde_json::from_slice::<Value>(&bytes)
            .map_err(|error| format!("meta.json does not parse: {error}"))
    });
    let name = parsed
        .as_ref()
        .ok()
        .and_then(|meta| meta.get("Name")?.as_str())
        .filter(|name| !name.is_empty())
        .unwrap_or(id)
        .to_owned();
    let state = match parsed {
        Ok(meta) => Fact::Known(state(
            &meta,
            &name,
            id,
            has_tls.then_some(&tls_folder),
            endpoints,
        )),
        Err(reason) => Fact::Unreadable { reason },
    };
    ContextEntry {
        current: current == name,
        name,
        file,
        tls: has_tls.then(|| host::host_path(&tls_folder)),
        state,
    }
}

/// Says what a context's metadata says.
fn state(
    meta: &Value,
    name: &str,
    id: &str,
    tls_folder: Option<&PathBuf>,
    endpoints: &mut Endpoints,
) -> ContextState {
    let docker = meta.pointer("/Endpoints/docker");
    let address = docker
        .and_then(|docker| docker.get("Host")?.as_str())
        .unwrap_or_default();
    let skip_verify = docker
        .and_then(|docker| docker.get("SkipTLSVerify")?.as_bool())
        .unwrap_or_default();
    let tls = tls_folder
        .map(|folder| tls_files(&folder.join("docker"), skip_verify))
        .or_else(|| {
            skip_verify.then(|| TlsFiles {
                skip_verify,
                ..TlsFiles::default()
            })
        });
    let expected = Digest::of(name.as_bytes());
    let host = if expected.as_str() == id {
        endpoints.add(address, tls, format!("context {name}"))
    } else {
        Err(format!(
            "its folder is `{id}`, docker looks in `{expected}`"
        ))
    };
    ContextState {
        endpoint: mask::url(address),
        description: mask::text(
            meta.pointer("/Metadata/Description")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        ),
        unusable: host.as_ref().err().cloned(),
        host: host.ok(),
    }
}

/// Returns the TLS files that are there.
fn tls_files(folder: &Path, skip_verify: bool) -> TlsFiles {
    let present = |name: &str| {
        let path = folder.join(name);
        host::status(&path).is_ok().then_some(path)
    };
    TlsFiles {
        authority: present("ca.pem"),
        certificate: present("cert.pem"),
        key: present("key.pem"),
        skip_verify,
        server_name: None,
    }
}
