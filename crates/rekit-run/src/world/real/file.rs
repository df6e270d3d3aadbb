//! Files: looked at, and changed in one atomic step under the store's lock, if they still are as expected.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rekit_core::{
    name::{Digest, HostPath},
    step::FileState,
};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::{Answer, FileChange, ForeignBytes, WorldError};
use crate::world::path_of;

/// A configuration file is small; what is larger is not one.
const LIMIT_BYTES: u64 = 64 << 20;
/// `buildx ls` holds the lock for up to 20 s while it asks a daemon that does not answer (facts.md A).
const LOCK_PATIENCE: Duration = Duration::from_secs(45);

pub(super) fn state(path: &HostPath) -> Answer<FileState> {
    Ok(match read(path)? {
        Some((bytes, _)) => FileState::Present {
            digest: Digest::of(bytes.expose()),
        },
        None => FileState::Absent {},
    })
}

pub(super) fn read(path: &HostPath) -> Answer<Option<(ForeignBytes, u32)>> {
    let place = path_of(path);
    let failed = |error: io::Error| WorldError::failed(format!("`{path}` cannot be read"), error);
    let metadata = match place.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    if metadata.is_dir() {
        return Ok(None);
    }
    let metadata = place.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.len() > LIMIT_BYTES {
        return Err(WorldError::Refused {
            why: format!("`{path}` is no ordinary configuration file"),
        });
    }
    let bytes = std::fs::read(&place).map_err(failed)?;
    Ok(Some((
        ForeignBytes::new(bytes),
        metadata.permissions().mode() & 0o7777,
    )))
}

pub(super) async fn write(change: FileChange<'_>, content: &ForeignBytes, mode: u32) -> Answer<()> {
    let _lock = lock(change.store).await?;
    expect(change)?;
    let target = real_target(&path_of(change.path));
    let failed = |error: io::Error| {
        WorldError::failed(format!("`{}` cannot be written", change.path), error)
    };
    let parent = target.parent().unwrap_or(Path::new("/"));
    make_folders(parent).map_err(failed)?;
    // Never a temporary file inside `instances/`: it would break buildx's listing (facts.md A).
    let beside = change.store.map_or_else(|| parent.to_owned(), path_of);
    let new = NewFile::within(&beside).map_err(failed)?;
    let filled = new.fill(content, mode, (&target, parent));
    filled
        .and_then(|()| new.place(&target))
        .inspect_err(|_| new.forget())
        .map_err(failed)?;
    sync_folder(parent).map_err(failed)
}

/// A file that gets its name when it is whole: a crash before leaves nothing behind.
struct NewFile {
    file: File,
    /// Where it is for the moment before it takes its place.
    name: PathBuf,
    /// Whether it has that name from the beginning: not every file system knows files without names.
    is_named: bool,
}

impl NewFile {
    fn within(folder: &Path) -> io::Result<Self> {
        let name = folder.join(format!(".rekit-{}", std::process::id()));
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let unnamed = rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR);
        let is_named = unnamed.is_err();
        let file = match unnamed {
            Ok(file) => file.into(),
            Err(_) => OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&name)?,
        };
        Ok(Self {
            file,
            name,
            is_named,
        })
    }

    fn fill(
        &self,
        content: &ForeignBytes,
        mode: u32,
        (old, folder): (&Path, &Path),
    ) -> io::Result<()> {
        (&self.file).write_all(content.expose())?;
        self.file.set_permissions(PermissionsExt::from_mode(mode))?;
        own_like(&self.file, old, folder)?;
        self.file.sync_all()
    }

    fn place(&self, target: &Path) -> io::Result<()> {
        if !self.is_named {
            self.forget();
            let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            rustix::fs::linkat(CWD, own, CWD, &self.name, AtFlags::SYMLINK_FOLLOW)?;
        }
        std::fs::rename(&self.name, target)
    }

    fn forget(&self) {
        // It may not be there at all.
        drop(std::fs::remove_file(&self.name));
    }
}

pub(super) async fn remove(change: FileChange<'_>) -> Answer<()> {
    let _lock = lock(change.store).await?;
    expect(change)?;
    let path = path_of(change.path);
    let failed = |error: io::Error| {
        WorldError::failed(format!("`{}` cannot be removed", change.path), error)
    };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => sync_folder(path.parent().unwrap_or(Path::new("/"))).map_err(failed),
    }
}

fn expect(change: FileChange<'_>) -> Answer<()> {
    if &state(change.path)? == change.expect {
        return Ok(());
    }
    Err(WorldError::Changed {
        what: format!("`{}` was changed by somebody else", change.path),
    })
}

/// Takes buildx's lock. It is let go when the file is closed.
pub(super) async fn lock(store: Option<&HostPath>) -> Answer<Option<File>> {
    let Some(store) = store else { return Ok(None) };
    let path = path_of(store).join(".lock");
    let failed = |error: io::Error| {
        WorldError::failed(
            format!("the lock of store `{store}` cannot be taken"),
            error,
        )
    };
    make_folders(&path_of(store)).map_err(failed)?;
    let is_new = !path.exists();
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    if is_new {
        let folder = path_of(store);
        own_like(&file, &folder, &folder).map_err(failed)?;
    }
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
            Err(std::fs::TryLockError::WouldBlock) if began.elapsed() > LOCK_PATIENCE => {
                let why = format!(
                    "another docker buildx holds the lock of store `{store}` since {} s",
                    LOCK_PATIENCE.as_secs()
                );
                return Err(WorldError::Refused { why });
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// A file that is a link is changed where it leads, as an editor would.
fn real_target(path: &Path) -> PathBuf {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_symlink() => {
            path.canonicalize().unwrap_or_else(|_| path.to_owned())
        }
        _ => path.to_owned(),
    }
}

/// Makes missing folders, owned like the folder above them.
pub(super) fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(Path::new("/"));
    make_folders(above)?;
    std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
        .create(folder)?;
    own_like(&File::open(folder)?, folder, above)
}

/// Gives a file the owner of the one it replaces, or of its folder: root's hand must not lock the user out (root-owned-store).
fn own_like(file: &File, old: &Path, folder: &Path) -> io::Result<()> {
    let model = match old.metadata() {
        Ok(metadata) if metadata.is_file() => metadata,
        _ => folder.metadata()?,
    };
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (model.uid(), model.gid()) && rustix::process::geteuid().is_root()
    {
        std::os::unix::fs::fchown(file, Some(model.uid()), Some(model.gid()))?;
    }
    Ok(())
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
