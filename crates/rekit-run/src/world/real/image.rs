//! Images of builders: saved as the engine streams them, and loaded into one that lacks them.

use std::path::Path;

use rekit_archive::{Consistency, MetadataOfArchive, Owners, UnpackOptions, plain_rules};
use rekit_buildkit::Upload;
use rekit_core::name::{ArchiveId, HostId, ImageRef};
use serde_json::json;

use super::{Answer, Archived, RealWorld, WorldError, archive};

/// The tree of such an archive, and the one file in it, as `docker load` takes it.
const TREE: &str = "image";
const FILE: &str = "image.tar";

pub(super) async fn save(
    world: &RealWorld<'_>,
    archive: &ArchiveId,
    host: &HostId,
    image: &ImageRef,
) -> Answer<Archived> {
    let made = world.archives.join(archive.as_str());
    let Some(writer) = archive::begin(&world.archives, archive)? else {
        return archive::counts(&made);
    };
    let what = format!("image `{image}` cannot be saved");
    let failed =
        |error: Box<dyn std::error::Error + Send + Sync>| WorldError::failed(what.clone(), error);
    let engine = world.engine(host).await?;
    let (detail, _) = engine
        .image_inspect(image.as_str())
        .await
        .map_err(|error| failed(Box::new(error)))?;
    let folder = tempfile::tempdir_in(&world.home).map_err(|error| failed(Box::new(error)))?;
    let mut stream = engine
        .image_save(image.as_str())
        .await
        .map_err(|error| failed(Box::new(error)))?;
    let file = tokio::fs::File::create(folder.path().join(FILE)).await;
    let mut file = file.map_err(|error| failed(Box::new(error)))?;
    let copied = async {
        tokio::io::copy(&mut stream, &mut file).await?;
        tokio::io::AsyncWriteExt::flush(&mut file).await
    };
    copied.await.map_err(|error| failed(Box::new(error)))?;
    let tree = (TREE, plain_rules());
    let root = folder.path().to_owned();
    let writer = archive::pack_still(writer, archive, root, tree, world.listener).await?;
    let metadata = MetadataOfArchive {
        consistency: Consistency::CleanStop,
        metadata: json!({ "kind": "image", "image": image, "image-id": detail.id }),
    };
    writer
        .finish(metadata)
        .map_err(archive::unwritten(archive))?;
    archive::counts(&made)
}

pub(super) async fn load(world: &RealWorld<'_>, path: &Path, host: &HostId) -> Answer<()> {
    let archive = archive::open(path)?;
    let failed =
        |error: std::io::Error| WorldError::failed("the archived image cannot be unpacked", error);
    let folder = tempfile::tempdir_in(&world.home).map_err(failed)?;
    let options = UnpackOptions {
        owners: Owners::Own,
        durable: false,
        ..UnpackOptions::default()
    };
    let root = folder.path().to_owned();
    archive::unpack(archive, root, (TREE, options), world.listener).await?;
    let file = tokio::fs::File::open(folder.path().join(FILE))
        .await
        .map_err(failed)?;
    let engine = world.engine(host).await?;
    let loaded = engine.image_load(Upload::stream(file)).await;
    loaded
        .map(drop)
        .map_err(|error| WorldError::failed("the archived image cannot be loaded", error))
}
