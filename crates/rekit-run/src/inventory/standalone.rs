//! BuildKit daemons outside the engine, and what such a daemon left behind: processes, sockets, `BUILDKIT_HOST`, units, state folders.

use std::path::{Path, PathBuf};

use rekit_core::{
    fact::Fact,
    inventory::{ConfigFile, ConfigKind, Standalone, Store},
    mask,
    name::HostPath,
    standalone::ProcessIdentity,
};

use super::{
    origin::origin,
    processes::{Process, flag_values, processes},
};
use crate::world::{environment::Surroundings, host};

/// The socket of a daemon that runs as root.
const SYSTEM_SOCKET: &str = "/run/buildkit/buildkitd.sock";
/// The state folder of a daemon that runs as root.
const SYSTEM_ROOT: &str = "/var/lib/buildkit";
/// What of a daemon's state folder tells that it is one.
const STATE_MARKS: &[&str] = &["cache.db", "buildkitd.lock", "history.db"];

/// Finds daemons and remains; none has been asked yet. `named` are the addresses that builders name.
pub(super) fn standalone(
    surroundings: &Surroundings,
    processes: &[Process],
    files: &[ConfigFile],
    named: &[String],
    unreadable: &mut Vec<(HostPath, String)>,
) -> Vec<Standalone> {
    let mut found: Vec<Standalone> = processes
        .iter()
        .filter(|process| process.program == "buildkitd")
        .map(|process| (process, of_process(surroundings, process)))
        .filter(|(process, daemon)| {
            !process.is_apart || process.unit.is_some() || is_ours(surroundings, daemon, named)
        })
        .map(|(_, daemon)| daemon)
        .collect();
    for socket in sockets(surroundings) {
        if host::status(&socket).is_ok() {
            let address = format!("unix://{}", socket.display());
            let known_by = format!("socket {}", socket.display());
            by_address(&mut found, address, known_by);
        }
    }
    if let Some(address) = surroundings.variable("BUILDKIT_HOST") {
        by_address(&mut found, address.to_owned(), "BUILDKIT_HOST".to_owned());
    }
    for root in roots(surroundings) {
        by_root(&mut found, &root, unreadable);
    }
    by_unit(&mut found, files);
    for daemon in &mut found {
        daemon.address = daemon.address.as_deref().map(mask::url);
    }
    found
}

/// Returns whether something here names a daemon: a builder, `BUILDKIT_HOST`, a usual place, or that its state lies in the home.
fn is_ours(surroundings: &Surroundings, daemon: &Standalone, named: &[String]) -> bool {
    let at = |address: &String| {
        named.contains(address)
            || surroundings.variable("BUILDKIT_HOST") == Some(address)
            || sockets(surroundings)
                .iter()
                .any(|socket| *address == format!("unix://{}", socket.display()))
    };
    let home = host::host_path(surroundings.home());
    daemon.address.as_ref().is_some_and(at)
        || daemon
            .root
            .as_ref()
            .is_some_and(|root| root.is_within(&home))
}

/// Returns the process of the daemon that works on a state folder, if it is seen from here.
pub(crate) fn daemon_on(surroundings: &Surroundings, root: &Path) -> Option<u32> {
    process_on(surroundings, root).map(|process| process.pid)
}

/// The same, with its time of start.
pub(crate) fn identity_on(surroundings: &Surroundings, root: &Path) -> Option<ProcessIdentity> {
    let process = process_on(surroundings, root)?;
    Some(ProcessIdentity {
        pid: process.pid,
        started: process.started,
    })
}

fn process_on(surroundings: &Surroundings, root: &Path) -> Option<Process> {
    let root = host::host_path(root);
    let daemons = processes(surroundings).into_iter();
    let mut daemons = daemons.filter(|process| process.program == "buildkitd");
    daemons.find(|process| of_process(surroundings, process).root.as_ref() == Some(&root))
}

