//! The doors to the world: files and processes, the clock, the environment.

pub mod clock;
pub mod environment;
pub mod host;
