//! The docker program with variables of its own: builds through it leave no trace in the user's store.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::world::host;

/// What docker is run with.
#[derive(Clone)]
pub(super) struct Docker {
    variables: BTreeMap<String, String>,
}

impl Docker {
    /// Copies what a front end needs of `store` into the new folder `copy`, which takes the store's place.
    pub(super) fn new(
        store: &Path,
        copy: &Path,
        variables: &BTreeMap<String, String>,
    ) -> std::io::Result<Self> {
        copy_store(store, copy)?;
        let mut variables = variables.clone();
        variables.insert("BUILDX_CONFIG".to_owned(), copy.display().to_string());
        // What the user selected does not count.
        variables.remove("BUILDX_BUILDER");
        Ok(Self { variables })
    }

    /// The same with what the user selected, so that each front end chooses as the user's own would.
    pub(super) fn as_selected(
        store: &Path,
        copy: &Path,
        variables: &BTreeMap<String, String>,
    ) -> std::io::Result<Self> {
        copy_store(store, copy)?;
        copy_selection(store, copy)?;
        let mut variables = variables.clone();
        variables.insert("BUILDX_CONFIG".to_owned(), copy.display().to_string());
        variables.insert("BUILDKIT_PROGRESS".to_owned(), "plain".to_owned());
        Ok(Self { variables })
    }

    /// Makes every front end use a builder.
    pub(super) fn select(&mut self, builder: &str) {
        self.variables
            .insert("BUILDX_BUILDER".to_owned(), builder.to_owned());
    }

    /// Makes every front end use a context. Its own builder is taken there only where nothing names it: Compose's bake refuses
    /// `BUILDX_BUILDER` with a context's name.
    pub(super) fn enter(&mut self, context: &str) {
        self.variables.remove("DOCKER_HOST");
        self.variables
            .insert("DOCKER_CONTEXT".to_owned(), context.to_owned());
    }

    /// Returns the program, by the search path.
    pub(super) fn program(&self) -> Option<PathBuf> {
        let path = self.variables.get("PATH")?;
        path.split(':')
            .map(|folder| Path::new(folder).join("docker"))
            .find(|file| file.is_file())
    }

    pub(super) async fn run(
        &self,
        program: &Path,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<host::Output, host::RunError> {
        let variables = self.variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        host::run(program, arguments, &variables, limit).await
    }
}

/// Returns the line that says best why a program failed: the last one that `is_telling`, else that speaks of an error, else the last.
pub(super) fn last_words(said: &str, is_telling: impl Fn(&str) -> bool) -> String {
    let lines = || said.lines().rev().filter(|line| !line.trim().is_empty());
    let words = lines()
        .find(|line| is_telling(line))
        .or_else(|| lines().find(|line| line.to_lowercase().contains("error")))
        .or_else(|| lines().next())
        .unwrap_or("no words");
    rekit_core::mask::text(words)
}

/// Copies what a front end needs of a store: records, the key of local sources.
fn copy_store(store: &Path, copy: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(copy.join("instances"))?;
    // Not `current`: the variables choose the builder, not what the user selected.
    let mut files = vec![PathBuf::from(".buildNodeID")];
    if let Ok(entries) = std::fs::read_dir(store.join("instances")) {
        files.extend(
            entries
                .flatten()
                .map(|entry| Path::new("instances").join(entry.file_name())),
        );
    }
    for file in files {
        let source = store.join(&file);
        if source.is_file() {
            std::fs::copy(source, copy.join(file))?;
        }
    }
    Ok(())
}

/// Copies what the user selected. A file that cannot be read becomes a folder: buildx fails on it as it would on the user's own.
fn copy_selection(store: &Path, copy: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(copy.join("defaults"))?;
    let defaults = std::fs::read_dir(store.join("defaults"));
    let defaults = defaults.into_iter().flatten().flatten();
    let files = defaults.map(|entry| Path::new("defaults").join(entry.file_name()));
    for file in files.chain([PathBuf::from("current")]) {
        let source = store.join(&file);
        if source.is_file() && std::fs::copy(source, copy.join(&file)).is_err() {
            std::fs::create_dir_all(copy.join(&file))?;
        }
    }
    Ok(())
}
