//! The exit codes: a contract with people's scripts.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or healthy, or there was nothing to do.
    Done = 0,
    /// It failed, and where things stand is printed.
    Failed = 1,
    /// Wrong use or bad input; nothing was changed.
    Misuse = 2,
    /// Something needs care: a finding, a builder that does not build, a run that is open.
    Care = 3,
    /// Refused for safety: busy builds, another rekit, a moved world, no proven backup.
    Refused = 4,
    /// It failed and was rolled back by itself; the world is as before.
    RolledBack = 5,
    /// Interrupted by a person; the journal says where.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
