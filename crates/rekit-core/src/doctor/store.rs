//! RK2: buildx's store and the files of the account around it.

use std::collections::BTreeMap;

use super::{
    case::{Case, quoted},
    check::Check,
    known::{Known, Node},
    remedy::{Owner, Remedy},
};
use crate::{
    finding::Severity,
    inventory::{BuilderRecord, FileFacts, Store},
    name::{HostPath, NodeName},
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "RK201",
        title: "a builder record cannot be read",
        severity: Severity::Error,
        explain: "A file under instances/ is empty, cut in half, or no JSON, for example after a power loss or on a full disk. \
            One such file makes `docker buildx ls` fail for all builders, and `docker buildx rm` cannot remove it. Where the \
            builder's container still exists, the record can be made again from it, and the cache is kept.",
        find: unreadable_record,
    },
    Check {
        code: "RK202",
        title: "a stray file lies among the builder records",
        severity: Severity::Error,
        explain: "buildx takes every entry of instances/ for a builder. An editor's backup, a folder, or a hidden file makes \
            `docker buildx ls` fail for all builders.",
        find: stray,
    },
    Check {
        code: "RK203",
        title: "a record's name is not its file's",
        severity: Severity::Warning,
        explain: "buildx looks a builder up by the file's name, yet acts under the name inside. After a copy or a rename by hand \
            the two differ, and removing one builder can take the other's container.",
        find: other_name,
    },
    Check {
        code: "RK204",
        title: "the selected builder does not exist",
        severity: Severity::Warning,
        explain: "`docker buildx rm` leaves the file `current` as it is, so it can name a builder that is gone. buildx then \
            silently builds with the context's own builder.",
        find: dangling_current,
    },
    Check {
        code: "RK205",
        title: "the selection cannot be read",
        severity: Severity::Error,
        explain: "The file `current` holds no JSON or may not be opened. `docker buildx build` and `docker buildx ls` fail.",
        find: unreadable_current,
    },
    Check {
        code: "RK206",
        title: "a default names a builder that does not exist",
        severity: Severity::Warning,
        explain: "Files under defaults/ hold the builder chosen for one endpoint with `use --default`; removing the builder \
            leaves them behind.",
        find: dangling_default,
    },
    Check {
        code: "RK207",
        title: "references of a builder that is gone",
        severity: Severity::Info,
        explain: "Folders under refs/ are the local half of the build history. Those of a removed builder, or of a removed node \
            of it, are of no use.",
        find: left_references,
    },
    Check {
        code: "RK208",
        title: "last-use mark of a builder that is gone",
        severity: Severity::Info,
        explain: "buildx lowers a builder's name when it removes the file under activity/, but not when it writes it: builders \
            with capital letters leave theirs behind.",
        find: left_activity,
    },
    Check {
        code: "RK209",
        title: "a part of the store cannot be read",
        severity: Severity::Error,
        explain: "A file or folder of buildx's store may not be opened or is damaged. What buildx makes of it depends on the \
            part: without `.lock` or `activity/` even `docker build` fails.",
        find: unreadable_part,
    },
    Check {
        code: "RK210",
        title: "a file of the account belongs to another user",
        severity: Severity::Error,
        explain: "One `sudo docker …` leaves files of root in ~/.docker, which buildx can then not open. Give just these files \
            back; do not delete them, they are the list of builders.",
        find: foreign_owner,
    },
    Check {
        code: "RK211",
        title: "another process holds the store's lock",
        severity: Severity::Info,
        explain: "All buildx commands wait for the lock, without a limit and without a word. It is normal for seconds, while a \
            builder is created or removed. Never delete the file: a new one locks nobody out.",
        find: locked,
    },
    Check {
        code: "RK212",
        title: "a builder's driver is not available",
        severity: Severity::Warning,
        explain: "The record was made by another build of buildx, such as Docker Desktop's with its cloud builders. This buildx \
            can neither use nor remove it. No data of it lies on this machine.",
        find: unknown_driver,
    },
    Check {
        code: "RK213",
        title: "two records claim the same container",
        severity: Severity::Error,
        explain: "The name is all that ties a record to its container and its cache. Where two builders, or two stores such as \
            those of Windows and WSL, name the same node on one engine, removing one destroys the other's.",
        find: claimed_twice,
    },
];

