//! The executor, model-checked: breadth-first over (journal, fake world) with steps, crashes, errors, foreign changes,
//! resume and rollback in any order. After each move the invariants hold and an end can be reached.
//!
//! Shows R1.4.1, R1.4.2 and, for removals, R1.3.5 and R2.2.2 against the fake; the ladder shows the same on a real engine.
#![expect(
    clippy::unwrap_used,
    clippy::similar_names,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "a test fails by panicking and tells how far it searched; a plan is as long as it is"
)]

mod daemons;
mod invariants;
mod plans;
mod search;
mod world;

use crate::{
    daemons::{finalize_state, machine_with_daemon, renew_back, renew_in_place},
    invariants::{check_end, check_invariants, shape},
    plans::{
        by_hand_alone, clean, finalize, judged, keep_cache, plan, reinstall, restore, rollback,
        two_nodes,
    },
    search::{Point, Slip, decided, moves, search, search_with},
    world::{RECORD, machine, machine_of_two_nodes, name, path},
};
use rekit_core::{
    check::CheckedPlan,
    criteria::Criterion,
    engine_cache::{EnginePlace, Layers, RunningContainer},
    folders::{CacheFolder, FolderContent},
    mounts::{ArchivedMount, CacheMount, MountOptions},
    name::{Digest, HostId},
    next::{Entry, RunEnd, RunState, Turn},
    plan::Purpose,
    step::{Action, BuildPlace, FileState, StateSource, StepId},
    undo::{Outcome, Undo},
};
use rekit_run::{
    executor::DriveEnd,
    journal::MemoryJournal,
    world::fake::{FakeArchive, FakeEngine},
};
use std::collections::{HashSet, VecDeque};

#[test]
fn r1_4_1_every_reinstall_ends_forward_or_as_before() {
    let start = machine();
    let (states, done) = search(&reinstall(&start), &start, &MemoryJournal::default(), 2);
    println!("reinstall: {states} states");
    assert!(
        states > 5_000,
        "the search is too small to mean anything: {states}"
    );
    let after = &done.world;
    assert_eq!(after.files[&path("/s/current")].0, b"team");
    assert!(!after.files.contains_key(&path("/s/instances/cut")));
    let old = &after.containers[&(name("unix:///a"), name("buildx_buildkit_team0"))];
    assert!(
        !old.facts.running && old.facts.restart_policy == "no",
        "the old node is parked"
    );
}

#[test]
fn every_reinstall_of_two_nodes_ends_with_both_renewed_or_as_before() {
    let start = machine_of_two_nodes();
    let (states, done) = search(&two_nodes(&start), &start, &MemoryJournal::default(), 2);
    println!("two nodes: {states} states");
    let record = String::from_utf8_lossy(&done.world.files[&path("/s/instances/team")].0);
    let kept =
        r#"{"Name":"team0-g1"},{"Name":"silent","Endpoint":"tcp://gone"},{"Name":"team1-g1"}"#;
    assert!(record.contains(kept), "{record}");
    let cut = done.state(&two_nodes(&start));
    assert!(
        matches!(cut.outcome(StepId(11)), Some(Outcome::Drained { cut, .. }) if cut.len() == 1),
        "{:?}",
        cut.outcome(StepId(11))
    );
}

