//! The order of a look: files first, engines second, everything side by side, an end for each.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rekit_core::{
    fact::Fact,
    inventory::{
        CachePlace, ConfigFile, ConfigKind, Emulator, Inventory, Leftover, Standalone, Tool,
    },
    name::HostPath,
};

use super::{
    caches, emulators, engine,
    environment::environment,
    files,
    foundations::{Foundations, foundations},
    leftovers::leftovers,
    logins,
    machine::machine,
    processes::{self, Process},
    project::{self, Project},
    references, standalone, together, tools,
};
use crate::world::{
    clock::{self, Deadline},
    environment::Surroundings,
    host,
};

/// How long the parts of a look may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All of it.
    pub total: Duration,
    /// Contexts and stores; configuration files.
    pub files: Duration,
    /// The project's tree.
    pub project: Duration,
    /// Each question to an endpoint.
    pub endpoint: Duration,
    /// Each program that is asked for its version.
    pub program: Duration,
}

impl Default for Limits {
    /// Limits for somebody who waits for the answer.
    fn default() -> Self {
        Self {
            total: Duration::from_millis(4500),
            files: Duration::from_millis(1500),
            project: Duration::from_millis(1500),
            endpoint: Duration::from_secs(2),
            program: Duration::from_secs(2),
        }
    }
}

impl Limits {
    /// Limits for a look that something is done upon: on a machine with much to do a daemon takes its seconds, and is not to be taken for
    /// one that hangs.
    pub fn patient() -> Self {
        Self {
            total: Duration::from_secs(20),
            files: Duration::from_secs(5),
            project: Duration::from_secs(5),
            endpoint: Duration::from_secs(8),
            program: Duration::from_secs(8),
        }
    }
}

/// Looks at everything BuildKit on this machine. Never fails: what cannot be read is an entry with its reason.
pub async fn inventory(surroundings: &Surroundings, limits: Limits) -> Inventory {
    let taken = clock::now();
    let deadline = Deadline::after(limits.total);
    let surroundings = Arc::new(surroundings.clone());
    let base = read_foundations(&surroundings, deadline.within(limits.files)).await;
    let (tools, emulators, (project, exports), own, asked) = tokio::join!(
        look_for_tools(&surroundings, &base, deadline, limits),
        look_for_emulators(&surroundings, deadline, limits),
        look_through_project(&surroundings, deadline, limits),
        look_at_daemons(&surroundings, &base, deadline, limits),
        engine::ask(&base, deadline, limits),
    );
    let parts = Parts {
        tools,
        emulators,
        project,
        exports,
        own,
        asked,
    };
    assemble(&surroundings, taken, base, parts)
}

/// The parts that were looked at side by side.
struct Parts {
    tools: Vec<Tool>,
    emulators: Fact<Vec<Emulator>>,
    project: Project,
    exports: Vec<CachePlace>,
    own: Own,
    asked: engine::Asked,
}

/// Configuration files, and the daemons of this machine that no engine knows of.
#[derive(Default)]
struct Own {
    files: Vec<ConfigFile>,
    standalone: Vec<Standalone>,
    places: Vec<CachePlace>,
    leftovers: Vec<Leftover>,
    unreadable: Vec<(HostPath, String)>,
}

/// Reads what tells where to look: contexts and stores.
async fn read_foundations(surroundings: &Arc<Surroundings>, deadline: Deadline) -> Foundations {
    let moved = Arc::clone(surroundings);
    together::on_thread(deadline, move || foundations(&moved))
        .await
        .unwrap_or_else(|| Foundations::unreadable(surroundings))
}

async fn look_for_tools(
    surroundings: &Arc<Surroundings>,
    base: &Foundations,
    deadline: Deadline,
    limits: Limits,
) -> Vec<Tool> {
    let (surroundings, cli) = (Arc::clone(surroundings), base.cli.clone());
    let found = together::on_thread(deadline.within(limits.files), move || {
        tools::find(&surroundings, &cli)
    });
    match found.await {
        Some(found) => found.ask(limits).await,
        None => Vec::new(),
    }
}

async fn look_for_emulators(
    surroundings: &Arc<Surroundings>,
    deadline: Deadline,
    limits: Limits,
) -> Fact<Vec<Emulator>> {
    let surroundings = Arc::clone(surroundings);
    let found = together::on_thread(deadline.within(limits.files), move || {
        emulators::registered(&surroundings)
    });
    let mut emulators = found.await.unwrap_or_else(|| Fact::Unreadable {
        reason: "the kernel's list was not read in time".to_owned(),
    });
    emulators::with_versions(&mut emulators, limits).await;
    emulators
}

