//! Archived images: which there are, and which of them a plan needs because its engine lacks them.

use std::path::{Path, PathBuf};

use rekit_core::{
    plan::Plan,
    reinstall::ArchivedImage,
    step::{Action, StateSource},
};

use crate::{
    archives::archives_in,
    session::{Session, SessionError, verify_archive},
    world::{ReadWorld, host, path_of},
};

/// Returns the archived images in a folder of archives: where each lies, its name and its id.
pub(crate) fn archived_images(folder: &Path) -> Vec<(PathBuf, String, String)> {
    let found = archives_in(folder).unwrap_or_default().into_iter();
    let image = |archive: crate::archives::StoredArchive| {
        let (name, id) = archive.content.ok()?.image?;
        Some((archive.path, name, id))
    };
    found.filter_map(image).collect()
}

impl Session<'_> {
    /// Returns the images that a plan boots nodes of, that their engines lack, and that lie archived beside the state.
    pub(crate) async fn images_for(
        &self,
        plan: &Plan,
        state: &StateSource,
    ) -> Result<Vec<ArchivedImage>, SessionError> {
        let beside = path_of(&state.archive);
        let own = self.home_path().join("archives");
        let folders = [beside.parent().unwrap_or(&own), &own];
        let world = self.world();
        let mut found = Vec::new();
        for step in &plan.steps {
            let Action::BootNode {
                host: engine,
                image,
                ..
            } = &step.action
            else {
                continue;
            };
            if world.has_image(engine, image).await? {
                continue;
            }
            let archived = folders.iter().flat_map(|folder| archived_images(folder));
            let mut named = archived.filter(|(_, name, _)| name == image.as_str());
            if let Some((path, ..)) = named.next() {
                let identity = verify_archive(&path, self.listener).await?;
                found.push(ArchivedImage {
                    host: engine.clone(),
                    image: image.clone(),
                    source: StateSource {
                        archive: host::host_path(&path),
                        identity,
                    },
                });
            }
        }
        Ok(found)
    }
}