#[test]
fn r2_1_4_a_build_on_a_node_that_is_to_stop_takes_the_run_back() {
    let start = machine();
    let reinstall = reinstall(&start);
    let mut point = Point::at(start.clone(), 0);
    let stop = StepId(7);
    while point.state(&reinstall).next() != rekit_core::next::Do::Observe(stop) {
        point.advance(&reinstall).unwrap();
    }
    let old = (name("unix:///a"), name("buildx_buildkit_team0"));
    point.world.busy.insert(old.clone());
    let end = std::iter::repeat_with(|| point.advance(&reinstall).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert!(point.world.containers[&old].facts.running);
    assert_eq!(shape(&point.world), shape(&start));
}

#[test]
fn r1_3_5_and_r2_2_2_nothing_is_removed_before_its_archive_was_read_back() {
    let start = machine();
    let (_, parked) = search(&reinstall(&start), &start, &MemoryJournal::default(), 0);
    let (states, done) = search(&finalize(&parked.world), &parked.world, &parked.journal, 2);
    println!("finalize: {states} states");
    assert!(
        !done
            .world
            .volumes
            .contains_key(&(name("unix:///a"), name("buildx_buildkit_team0_state")))
    );
    let (states, back) = search(
        &rollback(&done.world, &done.journal),
        &done.world,
        &done.journal,
        2,
    );
    println!("rollback: {states} states");
    let old = &back.world.volumes[&(name("unix:///a"), name("buildx_buildkit_team0_state"))];
    assert_eq!(old.content.as_deref(), Some("warm"));
    assert_eq!(back.world.files[&path("/s/instances/team")].0, RECORD);
}

#[test]
fn r2_3_1_every_clean_ends_with_the_cache_in_its_archive_or_as_before() {
    let start = machine();
    let (states, done) = search(&clean(&start), &start, &MemoryJournal::default(), 2);
    println!("clean: {states} states");
    assert!(!done.world.files.contains_key(&path("/s/instances/team")));
    let left = done.world.volumes.keys().map(|(_, volume)| volume.as_str());
    assert_eq!(left.collect::<Vec<_>>(), ["foreign"]);
}

#[test]
fn every_restore_ends_warm_or_as_before() {
    let start = machine();
    let (_, parked) = search(&reinstall(&start), &start, &MemoryJournal::default(), 0);
    let (_, done) = search(&finalize(&parked.world), &parked.world, &parked.journal, 0);
    let (states, back) = search(&restore(&done.world), &done.world, &done.journal, 2);
    println!("restore: {states} states");
    let new = &back.world.volumes[&(name("unix:///a"), name("buildx_buildkit_team0-g2_state"))];
    assert_eq!(new.content.as_deref(), Some("warm"));
}

#[test]
fn every_import_of_cache_mounts_ends_complete_or_as_before() {
    let mut start = machine();
    let at = |builder: &str, id: &str| (builder.to_owned(), id.to_owned());
    for (builder, id, content) in [
        ("default", "/one", "1"),
        ("default", "/two", "2"),
        ("team", "/other", "theirs"),
    ] {
        start.mounts.insert(at(builder, id), content.to_owned());
    }
    let mounts = ["/one", "/two"].map(|id| CacheMount {
        id: id.to_owned(),
        options: MountOptions::default(),
        dockerfile: None,
    });
    let place = |builder: &str| BuildPlace {
        store: Some(path("/s")),
        builder: builder.to_owned(),
        daemon: None,
    };
    let archived = mounts.clone().map(|mount| ArchivedMount {
        tree: mount.id.clone(),
        digest: Digest::of(b""),
        mount,
    });
    let moved = plan(
        Purpose::Restore,
        vec![
            Action::ExportMounts {
                archive: name("mounts"),
                place: place("default"),
                mounts: mounts.into(),
            },
            Action::VerifyArchive {
                archive: name("mounts"),
            },
            Action::ImportMounts {
                source: StateSource {
                    archive: path("/h/archives/mounts"),
                    identity: Digest::of(b"1 2"),
                },
                place: place("team"),
                mounts: archived.into(),
            },
        ],
    );
    let (states, done) = search(&moved, &start, &MemoryJournal::default(), 2);
    println!("mounts: {states} states");
    assert_eq!(done.world.mounts[&at("team", "/two")], "2");
    // One that holds something else is not mixed, and what was added before it goes again.
    start.mounts.insert(at("team", "/two"), "theirs".to_owned());
    let mut point = Point::at(start.clone(), 0);
    let end = std::iter::repeat_with(|| point.advance(&moved).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert_eq!(point.world.mounts, start.mounts);
}

#[test]
fn every_restore_of_a_folder_or_a_file_ends_complete_or_as_before() {
    let mut start = machine();
    start.trees.insert(path("/var/cache"), b"exported".to_vec());
    start.trees.insert(path("/var/empty"), Vec::new());
    let folder = |at: &str| CacheFolder {
        path: path(at),
        holds: FolderContent::Export,
    };
    let source = StateSource {
        archive: path("/h/archives/folder"),
        identity: Digest::of(b"exported"),
    };
    let restored = |at: &str| Action::RestoreFolder {
        source: source.clone(),
        folder: folder(at),
    };
    let moved = plan(
        Purpose::Restore,
        vec![
            Action::ArchiveFolder {
                archive: name("folder"),
                folder: folder("/var/cache"),
            },
            Action::VerifyArchive {
                archive: name("folder"),
            },
            restored("/var/new"),
            restored("/var/empty"),
            Action::BringFile {
                source: source.clone(),
                path: path("/s/lost"),
                store: Some(path("/s")),
                before: FileState::Absent {},
                content: Digest::of(b"exported"),
                mode: 0o600,
            },
        ],
    );
    let (states, done) = search(&moved, &start, &MemoryJournal::default(), 2);
    println!("folders: {states} states");
    for at in ["/var/new", "/var/empty"] {
        assert_eq!(done.world.trees[&path(at)], b"exported");
    }
    assert_eq!(done.world.files[&path("/s/lost")].0, b"exported");
    // What lies there is never mixed, and what was filled before is empty again.
    start.trees.insert(path("/var/empty"), b"theirs".to_vec());
    let mut point = Point::at(start.clone(), 0);
    let end = std::iter::repeat_with(|| point.advance(&moved).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert_eq!(point.world.trees, start.trees);
}

#[test]
fn every_restore_of_an_engines_cache_ends_with_the_engine_at_work() {
    let mut start = machine();
    let host: HostId = name("unix:///b");
    start.add_volume(&host, &name("guest"), Some("guest"), [].into());
    start.add_container(&host, &name("guest"), &name("guest"), true, [].into());
    let new = FakeEngine {
        runs: true,
        cache: Some("new".to_owned()),
    };
    start.engines.insert(host.clone(), new);
    let archived = FakeArchive {
        whole: true,
        content: "archived".to_owned(),
        damaged: false,
    };
    start.archives.insert(name("engine"), archived);
    let guest = &start.containers[&(host.clone(), name("guest"))];
    let engine = EnginePlace {
        host: host.clone(),
        version: "1.0".to_owned(),
        data_root: path("/d"),
        layers: Layers::Containerd {},
        bytes: 0,
        stop: "stop".to_owned(),
        start: "start".to_owned(),
        running: vec![RunningContainer {
            id: guest.facts.id.clone(),
            name: name("guest"),
        }],
    };
    let restored = plan(
        Purpose::Restore,
        vec![
            Action::StopEngine {
                engine: engine.clone(),
                limit_seconds: 2,
                cut: false,
            },
            Action::ArchiveEngine {
                archive: name("before"),
                engine: engine.clone(),
            },
            Action::VerifyArchive {
                archive: name("before"),
            },
            Action::RestoreEngine {
                source: StateSource {
                    archive: path("/h/archives/engine"),
                    identity: Digest::of(b"archived"),
                },
                engine: engine.clone(),
                before: name("before"),
                verified_by: StepId(3),
            },
            Action::StartEngine { engine },
        ],
    );
    let (states, done) = search(&restored, &start, &MemoryJournal::default(), 2);
    println!("engine: {states} states");
    let engine = &done.world.engines[&host];
    assert!(engine.runs, "the engine stands");
    assert_eq!(engine.cache.as_deref(), Some("archived"));
    assert!(done.world.containers[&(host, name("guest"))].facts.running);
}

#[test]
fn r2_1_2_every_renewal_of_a_daemon_in_place_ends_forward_or_as_before() {
    let start = machine_with_daemon();
    let none = MemoryJournal::default();
    let (states, done) = search(&renew_in_place(&start), &start, &none, 2);
    println!("in place: {states} states");
    let tree = |point: &Point, at: &str| point.world.trees.get(&path(at)).cloned();
    assert_eq!(tree(&done, "/var/b").unwrap(), b"fresh");
    assert_eq!(tree(&done, "/var/b.rekit-g0").unwrap(), b"built");
    assert!(done.world.process_on(&path("/var/b")).is_some());

    let (states, back) = search(&renew_back(&done.world), &done.world, &done.journal, 2);
    println!("in place, back: {states} states");
    assert_eq!(tree(&back, "/var/b").unwrap(), b"built");
    assert_eq!(tree(&back, "/var/b.rekit-g1").unwrap(), b"fresh");
    assert!(back.world.process_on(&path("/var/b")).is_some());

    let (states, over) = search(&finalize_state(), &done.world, &done.journal, 2);
    println!("in place, finalize: {states} states");
    assert_eq!(tree(&over, "/var/b.rekit-g0"), None);
    let mut damaged = done.world.clone();
    let archive = damaged.archives.get_mut(&name("stopped")).unwrap();
    archive.damaged = true;
    let mut point = Point::at(damaged, 0);
    let plan = finalize_state();
    let end = std::iter::repeat_with(|| point.advance(&plan).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert_eq!(tree(&point, "/var/b.rekit-g0").unwrap(), b"built");
}

#[test]
fn r2_1_4_a_daemon_with_a_build_that_does_not_end_is_left_alone() {
    let mut start = machine_with_daemon();
    start.daemons.get_mut(&path("/var/b")).unwrap().busy = true;
    let plan = renew_in_place(&start);
    let mut point = Point::at(start.clone(), 0);
    let end = std::iter::repeat_with(|| point.advance(&plan).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert!(matches!(
        point.state(&plan).turned(),
        Some(Turn::Refused { .. })
    ));
    assert!(point.world.daemons == start.daemons, "it was ended");
}

#[test]
fn every_reinstall_that_keeps_the_cache_ends_warm_or_as_before() {
    let start = machine();
    let (states, done) = search(&keep_cache(&start), &start, &MemoryJournal::default(), 2);
    println!("keep cache: {states} states");
    let new = &done.world.volumes[&(name("unix:///a"), name("buildx_buildkit_team0-g1_state"))];
    assert_eq!(new.content.as_deref(), Some("warm"));
}

#[test]
fn r1_4_5_every_judged_reinstall_ends_forward_or_as_before() {
    let start = machine();
    let plan = judged(&start);
    for plan in [&plan, &by_hand_alone(&plan)] {
        let (states, done) = search(plan, &start, &MemoryJournal::default(), 2);
        println!("judged: {states} states");
        assert!(done.state(plan).held().is_none());
    }
}

#[test]
fn r1_4_5_a_criterion_that_fails_turns_the_run_or_a_person_decides() {
    let mut start = machine();
    start.unfit.insert(name("buildx_buildkit_team0-g1"));
    let plan = judged(&start);
    let first = Point::at(start.clone(), 2);
    let end = |plan: &CheckedPlan, point: &mut Point| {
        std::iter::repeat_with(|| point.advance(plan).unwrap()).find_map(|end| end)
    };
    let mut alone = first.clone();
    let rolled_back = Some(DriveEnd::Ended(RunEnd::RolledBack));
    assert_eq!(end(&plan, &mut alone), rolled_back);
    let Some(Turn::Criterion { step, failed }) = alone.state(&plan).turned().cloned() else {
        panic!("{:?}", alone.journal.entries)
    };
    assert_eq!(step, StepId(3), "before the switch");
    assert_eq!(failed.criterion, Criterion::HealthyBuilder);
    assert_eq!(shape(&alone.world), shape(&start));

    let plan = by_hand_alone(&plan);
    let mut held = first.clone();
    assert_eq!(end(&plan, &mut held), Some(DriveEnd::Held));
    assert_eq!(
        end(&plan, &mut held),
        Some(DriveEnd::Held),
        "it stands still"
    );
    let [mut accepted, mut taken_back] = decided(&plan, &held);
    assert_eq!(end(&plan, &mut taken_back), rolled_back);
    assert_eq!(shape(&taken_back.world), shape(&start));
    // It is asked again at the end, which is another decision.
    assert_eq!(end(&plan, &mut accepted), Some(DriveEnd::Held));
    assert_eq!(accepted.state(&plan).held().unwrap().0, StepId(5));
    let [mut done, mut taken_back] = decided(&plan, &accepted);
    assert_eq!(end(&plan, &mut taken_back), rolled_back);
    assert_eq!(shape(&taken_back.world), shape(&start));
    assert_eq!(end(&plan, &mut done), Some(DriveEnd::Ended(RunEnd::Done)));
    // From every point that faults lead to, whatever is decided, an end is reached.
    let mut seen = HashSet::from([first.clone()]);
    let mut queue = VecDeque::from([first]);
    while let Some(point) = queue.pop_front() {
        check_invariants(&start, &point);
        check_end(&plan, &start, &point);
        if point.state(&plan).ended().is_none() {
            let next = moves(&plan, &point);
            queue.extend(next.into_iter().filter(|next| seen.insert(next.clone())));
        }
    }
    println!("held: {} states", seen.len());
}

#[test]
fn a_damaged_archive_stops_the_removal_with_the_old_node_as_it_was() {
    let start = machine();
    let (_, parked) = search(&reinstall(&start), &start, &MemoryJournal::default(), 0);
    let mut world = parked.world.clone();
    world.archives.get_mut(&name("team0")).unwrap().damaged = true;
    let plan = finalize(&world);
    let mut point = Point::at(world.clone(), 0);
    let end = std::iter::repeat_with(|| point.advance(&plan).unwrap()).find_map(|end| end);
    assert_eq!(end, Some(DriveEnd::Ended(RunEnd::RolledBack)));
    assert!(matches!(
        point.state(&plan).turned(),
        Some(Turn::Refused { .. })
    ));
    assert_eq!(shape(&point.world), shape(&world));
}

#[test]
fn an_executor_that_does_anything_wrong_is_caught() {
    let start = machine();
    let plan = reinstall(&start);
    let blobs = MemoryJournal::default();
    for slip in [
        Slip::LosesStarted,
        Slip::LosesFinished,
        Slip::LosesUndone,
        Slip::PreparesTwice,
        Slip::IgnoresGuards,
    ] {
        let found = std::panic::catch_unwind(|| {
            search_with(&plan, &start, &blobs, (2, Some(slip)));
        });
        let why = found.expect_err(&format!("{slip:?} was not found"));
        let text = why.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| why.downcast_ref::<&str>().copied());
        let text: String = text.unwrap_or_default().chars().take(60).collect();
        println!("{slip:?}: {text}");
    }
}

#[test]
fn the_first_undo_stands() {
    let start = machine();
    let plan = reinstall(&start);
    let mut point = Point::at(start, 0);
    while !matches!(point.advance(&plan).unwrap(), Some(DriveEnd::Ended(_))) {}
    let started =
        |entry: &&Entry| matches!(entry, Entry::Started { step, .. } if *step == StepId(5));
    let again = Entry::Started {
        step: StepId(5),
        undo: Undo::Nothing {},
    };
    let first = point.journal.entries.iter().find(started).cloned().unwrap();
    let mut state = RunState::replay(14, [&first]);
    state.enter(&again);
    assert_eq!(state, RunState::replay(14, [&first]));
}
