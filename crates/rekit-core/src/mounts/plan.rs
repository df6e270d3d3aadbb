//! Which cache mounts go into an archive, which come back from one, and why the rest does not.

use std::collections::BTreeSet;

use super::{ArchivedMount, CacheMount, Dockerfile};
use crate::{
    draft::{Draft, Ground},
    fact::Fact,
    inventory::{Daemon, Inventory, NodeRecord, RecordSummary},
    plan::{LeftOut, Plan, Purpose},
    step::{Action, BuildPlace, DaemonPlace, StateSource},
};

/// The record type of cache mounts.
const MOUNT: &str = "exec.cachemount";

/// What can be kept of a daemon whose files nobody reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keepable {
    /// Cache mounts that a build can bring out.
    pub mounts: Vec<CacheMount>,
    /// Those among them that no Dockerfile of the project declares: taken as plain ones.
    pub undeclared: Vec<String>,
    /// What cannot be kept, and why.
    pub left_out: Vec<LeftOut>,
}

/// A builder whose files nobody reaches.
pub(crate) struct Apart<'a> {
    /// Its name.
    pub(crate) name: String,
    /// The way to build with it.
    pub(crate) place: Result<BuildPlace, &'static str>,
    /// Its daemon.
    pub(crate) daemon: &'a Fact<Daemon>,
}

/// Returns what can be kept of a daemon's cache through builds.
pub fn keepable(builder: &str, cache: &RecordSummary, dockerfiles: &[Dockerfile]) -> Keepable {
    let mut found = Keepable::default();
    let mut mounts = BTreeSet::new();
    for id in &cache.cache_mounts {
        let plain = CacheMount {
            id: id.clone(),
            options: super::MountOptions::default(),
            dockerfile: None,
        };
        let declared = declared(&plain, dockerfiles);
        if declared.is_empty() && plain.can_be_written() {
            found.undeclared.push(plain.to_string());
        }
        let all = if declared.is_empty() {
            vec![plain]
        } else {
            declared
        };
        for mount in all {
            if mount.can_be_written() {
                mounts.insert(mount);
            } else {
                let why = "its name holds characters that no Dockerfile of rekit's own can repeat";
                found.leave_out(format!("cache mount {mount} of builder {builder}"), why);
            }
        }
    }
    found.mounts = mounts.into_iter().collect();
    for dockerfile in dockerfiles {
        for unclear in &dockerfile.unclear {
            let what = format!("the cache mount in {}:{}", dockerfile.file, unclear.line);
            found.leave_out(what, &unclear.why);
        }
    }
    let others = cache.by_type.iter().filter(|(kind, _)| *kind != MOUNT);
    let (records, bytes) = others.fold((0, 0), |(records, bytes), (_, kind)| {
        (records + kind.records, bytes + kind.bytes)
    });
    if records > 0 {
        let what =
            format!("layers and sources of builder {builder}: {records} records, {bytes} bytes");
        found.leave_out(what, "no file system reaches them; builds make them again");
    }
    found
}

impl Keepable {
    fn leave_out(&mut self, what: String, why: &str) {
        let why = why.to_owned();
        self.left_out.push(LeftOut { what, why });
    }
}

/// Returns the cache mounts of this id that the project declares.
fn declared(plain: &CacheMount, dockerfiles: &[Dockerfile]) -> Vec<CacheMount> {
    let (_, id) = plain.parts();
    let of_file = |dockerfile: &'_ Dockerfile| {
        let file = dockerfile.file.clone();
        let mounts = dockerfile.mounts.iter().filter(|mount| mount.id == id);
        let mount = move |declared: &super::DeclaredMount| CacheMount {
            id: plain.id.clone(),
            options: declared.options.clone(),
            dockerfile: declared.from_stage.then(|| file.clone()),
        };
        mounts.map(mount).collect::<Vec<_>>()
    };
    dockerfiles.iter().flat_map(of_file).collect()
}

