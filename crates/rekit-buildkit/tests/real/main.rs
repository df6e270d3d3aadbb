//! Against real engines and daemons. See `support` for where they come from.
#![expect(
    clippy::unwrap_used,
    reason = "a failing test helper should end the test where it fails"
)]
mod control;
mod engine;
mod probe;
mod support;
mod tls;
