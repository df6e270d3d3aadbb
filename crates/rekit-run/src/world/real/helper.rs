//! The way to a volume's files without root on this machine: rekit's static helper in a container made from an image that is there.
//!
//! Invariants: nothing is pulled, no TTY, log driver `none`; the container has no network and is gone afterwards. It ends with rekit, whose
//! end closes its stdin; what a killed rekit left goes before the next is made.

use std::{
    error::Error,
    io::{Read, Write},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use rekit_archive::{Archive, ArchiveWriter, Contradiction, Watchdog, buildkit_state_rules, wire};
use rekit_buildkit::{Engine, Filters};
use rekit_core::{event::Event, name::VolumeName};
use rustix::fs::MemfdFlags;
use serde_json::{Value, json};

use super::{
    Answer, WorldError,
    archive::{STATE_TREE, on_thread},
    channel::{self, Ends, Offer},
};

/// The helper: static, for the engine's architecture.
pub(super) static HELPER: &[u8] = include_bytes!(env!("REKIT_ARCHIVE_HELPER"));
/// The label of a container that rekit makes for a moment; its value tells for what.
pub(super) const LABEL: &str = "rekit.helper";
/// The helper's name in its container.
pub(super) const PROGRAM: &str = "/rekit-archive-helper";
/// Where the volume lies in the helper's container.
const ROOT: &str = "/rekit/state";

/// Returns where a volume lies if this process can read it there, and it surely is the engine's own place.
pub(super) async fn direct_path(engine: &Engine, volume: &VolumeName) -> Answer<Option<PathBuf>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let failed = |error| WorldError::failed(format!("volume `{volume}` cannot be found"), error);
    let (info, _) = engine.info().await.map_err(failed)?;
    let (facts, _) = engine
        .volume_inspect(volume.as_str())
        .await
        .map_err(failed)?;
    let plain = facts.driver == "local" && facts.options.is_empty();
    let path = PathBuf::from(facts.mountpoint);
    Ok(
        (plain && is_this_machine(&info.docker_root_dir, &info.id) && path.is_dir())
            .then_some(path),
    )
}

/// A path that an engine names means this machine only if the engine's own id lies there.
fn is_this_machine(data_root: &str, id: &str) -> bool {
    let written = std::fs::read_to_string(Path::new(data_root).join("engine-id"));
    !id.is_empty() && written.is_ok_and(|written| written.trim() == id)
}

/// Returns true if the process of this number, as this process sees it, has the volume mounted.
pub(super) fn has_mounted(pid: u32, volume: &VolumeName) -> bool {
    let place = format!("/volumes/{volume}/_data");
    let table = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"));
    table.is_ok_and(|table| {
        table
            .split([' ', '\n'])
            .any(|field| field.ends_with(&place))
    })
}

/// Starts the helper on this machine as the watchdog of the daemon that `pid` leads.
pub(super) fn watchdog(pid: u32) -> std::io::Result<Watchdog> {
    let memory = rustix::fs::memfd_create("rekit-watchdog", MemfdFlags::CLOEXEC)?;
    let mut program = std::fs::File::from(memory);
    program.write_all(HELPER)?;
    let path = format!("/proc/self/fd/{}", program.as_raw_fd());
    Watchdog::start(Path::new(&path), pid)
}

/// Packs a volume's state through the helper; while the daemon that `running` leads runs, if it does.
pub(super) async fn pack(
    engine: &Engine,
    volume: &VolumeName,
    running: Option<u32>,
    writer: ArchiveWriter,
    listener: &dyn Fn(Event),
) -> Answer<ArchiveWriter> {
    let pid = running.map(|pid| pid.to_string());
    let mut arguments = vec!["pack", ROOT, "--rules", "buildkit-state"];
    arguments.extend(pid.iter().flat_map(|pid| ["--live", pid]));
    let view = if pid.is_some() {
        View::WithProcesses
    } else {
        View::ReadOnly
    };
    let (container, ends) = Helper::start(engine, volume, &arguments, view).await?;
    let packed = container.pack(ends, writer, listener).await;
    container.remove().await;
    packed
}

/// Unpacks an archived state through the helper into an empty volume.
pub(super) async fn unpack(
    engine: &Engine,
    volume: &VolumeName,
    archive: Archive,
    listener: &dyn Fn(Event),
) -> Answer<()> {
    let call = ["unpack", ROOT];
    let (container, ends) = Helper::start(engine, volume, &call, View::Writable).await?;
    let unpacked = container.unpack(ends, archive, listener).await;
    container.remove().await;
    unpacked
}

