//! BuildKit's protocol buffers as Rust types. Everything below this file is written by `generate/run.sh`; only this file is by hand.
//!
//! It is the part of the API that the crate's own types do not cover: use it through [`crate::proto`].
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::use_self,
    clippy::all,
    let_underscore_drop,
    reason = "generated code keeps its origin's names and shape"
)]
pub mod google;
pub mod moby;
pub mod pb;
