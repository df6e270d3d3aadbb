//! A world in memory that can be made to fail or crash at an exact point. For the model check and nothing else.
//!
//! Invariant: each operation is atomic, so a crash falls between two of them; what an operation does twice it does once.

mod objects;

use std::collections::{BTreeMap, BTreeSet};

use rekit_core::{
    inventory::ActiveBuild,
    mounts::{ArchivedMount, CacheMount},
    name::{ArchiveId, ContainerName, Digest, HostId, HostPath, ImageRef, Platform, VolumeName},
    socket::DeadSocket,
    step::{BuildPlace, Claim, FileState, NodePlace, StateSource},
};

use super::{
    ArchiveState, Archived, ChangeWorld, ContainerFacts, FileChange, ForeignBytes, Labels,
    NodeRequest, ReadWorld, SocketState, Stopped, VolumeFacts, WorldError,
};

pub use objects::{FakeArchive, FakeContainer, FakeVolume, Fault};

type Answer<T> = Result<T, WorldError>;
type At<T> = (HostId, T);
type InBuilder = (String, String);

/// The fake world.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct FakeWorld {
    /// Containers.
    pub containers: BTreeMap<At<ContainerName>, FakeContainer>,
    /// Volumes.
    pub volumes: BTreeMap<At<VolumeName>, FakeVolume>,
    /// Images.
    pub images: BTreeSet<At<ImageRef>>,
    /// Files.
    pub files: BTreeMap<HostPath, (Vec<u8>, u32)>,
    /// Folders that steps remove whole.
    pub trees: BTreeMap<HostPath, Vec<u8>>,
    /// Sockets; `None`: somebody listens.
    pub sockets: BTreeMap<HostPath, Option<DeadSocket>>,
    /// Cache mounts by builder and id, with what lies in them; here the id is the record's too.
    pub mounts: BTreeMap<InBuilder, String>,
    /// Archives.
    pub archives: BTreeMap<ArchiveId, FakeArchive>,
    /// Containers on which a build runs that never ends.
    pub busy: BTreeSet<At<ContainerName>>,
    /// What the next changing operations do.
    pub fault: Option<Fault>,
    /// A number for each object made.
    pub made: u64,
}

