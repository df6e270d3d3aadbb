//! Numbers that look random and come again with their seed.

use std::str::FromStr;

/// A generator of numbers (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    /// Begins with a seed that is not 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % limit.max(1)
    }
}

/// Returns what a campaign sets by a variable of the environment, `usual` in CI.
pub(crate) fn set_by<T: FromStr>(variable: &str, usual: T) -> T {
    let set = std::env::var(variable).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(usual)
}