fn builders<'a>(known: &Known<'a>) -> impl Iterator<Item = (&'a Store, &'a BuilderRecord)> {
    let stores = known.inventory.stores.iter();
    stores.flat_map(|store| store.builders.iter().map(move |builder| (store, builder)))
}

/// Returns a place outside of a folder that buildx lists, for a file of it.
fn aside(store: &Store, file: &HostPath) -> HostPath {
    let name = format!("broken-{}", file.file_name());
    store
        .path
        .parent()
        .unwrap_or_else(|| store.path.clone())
        .join(&name)
}

fn unreadable_record(known: &Known<'_>) -> Vec<Case> {
    builders(known)
        .filter_map(|(store, builder)| {
            let reason = builder.record.reason()?;
            let mut case = Case::of("builder", &builder.name)
                .store(&store.path)
                .cause(format!(
                    "The record of builder `{}` cannot be read: {reason}. buildx lists no builder at all while it lies there.",
                    builder.name
                ))
                .seen(format!("{} ({} bytes): {reason}", builder.file.path, builder.file.size_bytes));
            let remains = remains(known, builder);
            for (host, container) in &remains {
                case = case.seen(format!("container `{container}` on {host} is this builder's"));
            }
            let summary = if remains.is_empty() {
                "move the record aside; nothing of the builder is left on the engines that answer"
            } else {
                "make the record again from the builder's container, which keeps its cache"
            };
            case = case
                .with_consent(Remedy::Rebuild(Owner::of(store, builder)), summary)
                .run(format!(
                "mv {} {}",
                quoted(&builder.file.path),
                quoted(&aside(store, &builder.file.path))
            ));
            if let Some((_, container)) = remains.first()
                && let Some(node) = NodeName::of_container(container)
            {
                case = case.run(format!(
                    "docker buildx create --name {} --node {node} --driver docker-container",
                    builder.name
                ));
            }
            Some(case)
        })
        .collect()
}

/// Returns the containers of a builder whose record cannot be read: the builder's name and a number.
fn remains(known: &Known<'_>, builder: &BuilderRecord) -> Vec<(String, String)> {
    let name = builder.name.as_str().to_lowercase();
    let mut found = Vec::new();
    for (host, engine) in known.engines() {
        for container in engine
            .containers
            .iter()
            .filter(|container| container.is_buildkit)
        {
            let node = NodeName::of_container(container.name.as_str());
            let number = node.as_ref().and_then(|node| {
                let rest = node.as_str().to_lowercase();
                Some(rest.strip_prefix(&name)?.to_owned())
            });
            if number.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit())) {
                found.push((host.id.to_string(), container.name.to_string()));
            }
        }
    }
    found
}

fn stray(known: &Known<'_>) -> Vec<Case> {
    let stores = known.inventory.stores.iter();
    stores
        .flat_map(|store| store.strays.iter().map(move |path| (store, path)))
        .map(|(store, path)| {
            Case::of("file", path)
                .store(&store.path)
                .cause(format!(
                    "`{}` is no builder's name, but lies where buildx expects only builders; its listing fails for all.",
                    path.file_name()
                ))
                .seen(path.to_string())
                .by_itself(Remedy::Sweep, "move it out of the folder")
                .run(format!("mv {} {}", quoted(path), quoted(&aside(store, path))))
        })
        .collect()
}

fn other_name(known: &Known<'_>) -> Vec<Case> {
    builders(known)
        .filter_map(|(store, builder)| {
            let inner = &builder.record.known()?.inner_name;
            if inner.eq_ignore_ascii_case(builder.name.as_str()) {
                return None;
            }
            Some(
                Case::of("builder", &builder.name)
                    .store(&store.path)
                    .cause(format!(
                        "The file is called `{}`, the builder in it `{inner}`: buildx finds one and acts on the other.",
                        builder.name
                    ))
                    .seen(format!("{}: Name is `{inner}`", builder.file.path))
                    .by_hand("give the file the name of the builder in it, or move it aside if it is a copy")
                    .run(format!(
                        "mv {} {}",
                        quoted(&builder.file.path),
                        quoted(&aside(store, &builder.file.path))
                    )),
            )
        })
        .collect()
}

