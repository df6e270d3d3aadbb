//! What every theme needs: a broken machine, rekit and docker on it, and exact comparisons.

mod answer;
mod build;
mod client;
mod dice;
mod gate;
mod machine;
mod planted;
mod world;

pub(crate) use answer::Answer;
pub(crate) use build::Export;
pub(crate) use client::Seen;
pub(crate) use dice::{Dice, set_by};
pub(crate) use gate::{Begun, until};
pub(crate) use machine::{Machine, bring_rekit};
pub(crate) use planted::Planted;
pub(crate) use world::{World, differences, remnants};
