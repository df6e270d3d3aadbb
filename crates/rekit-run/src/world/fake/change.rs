//! What changes the fake world. Each operation counts.

use rekit_core::{
    engine_cache::EnginePlace,
    event::Event,
    folders::CacheFolder,
    mounts::{ArchivedMount, CacheMount},
    name::{ArchiveId, ContainerName, Digest, HostId, HostPath, ImageRef, Platform, VolumeName},
    socket::DeadSocket,
    step::{BuildPlace, Claim, DaemonPlace, NodePlace, StateSource},
};

use super::{Answer, FakeWorld, archive_id};
use crate::world::{
    Archived, ChangeWorld, FileChange, ForeignBytes, Labels, NodeRequest, Stopped, WorldError,
};

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
        like: &ForeignBytes,
        labels: &Labels,
    ) -> Answer<()> {
        self.step()?;
        let (created_at, had): (String, _) = described(like.expose())?;
        self.add_volume(host, name, None, labels.again(&had, &created_at));
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
        let (volume, policy, id, had): (String, String, String, _) = described(like.expose())?;
        let volume = volume
            .parse()
            .map_err(|error| WorldError::failed("the description", format!("{error}")))?;
        self.add_container(host, name, &volume, false, labels.again(&had, &id));
        self.container_mut(host, name)?.facts.restart_policy = policy;
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

    async fn end_container(
        &mut self,
        host: &HostId,
        name: &ContainerName,
        limit: u32,
    ) -> Answer<Stopped> {
        self.stop_container(host, name, limit).await
    }

    async fn cut_builds(&mut self, host: &HostId, container: &ContainerName) -> Answer<()> {
        self.step()?;
        self.busy.remove(&(host.clone(), container.clone()));
        Ok(())
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

    async fn try_daemon(&mut self, daemon: &DaemonPlace) -> Answer<()> {
        self.step()?;
        let Some(container) = &daemon.container else {
            return Ok(());
        };
        if self.container_mut(&daemon.host, container)?.facts.running {
            Ok(())
        } else {
            Err(WorldError::failed("the daemon", "it does not run"))
        }
    }

    async fn try_build(
        &mut self,
        daemon: &DaemonPlace,
        _platform: &Platform,
    ) -> Answer<(u64, u64)> {
        self.step()?;
        let container = daemon.container.as_ref();
        if container.is_some_and(|container| self.unfit.contains(container)) {
            return Err(WorldError::failed("the build", "the daemon is unfit"));
        }
        Ok((1, 1))
    }

    async fn try_front_end(
        &mut self,
        _store: &HostPath,
        _claim: &Claim,
        _compose: bool,
    ) -> Answer<()> {
        self.step()
    }

    async fn validate(&mut self, _store: &HostPath, _claims: &[Claim]) -> Answer<Vec<String>> {
        self.step()?;
        Ok(Vec::new())
    }

    async fn wait(&mut self, _seconds: u32, _what: &str) -> Answer<()> {
        Ok(())
    }

    async fn pass_second(&mut self, _why: Event) -> Answer<()> {
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
        self.hidden.remove(file.path);
        self.files
            .insert(file.path.clone(), (content.expose().to_vec(), mode));
        Ok(())
    }

    async fn remove_file(&mut self, file: FileChange<'_>) -> Answer<()> {
        self.step()?;
        self.check(file)?;
        self.hidden.remove(file.path);
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

    async fn save_image(
        &mut self,
        archive: &ArchiveId,
        _: &HostId,
        image: &ImageRef,
    ) -> Answer<Archived> {
        self.pack(archive, image.as_str())
    }

    async fn load_image(&mut self, source: &StateSource, host: &HostId) -> Answer<()> {
        self.step()?;
        let found = self.archives.get(&archive_id(source));
        if let Some(Ok(image)) = found.map(|found| found.content.parse()) {
            self.images.insert((host.clone(), image));
        }
        Ok(())
    }

    async fn archive_folder(
        &mut self,
        archive: &ArchiveId,
        folder: &CacheFolder,
    ) -> Answer<Archived> {
        let content = self.trees.get(&folder.path).cloned().unwrap_or_default();
        self.pack(archive, &String::from_utf8_lossy(&content))
    }

    async fn restore_folder(&mut self, source: &StateSource, folder: &CacheFolder) -> Answer<()> {
        let found = self.archives.get(&archive_id(source));
        let content = found.map(|found| found.content.clone()).unwrap_or_default();
        self.step()?;
        self.trees.insert(folder.path.clone(), b"half".to_vec());
        self.step()?;
        self.trees.insert(folder.path.clone(), content.into_bytes());
        Ok(())
    }

    async fn empty_folder(&mut self, path: &HostPath, remove: bool) -> Answer<()> {
        self.step()?;
        if remove {
            self.trees.remove(path);
        } else if let Some(content) = self.trees.get_mut(path) {
            content.clear();
        }
        Ok(())
    }

    async fn stop_engine(&mut self, engine: &EnginePlace) -> Answer<()> {
        self.step()?;
        self.fake_engine(engine)?.runs = false;
        for ((at, _), container) in &mut self.containers {
            container.facts.running &= at != &engine.host;
        }
        Ok(())
    }

    async fn start_engine(&mut self, engine: &EnginePlace) -> Answer<()> {
        self.step()?;
        self.fake_engine(engine)?.runs = true;
        for wanted in &engine.running {
            self.step()?;
            self.container_mut(&engine.host, &wanted.name)?
                .facts
                .running = true;
        }
        Ok(())
    }

    async fn archive_engine(
        &mut self,
        archive: &ArchiveId,
        engine: &EnginePlace,
    ) -> Answer<Archived> {
        let content = self.fake_engine(engine)?.cache.clone().unwrap_or_default();
        self.pack(archive, &content)
    }

    async fn restore_engine(&mut self, archive: &ArchiveId, engine: &EnginePlace) -> Answer<()> {
        let found = self.archives.get(archive);
        let content = found.map(|found| found.content.clone());
        self.step()?;
        self.fake_engine(engine)?.cache = None;
        self.step()?;
        self.fake_engine(engine)?.cache = content;
        Ok(())
    }

    async fn restore_engine_from(
        &mut self,
        source: &StateSource,
        engine: &EnginePlace,
    ) -> Answer<()> {
        self.verify_source(source).await?;
        self.restore_engine(&archive_id(source), engine).await
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

/// Reads what the fake world described an object by.
fn described<T: serde::de::DeserializeOwned>(text: &[u8]) -> Answer<T> {
    let described = serde_json::from_slice(text);
    described.map_err(|error| WorldError::failed("the description is another one's", error))
}
