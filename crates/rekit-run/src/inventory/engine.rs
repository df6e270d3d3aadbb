//! Asks engines and the BuildKit daemons behind them, each on its own, each with an end.

mod asked;
mod containers;
mod daemon;
mod daemon_words;
mod dial;
mod host;
mod made;
mod nodes;
mod settings;

pub(super) use asked::{Asked, ask};
pub(crate) use daemon::{active_build, cache_mount};
pub(crate) use daemon_words::last_words;
pub(super) use dial::tls_material;
pub(super) use nodes::ask_standalone;
pub(crate) use nodes::{remote_daemon, remote_node, standalone_daemon};
