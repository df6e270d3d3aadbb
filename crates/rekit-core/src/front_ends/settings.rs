//! What the rule reads of an inventory: variables, programs, the context, the store.

use crate::inventory::{ConfigKind, ContextEntry, Inventory, Record, Store, Tool};

/// The context that is always there.
pub(super) const DEFAULT: &str = "default";

/// A program or plugin as docker finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Missing,
    /// It is found and does not run.
    Broken(String),
    /// It runs; the numbers of its version, none where it does not say.
    Runs(Vec<u64>),
}

impl Program {
    /// Returns whether it runs and is at least of this version. One that tells no version counts as new.
    pub(super) fn is_from(&self, version: &[u64]) -> bool {
        matches!(self, Self::Runs(own) if own.is_empty() || own.as_slice() >= version)
    }

    /// Returns whether it runs and its version is in a range, the end left out.
    pub(super) fn is_within(&self, from: &[u64], to: &[u64]) -> bool {
        let is_known = matches!(self, Self::Runs(own) if !own.is_empty());
        is_known && self.is_from(from) && !self.is_from(to)
    }
}

/// A switch in a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch<'a> {
    Unset,
    On,
    Off,
    /// Neither: whoever reads it ends with an error.
    Wrong(&'a str),
}

/// The settings.
#[derive(Clone, Debug)]
pub(super) struct Settings<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) docker: Program,
    pub(super) buildx: Program,
    pub(super) compose: Program,
    /// `BUILDX_BUILDER`.
    pub(super) builder: Option<&'a str>,
    /// `DOCKER_BUILDKIT`.
    pub(super) buildkit: Switch<'a>,
    /// `COMPOSE_BAKE`.
    pub(super) compose_bake: Switch<'a>,
    /// `BUILDX_NO_DEFAULT_LOAD`.
    pub(super) keeps_images: bool,
    /// `aliases.builder` of config.json.
    pub(super) alias: Option<&'a str>,
    pub(super) store: Option<&'a Store>,
    pub(super) context: &'a str,
    /// The key under which buildx keeps the choice.
    pub(super) key: &'a str,
}

impl<'a> Settings<'a> {
    pub(super) fn of(inventory: &'a Inventory) -> Self {
        // An empty variable is as good as none, other than for `COMPOSE_BAKE`.
        let set = |name| variable(inventory, name).filter(|value| !value.is_empty());
        let switched = |name| set(name).map_or(Switch::Unset, switch);
        Self {
            inventory,
            docker: program(inventory, "docker"),
            buildx: program(inventory, "buildx"),
            compose: program(inventory, "compose"),
            builder: set("BUILDX_BUILDER"),
            buildkit: switched("DOCKER_BUILDKIT"),
            compose_bake: variable(inventory, "COMPOSE_BAKE").map_or(Switch::Unset, switch),
            keeps_images: switched("BUILDX_NO_DEFAULT_LOAD") == Switch::On,
            alias: inventory.selection.builder_alias.as_deref(),
            store: inventory.stores.first(),
            context: &inventory.selection.context,
            key: &inventory.selection.key,
        }
    }

    /// Returns the context in force.
    pub(super) fn entry(&self) -> Option<&'a ContextEntry> {
        let mut contexts = self.inventory.contexts.iter();
        contexts.find(|context| context.name == self.context)
    }

    /// Returns the file that holds the CLI's aliases.
    pub(super) fn config(&self) -> String {
        let mut files = self.inventory.files.iter();
        let file = files.find(|file| file.kind == ConfigKind::Cli);
        file.map_or_else(
            || "config.json".to_owned(),
            |file| file.file.path.to_string(),
        )
    }
}

/// Returns whether every node of a builder puts images into the engine unasked.
pub fn loads_by_itself(record: &Record) -> bool {
    let says_so = |value: &String| switch(value) == Switch::On;
    let mut nodes = record.nodes.iter();
    record.driver == "docker"
        || (!record.nodes.is_empty()
            && nodes.all(|node| node.driver_opts.get("default-load").is_some_and(says_so)))
}

fn variable<'a>(inventory: &'a Inventory, name: &str) -> Option<&'a str> {
    let mut variables = inventory.environment.iter();
    let found = variables.find(|variable| variable.name == name)?;
    Some(&found.value)
}

/// Reads a switch as Go's `strconv.ParseBool` does.
fn switch(value: &str) -> Switch<'_> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Switch::On,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Switch::Off,
        other => Switch::Wrong(other),
    }
}

fn program(inventory: &Inventory, name: &str) -> Program {
    let mut tools = inventory.tools.iter();
    let Some(tool) = tools.find(|tool| tool.name == name && tool.in_force) else {
        return Program::Missing;
    };
    match tool.version.known() {
        Some(version) => Program::Runs(numbers(version)),
        // Only slow: that tells nothing of the program.
        None if tool.silent => Program::Runs(Vec::new()),
        None => Program::Broken(broken(tool)),
    }
}

fn broken(tool: &Tool) -> String {
    let reason = tool.version.reason().unwrap_or_default();
    format!("{} does not run: {reason}", tool.path)
}

/// Returns the numbers of a version such as `v2.40.3-3` or `28.5.2+dfsg4`.
fn numbers(version: &str) -> Vec<u64> {
    let plain = version.trim_start_matches('v');
    let plain = plain.split(['-', '+', '~']).next().unwrap_or_default();
    let numbers = plain.split('.').map_while(|part| part.parse().ok());
    numbers.collect()
}
