//! Against real engines and daemons. See `support` for where they come from.
mod control;
mod engine;
mod probe;
mod support;
