//! The goal: what should be. From `rekit.toml`, or derived from the machine, each value with its reason.

use std::{collections::BTreeMap, ops::Range};

use serde::Deserialize;

use crate::{
    inventory::Inventory,
    name::{BuilderName, ImageRef, Platform},
    plan::Choice,
    record::NodeSettings,
};

/// The image of a node when nothing else is said: buildx's own default.
pub const DEFAULT_IMAGE: &str = "moby/buildkit:buildx-stable-1";
/// The name of the builder that rekit makes where there is none.
pub const DEFAULT_BUILDER: &str = "multiplatform";

/// `rekit.toml` as a person writes it. Every value may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Goal {
    /// The builder.
    #[serde(default)]
    pub builder: BuilderGoal,
    /// The cache of each node.
    #[serde(default)]
    pub cache: CacheGoal,
    /// How running builds are waited for.
    #[serde(default)]
    pub drain: DrainGoal,
    /// How long a person may try the new generation before being reminded to decide.
    #[serde(default)]
    pub probation: ProbationGoal,
    /// When a run takes itself back.
    #[serde(default)]
    pub criteria: CriteriaGoal,
}

/// `[builder]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BuilderGoal {
    /// The builder that is selected afterwards.
    pub name: Option<BuilderName>,
    /// The platforms it must build for.
    pub platforms: Option<Vec<Platform>>,
    /// The image of nodes that rekit makes where there was no builder.
    pub image: Option<ImageRef>,
}

/// `[cache]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CacheGoal {
    /// Never below this.
    pub reserved: Option<Size>,
    /// Never above this.
    pub max_used: Option<Size>,
    /// The disk keeps this free.
    pub min_free: Option<Size>,
    /// Steps that run at once.
    pub max_parallelism: Option<u32>,
}

/// `[drain]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DrainGoal {
    /// Seconds to wait for clients that read the old record.
    pub grace_seconds: Option<u32>,
    /// Seconds to wait for running builds at most.
    pub limit_seconds: Option<u32>,
    /// Seconds that a daemon has to end; it is never killed.
    pub stop_seconds: Option<u32>,
}

/// `[probation]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProbationGoal {
    /// Days; nothing is removed when they are over.
    pub days: Option<u32>,
}

/// `[criteria]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CriteriaGoal {
    /// How many times as long as before a build may take.
    pub slower_factor: Option<Factor>,
    /// Milliseconds that it may take besides.
    pub slack_ms: Option<u64>,
}

/// A factor from 1 to 100, kept in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Factor(pub u32);

impl TryFrom<f64> for Factor {
    type Error = String;

