//! An undo as shell commands: what a person does who has docker and stock tools, but no rekit.
//!
//! Invariants: every command may run twice; nothing is overwritten that somebody else changed since; no command shows a secret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    engine_cache::EnginePlace,
    name::{ArchiveId, BlobId, ContainerName, Digest, HostId, HostPath, VolumeName},
    plan::Plan,
    socket::DeadSocket,
    standalone,
    step::{Kept, NodePlace},
    undo::Undo,
};

/// Seconds that a daemon is given to end by itself.
pub(crate) const STOP_SECONDS: u32 = 120;
/// Seconds that a daemon is given to answer.
pub(crate) const READY_SECONDS: u32 = 60;

/// One step taken back by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ByHand {
    /// The commands, one a line, in their order; none: there is nothing to take back.
    pub commands: Vec<String>,
    /// Commands that end with 0 once the step is taken back.
    pub proof: Vec<String>,
}

/// Returns how a step of a plan is taken back by hand.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of undo")]
pub fn by_hand(undo: &Undo, plan: &Plan) -> ByHand {
    let home = &plan.home;
    match undo {
        Undo::Nothing {} => ByHand::default(),
        Undo::DropPartialArchive { archive } => drop_partial_archive(archive, plan),
        Undo::RestoreFile {
            path, was, made, ..
        } => restore_file(path, was.as_ref(), made.as_ref(), home),
        Undo::RestoreTree { path, blob, .. } => restore_tree(path, blob, home),
        Undo::RemoveTree { path, .. } => ByHand {
            commands: vec![format!("rm -rf {}", quoted(path))],
            proof: vec![format!("test ! -e {}", quoted(path))],
        },
        Undo::RestoreSocket { path, socket } => restore_socket(path, socket),
        Undo::RemoveSocket { path, .. } => ByHand {
            commands: vec![format!("rm -f {}", quoted(path))],
            proof: vec![format!("test ! -e {}", quoted(path))],
        },
        Undo::RemoveNode { host, node, .. } => retire_node(host, &node.container()),
        Undo::RestoreContainerState {
            node,
            running,
            restart_policy,
            ..
        } => restore_container_state(node, *running, restart_policy),
        Undo::RecreateContainer {
            host,
            container,
            description,
        } => recreate_container(host, container, &blob_path(home, description)),
        Undo::RestoreVolume {
            host,
            volume,
            archive,
            options,
        } => restore_volume(
            host,
            volume,
            &archive_path(plan, archive),
            &blob_path(home, options),
        ),
        Undo::RecreateVolume {
            host,
            volume,
            options,
        } => ByHand {
            commands: vec![make_volume(host, volume, &blob_path(home, options))],
            proof: vec![format!("{} volume inspect {volume}", docker(host))],
        },
        Undo::RemoveRecreatedVolume { host, volume } => ByHand {
            commands: vec![format!("{} volume rm {volume}", docker(host))],
            proof: vec![format!("! {} volume inspect {volume}", docker(host))],
        },
        Undo::RemoveRecreated { host, container } => {
            let docker = docker(host);
            ByHand {
                commands: vec![format!("{docker} rm {container}")],
                proof: vec![format!("! {docker} inspect {container}")],
            }
        }
        Undo::ForgetMounts { place, known, .. } => forget_mounts(&place.builder, known),
        Undo::StartEngine { engine } => start_engine(engine),
        Undo::StopEngine { engine } => stop_engine(engine),
        Undo::RestoreEngine { engine, archive } => {
            restore_engine(engine, &archive_path(plan, archive))
        }
        Undo::StartDaemon { daemon, script, .. } => {
            let script = script.as_ref().map(|script| blob_path(home, script));
            standalone::start(daemon, script.as_ref())
        }
        Undo::StopDaemon { daemon } => standalone::stop(daemon),
        Undo::UnparkState { parked, root, .. } => standalone::unpark(parked, root),
        Undo::ParkState { root, parked } => standalone::park(root, parked),
        Undo::RestoreState { folder, source } => standalone::restore(folder, &source.archive),
        Undo::EmptyFolder {
            path,
            source,
            remove,
        } => empty_folder(path, &source.archive, *remove),
        Undo::RemoveRestored {
            host,
            volume,
            archive,
        } => remove_restored(host, volume, &archive_path(plan, archive)),
    }
}

