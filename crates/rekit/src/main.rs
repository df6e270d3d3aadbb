//! The program.

mod ui;

fn main() {}