/// Returns the builders whose files nobody reaches: those inside engines, and remote ones.
pub(crate) fn apart(inventory: &Inventory) -> Vec<Apart<'_>> {
    let mut found = Vec::new();
    for context in &inventory.contexts {
        let host = context.state.known().and_then(|state| state.host.as_ref());
        let engine = host
            .and_then(|host| inventory.host(host))
            .and_then(|host| host.engine.known());
        if let (Some(host), Some(engine)) = (host, engine) {
            let daemon = DaemonPlace {
                host: host.clone(),
                container: None,
            };
            found.push(Apart {
                name: context.name.clone(),
                place: Ok(build_place(inventory, &context.name, Some(daemon))),
                daemon: &engine.embedded,
            });
        }
    }
    for (_, builder, record, node) in inventory.nodes() {
        if record.driver == "remote" && record.nodes.first() == Some(node) {
            let name = builder.name.to_string();
            found.push(Apart {
                place: remote_place(inventory, &name, &record.nodes),
                name,
                daemon: &node.daemon,
            });
        }
    }
    found
}

fn build_place(inventory: &Inventory, builder: &str, daemon: Option<DaemonPlace>) -> BuildPlace {
    BuildPlace {
        store: inventory.stores.first().map(|store| store.path.clone()),
        builder: builder.to_owned(),
        daemon,
    }
}

fn remote_place(
    inventory: &Inventory,
    builder: &str,
    nodes: &[NodeRecord],
) -> Result<BuildPlace, &'static str> {
    match nodes {
        [_] => Ok(build_place(inventory, builder, None)),
        _ => Err("it has several nodes, and a build goes to one of them that cannot be named"),
    }
}

/// Adds to a plan what can be kept of builders whose files nobody reaches; returns those of them that were named or have something to keep.
pub(crate) fn keep(
    ground: &Ground<'_>,
    draft: &mut Draft,
    wanted: &dyn Fn(&str) -> bool,
    named: bool,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut kept: Vec<BuildPlace> = Vec::new();
    for builder in apart(ground.inventory) {
        // Several contexts may lead to one engine.
        let same = |place: &BuildPlace| {
            let daemon = builder.place.as_ref().ok().map(|place| &place.daemon);
            place.daemon.is_some() && daemon == Some(&place.daemon)
        };
        if !wanted(&builder.name) || (!named && kept.iter().any(same)) {
            continue;
        }
        let cache = builder
            .daemon
            .known()
            .and_then(|daemon| daemon.cache.known());
        let keeps =
            cache.map(|cache| keepable(&builder.name, cache, &ground.inventory.dockerfiles));
        if !named && keeps.as_ref().is_none_or(|keeps| keeps.mounts.is_empty()) {
            continue;
        }
        let what = format!("builder {}", builder.name);
        found.push(builder.name.clone());
        match (keeps, builder.place) {
            (None, _) => draft.leave_out(what, "its daemon does not answer"),
            (_, Err(why)) => draft.leave_out(what, why),
            (Some(keeps), Ok(place)) => {
                kept.push(place.clone());
                export(draft, place, keeps);
            }
        }
    }
    found
}

fn export(draft: &mut Draft, place: BuildPlace, keeps: Keepable) {
    for left in keeps.left_out {
        draft.leave_out(left.what, left.why);
    }
    for mount in keeps.undeclared {
        draft.choices().push(crate::plan::Choice {
            what: format!("cache mount {mount} is taken as a plain one"),
            why: "no Dockerfile of this project declares it; if its daemon has none without options, it is left out".to_owned(),
        });
    }
    if keeps.mounts.is_empty() {
        return draft.leave_out(
            format!("builder {}", place.builder),
            "it has no cache mount, and no file system reaches the rest",
        );
    }
    let archive = draft.archive_id(&place.builder);
    draft.push(
        "no file system reaches them: a build mounts each alone, when no other build holds it",
        Action::ExportMounts {
            archive: archive.clone(),
            place,
            mounts: keeps.mounts,
        },
    );
    draft.verify(&archive);
}

/// Archived cache mounts and where they go.
#[derive(Clone, Debug)]
pub struct MountRestore {
    /// The archive.
    pub source: StateSource,
    /// What it holds.
    pub mounts: Vec<ArchivedMount>,
    /// The builder that gets them.
    pub builder: String,
}

/// Cache mounts cannot be brought into a builder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("builder `{builder}` cannot get these cache mounts: {why}")]
pub struct NoMountRestore {
    /// The builder.
    pub builder: String,
    /// Why.
    pub why: &'static str,
}

