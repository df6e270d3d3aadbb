//! Defects that can be planted into a lab, named as in the catalogue of failure modes.

pub mod desktop;
