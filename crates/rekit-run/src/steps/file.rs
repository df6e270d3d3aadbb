//! Steps that change one file: rewrite a record, write, edit, remove, restore, bring from an archive.
//!
//! Each is a pure function of the file's present bytes, so the same code prepares the undo and brings the effect about.

use rekit_core::{
    json, // One key of a foreign JSON file, every other byte kept.
    name::{Digest, HostPath},
    next::Observed,
    record::{self, RecordEdit, Sources},
    step::{Action, FileState, Kept},
    text,
    undo::{Outcome, Undo},
};

use super::{Scene, keep, kept, theirs};
use crate::{
    journal::Journal,
    world::{ChangeWorld, FileChange, ForeignBytes, ReadWorld, WorldError},
};

/// The permission bits of a file that buildx makes.
const STORE_FILE_MODE: u32 = 0o600;

/// What all file steps have in common.
struct Target<'a> {
    path: &'a HostPath,
    store: Option<&'a HostPath>,
    before: &'a FileState,
}

fn target(action: &Action) -> Target<'_> {
    match action {
        Action::RewriteRecord {
            store,
            record,
            before,
            ..
        } => Target {
            path: record,
            store: Some(store),
            before,
        },
        Action::WriteFile {
            path,
            store,
            before,
            ..
        }
        | Action::RemoveFile {
            path,
            store,
            before,
        }
        | Action::RestoreFile {
            path,
            store,
            before,
            ..
        }
        | Action::BringFile {
            path,
            store,
            before,
            ..
        } => Target {
            path,
            store: store.as_ref(),
            before,
        },
        Action::EditJson { path, before, .. } | Action::SilenceLines { path, before, .. } => {
            Target {
                path,
                store: None,
                before,
            }
        }
        other => unreachable!("BUG: `{}` is no file step", other.kind()),
    }
}

/// A file's content and permission bits; `None`: absent.
type Content = Option<(ForeignBytes, u32)>;

pub(super) async fn observe<W: ReadWorld>(
    scene: &Scene<'_>,
    world: &W,
) -> Result<Observed, WorldError> {
    let target = target(scene.action);
    let now = world.file(target.path).await?;
    if let Some(goal) = goal(scene)
        && now == goal
    {
        return Ok(Observed::After);
    }
    if &now == target.before {
        return Ok(Observed::Before);
    }
    let found = match now {
        FileState::Absent {} => format!("`{}` is gone", target.path),
        FileState::Present { .. } => format!("`{}` was changed by somebody else", target.path),
    };
    Ok(Observed::Foreign(found))
}

/// Returns what the file will be, where that is known without its present bytes.
fn goal(scene: &Scene<'_>) -> Option<FileState> {
    let present = |digest: &str| {
        digest
            .parse()
            .ok()
            .map(|digest| FileState::Present { digest })
    };
    match (scene.undo(), scene.action) {
        (
            Some(Undo::RestoreFile {
                made: Some(digest), ..
            }),
            _,
        ) => Some(FileState::Present {
            digest: digest.clone(),
        }),
        (Some(Undo::RestoreFile { made: None, .. }), _)
        | (None, Action::RemoveFile { .. } | Action::RestoreFile { blob: None, .. }) => {
            Some(FileState::Absent {})
        }
        (None, Action::BringFile { content, .. }) => Some(FileState::Present {
            digest: content.clone(),
        }),
        (None, Action::WriteFile { content, .. }) => Some(FileState::Present {
            digest: Digest::of(content.as_bytes()),
        }),
        (
            None,
            Action::RestoreFile {
                blob: Some(kept), ..
            },
        ) => present(kept.blob.as_str()),
        _ => None,
    }
}

pub(super) async fn prepare_undo<W: ReadWorld, J: Journal>(
    scene: &Scene<'_>,
    world: &W,
    journal: &mut J,
) -> Result<Undo, WorldError> {
    let target = target(scene.action);
    let old = world.read_file(target.path).await?;
    expect(target.path, target.before, old.as_ref())?;
    let made = match scene.action {
        Action::BringFile { content, .. } => Some(content.clone()),
        action => {
            let sources = sources(action, world).await?;
            let new = make(action, old.as_ref(), &sources, journal)?;
            new.map(|(bytes, _)| Digest::of(bytes.expose()))
        }
    };
    let was = match &old {
        Some((content, bits)) => Some(Kept {
            blob: keep(journal, content)?,
            mode: *bits,
        }),
        None => None,
    };
    Ok(Undo::RestoreFile {
        path: target.path.clone(),
        store: target.store.cloned(),
        was,
        made,
    })
}

pub(super) async fn effect<W: ChangeWorld, J: Journal>(
    scene: &Scene<'_>,
    world: &mut W,
    journal: &J,
) -> Result<Outcome, WorldError> {
    let target = target(scene.action);
    if goal(scene) == Some(world.file(target.path).await?) {
        return Ok(Outcome::Done {}); // A crash came between the effect and its entry.
    }
    let old = world.read_file(target.path).await?;
    expect(target.path, target.before, old.as_ref())?;
    let change = FileChange {
        path: target.path,
        store: target.store,
        expect: target.before,
    };
    let new = match scene.action {
        Action::BringFile {
            source,
            path,
            content,
            mode,
            ..
        } => Some((world.archived_file(source, path, content).await?, *mode)),
        action => make(
            action,
            old.as_ref(),
            &sources(action, world).await?,
            journal,
        )?,
    };
    match new {
        Some((bytes, mode)) => world.write_file(change, &bytes, mode).await?,
        None => world.remove_file(change).await?,
    }
    Ok(Outcome::Done {})
}