/// Returns the command that reads an archive back, given as a word of the shell.
pub(crate) fn verify(archive: &str) -> String {
    format!("(cd {archive} && sha256sum --quiet -c SHA256SUMS)")
}

/// Returns the command that unpacks a tree of an archive, both given as words of the shell.
pub(crate) fn unpack(tree: &str, place: &str) -> String {
    format!(
        "find {tree} -name '*.tar.zst' -print0 | LC_ALL=C sort -z | xargs -0 cat | zstd -dcq \
         | LC_ALL=C tar --xattrs --xattrs-include='*' --numeric-owner -xpf - -C {place}"
    )
}

fn start_engine(engine: &EnginePlace) -> ByHand {
    let docker = docker(&engine.host);
    let mut commands = vec![
        format!("{docker} version > /dev/null 2>&1 || {}", engine.start),
        format!(
            "timeout {READY_SECONDS} sh -c 'until {docker} version > /dev/null 2>&1; do sleep 1; done'"
        ),
    ];
    let running = engine.running.iter();
    commands.extend(running.map(|it| format!("{docker} start {}", it.name)));
    ByHand {
        commands,
        proof: vec![format!("{docker} version")],
    }
}

fn stop_engine(engine: &EnginePlace) -> ByHand {
    let docker = docker(&engine.host);
    ByHand {
        commands: vec![format!(
            "! {docker} version > /dev/null 2>&1 || {}",
            engine.stop
        )],
        proof: vec![format!("! {docker} version")],
    }
}

fn restore_engine(engine: &EnginePlace, archive: &HostPath) -> ByHand {
    let mut commands = vec![verify(&quoted(archive))];
    for part in engine.layers.parts() {
        let (place, tree) = (
            engine.data_root.join(part),
            archive.join("trees").join(part),
        );
        let (place, tree) = (quoted(&place), quoted(&tree));
        commands.push(format!("rm -rf {place}"));
        commands.push(format!(
            "if [ -e {tree} ]; then mkdir {place} && {}; fi",
            unpack(&tree, &place)
        ));
    }
    let id = quoted(&archive.join("engine-id"));
    let place = quoted(&engine.data_root.join("engine-id"));
    commands.push(format!(
        "if [ -e {id} ]; then install -m 0600 {id} {place}; fi"
    ));
    ByHand {
        commands,
        proof: vec![format!("test -e {place}")],
    }
}

fn empty_folder(path: &HostPath, archive: &HostPath, remove: bool) -> ByHand {
    let (folder, archive) = (quoted(path), quoted(archive));
    let what = if remove { "" } else { "-mindepth 1 " };
    ByHand {
        commands: vec![format!(
            "{} && if [ -e {folder} ]; then find {folder} {what}-delete; fi",
            verify(&archive)
        )],
        proof: vec![format!("test -z \"$(ls -A {folder} 2> /dev/null)\"")],
    }
}

fn remove_restored(host: &HostId, volume: &VolumeName, archive: &HostPath) -> ByHand {
    let (docker, archive) = (docker(host), quoted(archive));
    ByHand {
        commands: vec![format!(
            "{} && {docker} volume rm {volume}",
            verify(&archive)
        )],
        proof: vec![format!("! {docker} volume inspect {volume}")],
    }
}

fn drop_partial_archive(archive: &ArchiveId, plan: &Plan) -> ByHand {
    let partial = quoted(&format!("{}.partial", archive_path(plan, archive)));
    ByHand {
        commands: vec![format!("rm -rf {partial}")],
        proof: vec![format!("test ! -e {partial}")],
    }
}