impl FakeWorld {
    /// Takes one changing operation into account.
    fn step(&mut self) -> Answer<()> {
        match &mut self.fault {
            None => Ok(()),
            Some(Fault::CrashAfter(0)) => Err(WorldError::Crashed),
            Some(Fault::FailAfter(0)) => {
                self.fault = None;
                Err(WorldError::failed("the operation", "the test asked for it"))
            }
            Some(Fault::CrashAfter(left) | Fault::FailAfter(left)) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn container_mut(&mut self, host: &HostId, name: &ContainerName) -> Answer<&mut FakeContainer> {
        let key = (host.clone(), name.clone());
        self.containers
            .get_mut(&key)
            .ok_or_else(|| WorldError::failed(format!("container `{name}`"), "no such container"))
    }

    fn check(&self, file: FileChange<'_>) -> Answer<()> {
        let now = self.state(file.path);
        if &now == file.expect {
            Ok(())
        } else {
            Err(WorldError::Changed {
                what: format!("`{}` was changed", file.path),
            })
        }
    }

    /// Returns what a file is.
    pub fn state(&self, path: &HostPath) -> FileState {
        match self.files.get(path) {
            Some((bytes, _)) => FileState::Present {
                digest: Digest::of(bytes),
            },
            None => FileState::Absent {},
        }
    }
}

impl ReadWorld for FakeWorld {
    async fn container(
        &self,
        host: &HostId,
        name: &ContainerName,
    ) -> Answer<Option<ContainerFacts>> {
        Ok(self
            .containers
            .get(&(host.clone(), name.clone()))
            .map(|container| container.facts.clone()))
    }

    async fn describe_container(
        &self,
        host: &HostId,
        name: &ContainerName,
    ) -> Answer<ForeignBytes> {
        let container = self.containers.get(&(host.clone(), name.clone()));
        let text = container
            .map(|container| format!("{} {}", container.volume, container.facts.restart_policy));
        Ok(ForeignBytes::new(text.unwrap_or_default().into_bytes()))
    }

    async fn volume(&self, host: &HostId, name: &VolumeName) -> Answer<Option<VolumeFacts>> {
        Ok(self
            .volumes
            .get(&(host.clone(), name.clone()))
            .map(|volume| volume.facts.clone()))
    }

    async fn describe_volume(&self, _host: &HostId, _name: &VolumeName) -> Answer<ForeignBytes> {
        Ok(ForeignBytes::new(Vec::new()))
    }

    async fn has_image(&self, host: &HostId, image: &ImageRef) -> Answer<bool> {
        Ok(self.images.contains(&(host.clone(), image.clone())))
    }

    async fn active_builds(
        &self,
        host: &HostId,
        container: &ContainerName,
    ) -> Answer<Vec<ActiveBuild>> {
        let busy = self.busy.contains(&(host.clone(), container.clone()));
        let build = ActiveBuild {
            reference: "build".to_owned(),
            since: None,
            target: String::new(),
        };
        Ok(busy.then_some(build).into_iter().collect())
    }

    async fn file(&self, path: &HostPath) -> Answer<FileState> {
        Ok(self.state(path))
    }

    async fn read_file(&self, path: &HostPath) -> Answer<Option<(ForeignBytes, u32)>> {
        Ok(self
            .files
            .get(path)
            .map(|(bytes, mode)| (ForeignBytes::new(bytes.clone()), *mode)))
    }

    async fn has_tree(&self, path: &HostPath) -> Answer<bool> {
        Ok(self.trees.contains_key(path))
    }

    async fn read_tree(&self, path: &HostPath) -> Answer<ForeignBytes> {
        Ok(ForeignBytes::new(
            self.trees.get(path).cloned().unwrap_or_default(),
        ))
    }

    async fn socket(&self, path: &HostPath) -> Answer<SocketState> {
        Ok(match self.sockets.get(path) {
            None => SocketState::Absent,
            Some(Some(dead)) => SocketState::Dead(dead.clone()),
            Some(None) => SocketState::Taken,
        })
    }

    async fn archive(&self, archive: &ArchiveId) -> Answer<ArchiveState> {
        Ok(match self.archives.get(archive) {
            None => ArchiveState::Absent,
            Some(found) if found.whole => ArchiveState::Whole,
            Some(_) => ArchiveState::Partial,
        })
    }

    async fn mount_records(&self, place: &BuildPlace) -> Answer<Vec<String>> {
        let of_builder = self.mounts.keys().filter(|(at, _)| *at == place.builder);
        Ok(of_builder.map(|(_, id)| id.clone()).collect())
    }

    async fn archive_fingerprint(&self, archive: &ArchiveId) -> Answer<Digest> {
        Ok(Digest::of(
            format!("{:?}", self.archives.get(archive)).as_bytes(),
        ))
    }
}

impl ChangeWorld for FakeWorld {
    async fn create_volume(
        &mut self,
        host: &HostId,
        name: &VolumeName,
        labels: &Labels,
    ) -> Answer<()> {
        self.step()?;
        self.add_volume(host, name, Some(""), labels.to_map());
        Ok(())
    }

    async fn recreate_volume(
        &mut self,
        host: &HostId,
        name: &VolumeName,
        _like: &ForeignBytes,
        labels: &Labels,
    ) -> Answer<()> {
        self.step()?;
        self.add_volume(host, name, None, labels.to_map());
        Ok(())
    }

    async fn remove_volume(&mut self, host: &HostId, name: &VolumeName) -> Answer<()> {
        self.step()?;
        if self
            .containers
            .iter()
            .any(|((at, _), container)| at == host && &container.volume == name)
        {
            return Err(WorldError::failed(
                format!("volume `{name}`"),
                "volume is in use",
            ));
        }
        self.volumes.remove(&(host.clone(), name.clone()));
        Ok(())
    }

    async fn create_node(
        &mut self,
        host: &HostId,
        node: &NodeRequest,
        labels: &Labels,
    ) -> Answer<()> {
        self.step()?;
        self.add_container(host, &node.container, &node.volume, false, labels.to_map());
        Ok(())
    }

    async fn recreate_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        like: &ForeignBytes,
        labels: &Labels,
    ) -> Answer<()> {
        self.step()?;
        let text = String::from_utf8_lossy(like.expose()).into_owned();
        let (volume, policy) = text
            .split_once(' ')
            .ok_or_else(|| WorldError::failed("the description", "it is another one's"))?;
        let volume = volume
            .parse()
            .map_err(|error| WorldError::failed("the description", format!("{error}")))?;
        self.add_container(host, name, &volume, false, labels.to_map());
        policy.clone_into(&mut self.container_mut(host, name)?.facts.restart_policy);
        Ok(())
    }

    async fn start_container(&mut self, host: &HostId, name: &ContainerName) -> Answer<()> {
        self.step()?;
        self.container_mut(host, name)?.facts.running = true;
        Ok(())
    }

    async fn stop_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        _timeout: u32,
    ) -> Answer<Stopped> {
        self.step()?;
        self.container_mut(host, name)?.facts.running = false;
        Ok(Stopped {
            exit_code: 1,
            clean: true,
        })
    }