    fn try_from(factor: f64) -> Result<Self, String> {
        if !(1.0..=100.0).contains(&factor) {
            return Err(format!("`{factor}` is no factor from 1 to 100"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is from 100 to 10000"
        )]
        let percent = (factor * 100.0).round() as u32;
        Ok(Self(percent))
    }
}

/// A size: a number of bytes, or text such as `20GB` (10^9) or `20GiB` (2^30).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "SizeText")]
pub struct Size(pub u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum SizeText {
    Bytes(u64),
    Text(String),
}

impl TryFrom<SizeText> for Size {
    type Error = String;

    fn try_from(text: SizeText) -> Result<Self, String> {
        let text = match text {
            SizeText::Bytes(bytes) => return Ok(Self(bytes)),
            SizeText::Text(text) => text,
        };
        let wrong = || {
            format!(
                "`{text}` is no size: write bytes, or a number with kB, MB, GB, TB, KiB, MiB, GiB or TiB"
            )
        };
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit = match text[digits..].trim() {
            "" | "B" => 1,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(wrong()),
        };
        number.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

/// What is wrong with a `rekit.toml`, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct GoalError {
    /// What.
    pub message: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1.
    pub column: usize,
    /// The line itself.
    pub excerpt: String,
    /// How many characters are wrong.
    pub length: usize,
}

/// Reads a `rekit.toml`.
pub fn parse(text: &str) -> Result<Goal, GoalError> {
    toml_edit::de::from_str(text)
        .map_err(|error| place(text, error.message(), error.span().unwrap_or(0..0)))
}

fn place(text: &str, message: &str, span: Range<usize>) -> GoalError {
    let start = span.start.min(text.len());
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let excerpt = text[line_start..]
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    let column = text[line_start..start].chars().count() + 1;
    let length = text
        .get(span)
        .map_or(1, |wrong| {
            wrong.lines().next().unwrap_or_default().chars().count()
        })
        .max(1);
    GoalError {
        message: message.to_owned(),
        line: text[..start].matches('\n').count() + 1,
        column,
        excerpt,
        length,
    }
}

const GIB: u64 = 1 << 30;

/// Returns the settings of a node's daemon, and adds each with its reason to `choices`.
pub fn settings(
    goal: &CacheGoal,
    disk_free: Option<u64>,
    nodes: u64,
    choices: &mut Vec<Choice>,
) -> NodeSettings {
    let free = disk_free.unwrap_or(100 * GIB);
    let nodes = nodes.max(1);
    let basis = match disk_free {
        Some(free) => format!(
            "the disk has {} GiB free, shared by {nodes} node(s)",
            free / GIB
        ),
        None => "the free space of the engine's disk is not known".to_owned(),
    };
    let mut choose = |what: &str, wish: Option<Size>, derived: u64, reason: &str| {
        let (bytes, why) = match wish {
            Some(Size(bytes)) => (bytes, "rekit.toml says so".to_owned()),
            None => (derived, format!("{reason}; {basis}")),
        };
        choices.push(Choice {
            what: format!("{what}: {} GiB", bytes / GIB),
            why,
        });
        bytes
    };
    // Half of what is free, for all nodes together, and never more than BuildKit's own default of 100 GB.
    let share = (free / 2 / nodes).clamp(GIB, 93 * GIB);
    let max_used = choose(
        "cache limit of each node (maxUsedSpace)",
        goal.max_used,
        share,
        "half of the free disk, at most 93 GiB",
    );
    let reserved = choose(
        "cache kept at least (reservedSpace)",
        goal.reserved,
        (max_used / 4).min(10 * GIB),
        "a quarter of the limit, at most 10 GiB",
    );
    let min_free = choose(
        "disk kept free (minFreeSpace)",
        goal.min_free,
        (free / 5).min(20 * GIB),
        "a fifth of the free disk, at most 20 GiB",
    );
    NodeSettings {
        reserved_bytes: reserved.min(max_used),
        max_used_bytes: max_used,
        min_free_bytes: min_free,
        max_parallelism: goal.max_parallelism,
        mend_config: false,
        options: BTreeMap::new(),
        usual_flags: false,
        registries: BTreeMap::new(),
    }
}

/// Returns the platforms that this machine can run: its own, and those with an emulator that works in containers.
pub fn runnable_platforms(inventory: &Inventory, architecture: &str) -> Vec<Platform> {
    let mut platforms: Vec<Platform> = format!("linux/{architecture}")
        .parse()
        .into_iter()
        .collect();
    let emulators = inventory
        .emulators
        .known()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for emulator in emulators
        .iter()
        .filter(|emulator| emulator.enabled && emulator.flags.contains('F'))
    {
        if let Some(platform) = &emulator.platform
            && !platforms.contains(platform)
        {
            platforms.push(platform.clone());
        }
    }
    platforms
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: &Expect) {
        let shown = match parse(text) {
            Ok(goal) => format!("{goal:?}"),
            Err(error) => format!(
                "{error}\n{}\n{}{}",
                error.excerpt,
                " ".repeat(error.column - 1),
                "^".repeat(error.length)
            ),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_wrong_key_is_underlined() {
        check(
            "[cache]\nmax-usd = \"20GB\"\n",
            &expect![[r#"
            line 2, column 1: unknown field `max-usd`, expected one of `reserved`, `max-used`, `min-free`, `max-parallelism`
            max-usd = "20GB"
            ^^^^^^^"#]],
        );
        check(
            "[cache]\nmax-used = \"20 gigs\"\n",
            &expect![[r#"
            line 2, column 12: `20 gigs` is no size: write bytes, or a number with kB, MB, GB, TB, KiB, MiB, GiB or TiB
            max-used = "20 gigs"
                       ^^^^^^^^^"#]],
        );
        check(
            "[builder\n",
            &expect![[r"
            line 1, column 9: unclosed table, expected `]`
            [builder
                    ^"]],
        );
    }

    #[test]
    fn a_factor_is_at_least_one() {
        let factor = |text| {
            let goal = parse(&format!("[criteria]\nslower-factor = {text}"));
            goal.map(|goal| goal.criteria.slower_factor)
        };
        assert_eq!(factor("1.5"), Ok(Some(Factor(150))));
        assert_eq!(factor("2"), Ok(Some(Factor(200))));
        for wrong in ["0.99", "-2", "nan", "101"] {
            assert!(factor(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(
            parse("[cache]\nmax-used = \"20GiB\"\nreserved = 7")
                .unwrap()
                .cache
                .max_used,
            Some(Size(20 << 30))
        );
    }
}