fn expect(
    path: &HostPath,
    before: &FileState,
    found: Option<&(ForeignBytes, u32)>,
) -> Result<(), WorldError> {
    let state = match found {
        Some((bytes, _)) => FileState::Present {
            digest: Digest::of(bytes.expose()),
        },
        None => FileState::Absent {},
    };
    if &state == before {
        Ok(())
    } else {
        Err(WorldError::Changed {
            what: format!("`{path}` was changed by somebody else"),
        })
    }
}

/// Reads the files of this machine that go into a record.
async fn sources<W: ReadWorld>(action: &Action, world: &W) -> Result<Sources, WorldError> {
    match action {
        Action::RewriteRecord { edit, .. } => read_sources(edit, world).await,
        _ => Ok(Sources::new()),
    }
}

/// Reads the files of this machine that an edit puts into its record; one that is not there is missing among them.
pub(super) async fn read_sources<W: ReadWorld>(
    edit: &RecordEdit,
    world: &W,
) -> Result<Sources, WorldError> {
    let mut sources = Sources::new();
    for path in edit.sources() {
        if let Some((content, _)) = world.read_file(path).await? {
            sources.insert(path.clone(), content.expose().to_vec());
        }
    }
    Ok(sources)
}

/// Returns what the step makes of the file's present content.
fn make<J: Journal>(
    action: &Action,
    old: Option<&(ForeignBytes, u32)>,
    sources: &Sources,
    journal: &J,
) -> Result<Content, WorldError> {
    let bytes = old.map(|(bytes, _)| bytes.expose());
    let mode = old.map_or(STORE_FILE_MODE, |(_, mode)| *mode);
    match action {
        Action::RewriteRecord { edit, record, .. } => {
            let new = record::rewrite(bytes, edit, sources).map_err(|error| {
                WorldError::failed(format!("`{record}` cannot be rewritten"), error)
            })?;
            Ok(Some((ForeignBytes::new(new), mode)))
        }
        Action::WriteFile { content, mode, .. } => Ok(Some((
            ForeignBytes::new(content.clone().into_bytes()),
            *mode,
        ))),
        Action::EditJson { path, edits, .. } => {
            let new = json::edit(bytes.unwrap_or(b"{}"), edits)
                .map_err(|error| WorldError::failed(format!("`{path}` cannot be edited"), error))?;
            Ok(Some((ForeignBytes::new(new), mode)))
        }
        Action::SilenceLines { lines, mark, .. } => {
            let new = text::silence(bytes.unwrap_or_default(), lines, mark);
            Ok(Some((ForeignBytes::new(new), mode)))
        }
        Action::RestoreFile {
            blob: Some(Kept { blob, mode }),
            ..
        } => Ok(Some((kept(journal, blob)?, *mode))),
        _ => Ok(None),
    }
}

/// Puts a file back, unless somebody changed it since: then both are kept, and a person decides.
pub(super) async fn restore<W: ChangeWorld, J: Journal>(
    undo: &Undo,
    world: &mut W,
    journal: &J,
) -> Result<(), WorldError> {
    let Undo::RestoreFile {
        path,
        store,
        was,
        made,
    } = undo
    else {
        unreachable!("BUG: this undo restores no file")
    };
    let now = world.file(path).await?;
    if Some(&now) == undo.file_goal().as_ref() {
        return Ok(());
    }
    let ours = match made {
        Some(digest) => FileState::Present {
            digest: digest.clone(),
        },
        None => FileState::Absent {},
    };
    if now != ours {
        let was = was.as_ref().map(|kept| &kept.blob);
        if store.is_some() && theirs::stands(path, was, world, journal).await? {
            return Ok(()); // It stays as somebody made it; what it was is kept.
        }
        return Err(WorldError::Changed {
            what: format!("`{path}` was changed since by somebody else; what it was is kept"),
        });
    }
    let change = FileChange {
        path,
        store: store.as_ref(),
        expect: &ours,
    };
    match was {
        Some(Kept { blob, mode }) => world.write_file(change, &kept(journal, blob)?, *mode).await,
        None => world.remove_file(change).await,
    }
}

/// Returns the file that a step relies on, and what it must be.
pub(super) fn guard(action: &Action) -> Option<(&HostPath, &FileState)> {
    match action {
        Action::RewriteRecord { .. }
        | Action::WriteFile { .. }
        | Action::EditJson { .. }
        | Action::SilenceLines { .. }
        | Action::RemoveFile { .. }
        | Action::RestoreFile { .. }
        | Action::BringFile { .. } => {
            let target = target(action);
            Some((target.path, target.before))
        }
        Action::BootNode { record, before, .. } => Some((record, before)),
        _ => None,
    }
}
