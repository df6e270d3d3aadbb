//! How a rehearsal's daemon is started: as the archive says that its own one was, but that nothing of its state is collected and nothing
//! outside its container is reached.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rekit_archive::{Archive, Consistency};
use rekit_buildkit::Engine;
use rekit_core::{
    name::{HostId, VolumeName},
    rehearsal::{Canary, Promise},
};
use serde_json::{Value, json};

use super::{Answer, WorldError, archive, node::STATE_FOLDER, proof::failed, rehearsal::NotProven};
use crate::world::host;

/// What an archive says of the container whose state it holds.
const DESCRIPTION: &str = "description.json";
/// A description or a canary is small.
const LIMIT_BYTES: u64 = 16 << 20;
/// Where the daemon's configuration lies: not in its folder of secrets, as a daemon without root must be able to read it.
const CONFIGURATION: &str = "rekit-rehearsal.toml";
/// Flags that would bring garbage collection, listeners or files back that a rehearsal does not have.
const FLAGS_LEFT_OUT: [&str; 10] = [
    "--config",
    "--addr",
    "--debugaddr",
    "--tlscert",
    "--tlskey",
    "--tlscacert",
    "--oci-worker-gc",
    "--oci-worker-gc-keepstorage",
    "--containerd-worker-gc",
    "--containerd-worker-gc-keepstorage",
];
/// What of a container's host part decides how its daemon runs, and reaches nothing outside it.
const HOST_PARTS: [&str; 11] = [
    "Privileged",
    "Init",
    "CgroupParent",
    "CgroupnsMode",
    "UsernsMode",
    "SecurityOpt",
    "CapAdd",
    "CapDrop",
    "Devices",
    "Runtime",
    "Ulimits",
];

/// What an archive says of the daemon whose state it holds.
pub(super) struct Script {
    pub(super) archive: PathBuf,
    pub(super) bytes: u64,
    /// The engine's description of the container.
    container: Value,
    /// Its image, as it was named when it was made.
    pub(super) image: String,
    /// Where the state lay in it.
    pub(super) folder: String,
    pub(super) promise: Promise,
    pub(super) canary: Option<Canary>,
}

impl Script {
    pub(super) fn read(path: &Path) -> Result<Self, NotProven> {
        let archive = archive::open(path)?;
        let nothing = || NotProven::NoDescription(path.display().to_string());
        let description = further_file(&archive, DESCRIPTION)?.ok_or_else(nothing)?;
        let description: Value =
            serde_json::from_slice(&description).map_err(failed(DESCRIPTION.to_owned()))?;
        let volume = archive.manifest().metadata["volume"]
            .as_str()
            .unwrap_or_default();
        let containers = description["containers"].as_array();
        let found = containers
            .into_iter()
            .flatten()
            .find_map(|container| Some((container, folder_of(container, volume)?)));
        let (container, folder) = found.ok_or_else(nothing)?;
        let canary = further_file(&archive, Canary::FILE)?
            .map(|bytes| read_canary(&bytes))
            .transpose()?;
        let trees = &archive.manifest().trees;
        let (snapshotter, snapshots) = crate::archives::snapshots(archive.manifest());
        let of_canary = |part: fn(&Canary) -> Option<String>| canary.as_ref().and_then(part);
        Ok(Self {
            bytes: trees.iter().map(|tree| tree.counts.bytes).sum(),
            image: text(&container["Config"]["Image"]),
            container: container.clone(),
            folder,
            promise: Promise {
                buildkit: of_canary(|canary| Some(canary.buildkit.clone())),
                snapshotter: of_canary(|canary| canary.snapshotter.clone()).or(snapshotter),
                records: canary.as_ref().map(|canary| canary.records.clone()),
                snapshots,
                at_rest: archive.manifest().consistency == Consistency::CleanStop,
            },
            canary,
            archive: path.to_owned(),
        })
    }

