//! Looks at and changes the world.