async fn look_through_project(
    surroundings: &Arc<Surroundings>,
    deadline: Deadline,
    limits: Limits,
) -> (Project, Vec<CachePlace>) {
    let (moved, walk) = (Arc::clone(surroundings), deadline.within(limits.project));
    // A walk that ends by itself still tells what it saw: it gets half a second to come home.
    let patience = deadline.within(limits.project + Duration::from_millis(500));
    let project = together::on_thread(patience, move || project::project(&moved, walk))
        .await
        .unwrap_or_else(|| Project {
            unreadable: vec![out_of_time(surroundings.working_folder())],
            ..Project::default()
        });
    let exports = caches::exports(&project.exports, deadline).await;
    (project, exports)
}

async fn look_at_daemons(
    surroundings: &Arc<Surroundings>,
    base: &Foundations,
    deadline: Deadline,
    limits: Limits,
) -> Own {
    let (moved, stores) = (Arc::clone(surroundings), base.store_folders.clone());
    let named = base.addresses();
    let look = move || {
        let mut own = Own::default();
        let processes = processes::processes(&moved);
        let given = named_files(&processes, &named);
        own.files = files::files(&moved, &stores, &given, &mut own.unreadable);
        own.standalone =
            standalone::standalone(&moved, &processes, &own.files, &named, &mut own.unreadable);
        own.leftovers = leftovers(&moved, &processes, &own.files, &stores, clock::now());
        own
    };
    let mut own = together::on_thread(deadline.within(limits.files), look)
        .await
        .unwrap_or_else(|| Own {
            unreadable: vec![out_of_time(&surroundings.system("/etc"))],
            ..Own::default()
        });
    let questions: Vec<_> = own
        .standalone
        .iter()
        .map(|daemon| engine::ask_standalone(daemon.clone(), deadline, limits))
        .collect();
    let (answers, places) = tokio::join!(
        together::all(questions),
        caches::roots(&own.standalone, deadline),
    );
    (own.standalone, own.places) = (answers, places);
    own
}

/// Lists the configuration files that running daemons were given, other people's sandboxes left out.
fn named_files(processes: &[Process], named: &[String]) -> Vec<(ConfigKind, PathBuf)> {
    let is_ours = |process: &&Process| {
        let listens = ["H", "host", "addr"]
            .iter()
            .flat_map(|flag| processes::flag_values(&process.arguments, flag))
            .any(|address| named.contains(&address));
        !process.is_apart || listens
    };
    processes
        .iter()
        .filter(is_ours)
        .flat_map(|process| {
            let (kind, flag) = match process.program.as_str() {
                "dockerd" => (ConfigKind::Daemon, "config-file"),
                _ => (ConfigKind::Buildkitd, "config"),
            };
            processes::flag_values(&process.arguments, flag)
                .into_iter()
                .map(move |path| (kind, PathBuf::from(path)))
        })
        .collect()
}

/// Puts the parts together.
fn assemble(
    surroundings: &Surroundings,
    taken: jiff::Timestamp,
    base: Foundations,
    parts: Parts,
) -> Inventory {
    let Parts {
        tools,
        emulators,
        project,
        exports,
        mut own,
        asked,
    } = parts;
    let (mut stores, mut claims) = (Vec::new(), Vec::new());
    for read in base.stores {
        stores.push(read.store);
        claims.extend(read.claims);
    }
    asked.fill_nodes(&mut stores);
    standalone::name_builders(&mut own.standalone, &stores);
    let desktop = base
        .desktop
        .map(|traces| traces.complete(|id| asked.said(id)));
    let mut files = own.files;
    files.extend(files::of_project(&project.configurations));
    let mut unreadable = base.unreadable;
    unreadable.extend(own.unreadable);
    unreadable.extend(project.unreadable);
    let mut caches = asked.places(&stores, &claims);
    caches.extend(own.places);
    caches.extend(exports);
    caches.sort_by(|a, b| (a.kind, &a.host, &a.name).cmp(&(b.kind, &b.host, &b.name)));
    let mut inventory = Inventory {
        schema: Inventory::SCHEMA.to_owned(),
        version: Inventory::VERSION,
        taken,
        machine: machine(surroundings),
        environment: environment(surroundings),
        tools,
        selection: base.selection,
        contexts: base.contexts,
        hosts: asked.into_hosts(),
        stores,
        standalone: own.standalone,
        caches,
        files,
        emulators,
        desktop,
        scripts: project.scripts,
        dockerfiles: project.dockerfiles,
        credential_helpers: logins::credential_helpers(surroundings, &base.cli),
        registry_authorities: logins::registry_authorities(surroundings),
        client_proxies: base.cli.proxies.clone(),
        leftovers: own.leftovers,
        unreadable,
    };
    references::name_all(&mut inventory, surroundings);
    inventory
}

/// Says that a place was not read in time.
fn out_of_time(path: &Path) -> (HostPath, String) {
    (
        host::host_path(path),
        "not read within the time of an inventory".to_owned(),
    )
}
