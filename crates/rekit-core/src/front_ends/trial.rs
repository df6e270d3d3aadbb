//! What a trial of a front end saw, and in what that differs from the rule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Choice, FrontEnd, FrontEnds, Row};

/// What a real build was seen to build with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Seen {
    /// A builder of BuildKit.
    Builder {
        /// Its name.
        name: String,
        /// Its driver, where the front end says it; Compose does not.
        driver: Option<String>,
    },
    /// The engine's builder from before BuildKit.
    Legacy {},
    /// It never came to a builder.
    Nothing {},
}

/// A real build by one front end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trial {
    /// Which.
    pub front_end: FrontEnd,
    /// What it built with.
    pub seen: Seen,
    /// Whether the build came to its end.
    pub built: bool,
    /// Whether the image was in the engine afterwards; `None`: the engine did not say.
    pub loaded: Option<bool>,
    /// Why it did not come to its end, credentials masked.
    pub failure: Option<String>,
    /// How long it took.
    pub milliseconds: u64,
}

impl FrontEnds {
    /// Puts trials beside the rule.
    #[must_use]
    pub fn tried(mut self, trials: Vec<Trial>) -> Self {
        for trial in trials {
            let mut rows = self.rows.iter_mut();
            if let Some(row) = rows.find(|row| row.front_end == trial.front_end) {
                row.differences = differences(row, &trial);
                row.trial = Some(trial);
            }
        }
        self.tried = true;
        self
    }
}

fn differences(row: &Row, trial: &Trial) -> Vec<String> {
    let failure = trial.failure.as_deref().unwrap_or("it does not say why");
    let mut found = Vec::new();
    match (&row.choice, is_as_said(&row.choice, &trial.seen)) {
        // That nothing is built is what the rule says.
        (Choice::Nothing { .. }, _) if !trial.built => return found,
        (choice, false) if trial.built || trial.seen != (Seen::Nothing {}) => found.push(format!(
            "the trial built with {}, by rule it is {}",
            seen(&trial.seen),
            said(choice)
        )),
        _ => {}
    }
    if !trial.built {
        found.push(format!("the trial failed: {failure}"));
    }
    match trial.loaded {
        Some(true) if trial.built && !row.loads => {
            found.push("the image is in the engine, by rule it is not".to_owned());
        }
        Some(false) if trial.built && row.loads => {
            found.push("the image is not in the engine, by rule it is".to_owned());
        }
        _ => {}
    }
    found
}

fn is_as_said(choice: &Choice, seen: &Seen) -> bool {
    match (choice, seen) {
        (
            Choice::Builder { name, driver, .. },
            Seen::Builder {
                name: seen,
                driver: seen_driver,
            },
        ) => {
            name.eq_ignore_ascii_case(seen)
                && seen_driver.as_ref().is_none_or(|seen| seen == driver)
        }
        (Choice::Legacy {}, Seen::Legacy {}) | (Choice::Nothing { .. }, Seen::Nothing {}) => true,
        _ => false,
    }
}

fn seen(seen: &Seen) -> String {
    match seen {
        Seen::Builder {
            name,
            driver: Some(driver),
        } => format!("`{name}` (driver {driver})"),
        Seen::Builder { name, driver: None } => format!("`{name}`"),
        Seen::Legacy {} => "the legacy builder".to_owned(),
        Seen::Nothing {} => "nothing that can be told".to_owned(),
    }
}

fn said(choice: &Choice) -> String {
    match choice {
        Choice::Builder { name, driver, .. } => format!("`{name}` (driver {driver})"),
        Choice::Legacy {} => "the legacy builder".to_owned(),
        Choice::Nothing { why } => format!("nothing ({why})"),
    }
}
