//! A plan for a person: every step with its reason, what was chosen, left out and interrupted, and the room it takes.

use std::collections::BTreeSet;

use rekit_core::{
    estimate::{Estimate, PastArchive, estimate},
    folders::{CacheFolder, FolderContent},
    inventory::Inventory,
    name::HostPath,
    name::{HostId, VolumeName},
    plan::{Plan, Purpose},
    sheet,
    step::{Action, Step},
};
use rekit_run::world::{host, path_of};

use super::{
    decisions,
    style::{Style, Tone, bytes, clean, counted},
    words,
};

/// The room that a plan's archives take, and that there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    /// Bytes of the states that will be archived, before packing; `None` where nobody looked.
    needed: Option<u64>,
    /// Bytes free where archives go.
    free: Option<u64>,
    /// What each archive will take.
    states: Vec<Estimate>,
}

impl Room {
    /// Takes what will be archived into account.
    fn take(&mut self, subject: &str, size: Option<u64>, past: &[PastArchive]) {
        self.states.push(estimate(subject, size, past));
        if let Some(size) = size {
            self.needed = Some(self.needed.unwrap_or(0).saturating_add(size));
        }
    }

    /// Returns what the archives take and what there is, if that is surely too little.
    pub(crate) fn lacking(&self) -> Option<(String, String)> {
        let (needed, free) = self.needed.zip(self.free)?;
        (needed > free).then(|| (bytes(needed), bytes(free)))
    }
}

/// Returns whether a step of the plan parks a state here.
fn is_parked(plan: &Plan, folder: &HostPath) -> bool {
    let mut steps = plan.steps.iter();
    steps.any(|step| matches!(&step.action, Action::ParkState { parked, .. } if parked == folder))
}

/// Measures the room of a plan, and judges it by archives that were made before.
pub(crate) fn room(plan: &Plan, inventory: &Inventory, past: &[PastArchive]) -> Room {
    let mut room = Room::default();
    // A state that is archived twice takes its room once.
    let mut measured = BTreeSet::new();
    for step in &plan.steps {
        let (subject, size) = match &step.action {
            Action::ArchiveState { volume, .. } => {
                of_volume(inventory, &volume.host, &volume.volume)
            }
            Action::CopyState { node, .. } => of_volume(inventory, &node.host, &node.volume),
            // What is parked was archived before where it lay.
            Action::ArchiveFolder { folder, .. } if is_parked(plan, &folder.path) => continue,
            Action::ArchiveFolder { folder, .. } => of_folder(inventory, folder),
            Action::ArchiveEngine { engine, .. } => ("engine cache".to_owned(), Some(engine.bytes)),
            _ => continue,
        };
        if measured.insert(subject.clone()) {
            room.take(&subject, size, past);
        }
    }
    // The folder may be still to be made: the disk is that of the nearest folder that is there.
    let folder = path_of(&plan.archives);
    room.free = folder
        .ancestors()
        .find_map(|folder| host::free_bytes(folder).ok());
    room
}

/// Returns what an archive of a volume is of, as `backup list` names it, and the volume's size.
fn of_volume(inventory: &Inventory, host: &HostId, volume: &VolumeName) -> (String, Option<u64>) {
    let engine = inventory.host(host).and_then(|host| host.engine.known());
    let mut volumes = engine.into_iter().flat_map(|engine| &engine.volumes);
    let found = volumes.find(|known| &known.name == volume);
    let size = found.and_then(|found| found.size_bytes.known());
    (format!("state of volume {volume}"), size.copied())
}

/// The same of a folder.
fn of_folder(inventory: &Inventory, folder: &CacheFolder) -> (String, Option<u64>) {
    let kind = match folder.holds {
        FolderContent::State => "state",
        FolderContent::Export => "cache export",
    };
    let mut places = inventory.caches.iter();
    let place = places.find(|place| place.path == folder.path);
    let size = place.and_then(|place| place.size_bytes.known());
    (format!("{kind} of folder {}", folder.path), size.copied())
}

