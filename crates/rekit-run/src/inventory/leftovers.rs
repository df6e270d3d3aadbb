//! What BuildKit and buildx left and nobody uses any more.
//!
//! Invariant: what is listed may be removed. So in every doubt nothing is listed: the name, the content, the owner and the age must all
//! fit, and no process, no mount and no listener may be at it. The names are those in BuildKit's and buildx's own source; names that
//! others may use too (`buildkit123`, `runc123`, `qemu-check123`) are not among them.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rekit_core::{
    inventory::{ConfigFile, ConfigKind, Leftover, LeftoverKind},
    name::HostPath,
};

use super::{
    processes::{Process, flag_values},
    standalone,
};
use crate::world::{
    environment::Surroundings,
    host::{self, Kind, Remains, SocketState, Usage},
};

/// What is younger may be a running client's that opens it in a moment.
const OLD: SignedDuration = SignedDuration::from_hours(1);
/// A daemon binds its socket a moment before it listens.
const BOUND: SignedDuration = SignedDuration::from_mins(1);
/// What of a folder is kept for an undo at most.
const KEPT_BYTES: u64 = 200 << 20;

/// A kind of temporary folder: its name up to the random number, what may lie in it, and who makes it.
struct Pattern {
    prefix: &'static str,
    content: &'static [&'static str],
    maker: &'static str,
}

/// The temporary folders of BuildKit and buildx.
const FOLDERS: &[Pattern] = &[
    folder("buildkit-mount", &["file"], "BuildKit mounts a snapshot on"),
    folder(
        "buildkit-qemu-emulator",
        &["dev"],
        "BuildKit copies an emulator into",
    ),
    folder(
        "buildkit-secrets",
        &[],
        "BuildKit mounts a build's secrets on",
    ),
    folder(
        "buildkit-metadata",
        &["frontend.bin"],
        "BuildKit hands to a frontend",
    ),
    folder(
        "buildkit-bundle-",
        &["repo.git", "bundle.pack"],
        "BuildKit unpacks a git bundle into",
    ),
    folder(
        "buildkit-bundle-create-",
        &["repo.git", "out.bundle"],
        "BuildKit makes a git bundle in",
    ),
    folder(
        ".buildkit-ssh-sock",
        &["ssh_auth_sock"],
        "BuildKit forwards an SSH agent in",
    ),
    folder(
        "buildkitd-config",
        &["buildkit"],
        "buildx copies a daemon's configuration from",
    ),
    folder(
        "buildx-dap-exec",
        &["s.sock"],
        "buildx's debugger has its socket in",
    ),
];

const fn folder(
    prefix: &'static str,
    content: &'static [&'static str],
    maker: &'static str,
) -> Pattern {
    Pattern {
        prefix,
        content,
        maker,
    }
}

/// The files of a store that buildx writes beside and then renames.
const STORE_FILES: &[&str] = &["current", ".buildNodeID"];
/// The sockets of a daemon in its usual folder.
const SOCKETS: &[&str] = &["buildkitd.sock", "otel-grpc.sock"];

/// Finds what is left.
pub(super) fn leftovers(
    surroundings: &Surroundings,
    processes: &[Process],
    files: &[ConfigFile],
    stores: &[PathBuf],
    now: Timestamp,
) -> Vec<Leftover> {
    let look = Look { surroundings, now };
    let mut found = look.sockets(processes, files);
    let candidates: Vec<_> = look
        .folders()
        .into_iter()
        .chain(stores.iter().flat_map(|store| look.store(store)))
        .collect();
    if candidates.is_empty() {
        return found; // All processes are looked through only if there is something to ask of them.
    }
    let Ok(usage) = Usage::look(&surroundings.system("/proc")) else {
        return found;
    };
    for candidate in candidates {
        found.extend(look.unused(candidate, &usage));
    }
    found
}

/// Something whose name and content fit.
struct Candidate {
    path: PathBuf,
    remains: Remains,
    store: Option<HostPath>,
    origin: String,
}

struct Look<'a> {
    surroundings: &'a Surroundings,
    now: Timestamp,
}

