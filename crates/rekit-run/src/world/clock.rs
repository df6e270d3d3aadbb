//! The time of day, and the moments by which a look has to end.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Returns the time of day.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The moment by which something has to end.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// Returns the moment `after` from now.
    pub fn after(after: Duration) -> Self {
        Self(Instant::now() + after)
    }

    /// Returns the earlier of this moment and `after` from now.
    #[must_use]
    pub fn within(self, after: Duration) -> Self {
        Self(self.0.min(Instant::now() + after))
    }

    /// Returns the time that is left.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Returns whether the moment has passed.
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// Returns the moment for tokio's timers.
    pub fn instant(self) -> Instant {
        self.0
    }
}
