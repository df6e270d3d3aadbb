//! A plan: the complete ordered list of changes. Dry run is print, review is diff, approval is a hash over its bytes.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    name::{Digest, HostPath, RunId},
    step::Step,
};

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The whole run.
    Reinstall,
    /// Creates what the goal says, beside what is there.
    Install,
    /// Removes what the inventory names, after proven backups.
    Clean,
    /// Mends findings.
    Fix,
    /// Archives builders.
    Backup,
    /// Brings an archive back into a builder.
    Restore,
    /// Goes back to an earlier generation.
    Rollback,
    /// Ends the probation: removes what is parked.
    Finalize,
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reinstall => "reinstall",
            Self::Install => "install",
            Self::Clean => "clean",
            Self::Fix => "fix",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Rollback => "rollback",
            Self::Finalize => "finalize",
        })
    }
}

/// Something that the plan leaves as it is, or cannot keep, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A setting that the plan chose, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What was chosen, for example `cache limit of builder team: 20 GiB`.
    pub what: String,
    /// Why.
    pub why: String,
}

/// The complete ordered list of changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Always `rekit/plan`.
    pub schema: String,
    /// Version of this document's shape.
    pub version: u32,
    /// The run that will execute it; rekit's objects carry it as a label.
    pub run: RunId,
    /// What it is for.
    pub purpose: Purpose,
    /// When it was made.
    #[schemars(with = "String")]
    pub made: Timestamp,
    /// rekit's own directory, where journal and blobs are.
    pub home: HostPath,
    /// Where its archives go.
    pub archives: HostPath,
    /// The generation that is in force before.
    pub from_generation: u32,
    /// The generation that is in force afterwards; the same where nothing is switched.
    pub to_generation: u32,
    /// The changes, in order.
    pub steps: Vec<Step>,
    /// Settings, each with its reason.
    pub choices: Vec<Choice>,
    /// What is left as it is, or cannot be kept, and why.
    pub left_out: Vec<LeftOut>,
    /// What will be interrupted, and for how long.
    pub interruptions: Vec<String>,
    /// Days after which a person is reminded that what is parked waits for a decision.
    #[serde(default = "Plan::usual_probation")]
    pub probation_days: u32,
    /// Whether a criterion that fails leaves the run standing for a person to decide; else the run takes itself back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decided_by_hand: bool,
}

impl Plan {
    /// The name of the document.
    pub const SCHEMA: &'static str = "rekit/plan";
    /// The version of the document's shape.
    pub const VERSION: u32 = 1;

    /// Returns a plan without steps, which stays in generation 0.
    pub fn new(run: RunId, purpose: Purpose, made: Timestamp, home: HostPath) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            version: Self::VERSION,
            run,
            purpose,
            made,
            archives: home.join("archives"),
            home,
            from_generation: 0,
            to_generation: 0,
            steps: Vec::new(),
            choices: Vec::new(),
            left_out: Vec::new(),
            interruptions: Vec::new(),
            probation_days: Self::usual_probation(),
            decided_by_hand: false,
        }
    }

    /// Returns the days of probation where nobody said anything else.
    pub fn usual_probation() -> u32 {
        7
    }

    /// Returns the plan as it is stored and approved.
    pub fn to_json(&self) -> String {
        match serde_json::to_string_pretty(self) {
            Ok(text) => text + "\n",
            Err(error) => unreachable!("BUG: a plan holds something JSON cannot: {error}"),
        }
    }

    /// Returns the digest that an approval is for.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_json().as_bytes())
    }
}