/// Describes the daemon of a process.
fn of_process(surroundings: &Surroundings, process: &Process) -> Standalone {
    let is_root = process.user == 0;
    let configs = flag_values(&process.arguments, "config");
    let config = configs.last().map(PathBuf::from).or_else(|| {
        let usual = if is_root {
            surroundings.system("/etc/buildkit/buildkitd.toml")
        } else {
            surroundings.config_home().join("buildkit/buildkitd.toml")
        };
        host::status(&usual).is_ok().then_some(usual)
    });
    let root = flag_values(&process.arguments, "root")
        .pop()
        .map(PathBuf::from)
        .or_else(|| {
            config
                .as_deref()
                .and_then(|path| in_config(path, "root").map(PathBuf::from))
        })
        .unwrap_or_else(|| {
            if is_root {
                surroundings.system(SYSTEM_ROOT)
            } else {
                surroundings.data_home().join("buildkit")
            }
        });
    let address = flag_values(&process.arguments, "addr")
        .into_iter()
        .next()
        .or_else(|| {
            config
                .as_deref()
                .and_then(|path| in_config(path, "address"))
        })
        .or_else(|| {
            let socket = if is_root {
                surroundings.system(SYSTEM_SOCKET)
            } else {
                surroundings
                    .runtime_folder()?
                    .join("buildkit/buildkitd.sock")
            };
            Some(format!("unix://{}", socket.display()))
        });
    Standalone {
        known_by: vec![format!("process {}", process.pid)],
        pid: Some(process.pid),
        address,
        root: Some(host::host_path(&root)),
        tls: tls_files(process, config.as_deref()),
        config: config.as_deref().map(host::host_path),
        origin: Some(origin(process, &root)),
        unit: process.unit.clone(),
        daemon: not_asked(),
        contradictions: None,
    }
}

/// Returns the keys and certificates that a daemon's flags or configuration name.
fn tls_files(process: &Process, config: Option<&Path>) -> Vec<HostPath> {
    let flags = ["tlscacert", "tlscert", "tlskey"];
    let named = flags.map(|flag| flag_values(&process.arguments, flag));
    let document = config
        .and_then(|path| host::read_text(path).ok())
        .and_then(|text| text.parse::<toml_edit::DocumentMut>().ok());
    let table = document.as_ref().and_then(|it| it.get("grpc")?.get("tls"));
    let in_table = ["ca", "cert", "key"]
        .iter()
        .filter_map(|name| table?.get(*name)?.as_str().map(str::to_owned));
    let files = named.into_iter().flatten().chain(in_table);
    let absolute = files.filter(|file| file.starts_with('/'));
    absolute.map(|file| HostPath::from(file.as_str())).collect()
}

/// Returns the daemon's root or first address that a buildkitd.toml names.
fn in_config(path: &Path, wanted: &str) -> Option<String> {
    let document = host::read_text(path)
        .ok()?
        .parse::<toml_edit::DocumentMut>()
        .ok()?;
    if wanted == "root" {
        return Some(document.get("root")?.as_str()?.to_owned());
    }
    let address = document.get("grpc")?.get("address")?.as_array()?.get(0)?;
    Some(address.as_str()?.to_owned())
}

/// Lists where daemons put their sockets.
fn sockets(surroundings: &Surroundings) -> Vec<PathBuf> {
    let mut sockets = vec![surroundings.system(SYSTEM_SOCKET)];
    if let Some(runtime) = surroundings.runtime_folder() {
        sockets.push(runtime.join("buildkit/buildkitd.sock"));
    }
    sockets
}

/// Returns the addresses that a buildkitd.toml names.
pub(super) fn configured_addresses(path: &Path) -> Vec<String> {
    let document = host::read_text(path)
        .ok()
        .and_then(|text| text.parse::<toml_edit::DocumentMut>().ok());
    document
        .as_ref()
        .and_then(|document| document.get("grpc")?.get("address")?.as_array())
        .into_iter()
        .flatten()
        .filter_map(|address| Some(address.as_str()?.to_owned()))
        .collect()
}

/// Returns the addresses that a systemd unit gives to buildkitd.
pub(super) fn unit_addresses(path: &Path) -> Vec<String> {
    let text = host::read_text(path).unwrap_or_default();
    text.lines()
        .filter(|line| line.starts_with("ExecStart") && line.contains("buildkitd"))
        .flat_map(|line| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            flag_values(&words, "addr")
        })
        .collect()
}

/// Lists where daemons keep their state.
fn roots(surroundings: &Surroundings) -> Vec<PathBuf> {
    let mut roots = vec![
        surroundings.system(SYSTEM_ROOT),
        surroundings.data_home().join("buildkit"),
    ];
    let rootless = surroundings.home().join(".local/share/buildkit");
    if !roots.contains(&rootless) {
        roots.push(rootless);
    }
    roots
}

