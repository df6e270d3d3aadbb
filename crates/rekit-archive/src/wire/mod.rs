//! A tree over a pipe, to and from the helper. Frames: one byte of kind, four bytes of length (big endian), the bytes.
//!
//! - Helper to host, `pack`: `begin`, `data`, `end` for each stream, `progress`, then `tree` and `done`; or `error`.
//! - Host to helper, `unpack`: `tree`, then for each segment `files`, `data`…, `end`; then `done`. The helper answers
//!   `progress`, then `unpacked` and `done`; or `error`.
//!
//! `done` carries the digest of all frames before it, so a cut stream is never taken for a whole one.

mod frame;
mod receive;
mod send;

pub use frame::WireError;
pub use receive::{UnpackAnswer, answer, receive};
pub use send::{pack_to, send, unpack_from};