    /// Returns the id of the image that the container was made of: the very one, else of what bears its name now, whose version is compared.
    pub(super) async fn image(&self, engine: &Engine, host: &HostId) -> Result<String, NotProven> {
        let very_one = text(&self.container["Image"]);
        for image in [&very_one, &self.image]
            .into_iter()
            .filter(|image| !image.is_empty())
        {
            match engine.image_inspect(image).await {
                Ok((found, _)) => return Ok(found.id),
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    let what = format!("image `{image}` cannot be looked at");
                    return Err(WorldError::failed(what, error).into());
                }
            }
        }
        Err(NotProven::NoImage {
            image: self.image.clone(),
            host: host.clone(),
        })
    }

    /// Returns the daemon's arguments as they were, but for the configuration and what goes with it.
    fn command(&self) -> Vec<String> {
        let words = self.container["Config"]["Cmd"].as_array();
        let mut words = words
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .peekable();
        let mut command = Vec::new();
        // A command that names its program first keeps it first.
        if let Some(program) = words.next_if(|word| !word.starts_with('-')) {
            command.push(program.to_owned());
        }
        command.extend(["--config".to_owned(), format!("/{CONFIGURATION}")]);
        while let Some(word) = words.next() {
            let (flag, value) = word
                .split_once('=')
                .map_or((word, None), |(flag, value)| (flag, Some(value)));
            if !FLAGS_LEFT_OUT.contains(&flag) {
                command.push(word.to_owned());
            } else if value.is_none() {
                words.next_if(|next| !next.starts_with('-'));
            }
        }
        command
    }

    /// Returns a configuration that collects no garbage and reads the layers where they are.
    fn configuration(&self) -> String {
        let snapshotter = self.promise.snapshotter.as_deref().map(|name| {
            let name = toml_edit::Value::from(name);
            format!("snapshotter = {name}\n")
        });
        let snapshotter = snapshotter.unwrap_or_default();
        format!("[worker.oci]\ngc = false\n{snapshotter}[worker.containerd]\ngc = false\n")
    }

    /// Returns the configuration as the engine takes it into the container.
    pub(super) fn configuration_tar(&self) -> std::io::Result<Vec<u8>> {
        let text = self.configuration();
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, CONFIGURATION, text.as_bytes())?;
        tar.into_inner()
    }

    /// Returns the container of the rehearsal.
    pub(super) fn body(
        &self,
        image: &str,
        volume: &VolumeName,
        labels: &BTreeMap<String, String>,
    ) -> Value {
        let state = json!({ "Type": "volume", "Source": volume.as_str(), "Target": self.folder });
        let host = host_part(&self.container, &state);
        let config = &self.container["Config"];
        json!({
            "Image": image,
            "Entrypoint": config["Entrypoint"],
            "Cmd": self.command(),
            "Env": config["Env"],
            "User": config["User"].as_str().unwrap_or_default(),
            "Labels": labels,
            "HostConfig": host,
        })
    }
}

/// Returns the host part of a container like another one, with its state mounted: nothing outside it is reached, and it is never restarted.
pub(super) fn host_part(like: &Value, state: &Value) -> Value {
    let mut host = json!({
        "NetworkMode": "none",
        "RestartPolicy": { "Name": "no" },
        "Mounts": [state],
    });
    for part in HOST_PARTS {
        if let Some(value) = like["HostConfig"].get(part).filter(|it| !it.is_null()) {
            host[part] = value.clone();
        }
    }
    host
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns where a container has a volume.
fn folder_of(container: &Value, volume: &str) -> Option<String> {
    let mounts = container["Mounts"].as_array()?;
    let mount = mounts.iter().find(|mount| mount["Name"] == volume)?;
    let folder = mount["Destination"].as_str().unwrap_or(STATE_FOLDER);
    Some(folder.to_owned())
}

/// Returns a further file of an archive, if it has it.
fn further_file(archive: &Archive, name: &str) -> Answer<Option<Vec<u8>>> {
    let what = format!("`{name}` of the archive cannot be read");
    let path = archive.file(name);
    path.map(|path| host::read(&path, LIMIT_BYTES))
        .transpose()
        .map_err(failed(what))
}

fn read_canary(bytes: &[u8]) -> Answer<Canary> {
    let canary: Canary = serde_json::from_slice(bytes).map_err(failed(Canary::FILE.to_owned()))?;
    if canary.version == Canary::VERSION {
        return Ok(canary);
    }
    Err(WorldError::Refused {
        why: format!(
            "`{}` of the archive has version {}; this rekit reads version {}",
            Canary::FILE,
            canary.version,
            Canary::VERSION
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(command: &[&str], snapshotter: Option<&str>) -> Script {
        Script {
            archive: PathBuf::new(),
            bytes: 0,
            image: String::new(),
            container: json!({ "Config": { "Cmd": command } }),
            folder: STATE_FOLDER.to_owned(),
            promise: Promise {
                snapshotter: snapshotter.map(str::to_owned),
                ..Promise::default()
            },
            canary: None,
        }
    }

    #[test]
    fn the_daemon_is_started_as_it_was_but_for_collection_and_listeners() {
        for (command, expected) in [
            (
                "--config /etc/buildkit/buildkitd.toml --allow-insecure-entitlement=network.host",
                "--config /rekit-rehearsal.toml --allow-insecure-entitlement=network.host",
            ),
            (
                "--oci-worker-snapshotter native --oci-worker-gc=true --oci-worker-gc-keepstorage 9 --debug",
                "--config /rekit-rehearsal.toml --oci-worker-snapshotter native --debug",
            ),
            (
                "buildkitd --addr tcp://0.0.0.0:1234 --tlskey=/certs/key.pem",
                "buildkitd --config /rekit-rehearsal.toml",
            ),
            (
                "--oci-worker-gc --debug",
                "--config /rekit-rehearsal.toml --debug",
            ),
            ("", "--config /rekit-rehearsal.toml"),
        ] {
            let words: Vec<_> = command.split_whitespace().collect();
            assert_eq!(script(&words, None).command().join(" "), expected);
        }
    }

    #[test]
    fn the_daemon_collects_nothing_and_looks_for_the_layers_where_they_are() {
        let told = |snapshotter| script(&[], snapshotter).configuration();
        assert_eq!(
            told(Some("native")),
            "[worker.oci]\ngc = false\nsnapshotter = \"native\"\n[worker.containerd]\ngc = false\n"
        );
        assert_eq!(
            told(None),
            "[worker.oci]\ngc = false\n[worker.containerd]\ngc = false\n"
        );
    }
}