    async fn remove_container(&mut self, host: &HostId, name: &ContainerName) -> Answer<()> {
        self.step()?;
        self.containers.remove(&(host.clone(), name.clone()));
        Ok(())
    }

    async fn set_restart_policy(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        policy: &str,
    ) -> Answer<()> {
        self.step()?;
        policy.clone_into(&mut self.container_mut(host, name)?.facts.restart_policy);
        Ok(())
    }

    async fn wait_ready(&mut self, host: &HostId, container: &ContainerName) -> Answer<String> {
        self.step()?;
        if self.container_mut(host, container)?.facts.running {
            Ok("v0".to_owned())
        } else {
            Err(WorldError::failed("the daemon", "it does not run"))
        }
    }

    async fn probe(
        &mut self,
        _host: &HostId,
        _container: &ContainerName,
        _platform: &Platform,
    ) -> Answer<u64> {
        self.step()?;
        Ok(1)
    }

    async fn validate(&mut self, _store: &HostPath, _claims: &[Claim]) -> Answer<Vec<String>> {
        self.step()?;
        Ok(Vec::new())
    }

    async fn wait(&mut self, _seconds: u32, _what: &str) -> Answer<()> {
        Ok(())
    }

    async fn write_file(
        &mut self,
        file: FileChange<'_>,
        content: &ForeignBytes,
        mode: u32,
    ) -> Answer<()> {
        self.step()?;
        self.check(file)?;
        self.files
            .insert(file.path.clone(), (content.expose().to_vec(), mode));
        Ok(())
    }

    async fn remove_file(&mut self, file: FileChange<'_>) -> Answer<()> {
        self.step()?;
        self.check(file)?;
        self.files.remove(file.path);
        Ok(())
    }

    async fn write_tree(
        &mut self,
        path: &HostPath,
        _store: Option<&HostPath>,
        tree: &ForeignBytes,
    ) -> Answer<()> {
        self.step()?;
        self.trees.insert(path.clone(), tree.expose().to_vec());
        Ok(())
    }

    async fn remove_tree(&mut self, path: &HostPath, _store: Option<&HostPath>) -> Answer<()> {
        self.step()?;
        self.trees.remove(path);
        Ok(())
    }

    async fn make_socket(&mut self, path: &HostPath, like: &DeadSocket) -> Answer<()> {
        self.step()?;
        let like = Some(like.clone());
        self.sockets.entry(path.clone()).or_insert(like);
        Ok(())
    }

    async fn remove_socket(&mut self, path: &HostPath, known: &DeadSocket) -> Answer<()> {
        self.step()?;
        if self.sockets.get(path) == Some(&Some(known.clone())) {
            self.sockets.remove(path);
        }
        Ok(())
    }

    async fn archive_paths(
        &mut self,
        archive: &ArchiveId,
        _paths: &[HostPath],
    ) -> Answer<Archived> {
        self.pack(archive, "configuration")
    }

    async fn archive_state(
        &mut self,
        archive: &ArchiveId,
        host: &HostId,
        volume: &VolumeName,
    ) -> Answer<Archived> {
        let content = self
            .volumes
            .get(&(host.clone(), volume.clone()))
            .and_then(|volume| volume.content.clone())
            .unwrap_or_default();
        self.pack(archive, &content)
    }