fn dangling_current(known: &Known<'_>) -> Vec<Case> {
    let stores = known.inventory.stores.iter();
    stores
        .filter_map(|store| {
            let file = store.current.as_ref()?.known()?;
            let name = &file.current.name;
            if known.names_a_builder(name) {
                return None;
            }
            Some(
                Case::of("file", &file.file.path)
                    .store(&store.path)
                    .cause(format!(
                        "Builder `{name}` is selected but does not exist; builds silently go to the context's own builder."
                    ))
                    .seen(format!("{}: Name is `{name}`, Key is `{}`", file.file.path, file.current.key))
                    .by_itself(Remedy::Sweep, "select an existing builder")
                    .run("docker buildx use default"),
            )
        })
        .collect()
}

fn unreadable_current(known: &Known<'_>) -> Vec<Case> {
    let stores = known.inventory.stores.iter();
    stores
        .filter_map(|store| {
            let reason = store.current.as_ref()?.reason()?;
            let path = store.path.join("current");
            Some(
                Case::of("file", &path)
                    .store(&store.path)
                    .cause(format!(
                        "The file that names the selected builder cannot be read: {reason}."
                    ))
                    .seen(format!("{path}: {reason}"))
                    .by_itself(Remedy::Sweep, "move it aside and select a builder")
                    .run(format!(
                        "mv {} {}",
                        quoted(&path),
                        quoted(&aside(store, &path))
                    ))
                    .run("docker buildx use default"),
            )
        })
        .collect()
}

fn dangling_default(known: &Known<'_>) -> Vec<Case> {
    let stores = known.inventory.stores.iter();
    stores
        .flat_map(|store| store.defaults.iter().map(move |entry| (store, entry)))
        .filter(|(_, (_, builder))| !known.names_a_builder(builder.trim()))
        .map(|(store, (file, builder))| {
            let path = store.path.join("defaults").join(file);
            Case::of("file", &path)
                .store(&store.path)
                .cause(format!(
                    "The default `{file}` names the builder `{builder}`, which does not exist."
                ))
                .seen(format!("{path}: `{builder}`"))
                .by_itself(Remedy::Sweep, "remove the file, keeping a copy")
                .run(format!("rm {}", quoted(&path)))
        })
        .collect()
}

fn left_references(known: &Known<'_>) -> Vec<Case> {
    let stores = known.inventory.stores.iter();
    stores
        .flat_map(|store| store.refs.iter().map(move |folder| (store, folder)))
        .filter(|(_, folder)| {
            folder.builder != "__group__" && !known.names_a_builder(&folder.builder)
        })
        .map(|(store, folder)| {
            Case::of("file", &folder.path)
                .store(&store.path)
                .cause(format!(
                    "References of builder `{}`, which does not exist any more.",
                    folder.builder
                ))
                .seen(format!("{}: {} references", folder.path, folder.entries))
                .by_itself(Remedy::Sweep, "remove the folder, keeping a copy")
                .run(format!("rm -r {}", quoted(&folder.path)))
        })
        .collect()
}

fn left_activity(known: &Known<'_>) -> Vec<Case> {
    let stores = known.inventory.stores.iter();
    stores
        .flat_map(|store| store.activity.iter().map(move |entry| (store, entry)))
        .filter(|(_, (builder, _))| !known.names_a_builder(builder))
        .map(|(store, (builder, last))| {
            let path = store.path.join("activity").join(builder);
            Case::of("file", &path)
                .store(&store.path)
                .cause(format!(
                    "A last-use mark of builder `{builder}`, which does not exist any more."
                ))
                .seen(format!("{path}: {last}"))
                .by_itself(Remedy::Sweep, "remove the file")
                .run(format!("rm {}", quoted(&path)))
        })
        .collect()
}

fn unreadable_part(known: &Known<'_>) -> Vec<Case> {
    let stores = known.inventory.stores.iter();
    stores
        .flat_map(|store| store.unreadable.iter().map(move |part| (store, part)))
        .map(|(store, (path, reason))| {
            Case::of("file", path)
                .store(&store.path)
                .cause(format!("`{path}` cannot be read: {reason}."))
                .seen(format!("{path}: {reason}"))
                .by_hand("give the file back to this account")
                .run(format!(
                    "sudo chown --reference={} {}",
                    quoted(&known.inventory.machine.home),
                    quoted(path)
                ))
        })
        .collect()
}

