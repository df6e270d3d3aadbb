//! `rekit backup prune`: archives that nothing needs any more go. Needs no journal: there is no way back from it, and it says so first.

use std::path::Path;

use rekit_core::{
    history::PastRun,
    name::ArchiveId,
    retention::{Candidate, Choice, Pins, Readable, Rule, choose},
};

use crate::{
    archives::{StoredArchive, archives},
    journal::Home,
    session::{Session, SessionError},
    world::{WorldError, clock, host},
};

/// What is to go, what stays, and what that frees.
#[derive(Clone, Debug)]
pub struct Pruning {
    /// Every archive's fate.
    pub choice: Choice,
    /// Bytes that the disk gets back.
    pub freed_bytes: u64,
}

impl Session<'_> {
    /// Chooses which of rekit's own archives go.
    pub fn choose_prune(&self, rule: Rule) -> Result<Pruning, SessionError> {
        let choice = self.choose_now(rule)?;
        let folder = self.home_path().join("archives");
        let freed_bytes = rekit_archive::removable_bytes(&folder, &names(&choice.remove))
            .map_err(|error| unreadable(&folder, error))?;
        Ok(Pruning {
            choice,
            freed_bytes,
        })
    }

    /// Removes the archives that were chosen, under rekit's own lock; returns the bytes freed. One that is needed by now stops it.
    pub fn prune(&self, chosen: &[ArchiveId], rule: Rule) -> Result<u64, SessionError> {
        let home = Home::open(&self.home_path(), clock::now)?;
        let choice = self.choose_now(rule)?;
        let needed = |id: &&ArchiveId| choice.keep.iter().any(|(kept, _)| kept == *id);
        let moved: Vec<_> = chosen
            .iter()
            .filter(needed)
            .map(|id| format!("archive `{id}` is to be kept by now"))
            .collect();
        if !moved.is_empty() {
            return Err(SessionError::Moved(moved));
        }
        let folder = home.archives();
        let freed = rekit_archive::remove(&folder, &names(chosen)).map_err(|error| {
            let what = format!("archives in `{}` cannot be removed", folder.display());
            WorldError::failed(what, error)
        })?;
        Ok(freed)
    }

    fn choose_now(&self, rule: Rule) -> Result<Choice, SessionError> {
        let home = self.home_path();
        let runs = self.runs()?.into_iter().map(|run| PastRun {
            state: run.state(),
            began: run.began,
            plan: run.plan,
        });
        let folder = host::host_path(&home.join("archives"));
        let pins = Pins::of(&runs.collect::<Vec<_>>(), &folder);
        let stored = archives(&home).map_err(|error| unreadable(&home, error))?;
        let candidates = stored.into_iter().map(candidate).collect();
        Ok(choose(candidates, &pins, rule, clock::now()))
    }
}

fn candidate(stored: StoredArchive) -> Candidate {
    let begun = stored
        .path
        .extension()
        .is_some_and(|extension| extension == "partial");
    let (subject, state) = match stored.content {
        _ if begun => (None, Readable::Begun),
        Ok(content) => (Some(content.subject()), Readable::Whole),
        Err(why) => (None, Readable::Damaged(why)),
    };
    Candidate {
        id: stored.id,
        subject,
        made: stored.made.unwrap_or_default(),
        state,
    }
}

fn names(ids: &[ArchiveId]) -> Vec<&str> {
    ids.iter().map(ArchiveId::as_str).collect()
}

fn unreadable(
    folder: &Path,
    error: impl std::error::Error + Send + Sync + 'static,
) -> SessionError {
    let what = format!("the archives in `{}` cannot be looked at", folder.display());
    WorldError::failed(what, error).into()
}
