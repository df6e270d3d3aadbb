//! The lab, on real engines. Nothing is skipped: what is missing is an error that names `rekit-lab setup`.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests of the lab look at the machine itself, and fail where they stand"
)]

mod daemons;
mod engines;
mod first_user;
mod modes;
mod traces;

use rekit_lab::{Lab, LabOptions};

/// Starts a lab, or says what to do.
fn lab(options: LabOptions) -> Lab {
    Lab::up(options).unwrap_or_else(|error| {
        panic!("no lab: {error:#}\nRun `cargo run -p rekit-lab -- setup` as root and try again.")
    })
}

/// Runs a program in the lab: whether it ended well, and all it printed.
fn run(lab: &Lab, words: &[&str]) -> (bool, String) {
    let output = lab.command(words[0]).args(&words[1..]).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}
