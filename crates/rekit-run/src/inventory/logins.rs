//! What this machine knows of registries beside the builders: programs that keep passwords, certificates of authorities.

use std::{collections::BTreeMap, path::Path};

use rekit_core::{inventory::CredentialHelper, mask, name::HostPath};

use super::cli::CliConfig;
use crate::world::{
    environment::Surroundings,
    host::{self, Kind},
};

/// Looks for the programs that config.json names, as the docker CLI does: on the search path.
pub(super) fn credential_helpers(
    surroundings: &Surroundings,
    cli: &CliConfig,
) -> Vec<CredentialHelper> {
    let is_program = |path: &Path| {
        let status = host::status(path);
        status.is_ok_and(|status| status.kind == Kind::File && status.mode & 0o111 != 0)
    };
    let helpers = cli.credential_helpers.iter();
    helpers
        .map(|(key, name)| {
            let file = format!("docker-credential-{name}");
            let folders = surroundings.path_folders().into_iter();
            let mut places = folders.map(|folder| folder.join(&file));
            CredentialHelper {
                name: mask::text(name),
                key: (*key).to_owned(),
                program: places
                    .find(|path| is_program(path))
                    .map(|path| host::host_path(&path)),
            }
        })
        .collect()
}

/// Lists the registries for which an engine of this machine, with root or without, finds certificates of authorities, with their files.
pub(super) fn registry_authorities(surroundings: &Surroundings) -> BTreeMap<String, Vec<HostPath>> {
    let folders = [
        surroundings.system("/etc/docker/certs.d"),
        surroundings.config_home().join("docker/certs.d"),
    ];
    let registries = folders
        .iter()
        .flat_map(|folder| host::list(folder, 1000).unwrap_or_default());
    // `.crt` is an authority; `.cert` and `.key` are the client's own.
    let is_authority = |name: &str| Path::new(name).extension().is_some_and(|end| end == "crt");
    let mut found: BTreeMap<String, Vec<HostPath>> = BTreeMap::new();
    for registry in registries {
        let files = host::list(&registry.path, 1000).unwrap_or_default();
        let authorities = files.iter().filter(|file| is_authority(&file.name));
        let mut paths: Vec<_> = authorities
            .map(|file| host::host_path(&file.path))
            .collect();
        if !paths.is_empty() {
            paths.sort();
            found.entry(registry.name).or_default().extend(paths);
        }
    }
    found
}
