//! The first user's machine, put back together by one command: once with Docker Desktop there, once without.
//!
//! The run is made once for each; the tests judge what was seen. What was seen is plain data, so the lab is gone before they begin.

use crate::{
    story::{BOTH_PLATFORMS, Story},
    support::{World, differences, remnants},
};
use rekit_core::{
    history::PastRun,
    next::{RunEnd, Stage},
    step::Action,
    undo::Outcome,
};
use serde_json::Value;
use std::{collections::BTreeSet, sync::LazyLock};

/// What is parked after the run, by the names that the first user's machine gave.
const PARKED: [&str; 5] = [
    "container buildx_buildkit_ci0",
    "container buildx_buildkit_team0",
    "volume buildx_buildkit_ci0_state",
    "volume buildx_buildkit_legacy0_state",
    "volume buildx_buildkit_team0_state",
];

static WITH_DESKTOP: LazyLock<Story> = LazyLock::new(|| Story::tell(true));
static WITHOUT_DESKTOP: LazyLock<Story> = LazyLock::new(|| Story::tell(false));

fn both() -> [&'static Story; 2] {
    [&WITHOUT_DESKTOP, &WITH_DESKTOP]
}

#[track_caller]
fn assert_untouched(before: &World, after: &World) {
    let found = differences(before, after);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn r2_1_1_every_old_daemon_ended_by_itself() {
    for (node, locked, end) in both().iter().flat_map(|story| &story.stops) {
        assert!(!locked, "{node} left its lock: it was killed");
        assert!(
            ["exited 0", "exited 1"].contains(&end.as_str()),
            "{node}: {end}"
        );
    }
}

#[test]
fn r2_1_5_no_state_is_archived_or_removed_before_its_daemon_is_stopped() {
    for story in both() {
        let (mut stopped, mut archived) = (BTreeSet::new(), 0);
        for step in story.runs.iter().flat_map(PastRun::done_steps) {
            match &step.action {
                Action::StopNode { node, .. } => drop(stopped.insert(node.container.clone())),
                Action::ArchiveState {
                    container: Some(container),
                    ..
                } => {
                    archived += 1;
                    assert!(
                        stopped.contains(container),
                        "{container} is archived at step {} and not stopped",
                        step.id
                    );
                }
                Action::RemoveContainer { node } => assert!(
                    stopped.contains(&node.container),
                    "{} goes and is not stopped",
                    node.container
                ),
                _ => {}
            }
        }
        assert_eq!(archived, 2);
    }
}

#[test]
fn r2_2_1_a_cut_record_and_a_dead_context_no_longer_break_every_listing() {
    for story in both() {
        let broken = &story.planted.broken_record;
        assert_eq!(
            story.reinstalled.builder(broken)["Nodes"][0]["Status"],
            "running"
        );
        let context = story
            .reinstalled
            .inventory
            .contexts
            .iter()
            .find(|context| context.name == story.planted.ghost_context);
        let endpoint = context.map(|context| context.state.known().unwrap().endpoint.clone());
        assert_eq!(
            endpoint,
            story.planted.desktop.then(|| story.desktop_socket.clone())
        );
    }
}

#[test]
fn r2_2_2_what_is_said_to_be_removed_is_gone() {
    for story in both() {
        assert!(
            PARKED
                .iter()
                .all(|name| story.reinstalled.objects.contains(*name)),
            "{:?}",
            story.reinstalled.objects
        );
        let left: Vec<_> = PARKED
            .iter()
            .filter(|name| story.finalized.objects.contains(**name))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn r2_2_3_the_configuration_that_no_daemon_takes_is_gone() {
    for story in both() {
        let files = &story.reinstalled.inventory.files;
        let left = files.iter().find(|file| {
            file.file
                .path
                .to_string()
                .ends_with(&story.planted.invalid_config)
        });
        assert_eq!(left, None);
    }
}

#[test]
fn r2_2_4_leftovers_of_departed_builders_are_gone() {
    for story in both() {
        assert!(
            story.reinstalled.leftovers.is_empty(),
            "{:?}",
            story.reinstalled.leftovers
        );
        let selected = story.reinstalled.inventory.stores[0]
            .current
            .as_ref()
            .unwrap()
            .known()
            .unwrap();
        assert_ne!(selected.current.name, story.planted.dangling_selection);
    }
}

#[test]
fn r2_2_5_nothing_is_left_but_what_is_parked_and_after_finalize_nothing_at_all() {
    for story in both() {
        assert_eq!(
            remnants(&story.reinstalled.inventory),
            PARKED.map(str::to_owned).into()
        );
        assert_eq!(remnants(&story.finalized.inventory), BTreeSet::new());
    }
}

#[test]
fn r2_3_4_the_folders_and_sockets_that_a_killed_daemon_left_are_gone() {
    for story in both() {
        let planned = |kind: &str, path: &str| {
            let steps = story.plan["steps"].as_array().unwrap();
            steps.iter().any(|step| {
                let found = step["action"]["path"].as_str().unwrap_or_default();
                step["action"]["step"] == kind && found.ends_with(path)
            })
        };
        let [socket, folder] = story.planted.left_behind.as_slice() else {
            panic!("{:?}", story.planted.left_behind)
        };
        assert!(planned("remove-socket", socket) && planned("remove-tree", folder));
        assert_eq!(story.reinstalled.left_behind, Vec::<String>::new());
        let mut listed = story.reinstalled.inventory.leftovers.iter();
        assert!(!listed.any(|leftover| {
            let path = leftover.path.as_str();
            path.ends_with(socket) || path.ends_with(folder)
        }));
        // What only bears a similar name is nobody's business.
        let notes = format!("file/{}/todo", story.planted.foreign.notes);
        assert!(story.before.contains_key(&notes));
        assert_eq!(
            story.before.get(&notes),
            story.reinstalled.foreign.get(&notes)
        );
    }
}

#[test]
fn r2_3_1_each_cache_was_removed_after_its_archive_was_read_back_and_the_archive_is_kept() {
    for story in both() {
        let finalize = &story.runs[1];
        assert_eq!(finalize.state.ended(), Some(RunEnd::Done));
        let removals = finalize.done_steps().filter_map(|step| match &step.action {
            Action::RemoveVolume { verified_by, .. } => Some((step.id, *verified_by)),
            _ => None,
        });
        let removals: Vec<_> = removals.collect();
        assert_eq!(removals.len(), 3, "the caches of team, ci and legacy");
        for (removal, proof) in removals {
            assert!(proof < removal);
            assert!(
                matches!(
                    finalize.state.stage(proof),
                    Stage::Finished(_, Outcome::Verified { .. })
                ),
                "step {proof}"
            );
        }
        assert_eq!(
            story.archives.len(),
            4,
            "three states and the configuration"
        );
        for archive in &story.archives {
            assert_eq!(archive.code, Some(0), "{archive}");
        }
    }
}

#[test]
fn r2_3_2_databases_and_metadata_are_off_the_disk() {
    for (path, is_there) in both().iter().flat_map(|story| &story.old_states) {
        assert!(!is_there, "{}", path.display());
    }
}

#[test]
fn r2_3_3_the_old_policies_are_gone_and_each_daemon_runs_with_the_goals() {
    for story in both() {
        for name in ["team", "ci"] {
            let edits = story.runs[0]
                .plan
                .steps
                .iter()
                .find_map(|step| match &step.action {
                    Action::RewriteRecord { edit, .. } if edit.builder.as_str() == name => {
                        Some(edit)
                    }
                    _ => None,
                });
            let settings = edits.unwrap().nodes[0].settings.as_ref().unwrap();
            let policies = story.reinstalled.builder(name)["Nodes"][0]["GCPolicy"]
                .as_array()
                .unwrap();
            assert_eq!(
                policies.last().unwrap()["maxUsedSpace"],
                settings.max_used_bytes,
                "{policies:#?}"
            );
        }
    }
}

#[test]
fn r2_3_5_nothing_that_is_not_buildkits_changed() {
    for story in both() {
        assert_untouched(&story.before, &story.reinstalled.foreign);
        assert_untouched(&story.before, &story.finalized.foreign);
    }
}

#[test]
fn r3_1_1_the_engines_own_buildkit_is_on() {
    for story in both() {
        assert_eq!(
            story.builds.by_builder["default"].code,
            Some(0),
            "{}",
            story.builds.by_builder["default"]
        );
    }
}

#[test]
fn r3_1_3_each_new_daemon_was_proven_by_a_build() {
    for story in both() {
        let proofs = story.runs[0].done_steps().filter(|step| {
            matches!(
                step.action,
                Action::ProbeNode { .. } | Action::Validate { .. }
            )
        });
        assert_eq!(proofs.count(), 3, "two nodes and the whole");
        assert_eq!(story.validation.code, Some(0), "{}", story.validation);
        story.validation.json();
    }
}

#[test]
fn r3_1_4_a_built_image_is_in_the_engine_and_runs() {
    for (platform, answer) in both().iter().flat_map(|story| &story.builds.by_platform) {
        assert_eq!(answer.code, Some(0), "{platform}: {answer}");
    }
}

#[test]
fn r3_2_1_the_plan_gives_each_setting_with_its_reason() {
    for story in both() {
        let choices = story.plan["choices"].as_array().unwrap();
        assert!(choices.len() >= 3, "{choices:#?}");
        let reasoned = |choice: &&Value| {
            ["what", "why"]
                .iter()
                .all(|key| choice[key].as_str().is_some_and(|text| text.len() > 10))
        };
        assert!(
            choices.iter().all(|choice| reasoned(&choice)),
            "{choices:#?}"
        );
    }
}

#[test]
fn r3_2_2_r4_1_5_desktop_linux_builds_where_desktop_is_and_is_gone_where_it_is_not() {
    assert_eq!(
        WITH_DESKTOP.builds.by_builder["desktop-linux"].code,
        Some(0),
        "{}",
        WITH_DESKTOP.builds.by_builder["desktop-linux"]
    );
    assert!(
        !WITHOUT_DESKTOP
            .builds
            .by_builder
            .contains_key("desktop-linux")
    );
}

#[test]
fn r3_2_3_each_new_builder_offers_both_platforms() {
    for story in both() {
        for name in ["team", "ci"] {
            let offered = story.reinstalled.builder(name)["Nodes"][0]["Platforms"].to_string();
            assert!(
                BOTH_PLATFORMS
                    .iter()
                    .all(|(platform, _)| offered.contains(&format!("\"{platform}\""))),
                "{offered}"
            );
        }
    }
}

#[test]
fn r4_1_1_a_build_works_on_each_builder() {
    for (name, answer) in both().iter().flat_map(|story| &story.builds.by_builder) {
        assert_eq!(answer.code, Some(0), "{name}: {answer}");
    }
}

#[test]
fn r4_1_2_every_builder_runs_and_no_listing_complains() {
    for story in both() {
        for seen in [&story.reinstalled, &story.finalized] {
            assert_eq!(seen.listing_complaints, "");
            assert!(
                seen.listing.len() >= 4,
                "team, ci, default and staging: {:#?}",
                seen.listing
            );
            for builder in &seen.listing {
                assert_eq!(builder["Err"], Value::Null, "{builder:#}");
                assert_eq!(builder["Nodes"][0]["Status"], "running", "{builder:#}");
            }
            assert_eq!(seen.doctor.code, Some(0), "{}", seen.doctor);
        }
    }
}

#[test]
fn r4_1_3_every_way_of_selecting_a_builder_works() {
    for (name, answer) in both().iter().flat_map(|story| &story.builds.selections) {
        let selected = answer
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("Name:"))
            .map(str::trim);
        assert_eq!(selected, Some(name.as_str()), "{answer}");
    }
}

#[test]
fn r4_1_4_each_platform_that_was_promised_was_built_on_each_node() {
    for story in both() {
        let promised = story.runs[0]
            .plan
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::ProbeNode { platforms, .. } => Some((step.id, platforms)),
                _ => None,
            });
        for (step, platforms) in promised {
            let names: Vec<_> = platforms.iter().map(ToString::to_string).collect();
            assert_eq!(names, BOTH_PLATFORMS.map(|(platform, _)| platform));
            assert!(
                matches!(story.runs[0].state.stage(step), Stage::Finished(..)),
                "step {step}"
            );
        }
    }
}

