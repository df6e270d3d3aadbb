//! Proves that a daemon can run programs of a platform, and that its cache works. Leaves no trace: no history, no cache records.
//!
//! A probe is a program of under 300 bytes made here ([`elf`]), so that it needs no registry, no frontend and no session. It says its own
//! architecture and its own nonce, because BuildKit runs whatever bytes it is given: an amd64 program "passes" as any platform.
mod cache;
mod code;
pub mod elf;
mod run;

pub use cache::{CacheReport, Round, StepOutcome, cache_round, run_cache_probe};
pub use run::{Nonce, NonceError, ProbeError, ProbeOutcome, forget, run_probe};