/// Returns the plan as text.
pub(crate) fn plan(plan: &Plan, room: &Room, style: &Style) -> String {
    let generation = if plan.from_generation == plan.to_generation {
        format!("generation {} stays", plan.from_generation)
    } else {
        format!(
            "generation {} → {}",
            plan.from_generation, plan.to_generation
        )
    };
    let title = format!("Plan: {}", plan.purpose);
    let mut text = format!(
        "{}, {generation}, {} (run {})\n",
        style.paint(Tone::Heading, &title),
        counted(plan.steps.len(), "step"),
        plan.run
    );
    for step in &plan.steps {
        let line = format!("{:>3}  {}", step.id.0, words::step(step));
        text.extend([line.as_str(), "\n"]);
        for line in style.wrapped(5, &clean(&step.why)) {
            text.extend(["     ", &style.paint(Tone::Faint, &line), "\n"]);
        }
    }
    let pair = |what: &str, why: &str| format!("{what}: {why}");
    let choices = plan
        .choices
        .iter()
        .map(|choice| pair(&choice.what, &choice.why));
    text.push_str(&section("Chosen", Tone::Heading, choices, style));
    let left_out = plan.left_out.iter().map(|left| pair(&left.what, &left.why));
    text.push_str(&section("Left as it is", Tone::Care, left_out, style));
    text.push_str(&section(
        "Interrupted",
        Tone::Care,
        plan.interruptions.iter().cloned(),
        style,
    ));
    let points = decisions::points(plan).into_iter();
    text.push_str(&section("Decided on the way", Tone::Heading, points, style));
    text.push_str(&section(
        "Room",
        Tone::Heading,
        told(room).into_iter(),
        style,
    ));
    let back = way_back(plan).into_iter();
    text.push_str(&section("The way back", Tone::Heading, back, style));
    text
}

/// Returns how what a plan changes is taken back.
fn way_back(plan: &Plan) -> Vec<String> {
    let adds = |step: &Step| {
        matches!(
            step.action,
            Action::ImportMounts { .. }
                | Action::RestoreFolder { .. }
                | Action::RestoreEngine { .. }
                | Action::StopEngine { .. }
                | Action::StartEngine { .. }
                | Action::ArchiveEngine { .. }
                | Action::VerifyArchive { .. }
        )
    };
    if plan.purpose == Purpose::Backup || plan.steps.is_empty() {
        return Vec::new();
    }
    if plan.steps.iter().all(adds) {
        let words = "it only adds to the cache, so no generation is made of it; if it fails, what it added goes by itself";
        return vec![words.to_owned()];
    }
    vec![
        "`rekit rollback` brings all of it back, warm, before and after `rekit finalize`"
            .to_owned(),
        format!(
            "with a shell alone: {}, made for this run before its first step",
            sheet::place(&plan.home, &plan.run)
        ),
    ]
}

fn told(room: &Room) -> Vec<String> {
    let free = room
        .free
        .map_or_else(|| "an unknown part".to_owned(), bytes);
    let mut lines = Vec::new();
    match room.needed {
        Some(needed) if room.free.is_some_and(|free| needed > free) => lines.push(format!(
            "the archives may not fit: the states hold {} before packing, {free} of the disk is free",
            bytes(needed)
        )),
        Some(needed) => lines.push(format!(
            "the archives hold {} before packing; {free} of the disk is free",
            bytes(needed)
        )),
        None if room.states.is_empty() => {}
        None => lines.push(format!("{free} of the disk is free for the archives")),
    }
    lines.extend(room.states.iter().map(super::estimate::line));
    lines
}

/// Returns titled points; nothing for none.
pub(crate) fn section(
    title: &str,
    tone: Tone,
    points: impl Iterator<Item = String>,
    style: &Style,
) -> String {
    let mut text = String::new();
    for point in points {
        if text.is_empty() {
            text.extend(["\n", &style.paint(tone, title), "\n"]);
        }
        for (number, line) in style.wrapped(4, &clean(&point)).iter().enumerate() {
            text.extend([if number == 0 { "  - " } else { "    " }, line, "\n"]);
        }
    }
    text
}

/// Returns a plan in which nothing is to be done, as text.
pub(crate) fn empty(plan: &Plan, style: &Style) -> String {
    let left_out = plan
        .left_out
        .iter()
        .map(|left| format!("{}: {}", left.what, left.why));
    let words = style.paint(Tone::Good, "Nothing to do");
    let title = match plan.purpose {
        Purpose::Finalize => "nothing is parked that could be removed",
        Purpose::Rollback => "that generation is in force",
        _ => "all is as it should be",
    };
    format!(
        "{words}: {title}.\n{}",
        section("Left as it is", Tone::Care, left_out, style)
    )
}