/// The mounts that rekit filled are known by its helper in their description, and those among them that were there before stay.
fn forget_mounts(builder: &str, known: &[String]) -> ByHand {
    let buildx = |verb: &str| format!("docker buildx {verb} --builder {}", quoted(&builder));
    let ids: Vec<_> = known.iter().map(|id| quoted(&id)).collect();
    let stay = ids.join(" -e ");
    let stay = if stay.is_empty() {
        String::new()
    } else {
        format!(" | grep -vxF -e {stay}")
    };
    let made = format!(
        "{} --verbose --filter type=exec.cachemount | awk -v RS= '/rekit-archive-helper/ {{print $2}}'{stay}",
        buildx("du")
    );
    ByHand {
        commands: vec![format!(
            "{made} | xargs -r -I ID {} --force --filter id=ID",
            buildx("prune")
        )],
        proof: vec![format!("test -z \"$({made})\"")],
    }
}

fn restore_file(
    path: &HostPath,
    was: Option<&Kept>,
    made: Option<&Digest>,
    home: &HostPath,
) -> ByHand {
    let file = quoted(path);
    let known: Vec<&str> = [made.map(Digest::as_str), was.map(|kept| kept.blob.as_str())]
        .into_iter()
        .flatten()
        .collect();
    // A file that is neither as the step left it nor as it was is somebody's work.
    let guard = format!(
        "test ! -e {file} || sha256sum < {file} | grep -qE '^({})' || {{ echo 'STOP: somebody changed this file since; look at it first'; false; }}",
        known.join("|")
    );
    match was {
        Some(kept) => {
            let blob = quoted(&blob_path(home, &kept.blob));
            ByHand {
                commands: vec![
                    guard,
                    format!("install -D -m {:04o} {blob} {file}", kept.mode),
                ],
                proof: vec![format!("cmp {blob} {file}")],
            }
        }
        None => ByHand {
            commands: vec![guard, format!("rm -f {file}")],
            proof: vec![format!("test ! -e {file}")],
        },
    }
}

fn restore_tree(path: &HostPath, blob: &BlobId, home: &HostPath) -> ByHand {
    let parent = path.parent().unwrap_or_else(|| HostPath::from("/"));
    let (parent, blob) = (quoted(&parent), quoted(&blob_path(home, blob)));
    ByHand {
        commands: vec![format!("mkdir -p {parent} && tar -xpf {blob} -C {parent}")],
        proof: vec![format!("tar -df {blob} -C {parent}")],
    }
}

/// Perl is on every Debian, Ubuntu, Fedora and macOS. The path may be longer than a socket's address: its folder is entered first.
fn restore_socket(path: &HostPath, socket: &DeadSocket) -> ByHand {
    let file = quoted(path);
    let folder = path.parent().unwrap_or_else(|| HostPath::from("/"));
    let bind = "socket(my $s, AF_UNIX, SOCK_STREAM, 0); bind($s, sockaddr_un($ARGV[0])) or die $!";
    ByHand {
        commands: vec![
            format!(
                "test -S {file} || (cd {} && perl -MSocket -e '{bind}' {})",
                quoted(&folder),
                quoted(&path.file_name())
            ),
            format!("chmod {:04o} {file}", socket.mode),
            format!("chown {}:{} {file}", socket.owner, socket.group),
        ],
        proof: vec![format!("test -S {file}")],
    }
}

/// The new node is stopped and kept: what was built there since is not lost.
fn retire_node(host: &HostId, container: &ContainerName) -> ByHand {
    let docker = docker(host);
    ByHand {
        commands: vec![format!(
            "if {docker} inspect {container} > /dev/null 2>&1; then {docker} update --restart no {container} && {docker} stop --time {STOP_SECONDS} {container}; fi"
        )],
        proof: vec![format!(
            "test \"$({docker} inspect -f '{{{{.State.Running}}}}' {container} 2> /dev/null)\" != true"
        )],
    }
}

