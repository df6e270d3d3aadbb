//! Disposable real engines and daemons, planted defects.
//!
//! The lab starts private Docker Engines and BuildKit daemons of several versions on one machine, each with a network namespace, a home and a
//! root folder of its own, and takes every trace of them away again. It never touches an engine that the machine itself has.
//!
//! - [`setup`](setup::setup) installs and builds what is missing; nothing else does. A missing part is an error that names the command.
//! - [`Lab::up`] starts a lab that belongs to this process: it goes when the value is dropped, also in a panic, and if the process is killed
//!   the next [`Lab::up`] of any process sweeps it.
//! - [`modes`] plants defects and whole broken machines.
//!
//! The lab depends on no other crate of rekit: it must not share a misunderstanding with what it tests.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the lab is the one crate beside the world that starts programs and writes files; it makes the world the others look at"
)]

mod cache;
mod cgroups;
mod daemon;
mod engine;
mod fingerprint;
mod image;
mod lab;
pub mod modes;
mod owner;
mod process;
mod processes;
mod record;
mod removal;
mod seal;
mod services;
pub mod setup;
mod tree;
pub mod versions;

pub use daemon::{Address, Standalone, StandaloneOptions};
pub use fingerprint::tree_digest;
pub use lab::Lab;
pub use record::{ImageStore, LabOptions};
pub use removal::{down, down_all, sweep};
pub use tree::tree;