impl Look<'_> {
    /// Finds temporary folders by name, content, permissions, owner and age.
    fn folders(&self) -> Vec<Candidate> {
        let place = self
            .surroundings
            .variable("TMPDIR")
            .map_or_else(|| self.surroundings.system("/tmp"), PathBuf::from);
        let entries = host::list(&place, 100_000).unwrap_or_default();
        let named = entries.into_iter().filter_map(|entry| {
            let is_named = |pattern: &&Pattern| is_numbered(&entry.name, pattern.prefix);
            let pattern = FOLDERS.iter().find(is_named)?;
            (entry.kind == Kind::Folder).then_some((entry.path, pattern))
        });
        let fitting = named.filter_map(|(path, pattern)| {
            let remains = host::remains(&path).ok()?;
            let fits = [0o700, 0o711].contains(&remains.mode)
                && remains
                    .names
                    .iter()
                    .all(|name| pattern.content.contains(&name.as_str()));
            let origin = format!("{} such a folder", pattern.maker);
            (fits && self.is_ours_and_old(&remains)).then_some(Candidate {
                path,
                remains,
                store: None,
                origin,
            })
        });
        fitting.collect()
    }

    /// Finds files in buildx's store whose writing was broken off.
    fn store(&self, store: &Path) -> Vec<Candidate> {
        let entries = host::list(store, 100_000).unwrap_or_default();
        let named = entries.into_iter().filter(|entry| {
            let is_named = |file: &&str| is_numbered(&entry.name, &format!(".tmp-{file}"));
            entry.kind == Kind::File && STORE_FILES.iter().any(is_named)
        });
        let fitting = named.filter_map(|entry| {
            let remains = host::remains(&entry.path).ok()?;
            self.is_ours_and_old(&remains).then_some(Candidate {
                path: entry.path,
                remains,
                store: Some(host::host_path(store)),
                origin: "buildx writes such a file in its store and renames it at once".to_owned(),
            })
        });
        fitting.collect()
    }

    fn is_ours_and_old(&self, remains: &Remains) -> bool {
        let user = self.surroundings.user();
        let is_ours = user == 0 || remains.owner == user;
        is_ours && self.now.duration_since(remains.modified) >= OLD
    }

    /// Lists a candidate that nobody uses, after the sockets in it.
    fn unused(&self, candidate: Candidate, usage: &Usage) -> Vec<Leftover> {
        let Candidate {
            path,
            remains,
            store,
            origin,
        } = candidate;
        if path.file_name().is_none_or(|name| usage.has(name)) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for socket in &remains.sockets {
            match self.socket(socket, &origin) {
                Some(leftover) => found.push(leftover),
                None => return Vec::new(),
            }
        }
        let stays = if let Some(special) = &remains.special {
            let name = special.display();
            Some(format!(
                "`{name}` in it is a pipe or device, which rekit could not put back"
            ))
        } else {
            (remains.size > KEPT_BYTES).then(|| {
                format!(
                    "it holds {} bytes, more than is kept for a rollback",
                    remains.size
                )
            })
        };
        found.push(Leftover {
            path: host::host_path(&path),
            kind: if remains.kind == Kind::Folder {
                LeftoverKind::Folder
            } else {
                LeftoverKind::File
            },
            origin,
            unused:
                "no process has it open, nothing is mounted in it, and it is older than an hour"
                    .to_owned(),
            owner: remains.owner,
            size_bytes: remains.size,
            modified: remains.modified,
            store,
            socket: None,
            stays,
        });
        found
    }

    /// Finds sockets of daemons on which nobody listens.
    fn sockets(&self, processes: &[Process], files: &[ConfigFile]) -> Vec<Leftover> {
        let served: Vec<String> = processes
            .iter()
            .flat_map(|process| flag_values(&process.arguments, "addr"))
            .collect();
        let mut places: Vec<PathBuf> = Vec::new();
        let folders = [
            Some(self.surroundings.system("/run/buildkit")),
            self.surroundings
                .runtime_folder()
                .map(|folder| folder.join("buildkit")),
        ];
        for folder in folders.into_iter().flatten() {
            places.extend(SOCKETS.iter().map(|name| folder.join(name)));
        }
        places.extend(self.named_sockets(files));
        places.sort();
        places.dedup();
        places
            .iter()
            .filter(|path| !served.contains(&format!("unix://{}", path.display())))
            .filter_map(|path| self.socket(path, "a BuildKit daemon serves at this path"))
            .collect()
    }

    /// Lists the sockets that this machine's own daemon is told to serve: by its configuration, or by the unit that starts it.
    fn named_sockets(&self, files: &[ConfigFile]) -> Vec<PathBuf> {
        let own = [
            self.surroundings.system("/etc/buildkit/buildkitd.toml"),
            self.surroundings
                .config_home()
                .join("buildkit/buildkitd.toml"),
        ];
        let configured = own
            .iter()
            .flat_map(|path| standalone::configured_addresses(path));
        let units = files
            .iter()
            .filter(|file| file.kind == ConfigKind::Unit)
            .flat_map(|file| standalone::unit_addresses(&host::path_of(&file.file.path)));
        configured
            .chain(units)
            .filter_map(|address| Some(PathBuf::from(address.strip_prefix("unix://")?)))
            .filter(|path| path.is_absolute())
            .collect()
    }

    /// Lists a socket if it surely is dead.
    fn socket(&self, path: &Path, origin: &str) -> Option<Leftover> {
        let Ok(SocketState::Dead(socket)) = host::socket(path) else {
            return None;
        };
        if self.now.duration_since(socket.made) < BOUND {
            return None;
        }
        let user = self.surroundings.user();
        let stays = (user != 0 && user != socket.owner)
            .then(|| "it is another account's: removing it needs root".to_owned());
        Some(Leftover {
            path: host::host_path(path),
            kind: LeftoverKind::Socket,
            origin: origin.to_owned(),
            unused: "it refuses connections: nobody listens".to_owned(),
            owner: socket.owner,
            size_bytes: 0,
            modified: socket.made,
            store: None,
            socket: Some(socket),
            stays,
        })
    }
}

/// Returns whether a name is `prefix` and the random number that Go puts behind it.
fn is_numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|number| {
        (1..=10).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