/// Reads through the helper where a volume's state contradicts itself.
pub(super) async fn check(engine: &Engine, volume: &VolumeName) -> Answer<Vec<Contradiction>> {
    let (container, ends) = Helper::start(engine, volume, &["check", ROOT], View::ReadOnly).await?;
    let read = tokio::task::spawn_blocking(move || serde_json::from_reader(ends.reader)).await;
    container.remove().await;
    let failed = |error: Box<dyn Error + Send + Sync>| {
        let what = format!("the helper cannot read the state in volume `{volume}`");
        WorldError::failed(what, error)
    };
    let answer: Result<Vec<Contradiction>, String> = read
        .map_err(|error| failed(error.into()))?
        .map_err(|error: serde_json::Error| failed(error.into()))?;
    answer.map_err(|why| failed(why.into()))
}

/// Returns what is known of the daemon whose state lies in a volume: how its container was made, and the volume's own options.
pub(super) async fn describe(engine: &Engine, volume: &VolumeName) -> Answer<Value> {
    let failed =
        |error| WorldError::failed(format!("volume `{volume}` cannot be described"), error);
    let (_, facts) = engine
        .volume_inspect(volume.as_str())
        .await
        .map_err(failed)?;
    let users = engine
        .containers_list(true, &Filters::none().with("volume", volume.as_str()))
        .await
        .map_err(failed)?;
    let mut containers = Vec::new();
    for user in users {
        containers.push(engine.container_inspect(&user.id).await.map_err(failed)?.1);
    }
    Ok(json!({ "volume": facts, "containers": containers }))
}

/// What a helper sees.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// The volume, to read.
    ReadOnly,
    /// The volume, to read, and the processes of the engine's machine.
    WithProcesses,
    /// The volume, to write.
    Writable,
}

/// A helper's container.
struct Helper {
    engine: Engine,
    id: String,
    volume: VolumeName,
}

impl Helper {
    /// Starts a helper; returns the way to it too, the faster one if the engine takes it.
    async fn start(
        engine: &Engine,
        volume: &VolumeName,
        arguments: &[&str],
        view: View,
    ) -> Answer<(Self, Ends)> {
        if let Some(offer) = Offer::to(engine) {
            let arguments = [arguments, &["--channel", channel::FOLDER]].concat();
            let helper = Self::create(engine, volume, &arguments, (view, Some(&offer))).await;
            if let Ok(helper) = helper
                && let Ok(started) = helper.meet(Some(offer)).await
            {
                return Ok(started);
            }
        }
        let helper = Self::create(engine, volume, arguments, (view, None)).await?;
        helper.meet(None).await
    }

    async fn create(
        engine: &Engine,
        volume: &VolumeName,
        arguments: &[&str],
        (view, offer): (View, Option<&Offer>),
    ) -> Answer<Self> {
        let what = format!("a helper container for volume `{volume}` cannot be made");
        let failed = |error| WorldError::failed(what.clone(), error);
        let mut mounts = vec![
            json!({ "Type": "volume", "Source": volume.as_str(), "Target": ROOT, "ReadOnly": view != View::Writable }),
        ];
        mounts.extend(offer.map(Offer::mount));
        let mut body = json!({
            "Image": image(engine, volume).await?,
            "Entrypoint": [PROGRAM],
            "Cmd": arguments,
            "User": "0:0",
            "OpenStdin": true, "StdinOnce": true, "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": false,
            "NetworkDisabled": true,
            "Labels": { LABEL: volume.as_str() },
            "HostConfig": {
                // trusted.* attributes and devices need what a plain container lacks.
                "Privileged": true,
                "NetworkMode": "none",
                "LogConfig": { "Type": "none" },
                "Mounts": mounts,
            },
        });
        if view == View::WithProcesses {
            // Not the daemon's own process space: there nobody can stop its first process.
            body["HostConfig"]["PidMode"] = Value::from("host");
            if has_user_namespaces(engine).await? {
                body["HostConfig"]["UsernsMode"] = Value::from("host");
            }
        }
        sweep(engine).await;
        let name = format!("rekit-helper-{}-{}", std::process::id(), volume);
        let id = engine
            .container_create(&name, &body)
            .await
            .map_err(failed)?;
        let helper = Self {
            engine: engine.clone(),
            id,
            volume: volume.clone(),
        };
        let tar = helper_tar().map_err(|error| WorldError::failed(what.clone(), error))?;
        match engine.put_archive(&helper.id, "/", tar.into()).await {
            Ok(()) => Ok(helper),
            Err(error) => {
                helper.remove().await;
                Err(failed(error))
            }
        }
    }

