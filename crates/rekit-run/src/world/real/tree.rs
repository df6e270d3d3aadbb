//! Small folders that go and come back whole: build references, contexts. Never a state: those go through the archive.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rekit_core::name::HostPath;

use super::{Answer, ForeignBytes, WorldError, file};
use crate::world::path_of;

/// A folder of references is small; what is larger is something else.
const LIMIT_BYTES: u64 = 256 << 20;

pub(super) fn exists(path: &HostPath) -> Answer<bool> {
    match path_of(path).symlink_metadata() {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(WorldError::failed(
            format!("`{path}` cannot be looked at"),
            error,
        )),
    }
}

/// Packs a folder; equal folders give equal bytes.
pub(super) fn read(path: &HostPath) -> Answer<ForeignBytes> {
    let failed =
        |error: io::Error| WorldError::failed(format!("folder `{path}` cannot be read"), error);
    let place = path_of(path);
    let name = PathBuf::from(place.file_name().unwrap_or_default());
    let mut tar = tar::Builder::new(Vec::new());
    let mut size = 0;
    append(&mut tar, &place, &name, &mut size).map_err(failed)?;
    Ok(ForeignBytes::new(tar.into_inner().map_err(failed)?))
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    place: &Path,
    name: &Path,
    size: &mut u64,
) -> io::Result<()> {
    let metadata = place.symlink_metadata()?;
    *size += metadata.len();
    if *size > LIMIT_BYTES {
        return Err(io::Error::other(format!(
            "it holds more than {LIMIT_BYTES} bytes"
        )));
    }
    let mut header = tar::Header::new_gnu();
    header.set_metadata_in_mode(&metadata, tar::HeaderMode::Complete);
    if !metadata.is_file() {
        // Not brought back for folders and links, and equal folders must give equal bytes.
        header.set_mtime(0);
    }
    if metadata.is_symlink() {
        return tar.append_link(&mut header, name, std::fs::read_link(place)?);
    }
    if metadata.is_file() {
        return tar.append_data(&mut header, name, std::fs::read(place)?.as_slice());
    }
    if !metadata.is_dir() {
        return Err(io::Error::other(format!(
            "`{}` is no file, folder or link",
            place.display()
        )));
    }
    header.set_size(0);
    tar.append_data(&mut header, name, io::empty())?;
    let mut entries = std::fs::read_dir(place)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    entries
        .iter()
        .try_for_each(|entry| append(tar, &entry.path(), &name.join(entry.file_name()), size))
}

pub(super) async fn write(
    path: &HostPath,
    store: Option<&HostPath>,
    content: &ForeignBytes,
) -> Answer<()> {
    let failed =
        |error: io::Error| WorldError::failed(format!("folder `{path}` cannot be put back"), error);
    let _lock = file::lock(store).await?;
    let place = path_of(path);
    let parent = place.parent().unwrap_or(Path::new("/"));
    file::make_folders(parent).map_err(failed)?;
    let mut tar = tar::Archive::new(content.expose());
    tar.set_preserve_permissions(true);
    tar.set_preserve_mtime(true);
    tar.set_preserve_ownerships(rustix::process::geteuid().is_root());
    tar.unpack(parent).map_err(failed)?;
    file::sync_folder(parent).map_err(failed)
}

pub(super) async fn remove(path: &HostPath, store: Option<&HostPath>) -> Answer<()> {
    let failed =
        |error: io::Error| WorldError::failed(format!("folder `{path}` cannot be removed"), error);
    let _lock = file::lock(store).await?;
    let place = path_of(path);
    let metadata = match place.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    let parent = place.parent().unwrap_or(Path::new("/"));
    if parent.metadata().map_err(failed)?.dev() != metadata.dev() {
        return Err(WorldError::Refused {
            why: format!("`{path}` is a mount point"),
        });
    }
    if let Some(point) = crate::world::host::mount_within(&place).map_err(failed)? {
        return Err(WorldError::Refused {
            why: format!("`{}` in `{path}` is mounted", point.display()),
        });
    }
    std::fs::remove_dir_all(&place).map_err(failed)?;
    file::sync_folder(parent).map_err(failed)
}
