//! One problem: a stable code, evidence, cause, fix. The shape is a contract with people's scripts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad a finding is. `error`: builds fail or data is at risk; `warning`: something needs care; `info`: worth knowing.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; does not change the exit code.
    Info,
    /// Something needs care.
    Warning,
    /// Builds fail, or data is at risk.
    Error,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// `builder`, `node`, `context`, `volume`, `container`, `standalone`, `file`, `disk`, `host`, `tool`, `environment`, `emulator`.
    pub kind: String,
    /// The host it is on; empty where none is meant.
    pub host: String,
    /// The buildx store it is in; empty where none is meant.
    pub store: String,
    /// Its name.
    pub name: String,
}

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FixBy {
    /// rekit, by itself.
    Automatic,
    /// rekit, once a person agreed: data or another program is touched.
    Consent,
    /// Only a person.
    Hand,
}

/// How to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fix {
    /// Who can.
    pub by: FixBy,
    /// What to do, in one sentence.
    pub summary: String,
    /// Commands a person can run instead, one a line.
    pub commands: Vec<String>,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable: `RK` and three digits.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What the problem is and why, in one or two sentences.
    pub cause: String,
    /// What was read where.
    pub evidence: Vec<String>,
    /// How to mend it.
    pub fix: Fix,
}

/// What a doctor's run says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// Always `rekit/findings`.
    pub schema: String,
    /// Version of this document's shape.
    pub version: u32,
    /// Whether no finding is a warning or an error.
    pub healthy: bool,
    /// The problems, worst last.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Sorts findings worst last and makes the document.
    pub fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by(|a, b| {
            (a.severity, &a.code, &a.subject.name).cmp(&(b.severity, &b.code, &b.subject.name))
        });
        let healthy = findings
            .iter()
            .all(|finding| finding.severity == Severity::Info);
        Self {
            schema: "rekit/findings".to_owned(),
            version: 1,
            healthy,
            findings,
        }
    }
}
