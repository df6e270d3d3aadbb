//! `doctor --fix` as a plan: what rekit mends by itself, and what a person agreed to by its code.
//!
//! Invariant: what costs a container, a record or somebody's file is planned only where a person agreed to it.

use std::collections::BTreeMap;

use super::{NoPlan, Reinstall, Wishes, clean::Remains};
use crate::{
    doctor::{Change, Mendable, Owner, Remedy, mendable},
    draft::{Ground, place},
    finding::{FixBy, Severity},
    goal::Goal,
    inventory::BuilderRecord,
    name::{BuilderName, ContainerName, HostId, HostPath, NodeName, VolumeName},
    plan::{Plan, Purpose},
    step::{Action, JsonEdit},
    text,
};

/// What a person agreed to have mended, beside what needs nobody's consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// Nothing.
    #[default]
    None,
    /// Every warning and every error.
    Alarms,
    /// The findings with these codes.
    Codes(Vec<String>),
}

impl Consent {
    fn covers(&self, found: &Mendable) -> bool {
        match self {
            _ if found.by == FixBy::Automatic => true,
            Self::None => false,
            Self::Alarms => found.severity > Severity::Info,
            Self::Codes(codes) => codes
                .iter()
                .any(|code| code.eq_ignore_ascii_case(found.code)),
        }
    }
}

/// Plans to mend what the doctor finds, as far as a person agreed.
pub fn fix(ground: &Ground<'_>, goal: &Goal, consent: &Consent) -> Result<Plan, NoPlan> {
    let wishes = Wishes::default();
    let mut fix = Reinstall::begin(ground, goal, &wishes, Purpose::Fix)?;
    fix.save_configuration();
    let saved = fix.draft.next_id();
    let mut remedies: Vec<Remedy> = Vec::new();
    for found in mendable(ground.inventory) {
        if !consent.covers(&found) {
            fix.ask_for_consent(&found);
            continue;
        }
        for remedy in found.remedies {
            if !remedies.contains(&remedy) {
                remedies.push(remedy);
            }
        }
    }
    fix.mend_files(&remedies);
    fix.mend_builders(&remedies);
    let departed = fix.departed.clone();
    fix.sweep_store_without(&departed);
    fix.sweep_leftovers();
    fix.remove_remains(&remedies);
    fix.select();
    fix.validate();
    Ok(fix.draft.finish_unless_at(saved))
}

