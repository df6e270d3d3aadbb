//! Asks the core what the reader of a configuration would do with it. The one place that does.

use rekit_core::{
    config::{
        EngineRelease, Release, buildkitd_remarks, engine_remarks, goal_remarks,
        judge_buildkitd_as, judge_engine,
    },
    inventory::{ConfigKind, ConfigRemark, ConfigVerdict},
};

/// What is to be said about a configuration.
pub(super) struct Judged {
    pub(super) verdict: ConfigVerdict,
    pub(super) remarks: Vec<ConfigRemark>,
}

/// Judges the bytes of a configuration file; `None`: rekit does not judge its kind.
pub(super) fn file(kind: ConfigKind, content: &[u8]) -> Option<Judged> {
    match kind {
        ConfigKind::Buildkitd | ConfigKind::BuildxDefault => Some(buildkitd(content)),
        ConfigKind::Daemon => Some(text(content, |text| Judged {
            verdict: judge_engine(text, EngineRelease::NEWEST),
            remarks: engine_remarks(text, EngineRelease::NEWEST),
        })),
        ConfigKind::Goal => Some(text(content, |text| {
            let remarks = goal_remarks(text);
            Judged {
                verdict: remarks.first().map_or(ConfigVerdict::Accepted {}, refusal),
                remarks,
            }
        })),
        ConfigKind::Cli | ConfigKind::Unit | ConfigKind::Desktop | ConfigKind::Profile => None,
    }
}

/// Returns the verdict that goes with a remark on what is refused.
fn refusal(remark: &ConfigRemark) -> ConfigVerdict {
    ConfigVerdict::Refused {
        reason: remark.says.clone(),
        line: remark.line,
        column: remark.column,
        length: remark.length,
        excerpt: remark.excerpt.clone(),
    }
}

/// Judges the bytes of a buildkitd.toml.
pub(super) fn buildkitd(content: &[u8]) -> Judged {
    text(content, |text| Judged {
        verdict: judge_buildkitd_as(text, Release::NEWEST),
        remarks: buildkitd_remarks(text, Release::NEWEST),
    })
}

fn text(content: &[u8], judge: impl FnOnce(&str) -> Judged) -> Judged {
    match std::str::from_utf8(content) {
        Ok(text) => judge(text),
        Err(_) => Judged {
            verdict: ConfigVerdict::Unreadable {
                reason: "not UTF-8 text".to_owned(),
            },
            remarks: Vec::new(),
        },
    }
}
