//! What rekit itself refuses in a rekit.toml, at its place.

use super::{cure, place::masked};
use crate::{
    goal,
    inventory::{ConfigRemark, RemarkKind},
};

/// Returns what is wrong with a rekit.toml: at most one remark, since reading ends there.
pub fn goal_remarks(text: &str) -> Vec<ConfigRemark> {
    let Err(error) = goal::parse(text) else {
        return Vec::new();
    };
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    vec![ConfigRemark {
        kind: RemarkKind::Refused,
        key: unknown(&error.message).unwrap_or_default().to_owned(),
        write: instead(&error).into_iter().collect(),
        says: error.message,
        line: number(error.line),
        column: number(error.column),
        length: number(error.length),
        excerpt: masked(&error.excerpt),
    }]
}

/// Returns the key that a message is about.
fn unknown(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("unknown field `")?;
    rest.split('`').next()
}

/// Returns the line with the key that was meant.
fn instead(error: &goal::GoalError) -> Option<String> {
    let wrong = unknown(&error.message)?;
    let expected = error.message.split_once("expected")?.1;
    let names: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let meant = cure::meant(&names, wrong, &[])?;
    Some(masked(&error.excerpt.replacen(wrong, meant, 1)))
}
