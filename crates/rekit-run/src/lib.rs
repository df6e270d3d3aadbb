//! Looks at and changes the world.

pub mod inventory;
pub mod world;
