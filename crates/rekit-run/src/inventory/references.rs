//! What clients' stores keep of the builds that they began: the half of a build's story that its daemon is never told.

use std::path::{Path, PathBuf};

use rekit_core::{
    fact::Fact,
    inventory::{ActiveBuild, ClientReference, Daemon, Inventory},
    mask,
};
use serde_json::Value;

use super::store;
use crate::world::{environment::Surroundings, host};

/// How many builders, and how many nodes of each, are looked through for a reference.
const FOLDERS: usize = 10_000;
/// A reference is a few lines.
const LIMIT_BYTES: u64 = 64 << 10;

/// Fills in what the clients' stores know of these builds.
pub(crate) fn name_builds(builds: &mut [ActiveBuild], surroundings: &Surroundings) {
    if builds.is_empty() {
        return;
    }
    let folders: Vec<_> = store::folders(surroundings)
        .iter()
        .flat_map(|store| nodes_of(&store.join("refs")))
        .collect();
    for build in builds {
        // The daemon's word becomes a file's name: nothing that leads elsewhere is one.
        if build.reference.contains('/') || build.reference.starts_with('.') {
            continue;
        }
        let files = folders.iter().map(|folder| folder.join(&build.reference));
        let found = files.into_iter().find_map(|file| read(&file, surroundings));
        if let Some(client) = found {
            build.know(client);
        }
    }
}

/// Fills in what the clients' stores know of every build of an inventory.
pub(super) fn name_all(inventory: &mut Inventory, surroundings: &Surroundings) {
    let mut daemons: Vec<&mut Fact<Daemon>> = Vec::new();
    for host in &mut inventory.hosts {
        if let Fact::Known(engine) = &mut host.engine {
            daemons.push(&mut engine.embedded);
        }
    }
    for store in &mut inventory.stores {
        for builder in &mut store.builders {
            if let Fact::Known(record) = &mut builder.record {
                daemons.extend(record.nodes.iter_mut().map(|node| &mut node.daemon));
            }
        }
    }
    let standalone = inventory.standalone.iter_mut();
    daemons.extend(standalone.map(|standalone| &mut standalone.daemon));
    for daemon in daemons {
        if let Fact::Known(daemon) = daemon
            && let Fact::Known(active) = &mut daemon.active
        {
            name_builds(active, surroundings);
        }
    }
}

/// Lists the folders `refs/<builder>/<node>`.
fn nodes_of(refs: &Path) -> Vec<PathBuf> {
    let builders = host::list(refs, FOLDERS).unwrap_or_default();
    let nodes = builders
        .iter()
        .flat_map(|builder| host::list(&builder.path, FOLDERS).unwrap_or_default());
    nodes.map(|node| node.path).collect()
}

/// Reads a reference; whose file it is, he began the build.
fn read(file: &Path, surroundings: &Surroundings) -> Option<ClientReference> {
    let content = host::read(file, LIMIT_BYTES).ok()?;
    let said: Value = serde_json::from_slice(&content).ok()?;
    let text = |name: &str| {
        let text = said.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(mask::text)
    };
    let owner = host::status(file).ok().map(|status| status.owner);
    Some(ClientReference {
        target: text("Target").filter(|target| target != "default"),
        context: text("LocalPath"),
        dockerfile: text("DockerfilePath"),
        user: owner.map(|owner| account(owner, surroundings)),
    })
}

/// Returns an account's name, or its number where no file tells the name.
fn account(owner: u32, surroundings: &Surroundings) -> String {
    let users = host::read_text(&surroundings.system("/etc/passwd")).unwrap_or_default();
    let number = owner.to_string();
    let name = users.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1) == Some(&number)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("user {number}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test makes the files it needs")]
    fn r2_1_4_a_build_is_known_by_its_clients_file_and_no_file_elsewhere() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".docker/buildx/refs/team/team0");
        std::fs::create_dir_all(&folder).unwrap();
        let said = r#"{"Target":"app","LocalPath":"https://me:hunter2@git.example/shop.git","DockerfilePath":"Dockerfile"}"#;
        std::fs::write(folder.join("abc"), said).unwrap();
        let variables = BTreeMap::from([("HOME".to_owned(), home.path().display().to_string())]);
        let surroundings = Surroundings::new(variables, home.path().to_owned(), 0);
        let build = |reference: &str| ActiveBuild {
            reference: reference.to_owned(),
            ..ActiveBuild::default()
        };
        let mut builds = [build("abc"), build("other"), build("../team0/abc")];
        name_builds(&mut builds, &surroundings);
        let told = builds[0].told();
        assert!(told.contains("target app, of https://"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
        assert!(builds[0].user.is_some());
        assert_eq!(builds[1], build("other"));
        assert_eq!(builds[2], build("../team0/abc"));
    }
}