/// Plans to bring archived cache mounts into a builder.
pub fn restore(ground: &Ground<'_>, restore: &MountRestore) -> Result<Plan, NoMountRestore> {
    let place = place(ground.inventory, &restore.builder).map_err(|why| NoMountRestore {
        builder: restore.builder.clone(),
        why,
    })?;
    let mut draft = Draft::new(ground, Purpose::Restore, ground.generation);
    let mut mounts = Vec::new();
    for archived in &restore.mounts {
        match at_home(&archived.mount, &ground.inventory.dockerfiles) {
            Some(mount) => mounts.push(ArchivedMount {
                mount,
                ..archived.clone()
            }),
            None => draft.leave_out(
                format!("cache mount {}", archived.mount),
                "it begins with a stage of a Dockerfile that is not in this project: run rekit in the project's folder",
            ),
        }
    }
    if !mounts.is_empty() {
        draft.push(
            "a build fills each that is empty, and another reads it back; one that holds something is never mixed",
            Action::ImportMounts {
                source: restore.source.clone(),
                place,
                mounts,
            },
        );
    }
    Ok(draft.finish())
}

/// Returns a cache mount with the Dockerfile, in this project, whose stage it begins with.
fn at_home(mount: &CacheMount, dockerfiles: &[Dockerfile]) -> Option<CacheMount> {
    if mount.dockerfile.is_none() {
        return Some(mount.clone());
    }
    let mut declared = declared(mount, dockerfiles);
    declared.retain(|found| found.options == mount.options && found.dockerfile.is_some());
    declared.sort_by_key(|found| found.dockerfile != mount.dockerfile);
    declared.into_iter().next()
}

/// Returns the way to build with a builder, whatever its driver.
fn place(inventory: &Inventory, builder: &str) -> Result<BuildPlace, &'static str> {
    let apart = apart(inventory);
    if let Some(found) = apart.into_iter().find(|found| found.name == builder) {
        return found.place;
    }
    let mut nodes = inventory
        .nodes()
        .filter(|(_, known, ..)| known.name.as_str() == builder)
        .map(|(.., node)| node);
    let missing = "there is none of this name; `rekit install` or `docker buildx create` makes one";
    let node = nodes.next().ok_or(missing)?;
    if nodes.next().is_some() {
        return Err("it has several nodes, and a build goes to one of them that cannot be named");
    }
    let host = node.host.clone().ok_or("its engine is not known")?;
    let container = node
        .container
        .clone()
        .ok_or("its driver gives no way to its daemon")?;
    let daemon = DaemonPlace {
        host,
        container: Some(container),
    };
    Ok(build_place(inventory, builder, Some(daemon)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inventory::CacheByType, mounts::parse, name::HostPath};

    #[test]
    fn each_way_to_declare_an_id_is_a_cache_of_its_own_and_the_rest_is_named() {
        let text = "FROM a AS seed\nRUN --mount=type=cache,id=x,target=/x x\nRUN --mount=type=cache,id=x,uid=0,target=/y x\nRUN --mount=type=cache,id=x,target=/z x\n\
                    RUN --mount=type=cache,id=s,from=seed,target=/s x\nRUN --mount=type=cache,id=$WHO,target=/w x\n";
        let file = HostPath::from("/p/Dockerfile");
        let dockerfiles = [parse(&file, text).unwrap()];
        let mut cache = RecordSummary {
            cache_mounts: ["/s", "/x", "ci/x", "//root/other", "/a b"]
                .map(str::to_owned)
                .into(),
            ..RecordSummary::default()
        };
        let layers = CacheByType {
            records: 3,
            bytes: 5,
            reclaimable_bytes: 0,
        };
        cache.by_type = [("regular".to_owned(), layers)].into();
        let found = keepable("default", &cache, &dockerfiles);
        let mounts: Vec<_> = found.mounts.iter().map(ToString::to_string).collect();
        let wanted = [
            "/root/other",
            "s (from=seed)",
            "x",
            "x (uid=0)",
            "x (namespace ci)",
            "x (namespace ci, uid=0)",
        ];
        assert_eq!(mounts, wanted);
        assert_eq!(found.undeclared, ["/root/other"]);
        assert_eq!(found.mounts[1].dockerfile, Some(file));
        let left: Vec<_> = found
            .left_out
            .iter()
            .map(|left| left.what.as_str())
            .collect();
        assert_eq!(
            left,
            [
                "cache mount a b of builder default",
                "the cache mount in /p/Dockerfile:6",
                "layers and sources of builder default: 3 records, 5 bytes"
            ]
        );
        assert_eq!(
            found.mounts[3].flag("/c"),
            "--mount=type=cache,id=x,uid=0,target=/c,sharing=locked"
        );
    }
}