/// Adds what is known by an address.
fn by_address(found: &mut Vec<Standalone>, address: String, known_by: String) {
    let known = found
        .iter_mut()
        .find(|daemon| daemon.address.as_deref() == Some(&address));
    match known {
        Some(daemon) => daemon.known_by.push(known_by),
        None => found.push(Standalone {
            known_by: vec![known_by],
            pid: None,
            address: Some(address),
            root: None,
            config: None,
            unit: None,
            origin: None,
            tls: Vec::new(),
            daemon: not_asked(),
            contradictions: None,
        }),
    }
}

/// Returns whether a folder holds the state of a daemon.
pub(crate) fn holds_state(folder: &Path) -> Result<bool, host::ReadError> {
    let entries = host::list(folder, 10_000)?;
    let is_mark = |name: &str| STATE_MARKS.contains(&name) || is_worker(name);
    Ok(entries.iter().any(|entry| is_mark(&entry.name)))
}

/// Adds what is known by a state folder, if it holds a state.
fn by_root(found: &mut Vec<Standalone>, root: &Path, unreadable: &mut Vec<(HostPath, String)>) {
    let path = host::host_path(root);
    let holds_state = match holds_state(root) {
        Ok(holds_state) => holds_state,
        Err(error) if error.is_absent() => return,
        Err(error) => {
            unreadable.push((path, error.to_string()));
            return;
        }
    };
    let known_by = format!("root {}", root.display());
    if let Some(daemon) = found
        .iter_mut()
        .find(|daemon| daemon.root.as_ref() == Some(&path))
    {
        daemon.known_by.push(known_by);
    } else if holds_state {
        found.push(Standalone {
            known_by: vec![known_by],
            pid: None,
            address: None,
            root: Some(path),
            config: None,
            unit: None,
            origin: None,
            tls: Vec::new(),
            daemon: Fact::Unreadable {
                reason: "no daemon runs on this state".to_owned(),
            },
            contradictions: None,
        });
    }
}

/// Returns whether a folder of a state is a worker's.
pub(super) fn is_worker(name: &str) -> bool {
    name.starts_with("runc-") || name.starts_with("containerd-")
}

/// Adds the systemd units that start buildkitd: to their daemon where it runs, on their own where it does not.
fn by_unit(found: &mut Vec<Standalone>, files: &[ConfigFile]) {
    for file in files.iter().filter(|file| file.kind == ConfigKind::Unit) {
        let name = file.file.path.file_name().to_owned();
        let is_buildkit = host::read_text(&host::path_of(&file.file.path)).is_ok_and(|text| {
            text.lines()
                .any(|line| line.starts_with("ExecStart") && line.contains("buildkitd"))
        });
        if !name.ends_with(".service") || !is_buildkit {
            continue;
        }
        let known_by = format!("unit {name}");
        let same = found
            .iter_mut()
            .find(|daemon| daemon.unit.as_deref() == Some(&name));
        match same {
            Some(daemon) if daemon.known_by.contains(&known_by) => {}
            Some(daemon) => daemon.known_by.push(known_by),
            None => found.push(Standalone {
                known_by: vec![known_by],
                pid: None,
                address: None,
                root: None,
                config: None,
                unit: Some(name),
                origin: None,
                tls: Vec::new(),
                daemon: Fact::Unreadable {
                    reason: "the unit is not active".to_owned(),
                },
                contradictions: None,
            }),
        }
    }
}

/// Notes which builders name a daemon's address: it stands alone no more, yet its process and unit are known only here.
pub(super) fn name_builders(found: &mut [Standalone], stores: &[Store]) {
    let builders = stores.iter().flat_map(|store| &store.builders);
    for (builder, record) in builders.filter_map(|entry| Some((entry, entry.record.known()?))) {
        for node in record.nodes.iter().filter(|_| record.driver == "remote") {
            let daemon = found
                .iter_mut()
                .find(|daemon| daemon.address.as_ref() == Some(&node.endpoint));
            if let Some(daemon) = daemon {
                daemon
                    .known_by
                    .push(format!("builder {}/{}", builder.name, node.name));
            }
        }
    }
}

fn not_asked<T>() -> Fact<T> {
    Fact::Unreadable {
        reason: "not asked".to_owned(),
    }
}
