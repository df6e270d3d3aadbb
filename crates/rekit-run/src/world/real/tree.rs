//! Small folders that go and come back whole: build references, contexts. Never a state: those go through the archive.

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
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
    if metadata.is_symlink() {
        // Not brought back for links, and equal folders must give equal bytes.
        header.set_mtime(0);
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
    set_times_of_folders(content.expose(), parent).map_err(failed)?;
    file::sync_folder(parent).map_err(failed)
}

/// Gives folders the times they had: unpacking what is in them made them new, and what is new is no leftover any more.
fn set_times_of_folders(content: &[u8], parent: &Path) -> io::Result<()> {
    for entry in tar::Archive::new(content).entries()? {
        let entry = entry?;
        if entry.header().entry_type().is_dir() {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(entry.header().mtime()?);
            File::open(parent.join(entry.path()?))?.set_modified(time)?;
        }
    }
    Ok(())
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
