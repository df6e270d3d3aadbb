//! What rekit itself does about a finding, in the words of the planner.
//!
//! Invariant: a finding that says "by rekit" has a remedy, one that says "by hand" has none.

use std::collections::BTreeMap;

use crate::{
    finding::{FixBy, Severity},
    inventory::{BuilderRecord, Store},
    name::{BuilderName, ContainerName, HostId, HostPath, VolumeName},
    record::RegistrySettings,
    step::JsonEdit,
};

/// What `rekit doctor --fix` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A context that nothing here can dial is pointed at Docker Desktop, or retired.
    Context(String),
    /// config.json no longer selects a context that is not there.
    CurrentContext,
    /// Remnants in buildx's store go, and the selection leads somewhere again.
    Sweep,
    /// A configuration file that no daemon takes goes.
    RetireFile(HostPath),
    /// A key of a JSON file goes or gets another value; the rest stays byte for byte.
    EditJson {
        /// The file.
        path: HostPath,
        /// The key and its value.
        edit: JsonEdit,
        /// Why.
        why: &'static str,
    },
    /// A line of a file that sets variables does nothing any more.
    SilenceLine {
        /// The file.
        path: HostPath,
        /// The line, counted from 1.
        line: u32,
    },
    /// A record that nothing here can use goes.
    RetireRecord(Owner),
    /// A record that does not parse is made again from its container; without one it goes.
    Rebuild(Owner),
    /// A builder gets fresh nodes, proven before they are named.
    Renew(Owner, Change),
    /// A container that stands still is started.
    Start(HostId, ContainerName),
    /// A state that no builder names goes, once its archive is proven.
    RemoveVolume(HostId, VolumeName),
    /// A container that no builder names goes with its state, once its archive is proven.
    RemoveNode(HostId, ContainerName),
    /// A copy of a program goes, so that another one that works is used.
    RemoveCopy(HostPath),
}

/// A builder of a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The store.
    pub store: HostPath,
    /// The builder.
    pub builder: BuilderName,
}

impl Owner {
    /// Names a builder of a store.
    pub(super) fn of(store: &Store, builder: &BuilderRecord) -> Self {
        Self {
            store: store.path.clone(),
            builder: builder.name.clone(),
        }
    }
}

/// What is different about a builder's fresh nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Whether they begin with an empty state, because the old one is damaged.
    pub begins_empty: bool,
    /// Driver options that are set.
    pub options: BTreeMap<String, String>,
    /// Whether they start with the usual flags, because no daemon starts with the present ones.
    pub usual_flags: bool,
    /// How registries are reached, by name.
    pub registries: BTreeMap<String, RegistrySettings>,
}

impl Change {
    /// Returns a change to nodes that begin with an empty state.
    pub fn empty() -> Self {
        Self {
            begins_empty: true,
            ..Self::default()
        }
    }

    /// Adds what another finding wants of the same nodes.
    pub fn add(&mut self, other: Self) {
        self.begins_empty |= other.begins_empty;
        self.options.extend(other.options);
        self.usual_flags |= other.usual_flags;
        self.registries.extend(other.registries);
    }
}

/// A finding that rekit can mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mendable {
    /// The finding's code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Whether a person has to agree.
    pub by: FixBy,
    /// What it is about: kind and name.
    pub what: String,
    /// What is done, in one sentence.
    pub summary: String,
    /// The same for the planner.
    pub remedies: Vec<Remedy>,
}
