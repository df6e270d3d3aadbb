//! What can go wrong at the door: the executor must know whose fault it is.

use std::error::Error;

use rekit_core::criteria::FailedCriterion;

/// Why the world did not answer, or did not change.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// Somebody else changed what was relied on.
    #[error("{what}")]
    Changed {
        /// What was found instead.
        what: String,
    },
    /// It would not be safe.
    #[error("{why}")]
    Refused {
        /// Why not.
        why: String,
    },
    /// It was tried and failed.
    #[error("{what}")]
    Failed {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A criterion says that the run must not go on.
    #[error("{failed}")]
    Criterion {
        /// What failed.
        failed: FailedCriterion,
    },
    /// A person asked to stop, and nothing was half done.
    #[error("interrupted")]
    Interrupted,
    /// The process is to end here, as if by a crash. Only the fake world says so.
    #[error("crashed, as the test asked")]
    Crashed,
}

impl WorldError {
    /// Makes a failure from what was tried and why it failed.
    pub fn failed(
        what: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Failed {
            what: what.into(),
            source: source.into(),
        }
    }
}