    async fn copy_state(&mut self, archive: &ArchiveId, node: &NodePlace) -> Answer<Archived> {
        self.archive_state(archive, &node.host, &node.volume).await
    }

    async fn export_mounts(
        &mut self,
        archive: &ArchiveId,
        place: &BuildPlace,
        mounts: &[CacheMount],
    ) -> Answer<Archived> {
        let at = |mount: &CacheMount| (place.builder.clone(), mount.id.clone());
        let contents: Vec<_> = mounts
            .iter()
            .filter_map(|mount| self.mounts.get(&at(mount)).cloned())
            .collect();
        self.pack(archive, &contents.join(" "))
    }

    async fn import_mounts(
        &mut self,
        source: &StateSource,
        place: &BuildPlace,
        mounts: &[ArchivedMount],
    ) -> Answer<()> {
        let archive = self.archives.get(&archive_id(source)).cloned();
        let contents = archive.map(|archive| archive.content).unwrap_or_default();
        for (archived, content) in mounts.iter().zip(contents.split(' ')) {
            self.step()?;
            let at = (place.builder.clone(), archived.mount.id.clone());
            let found = self.mounts.entry(at).or_insert_with(|| content.to_owned());
            if found != content {
                return Err(WorldError::Refused {
                    why: format!("cache mount `{}` is not empty", archived.mount.id),
                });
            }
        }
        Ok(())
    }

    async fn forget_mounts(
        &mut self,
        place: &BuildPlace,
        ids: &[String],
        known: &[String],
    ) -> Answer<()> {
        self.step()?;
        self.mounts.retain(|(builder, id), _| {
            *builder != place.builder || !ids.contains(id) || known.contains(id)
        });
        Ok(())
    }

    async fn drop_partial_archive(&mut self, archive: &ArchiveId) -> Answer<()> {
        self.step()?;
        self.archives.remove(archive);
        Ok(())
    }

    async fn verify_archive(&mut self, archive: &ArchiveId) -> Answer<Digest> {
        self.step()?;
        match self.archives.get(archive) {
            Some(found) if found.whole && !found.damaged => {
                Ok(Digest::of(found.content.as_bytes()))
            }
            _ => Err(WorldError::Refused {
                why: format!("archive `{archive}` does not match"),
            }),
        }
    }

    async fn verify_source(&mut self, source: &StateSource) -> Answer<()> {
        self.verify_archive(&archive_id(source)).await.map(drop)
    }

    async fn prove_state(
        &mut self,
        _: &StateSource,
        _: &HostId,
        _: &ContainerName,
        _: &VolumeName,
    ) -> Answer<()> {
        self.step()
    }

    async fn restore_from(
        &mut self,
        source: &StateSource,
        host: &HostId,
        volume: &VolumeName,
    ) -> Answer<()> {
        self.restore_state(&archive_id(source), host, volume).await
    }

    async fn restore_state(
        &mut self,
        archive: &ArchiveId,
        host: &HostId,
        volume: &VolumeName,
    ) -> Answer<()> {
        self.step()?;
        let content = self
            .archives
            .get(archive)
            .filter(|found| found.whole && !found.damaged)
            .map(|found| found.content.clone());
        let found = self.volumes.get_mut(&(host.clone(), volume.clone()));
        match found {
            Some(volume) => volume.content = content,
            None => return Err(WorldError::failed("the volume", "no such volume")),
        }
        Ok(())
    }
}

impl FakeWorld {
    /// Packs in two operations, so that a crash can fall between them.
    fn pack(&mut self, archive: &ArchiveId, content: &str) -> Answer<Archived> {
        if self.archives.get(archive).is_some_and(|found| found.whole) {
            return Ok(Archived::default());
        }
        self.step()?;
        self.archives.insert(
            archive.clone(),
            FakeArchive {
                whole: false,
                content: content.to_owned(),
                damaged: false,
            },
        );
        self.step()?;
        if let Some(found) = self.archives.get_mut(archive) {
            found.whole = true;
        }
        Ok(Archived::default())
    }
}

/// The fake has all archives in one folder, each by its id.
fn archive_id(source: &StateSource) -> ArchiveId {
    match source.archive.file_name().parse() {
        Ok(id) => id,
        Err(error) => unreachable!("BUG: {error}"),
    }
}
