//! The table of checks, and the one loop that runs them.

use super::{
    case::Case, configuration, contexts, daemons, disks, known::Known, nodes, platforms,
    registries, remedy::Mendable, selection, store, tools,
};
use crate::{
    finding::{Diagnosis, Finding, Severity},
    inventory::Inventory,
};

/// Something that can be wrong: a stable code, and the function that looks for it.
#[derive(Debug)]
pub struct Check {
    /// `RK` and three digits; never used for anything else again.
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Why it happens, what it does, and how to get rid of it.
    pub explain: &'static str,
    /// Looks for it.
    pub(super) find: fn(&Known<'_>) -> Vec<Case>,
}

/// The families. RK1: contexts and client; RK2: store and selection; RK3: nodes, containers, volumes, daemons; RK4: configuration;
/// RK5: platforms; RK6: disks; RK7: registries.
const CHECKS: &[&[Check]] = &[
    contexts::CHECKS,
    tools::CHECKS,
    store::CHECKS,
    selection::CHECKS,
    nodes::CHECKS,
    daemons::CHECKS,
    configuration::CHECKS,
    platforms::CHECKS,
    disks::CHECKS,
    registries::CHECKS,
];

/// Returns every check, by code.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().copied().flatten()
}

/// Returns what is wrong on this machine.
pub fn examine(inventory: &Inventory) -> Diagnosis {
    let findings = cases(inventory).into_iter().map(|(check, case)| Finding {
        code: check.code.to_owned(),
        severity: check.severity,
        subject: case.subject,
        cause: case.cause,
        evidence: case.evidence,
        fix: case.fix,
    });
    Diagnosis::new(findings.collect())
}

/// Returns what rekit can mend of it.
pub fn mendable(inventory: &Inventory) -> Vec<Mendable> {
    let cases = cases(inventory).into_iter();
    cases
        .filter(|(_, case)| !case.remedies.is_empty())
        .map(|(check, case)| Mendable {
            code: check.code,
            severity: check.severity,
            by: case.fix.by,
            what: format!("{} {}", case.subject.kind, case.subject.name),
            summary: case.fix.summary,
            remedies: case.remedies,
        })
        .collect()
}

fn cases(inventory: &Inventory) -> Vec<(&'static Check, Case)> {
    let known = Known::of(inventory);
    checks()
        .flat_map(|check| {
            (check.find)(&known)
                .into_iter()
                .map(move |case| (check, case))
        })
        .collect()
}

/// Returns the check with this code, in any case.
pub fn explain(code: &str) -> Option<&'static Check> {
    checks().find(|check| check.code.eq_ignore_ascii_case(code.trim()))
}