#[test]
fn r4_2_1_a_linux_amd64_image_is_built_and_runs() {
    runs_as(BOTH_PLATFORMS[0]);
}

#[test]
fn r4_2_2_a_linux_arm64_image_is_built_and_runs() {
    runs_as(BOTH_PLATFORMS[1]);
}

#[track_caller]
fn runs_as((platform, machine): (&str, &str)) {
    for story in both() {
        let answer = &story.builds.by_platform[platform];
        assert_eq!(answer.stdout, format!("{machine}\n{machine}\n"), "{answer}");
    }
}

#[test]
fn r4_3_1_a_build_makes_cache() {
    for story in both() {
        let (before, after) = story.builds.records;
        assert!(
            after > before + 10,
            "{before} records before, {after} after"
        );
        assert!(
            story.builds.cold.cold_steps().len() > 10,
            "{}",
            story.builds.cold
        );
    }
}

#[test]
fn r4_3_2_the_same_build_hits_the_cache() {
    for story in both() {
        assert_eq!(
            story.builds.warm.cold_steps(),
            Vec::<String>::new(),
            "{}",
            story.builds.warm
        );
    }
}

#[test]
fn r4_3_3_a_changed_input_invalidates_only_what_hangs_on_it_and_a_refresh_can_be_forced() {
    for story in both() {
        let again = story.builds.changed.cold_steps();
        assert!(
            again.len() == 1 && again[0].contains("COPY src/"),
            "{again:?}"
        );
        assert!(
            !story.builds.forced.text().contains(" CACHED\n"),
            "{}",
            story.builds.forced
        );
    }
}
