//! The criteria that decide whether a run goes on: what is tried, what was measured, what was agreed, and what was decided.
//!
//! Invariant: everything here is data; [`judge`] alone says what it means.

mod judge;
mod points;
#[cfg(test)]
mod tests;

pub use judge::{Judged, faster, judge};
pub use points::{DecisionPoint, decision_points};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{name::Platform, step::StepId};

/// What decides whether a run goes on, in the order in which it is asked.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// A daemon does not start.
    DaemonStarts,
    /// A builder builds nothing.
    HealthyBuilder,
    /// A build fails that passed before.
    BuildsPass,
    /// Builds are slower than agreed.
    Speed,
    /// A front end or a context that built before is lost.
    Integration,
}

impl std::fmt::Display for Criterion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DaemonStarts => "daemon-starts",
            Self::HealthyBuilder => "healthy-builder",
            Self::BuildsPass => "builds-pass",
            Self::Speed => "speed",
            Self::Integration => "integration",
        })
    }
}

impl Criterion {
    /// Returns what is agreed on it, in words.
    pub fn limit(self, by: &Yardstick) -> String {
        let words = match self {
            Self::DaemonStarts => "each new daemon answers, and each that answered before",
            Self::HealthyBuilder => {
                "each new builder builds for a platform, and each that built before"
            }
            Self::BuildsPass => "every build that passed before passes",
            Self::Speed => {
                return format!(
                    "cold builds within the cold baseline {0}, warm ones within the warm baseline {0}",
                    by.words()
                );
            }
            Self::Integration => "every front end that built before builds",
        };
        words.to_owned()
    }
}

/// What is tried of a builder. Nodes are counted from 1, in the order of the builder's record.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(tag = "trial", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Trial {
    /// The daemon of a node answers.
    Daemon {
        /// The node.
        node: u32,
    },
    /// A node builds for a platform: with an empty cache, then with a full one.
    Build {
        /// The node.
        node: u32,
        /// The platform.
        platform: Platform,
    },
    /// `docker buildx build` builds with it.
    Buildx {},
    /// `docker compose build` builds with it.
    Compose {},
}

impl std::fmt::Display for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Daemon { node } => write!(f, "the daemon of node {node}"),
            Self::Build { node, platform } => write!(f, "{platform} on node {node}"),
            Self::Buildx {} => f.write_str("docker buildx build"),
            Self::Compose {} => f.write_str("docker compose build"),
        }
    }
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "found", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Found {
    /// It works.
    Works {},
    /// It builds.
    Builds {
        /// Milliseconds with nothing of the build in the cache.
        cold_ms: u64,
        /// Milliseconds with all of it there.
        warm_ms: u64,
    },
    /// It does not.
    Fails {
        /// Why, without secrets.
        why: String,
    },
}

impl Found {
    /// Returns whether it went well.
    pub fn is_good(&self) -> bool {
        self.why().is_none()
    }

    /// Returns why it did not go well.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Fails { why } => Some(why),
            Self::Works {} | Self::Builds { .. } => None,
        }
    }
}

/// One trial and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// The builder.
    pub builder: String,
    /// What was tried.
    pub trial: Trial,
    /// What came of it.
    pub found: Found,
}

/// What is measured later is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Yardstick {
    /// The step of this plan that took the baseline.
    pub baseline: StepId,
    /// How long a build may take at most, in hundredths of what it took before.
    pub slower_percent: u32,
    /// Milliseconds that it may take besides, so that noise decides nothing.
    pub slack_ms: u64,
}

impl Yardstick {
    /// Returns how many milliseconds a build may take that took so many before.
    pub fn limit_ms(&self, before_ms: u64) -> u64 {
        let slower = before_ms.saturating_mul(u64::from(self.slower_percent)) / 100;
        slower.saturating_add(self.slack_ms)
    }

    /// Returns the agreed limit in words.
    pub fn words(&self) -> String {
        format!("{} + {}", self.factor(), seconds(self.slack_ms))
    }

    fn factor(&self) -> String {
        format!(
            "× {}.{:02}",
            self.slower_percent / 100,
            self.slower_percent % 100
        )
    }
}

/// The node that a probe is of, and what it is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgedNode {
    /// The builder.
    pub builder: String,
    /// The node, counted from 1.
    pub node: u32,
    /// What its builds are judged by.
    pub by: Yardstick,
}

/// What one criterion says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The criterion.
    pub criterion: Criterion,
    /// Whether the run may go on by it.
    pub holds: bool,
    /// What was measured, without secrets.
    pub measure: String,
    /// What was agreed.
    pub limit: String,
}

/// What was decided at a decision point.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// When it was reached.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What each criterion says.
    pub verdicts: Vec<Verdict>,
    /// What fails and is no loss: it failed before, or was never tried before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
}

/// A criterion that failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailedCriterion {
    /// Which one.
    pub criterion: Criterion,
    /// What was measured, without secrets.
    pub measure: String,
    /// What was agreed.
    pub limit: String,
    /// When the decision point was reached.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

impl std::fmt::Display for FailedCriterion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            criterion,
            measure,
            limit,
            at,
        } = self;
        write!(
            f,
            "criterion `{criterion}` fails at {at:.0}: {measure} (agreed: {limit})"
        )
    }
}

impl Decision {
    /// Returns the first criterion that fails.
    pub fn failed(&self) -> Option<FailedCriterion> {
        let verdict = self.verdicts.iter().find(|verdict| !verdict.holds)?;
        Some(FailedCriterion {
            criterion: verdict.criterion,
            measure: verdict.measure.clone(),
            limit: verdict.limit.clone(),
            at: self.at,
        })
    }
}

/// Returns milliseconds in words.
fn seconds(milliseconds: u64) -> String {
    format!("{}.{:02} s", milliseconds / 1000, milliseconds % 1000 / 10)
}
