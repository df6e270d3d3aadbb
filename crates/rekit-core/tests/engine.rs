//! rekit's verdict on the builder's part of a daemon.json. What real engines do is compared in the campaign `configurations`.

use expect_test::{Expect, expect};
use rekit_core::{
    config::{EngineRelease, engine_gc_rules, engine_remarks, judge_engine},
    inventory::{ConfigVerdict, RemarkKind},
};

fn check(text: &str, expected: &Expect) {
    let mut seen = String::new();
    for remark in engine_remarks(text, EngineRelease::NEWEST) {
        let (line, column, mark) = (
            remark.line,
            remark.column,
            "^".repeat(remark.length as usize),
        );
        let under = " ".repeat(column as usize - 1);
        seen.extend([format!(
            "{:?} {line}:{column} {}\n  {}\n  {under}{mark}\n",
            remark.kind, remark.says, remark.excerpt
        )]);
        seen.extend(remark.write.iter().map(|line| format!("  + {line}\n")));
    }
    let verdict = judge_engine(text, EngineRelease::NEWEST);
    let is_refused = matches!(verdict, ConfigVerdict::Refused { .. });
    seen += if is_refused { "refused\n" } else { "taken\n" };
    expected.assert_eq(&seen);
}

#[test]
fn what_validate_calls_right_and_the_engine_does_not_start_with() {
    check(
        "{\"builder\": {\"gc\": {\"policy\": [\n  {\"filter\": [\"type=source.local\", \"type=regular\"]}\n]}}}\n",
        &expect![[r#"
            Refused 2:36 filters expect only one value: `type` has two; write a rule for each
                {"filter": ["type=source.local", "type=regular"]}
                                                 ^^^^^^^^^^^^^^
            refused
        "#]],
    );
    check(
        "{\"builder\": {\"gc\": {\"defaultKeepStorage\": \"10%\"}}}\n",
        &expect![[r#"
            Refused 1:43 invalid size `10%`: bytes, or a number with `KB`, `MB`, `GB` or `TB`; no share of the disk, other than in buildkitd.toml
              {"builder": {"gc": {"defaultKeepStorage": "10%"}}}
                                                        ^^^^^
            refused
        "#]],
    );
    check(
        "{\n  \"buildr\": {\"gc\": {}}\n}\n",
        &expect![[r#"
        Refused 2:3 dockerd has no option `buildr` and does not start; it has `builder`
            "buildr": {"gc": {}}
            ^^^^^^^^
          +   "builder": {"gc": {}}
        refused
    "#]],
    );
    check(
        "{\"builder\": {\"gc\": {\"enabled\": \"true\"}}}\n",
        &expect![[r#"
            Refused 1:32 `builder.gc.enabled` wants `true` or `false`, without quotation marks, here is a text
              {"builder": {"gc": {"enabled": "true"}}}
                                             ^^^^^^
              + {"builder": {"gc": {"enabled": true}}}
            refused
        "#]],
    );
    check(
        "{\"builder\": {\"gc\": {}},}\n",
        &expect![[r#"
        Refused 1:24 this is no JSON: trailing comma
          {"builder": {"gc": {}},}
                                 ^
        refused
    "#]],
    );
}

#[test]
fn what_is_not_read_or_has_another_effect() {
    check(
        "{\"builder\": {\"gc\": {\"defaultKeepStorge\": \"20GB\"}}}\n",
        &expect![[r#"
            Unread 1:21 dockerd does not know `builder.gc.defaultKeepStorge` and says nothing about it
              {"builder": {"gc": {"defaultKeepStorge": "20GB"}}}
                                  ^^^^^^^^^^^^^^^^^^^
              + {"builder": {"gc": {"defaultKeepStorage": "20GB"}}}
            taken
        "#]],
    );
    check(
        "{\"builder\": {\"gc\": {\"defaultKeepStorage\": \"20GB\"}}}\n",
        &expect![[r#"
            Effect 1:21 what is not set of the three sizes is off, not at its usual value: the cache has no upper limit, and no part of the disk is kept free
              {"builder": {"gc": {"defaultKeepStorage": "20GB"}}}
                                  ^^^^^^^^^^^^^^^^^^^^
              + "defaultReservedSpace": "20GB", "defaultMaxUsedSpace": "50GB", "defaultMinFreeSpace": "20GB"
            taken
        "#]],
    );
    check(
        "{\"builder\": {\"gc\": {\"policy\": [{\"filter\": [\"type==source.local\"]}]}}}\n",
        &expect![[r#"
            Effect 1:21 no rule takes everything (`"all": true` without `filter`): young records pin all that lies below them, and the cache grows past its limits
              {"builder": {"gc": {"policy": [{"filter": ["type==source.local"]}]}}}
                                  ^^^^^^^^
              + {"all": true, "reservedSpace": "10GB", "maxUsedSpace": "50GB", "minFreeSpace": "20GB"}
            Effect 1:44 here a filter has one `=`: this looks for `=source.local`, which no record has, so the rule never matches
              {"builder": {"gc": {"policy": [{"filter": ["type==source.local"]}]}}}
                                                         ^^^^^^^^^^^^^^^^^^^^
              + "type=source.local"
            taken
        "#]],
    );
    check(
        "{\"builder\": {\"gc\": {\"policy\": []}}}\n",
        &expect![[r#"
            Effect 1:21 an empty list leaves no rule at all: nothing is ever collected
              {"builder": {"gc": {"policy": []}}}
                                  ^^^^^^^^
            taken
        "#]],
    );
}

#[test]
fn an_older_engine_knows_less() {
    let older = EngineRelease::of_version("26.1.5").unwrap();
    let sizes = "{\"builder\": {\"gc\": {\"enabled\": true, \"defaultMaxUsedSpace\": \"20GB\"}}}";
    let keys = vec!["builder.gc.defaultMaxUsedSpace".to_owned()];
    assert_eq!(judge_engine(sizes, older), ConfigVerdict::Ignored { keys });
    let rule = "{\"builder\": {\"gc\": {\"enabled\": true, \"policy\": [{\"all\": true}]}}}";
    assert!(matches!(
        judge_engine(rule, older),
        ConfigVerdict::Refused { .. }
    ));
    assert_eq!(
        judge_engine(rule, EngineRelease::NEWEST),
        ConfigVerdict::Accepted {}
    );
}

/// `scripts/campaign fuzz` runs this for long.
mod never_panics {
    use proptest::prelude::*;

    use super::*;

    const TOKENS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "null",
        "true",
        "1",
        "-1e999",
        "\"gc\":",
        "\"policy\":",
        "\"filter\":",
        "\"builder\":",
        "\"10%\"",
        "\"until=2d\"",
        "\\u00e4",
        "\u{feff}",
        "\n",
        " ",
        "ö",
        "\"enabled\": false,",
        "//",
        "\"all\": true,",
        "\"keepStorage\": \"1GB\",",
    ];

    proptest! {
        #[test]
        fn whatever_the_text(slips in proptest::collection::vec(any::<(usize, usize, bool)>(), 0..8)) {
            let mut text = "{\"builder\": {\"gc\": {\"enabled\": true, \"policy\": [{\"filter\": [\"type=regular\"], \"keepStorage\": \"5GB\"}]}, \
                \"history\": {\"maxAge\": \"48h\"}}}".to_owned();
            for (at, token, is_put_in) in slips {
                let mut at = at % (text.len() + 1);
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                if is_put_in || at == text.len() {
                    text.insert_str(at, TOKENS[token % TOKENS.len()]);
                } else {
                    text.remove(at);
                }
            }
            for release in ["26.1.5", "28.5.2"] {
                let release = EngineRelease::of_version(release).unwrap();
                let verdict = judge_engine(&text, release);
                let complaints = engine_remarks(&text, release).into_iter().filter(|remark| remark.kind != RemarkKind::Effect);
                prop_assert_eq!(verdict == ConfigVerdict::Accepted {}, complaints.count() == 0, "{}", text);
                let rules = engine_gc_rules(&text, release, 1 << 40);
                let is_refused = matches!(verdict, ConfigVerdict::Refused { .. });
                prop_assert!(!is_refused || rules.is_none(), "{}", text);
                // Blanks around it change nothing.
                let wide = judge_engine(&format!("{text} \n"), release);
                prop_assert_eq!(matches!(wide, ConfigVerdict::Refused { .. }), is_refused, "{}", text);
            }
        }
    }
}