/// Returns the files that docker and buildx of this account must be able to write.
fn own_files<'a>(known: &Known<'a>) -> Vec<&'a FileFacts> {
    let home = &known.inventory.machine.home;
    let records = builders(known).map(|(_, builder)| &builder.file);
    let contexts = known.inventory.contexts.iter();
    let stores = known.inventory.stores.iter();
    let selections = stores
        .clone()
        .filter_map(|store| store.current.as_ref()?.known().map(|file| &file.file));
    records
        .chain(contexts.filter_map(|context| context.file.as_ref()))
        .chain(selections)
        .chain(stores.filter_map(|store| store.default_config.as_ref()))
        .chain(known.inventory.files.iter().map(|file| &file.file))
        .filter(|file| file.path.is_within(home))
        .collect()
}

fn foreign_owner(known: &Known<'_>) -> Vec<Case> {
    let user = known.inventory.machine.user;
    if user == 0 {
        return Vec::new();
    }
    let mut files: Vec<_> = own_files(known)
        .into_iter()
        .filter(|file| file.owner != user)
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    files
        .into_iter()
        .map(|file| {
            let case = Case::of("file", &file.path)
                .cause(format!(
                    "`{}` belongs to user {}, not to this account ({user}); buildx may not open it.",
                    file.path, file.owner
                ))
                .seen(format!("owner {}, mode {:04o}", file.owner, file.mode & 0o7777));
            let case = match file.digest.reason() {
                Some(reason) => case.seen(format!("reading it: {reason}")),
                None => case,
            };
            case.by_hand("give the file back to this account")
                .run(format!("sudo chown {user} {}", quoted(&file.path)))
        })
        .collect()
}

fn locked(known: &Known<'_>) -> Vec<Case> {
    let stores = known.inventory.stores.iter();
    stores
        .filter(|store| store.locked)
        .map(|store| {
            Case::of("file", &store.path.join(".lock"))
                .store(&store.path)
                .cause("Another process holds buildx's lock; buildx commands wait for it.")
                .seen(format!("{}/.lock is locked", store.path))
                .by_hand("wait, or end the process that holds it")
                .run(format!("fuser -v {}", quoted(&store.path.join(".lock"))))
        })
        .collect()
}

fn unknown_driver(known: &Known<'_>) -> Vec<Case> {
    builders(known)
        .filter_map(|(store, builder)| {
            let driver = &builder.record.known()?.driver;
            // An empty one is written by buildx for builders whose driver it finds out itself.
            if matches!(driver.as_str(), "docker-container" | "remote" | "kubernetes" | "docker" | "") {
                return None;
            }
            Some(
                Case::of("builder", &builder.name)
                    .store(&store.path)
                    .cause(format!(
                        "Builder `{}` needs the driver `{driver}`, which plain buildx does not have.",
                        builder.name
                    ))
                    .seen(format!("{}: Driver is `{driver}`", builder.file.path))
                    .with_consent(
                        Remedy::RetireRecord(Owner::of(store, builder)),
                        "use the buildx it was made with, or move the record aside",
                    )
                    .run(format!(
                        "mv {} {}",
                        quoted(&builder.file.path),
                        quoted(&aside(store, &builder.file.path))
                    )),
            )
        })
        .collect()
}

fn claimed_twice(known: &Known<'_>) -> Vec<Case> {
    let mut claims: BTreeMap<_, Vec<Node<'_>>> = BTreeMap::new();
    for node in known.nodes().filter(Node::in_container) {
        if let Some(host) = &node.facts.host {
            let key = (host.clone(), node.facts.name.clone());
            claims.entry(key).or_default().push(node);
        }
    }
    claims
        .into_iter()
        .filter(|(_, nodes)| nodes.len() > 1)
        .map(|((host, name), nodes)| {
            let mut case = Case::of("container", &name.container()).host(&host).cause(format!(
                "{} records name the node `{name}` on one engine: they share its container and cache, and removing one destroys it for the other.",
                nodes.len()
            ));
            for node in &nodes {
                case = case.seen(format!(
                    "{}: builder `{}`, node `{name}`",
                    node.builder.file.path, node.builder.name
                ));
            }
            case.by_hand("decide whose it is, and give the other builder a node of another name; use no `docker buildx rm` before")
        })
        .collect()
}
