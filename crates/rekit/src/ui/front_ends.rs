//! Who builds where, for a person: one line for each front end, the reasons, and how to make all agree.

use rekit_core::front_ends::{Choice, FrontEnds, Row};

use super::style::{Style, Tone, clean, table};

/// Returns the front ends as text.
pub(crate) fn front_ends(found: &FrontEnds, style: &Style) -> String {
    let mut text = lines(found, style);
    if found.rows.iter().any(|row| row.odd) {
        text += "* builds elsewhere than `docker buildx build`, or not at all\n";
    }
    text.push('\n');
    for (names, reason) in reasons(&found.rows) {
        text += &hanging(&format!("{names}: {reason}."), style);
    }
    text.push('\n');
    for row in &found.rows {
        for difference in &row.differences {
            let head = style.paint(Tone::Bad, &format!("differs: {}", row.command));
            text.extend([head, format!(": {}\n", clean(difference))]);
        }
    }
    if found.tried && !found.differs() {
        let head = style.paint(Tone::Good, "Every trial did as the rule says");
        text.extend([head.as_str(), ".\n"]);
    }
    text + &style.wrapped(0, &clean(&found.advice)).join("\n") + "\n"
}

fn lines(found: &FrontEnds, style: &Style) -> String {
    let mut heads = vec![
        "",
        "FRONT END",
        "BUILDER",
        "DRIVER",
        "IMAGE IN ENGINE",
        "BY",
    ];
    if found.tried {
        heads.push("TRIAL");
    }
    let rows = found.rows.iter().map(|row| {
        let (builder, driver) = match &row.choice {
            Choice::Builder { name, driver, .. } => (name.as_str(), driver.as_str()),
            Choice::Legacy {} => ("legacy", "-"),
            Choice::Nothing { .. } => ("none", "-"),
        };
        let mark = if row.odd { "*" } else { "" };
        let loads = if row.loads { "yes" } else { "no" };
        let mut cells = vec![mark, &row.command, builder, driver, loads, &row.from];
        if found.tried {
            cells.push(trial(row));
        }
        cells.into_iter().map(str::to_owned).collect()
    });
    table(&heads, rows.collect(), style)
}

fn trial(row: &Row) -> &'static str {
    match (&row.trial, row.differences.is_empty()) {
        (None, _) => "-",
        (Some(_), true) => "same",
        (Some(_), false) => "differs",
    }
}

/// Lists each reason once, with the front ends that it holds for.
fn reasons(rows: &[Row]) -> Vec<(String, &str)> {
    let mut reasons: Vec<(String, &str)> = Vec::new();
    for row in rows {
        let same = reasons
            .iter_mut()
            .find(|(_, reason)| *reason == row.decided_by);
        match same {
            Some((names, _)) => {
                names.push_str(", ");
                names.push_str(&row.command);
            }
            None => reasons.push((row.command.clone(), &row.decided_by)),
        }
    }
    reasons
}

fn hanging(text: &str, style: &Style) -> String {
    let lines = style.wrapped(2, &clean(text));
    format!("{}\n", lines.join("\n  "))
}

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use super::*;
    use expect_test::expect;
    use rekit_core::{
        front_ends,
        inventory::{Inventory, Variable},
    };

    #[test]
    fn one_line_for_each_and_the_odd_ones_marked() {
        let sample = include_str!("sample.json");
        let mut inventory: Inventory = serde_json::from_str(sample).unwrap();
        inventory.environment.push(Variable {
            name: "DOCKER_BUILDKIT".to_owned(),
            value: "0".to_owned(),
        });
        let style = Style {
            colour: false,
            width: 100,
            now: "2026-11-23T08:00:00Z".parse().unwrap(),
        };
        let found = front_ends::front_ends(&inventory);
        expect![[r#"
                FRONT END             BUILDER  DRIVER  IMAGE IN ENGINE  BY
             *  docker build          legacy   -       yes              DOCKER_BUILDKIT
             *  docker builder build  legacy   -       yes              DOCKER_BUILDKIT
             *  docker image build    legacy   -       yes              DOCKER_BUILDKIT
                docker bake           default  docker  yes              docker
                docker buildx build   default  docker  yes              context
                docker buildx bake    default  docker  yes              context
             *  docker compose build  none     -       no               compose
                devcontainer build    default  docker  yes              context
            * builds elsewhere than `docker buildx build`, or not at all

            docker build, docker builder build, docker image build: DOCKER_BUILDKIT=0 in the environment.
            docker bake: docker itself names the builder of context `default`.
            docker buildx build, docker buildx bake, devcontainer build: no builder is selected for
              `unix:///var/run/docker.sock`: the context's own.
            docker compose build: docker finds no Compose.

            `unset DOCKER_BUILDKIT`, here and in the shell's profile, takes the legacy builder away; ask again
            then.
        "#]].assert_eq(&front_ends(&found, &style));
    }
}