    /// Starts the helper's program and waits for it at the way to it. A helper that does not come is removed.
    async fn meet(self, offer: Option<Offer>) -> Answer<(Self, Ends)> {
        match self.ends(offer).await {
            Ok(ends) => Ok((self, ends)),
            Err(error) => {
                self.remove().await;
                Err(error)
            }
        }
    }

    async fn ends(&self, offer: Option<Offer>) -> Answer<Ends> {
        let what = || format!("the helper for volume `{}` does not start", self.volume);
        let attached = self.engine.container_attach(&self.id).await;
        let attached = attached.map_err(|error| WorldError::failed(what(), error))?;
        let started = self.engine.container_start(&self.id).await;
        started.map_err(|error| WorldError::failed(what(), error))?;
        let met = channel::meet(offer, attached).await;
        met.map_err(|error| WorldError::failed(what(), error))
    }

    async fn pack(
        &self,
        mut ends: Ends,
        mut writer: ArchiveWriter,
        listener: &dyn Fn(Event),
    ) -> Answer<ArchiveWriter> {
        let work = move |progress: &mut dyn FnMut(rekit_archive::Progress)| {
            let ends: (&mut dyn Read, &mut dyn Write) = (&mut ends.reader, &mut ends.writer);
            writer
                .receive_tree(STATE_TREE, &buildkit_state_rules(), ends, progress)
                .map(drop)
                .map(|()| writer)
        };
        let packed = on_thread(listener, 0, work).await?;
        packed.map_err(|error| {
            WorldError::failed(
                format!(
                    "volume `{}` cannot be archived through a helper",
                    self.volume
                ),
                error,
            )
        })
    }

    async fn unpack(&self, ends: Ends, archive: Archive, listener: &dyn Fn(Event)) -> Answer<()> {
        let Ends {
            mut reader,
            mut writer,
        } = ends;
        let sending =
            tokio::task::spawn_blocking(move || wire::send(&archive, STATE_TREE, &mut writer));
        let answered = on_thread(listener, 0, move |progress| {
            wire::answer(&mut reader, progress)
        })
        .await?;
        let sent = sending
            .await
            .map_err(|error| WorldError::failed("sending to the helper broke off", error))?;
        let refused = |error| {
            WorldError::failed(
                format!(
                    "the state cannot be brought back into volume `{}`",
                    self.volume
                ),
                error,
            )
        };
        answered.map_err(refused)?;
        sent.map_err(refused)
    }

    async fn remove(self) {
        // One that cannot be removed has ended, and goes before the next is made.
        drop(self.engine.container_remove(&self.id, true, true).await);
    }
}

async fn has_user_namespaces(engine: &Engine) -> Answer<bool> {
    let info = engine.info().await;
    let (info, _) =
        info.map_err(|error| WorldError::failed("the engine does not answer", error))?;
    let mut options = info.security_options.iter();
    Ok(options.any(|option| option.contains("name=userns")))
}

/// Returns an image that is there: the one of the volume's own container, else a BuildKit image, else any.
async fn image(engine: &Engine, volume: &VolumeName) -> Answer<String> {
    let failed = |error| WorldError::failed("images cannot be listed", error);
    let users = engine
        .containers_list(true, &Filters::none().with("volume", volume.as_str()))
        .await
        .map_err(failed)?;
    if let Some(user) = users.first() {
        return Ok(user.image_id.clone());
    }
    let images = engine
        .images_list(false, &Filters::none())
        .await
        .map_err(failed)?;
    let is_buildkit = |image: &&rekit_buildkit::ImageSummary| {
        image.repo_tags.iter().any(|tag| tag.contains("buildkit"))
    };
    let chosen = images.iter().find(is_buildkit).or_else(|| images.first());
    chosen.map(|image| image.id.clone()).ok_or_else(|| WorldError::Refused {
        why: format!("volume `{volume}` can be read only as root or through an image, and the engine has none"),
    })
}

/// Removes what earlier helpers of killed rekits left: one that works runs, or is about to.
pub(super) async fn sweep(engine: &Engine) {
    let ended = Filters::none()
        .with("label", LABEL)
        .with("status", "exited");
    // Whatever stays only takes room, and the next one sweeps again.
    for container in engine
        .containers_list(true, &ended)
        .await
        .unwrap_or_default()
    {
        drop(engine.container_remove(&container.id, true, true).await);
    }
}

pub(super) fn helper_tar() -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(HELPER.len() as u64);
    tar.append_data(&mut header, "rekit-archive-helper", HELPER)?;
    tar.into_inner()
}
