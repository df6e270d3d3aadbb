//! The collector: looks at everything BuildKit on this machine, changes nothing, and always ends.
//!
//! Invariants: files are read before any engine is asked, because asking through docker's own programs changes, crashes or hides what lies
//! there. Each question has its own end, so that none can hold up or hide another. Whatever cannot be read is an entry with its reason.

mod addresses;
mod caches;
mod cli;
mod collect;
mod contexts;
mod desktop;
mod emulators;
mod endpoints;
mod engine;
mod engine_process;
mod environment;
mod files;
mod foundations;
mod judge;
mod kubernetes;
mod leftovers;
mod logins;
mod machine;
mod origin;
mod processes;
mod profiles;
mod project;
mod read_back;
mod record;
mod references;
mod selection;
mod standalone;
mod store;
pub(crate) mod together;
mod tools;
mod units;

pub use addresses::addresses;
pub(crate) use caches::cache_folder;
pub use collect::{Limits, inventory};
pub(crate) use engine::{
    active_build, cache_mount, last_words, remote_daemon, remote_node, standalone_daemon,
};
pub(crate) use engine_process::{engine_on, unit_of};
pub(crate) use origin::{has_ended, started, top_of};
pub(crate) use read_back::differences;
pub(crate) use references::name_builds;
pub(crate) use standalone::{daemon_on, holds_state, identity_on};
