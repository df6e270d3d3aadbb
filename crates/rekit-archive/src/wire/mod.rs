//! A tree over a pipe, to and from the helper. Frames: one byte of kind, four bytes of length (big endian), the bytes.
//!
//! - Host to helper, `pack`: `known`, `done`. Helper to host: `begin`, `data`, and `end` or `drop` for each stream, `keep` for one that has
//!   ended, `place` for each segment in its order, `progress`; then `ending` and `done`; or `error`.
//! - Host to helper, `unpack`: `tree`, then for each segment `files`, `data`…, `end`; then `done`. The helper answers
//!   `progress`, then `unpacked` and `done`; or `error`.
//!
//! `done` carries the digest of all frames before it but for the bytes of `data`, which their segment's own digest covers: a cut stream is
//! never taken for a whole one.

mod channel;
mod frame;
mod receive;
mod send;

pub use channel::{SOCKET, join};
pub use frame::WireError;
pub use receive::{UnpackAnswer, answer, receive};
pub use send::{pack_live_to, pack_to, send, tell_known, unpack_from};