impl Reinstall<'_> {
    fn ask_for_consent(&mut self, found: &Mendable) {
        let why = format!(
            "{}; it needs your consent: `rekit doctor --fix --consent {}`",
            found.summary, found.code
        );
        self.draft.leave_out(found.what.clone(), why);
    }

    /// Mends contexts, configuration and programs.
    fn mend_files(&mut self, remedies: &[Remedy]) {
        let named = |wanted: &str| {
            let mut remedies = remedies.iter();
            remedies.any(|remedy| matches!(remedy, Remedy::Context(name) if name == wanted))
        };
        self.mend_some_contexts(named);
        self.retire_files(|path| remedies.contains(&Remedy::RetireFile(path.clone())));
        for remedy in remedies {
            if let Remedy::RemoveCopy(path) = remedy {
                self.remove_copy(path);
            }
        }
        self.edit_json_files(remedies);
        self.silence_lines(remedies);
    }

    /// Edits JSON files; what is to be done to one file is done together.
    fn edit_json_files(&mut self, remedies: &[Remedy]) {
        let mut files: BTreeMap<HostPath, Vec<(JsonEdit, String)>> = BTreeMap::new();
        let mut add = |path, edit, why| files.entry(path).or_default().push((edit, why));
        if (remedies.contains(&Remedy::CurrentContext) || remedies.iter().any(is_of_a_context))
            && let Some((path, edit, why)) = self.current_context()
        {
            add(path, edit, why);
        }
        for remedy in remedies {
            if let Remedy::EditJson { path, edit, why } = remedy {
                add(path.clone(), edit.clone(), format!("{edit}: {why}"));
            }
        }
        for (path, edits) in files {
            if self.is_out_of_reach(&path) {
                continue;
            }
            let (edits, why): (Vec<_>, Vec<_>) = edits.into_iter().unzip();
            self.edit_json(path, edits, why.join("; "));
        }
    }

    /// Makes comments of lines; those of one file together, as each step relies on the file's bytes.
    fn silence_lines(&mut self, remedies: &[Remedy]) {
        let mut files: BTreeMap<&HostPath, Vec<u32>> = BTreeMap::new();
        for remedy in remedies {
            if let Remedy::SilenceLine { path, line } = remedy {
                files.entry(path).or_default().push(*line);
            }
        }
        for (path, lines) in files {
            if self.is_out_of_reach(path) {
                continue;
            }
            self.draft.push(
                "what it sets keeps builds from working; a comment holds nobody up, and can be undone by hand too",
                Action::SilenceLines {
                    before: self.ground.file(path),
                    path: path.clone(),
                    lines,
                    mark: text::silent_mark(path).to_owned(),
                },
            );
        }
    }

    /// Whether a file is root's to change, which is said.
    fn is_out_of_reach(&mut self, path: &HostPath) -> bool {
        let inventory = self.ground.inventory;
        let mut files = inventory.files.iter();
        // The account's own elsewhere, too: DOCKER_CONFIG and a project may lie anywhere.
        let is_own = files.any(|it| it.file.path == *path && self.may_write(it.file.owner));
        let machine = &inventory.machine;
        let is_in_reach = is_own || machine.user == 0 || path.is_within(&machine.home);
        if !is_in_reach {
            let why = "changing it needs root, so it stays as it is";
            self.draft.leave_out(path.to_string(), why);
        }
        !is_in_reach
    }

    fn remove_copy(&mut self, path: &HostPath) {
        if self.is_out_of_reach(path) {
            return;
        }
        self.draft.push(
            "docker finds a copy that works in its place; the journal keeps this one",
            Action::RemoveFile {
                path: path.clone(),
                store: None,
                before: self.ground.file(path),
            },
        );
    }

    /// Mends records and nodes: those that go, those that are made again, those that get fresh nodes, those that are started.
    fn mend_builders(&mut self, remedies: &[Remedy]) {
        let mut changes: BTreeMap<BuilderName, Change> = BTreeMap::new();
        for remedy in remedies {
            match remedy {
                Remedy::RetireRecord(owner) => self.with_builder(owner, Self::retire_record),
                Remedy::Rebuild(owner) => self.with_builder(owner, |fix, builder| {
                    fix.rebuild(builder);
                }),
                Remedy::Start(host, container) => self.start(host, container),
                Remedy::Renew(owner, change) if owner.store == self.store.path => changes
                    .entry(owner.builder.clone())
                    .or_default()
                    .add(change.clone()),
                Remedy::Renew(owner, _) => self.leave_other_store(owner),
                _ => {}
            }
        }
        self.changes = changes;
        let store = self.store;
        for builder in &store.builders {
            if let (true, Some(record)) = (
                self.changes.contains_key(&builder.name),
                builder.record.known(),
            ) {
                self.renew(builder, record);
            }
        }
    }

    fn leave_other_store(&mut self, owner: &Owner) {
        let why = format!(
            "it is of another store, {0}: `BUILDX_CONFIG={0} rekit doctor --fix` mends that one",
            owner.store
        );
        self.draft
            .leave_out(format!("builder {}", owner.builder), why);
    }

    /// Does something with a builder of the store in force.
    fn with_builder(&mut self, owner: &Owner, act: impl FnOnce(&mut Self, &BuilderRecord)) {
        let store = self.store;
        let mut builders = store.builders.iter();
        match builders.find(|builder| owner.store == store.path && builder.name == owner.builder) {
            Some(builder) => act(self, builder),
            None => self.leave_other_store(owner),
        }
    }

    fn retire_record(&mut self, builder: &BuilderRecord) {
        let name = &builder.name;
        let why = format!("builder `{name}` cannot be used from here, and no data of it is here");
        self.remove_from_store(builder.file.path.clone(), why);
        self.departed.insert(name.to_string());
    }

    /// Starts a node's container and proves it with a build.
    fn start(&mut self, host: &HostId, name: &ContainerName) {
        let container = self.ground.container(host, name);
        let node = NodeName::of_container(name.as_str());
        let (Some(container), Some(node)) = (container, node) else {
            return;
        };
        self.draft.push(
            "it stands still, and nobody stopped it on purpose or you said to start it",
            Action::StartNode {
                node: place(host, container, &node),
                restart_policy: container.restart_policy.clone(),
                looping: false,
            },
        );
        let engine = self.ground.engine(host);
        let architecture = engine.map(|engine| engine.architecture.clone());
        let platforms = self.platforms(&architecture.unwrap_or_default());
        self.draft.push(
            "a daemon that runs is not yet one that builds",
            Action::ProbeNode {
                host: host.clone(),
                container: name.clone(),
                platforms,
                judged: None,
            },
        );
    }

    /// Removes what no builder names, each state after its archive was proven.
    fn remove_remains(&mut self, remedies: &[Remedy]) {
        for remedy in remedies {
            match remedy {
                Remedy::RemoveNode(host, container) => {
                    if let Some(node) = NodeName::of_container(container.as_str()) {
                        let remains = self.remains(host, &node);
                        self.remove_node(None, remains);
                    }
                }
                Remedy::RemoveVolume(host, volume) => self.remove_orphan(host, volume),
                _ => {}
            }
        }
    }

    fn remove_orphan(&mut self, host: &HostId, name: &VolumeName) {
        let mut orphans = self.orphans().into_iter();
        let found = orphans.find(|orphan| &orphan.host == host && &orphan.volume == name);
        if let Some(volume) = found {
            let remains = Remains {
                node: None,
                volume: Some(volume),
            };
            self.remove_node(None, remains);
        }
    }
}

fn is_of_a_context(remedy: &Remedy) -> bool {
    matches!(remedy, Remedy::Context(_))
}
