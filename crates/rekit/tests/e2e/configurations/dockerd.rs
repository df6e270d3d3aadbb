//! The builder's part of daemon.json against each pinned dockerd.

use super::{Answer, Question, Tally, buildkitd::disk_bytes, json, real, wanted};
use crate::support::{Dice, set_by};
use rekit_core::{
    config::{EngineRelease, engine_gc_rules, judge_engine},
    inventory::{ConfigVerdict, GcRule, Inventory},
};
use rekit_lab::{Lab, LabOptions};
use std::fs;

#[test]
fn verdicts_on_daemon_json_are_those_of_a_real_engine() {
    let lab = Lab::up(LabOptions::default()).unwrap();
    let count = wanted(8).div_ceil(3);
    let mut dice = Dice::new(set_by("SEED", 24301));
    let mut questions: Vec<Question> = (0..count).map(|_| json::question(&mut dice)).collect();
    let real = real::daemon_json();
    let every = if count > real.len() { 1 } else { 6 };
    questions.extend(real.into_iter().step_by(every));
    let mut tally = Tally::default();
    for question in &questions {
        let did = ask(&lab, question);
        let said = said(&lab, question, &did);
        tally.add("dockerd 28.5", question, &did, &said);
    }
    tally.is_good(questions.len() / 2);
}

fn said(lab: &Lab, question: &Question, did: &Answer) -> Answer {
    let release = EngineRelease::NEWEST;
    match judge_engine(&question.text, release) {
        ConfigVerdict::Refused { reason, line, .. } => {
            Answer::Refused(format!("line {line}: {reason}"))
        }
        _ if matches!(did, Answer::Rules(_)) => {
            let disk = disk_bytes(&lab.data_root());
            match engine_gc_rules(&question.text, release, disk) {
                Some(all) => Answer::Rules(all.iter().map(told).collect()),
                None => Answer::Accepted,
            }
        }
        _ => Answer::Accepted,
    }
}

/// Returns a rule in one line; the engine counts ages from when it looks, and puts several filters in any order.
fn told(rule: &GcRule) -> String {
    let mut filters: Vec<&str> = rule
        .filters
        .iter()
        .flat_map(|filter| filter.split(','))
        .collect();
    filters.sort_unstable();
    let (kept, used, free) = (
        rule.reserved_bytes,
        rule.max_used_bytes,
        rule.min_free_bytes,
    );
    let keeps = rule.keep_seconds / 60;
    format!("{} {filters:?} {keeps} {kept} {used} {free}\n", rule.all)
}

/// Starts the engine with this configuration and asks it for its rules.
fn ask(lab: &Lab, question: &Question) -> Answer {
    if lab.engine_pid().is_ok() {
        lab.stop_engine().unwrap();
    }
    fs::write(lab.daemon_json(), &question.text).unwrap();
    if let Err(error) = lab.start_engine() {
        let words = format!("{error:#}");
        let last = words.lines().last().unwrap_or_default();
        return Answer::Refused(last.to_owned());
    }
    let rekit = lab
        .command(env!("CARGO_BIN_EXE_rekit"))
        .args(["inventory", "--format", "json"])
        .output();
    let inventory: Inventory = serde_json::from_slice(&rekit.unwrap().stdout).unwrap();
    let mut engines = inventory
        .hosts
        .iter()
        .filter_map(|host| host.engine.known());
    let embedded = engines.find_map(|engine| engine.embedded.known());
    let Some(worker) = embedded.and_then(|daemon| daemon.workers.first()) else {
        return Answer::Unasked;
    };
    Answer::Rules(worker.gc.iter().map(told).collect())
}