fn restore_container_state(node: &NodePlace, running: bool, policy: &str) -> ByHand {
    let (docker, container) = (docker(&node.host), &node.container);
    let policy = if policy.is_empty() { "no" } else { policy };
    let mut commands = vec![format!("{docker} update --restart {policy} {container}")];
    let proof = if running {
        commands.push(format!("{docker} start {container}"));
        format!(
            "timeout {READY_SECONDS} sh -c 'until {docker} exec {container} buildctl debug workers; do sleep 1; done'"
        )
    } else {
        commands.push(format!("{docker} stop --time {STOP_SECONDS} {container}"));
        format!("test \"$({docker} inspect -f '{{{{.State.Running}}}}' {container})\" = false")
    };
    ByHand {
        commands,
        proof: vec![proof],
    }
}

/// Only the engine's API takes a whole description; the docker command line does not.
fn recreate_container(host: &HostId, container: &ContainerName, description: &HostPath) -> ByHand {
    let docker = docker(host);
    let body = "'.Config + {HostConfig: .HostConfig} | del(.Hostname)'";
    let create = api(host, &format!("containers/create?name={container}"));
    ByHand {
        commands: vec![format!(
            "{docker} inspect {container} > /dev/null 2>&1 || jq {body} {} | {create}",
            quoted(description)
        )],
        proof: vec![format!("{docker} inspect -f '{{{{.Id}}}}' {container}")],
    }
}

fn restore_volume(
    host: &HostId,
    volume: &VolumeName,
    archive: &HostPath,
    options: &HostPath,
) -> ByHand {
    let docker = docker(host);
    let place = format!("\"$({docker} volume inspect -f '{{{{.Mountpoint}}}}' {volume})\"");
    let archive = quoted(archive);
    ByHand {
        commands: vec![
            verify(&archive),
            make_volume(host, volume, options),
            unpack(&format!("{archive}/trees/state"), &place),
        ],
        proof: vec![format!("test -n \"$(ls -A {place})\"")],
    }
}

/// Returns the command that makes a volume as described, if it is not there.
fn make_volume(host: &HostId, volume: &VolumeName, options: &HostPath) -> String {
    let body =
        format!("'{{Name: \"{volume}\", Driver: .driver, DriverOpts: .options, Labels: .labels}}'");
    format!(
        "{} volume inspect {volume} > /dev/null 2>&1 || jq {body} {} | {}",
        docker(host),
        quoted(options),
        api(host, "volumes/create")
    )
}

fn docker(host: &HostId) -> String {
    format!("docker -H {}", quoted(host))
}

/// Returns the command that posts its input to the engine's API.
fn api(host: &HostId, path: &str) -> String {
    let post = "curl -fsS -H 'Content-Type: application/json' --data-binary @-";
    let host = host.to_string();
    match host.split_once("://") {
        Some(("unix", socket)) => format!(
            "{post} --unix-socket {} 'http://docker/{path}'",
            quoted(&socket)
        ),
        Some(("ssh", account)) => format!(
            "ssh {} \"{post} --unix-socket /var/run/docker.sock 'http://docker/{path}'\"",
            quoted(&account)
        ),
        Some((_, address)) => format!("{post} {}", quoted(&format!("http://{address}/{path}"))),
        None => format!("{post} {}", quoted(&format!("http://{host}/{path}"))),
    }
}

fn blob_path(home: &HostPath, blob: &BlobId) -> HostPath {
    home.join("blobs").join(blob.as_str())
}

fn archive_path(plan: &Plan, archive: &ArchiveId) -> HostPath {
    plan.archives.join(archive.as_str())
}

/// Returns a word as a shell takes it, whatever is in it.
pub(crate) fn quoted(word: &dyn std::fmt::Display) -> String {
    format!("'{}'", word.to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted(&"/home/o'neil"), r"'/home/o'\''neil'");
    }

    #[test]
    fn a_closed_engine_address_still_gives_a_command() {
        let address = |host: &str| api(&host.parse().unwrap(), "x");
        assert!(
            address("unix:///run/d.sock")
                .ends_with("--unix-socket '/run/d.sock' 'http://docker/x'")
        );
        assert!(address("tcp://h:2375").ends_with("'http://h:2375/x'"));
    }
}
