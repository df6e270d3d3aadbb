//! rekit from end to end: the built program on real engines and real daemons, each test in a lab of its own.
//!
//! One binary, so that the tests of all themes share the machine's cores. Names of tests bear the requirements that they show.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "these tests look at the machine itself, past rekit, and fail where they stand"
)]

mod archives;
mod bad_input;
mod bundle;
mod collection;
mod configurations;
mod criteria;
mod deep;
mod doctor;
mod doctor_fix;
mod doctor_healthy;
mod doctor_table;
mod engine_cache;
mod exchange;
mod explain;
mod finalize;
mod folders;
mod front_ends;
mod generations;
mod given_up;
mod hazards;
mod image;
mod kills;
mod ladder;
mod live;
mod mounts;
mod nodes;
mod pieces;
mod races;
mod reinstall;
mod rollback;
mod running_builds;
mod soak;
mod standalone;
mod stores;
mod story;
mod support;
mod without_root;
