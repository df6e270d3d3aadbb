//! What differs between two generations, from the journalled undos of the runs between them. Nodes and names, no file's content.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    history::{History, PastRun},
    name::{BuilderName, Digest, HostPath, ImageRef, NodeName},
    record::{NodeSettings, RecordEdit},
    step::{Action, Kept, Step},
    undo::Undo,
};

/// What differs between two generations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The one.
    pub from: u32,
    /// The other.
    pub to: u32,
    /// Builders whose records differ.
    pub builders: Vec<BuilderDifference>,
    /// Other files and folders that differ.
    pub files: Vec<FileDifference>,
}

/// How a builder differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuilderDifference {
    /// The builder.
    pub builder: String,
    /// In the one generation.
    pub from: Builder,
    /// In the other.
    pub to: Builder,
}

/// A builder in one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "builder", rename_all = "kebab-case")]
pub enum Builder {
    /// There is none.
    Absent {},
    /// There is one, of which rekit knows no more.
    Present {},
    /// There is one with these nodes.
    Known {
        /// Its nodes.
        nodes: Vec<Node>,
    },
}

/// A node in one generation, as far as rekit made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// Its image, where rekit chose it.
    pub image: Option<ImageRef>,
    /// Its settings, where rekit chose them.
    pub settings: Option<NodeSettings>,
}

/// How a file or folder differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDifference {
    /// The file or folder.
    pub path: HostPath,
    /// How.
    pub change: Change,
}

/// How a file of the one generation comes out in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is there only in the other.
    Added,
    /// It is there only in the one.
    Removed,
    /// Its content differs.
    Changed,
}

/// One change of a path: what it was and what was made of it; `None`: absent.
struct Touch {
    run: usize,
    was: Option<Digest>,
    made: Option<Digest>,
}

/// All that runs did, by what they did it to.
#[derive(Default)]
struct Trail<'a> {
    touches: BTreeMap<HostPath, Vec<Touch>>,
    /// Records that rekit wrote, by their digests.
    records: BTreeMap<Digest, &'a RecordEdit>,
    /// What nodes that rekit made run on.
    images: BTreeMap<NodeName, &'a ImageRef>,
}

/// Returns what differs between two generations; `None` if one of them never was in force.
pub fn difference(history: &History, from: u32, to: u32) -> Option<Difference> {
    let (one, other) = (history.position(from)?, history.position(to)?);
    let trail = Trail::of(history.runs());
    let mut found = Difference {
        from,
        to,
        builders: Vec::new(),
        files: Vec::new(),
    };
    for (path, touches) in &trail.touches {
        let (was, is) = (at(touches, one), at(touches, other));
        let change = match (was, is) {
            (was, is) if was == is => continue,
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ => Change::Changed,
        };
        let folder = path.parent();
        if folder.is_some_and(|folder| folder.file_name() == "instances") {
            found.builders.push(BuilderDifference {
                builder: trail.name(path),
                from: trail.builder(path, was),
                to: trail.builder(path, is),
            });
        } else {
            let path = path.clone();
            found.files.push(FileDifference { path, change });
        }
    }
    Some(found)
}

/// Returns what a path is once so many runs are done.
fn at(touches: &[Touch], position: usize) -> Option<&Digest> {
    let before = touches.iter().rfind(|touch| touch.run < position);
    match before {
        Some(touch) => touch.made.as_ref(),
        None => touches.first().and_then(|touch| touch.was.as_ref()),
    }
}

impl<'a> Trail<'a> {
    fn of(runs: &'a [PastRun]) -> Self {
        let mut trail = Self::default();
        for (number, run) in runs.iter().enumerate() {
            for step in run.done_steps() {
                trail.take_in(number, step, run.undo(step));
            }
        }
        trail
    }

    fn take_in(&mut self, run: usize, step: &'a Step, undo: Option<&Undo>) {
        if let Action::BootNode { node, image, .. } = &step.action {
            self.images.insert(node.clone(), image);
        }
        let (path, was, made) = match undo {
            Some(Undo::RestoreFile {
                path, was, made, ..
            }) => (path, was.as_ref().and_then(digest), made.clone()),
            Some(Undo::RestoreTree { path, blob, .. }) => (path, blob.as_str().parse().ok(), None),
            Some(Undo::RemoveTree { path, .. }) => {
                let Action::RestoreTree { blob, .. } = &step.action else {
                    return;
                };
                (path, None, blob.as_str().parse().ok())
            }
            _ => return,
        };
        if let (Action::RewriteRecord { edit, .. }, Some(made)) = (&step.action, &made) {
            self.records.insert(made.clone(), edit);
        }
        let touch = Touch { run, was, made };
        self.touches.entry(path.clone()).or_default().push(touch);
    }

    /// Returns a builder's name as its records had it, else as the file bears it.
    fn name(&self, path: &HostPath) -> String {
        let file = path.file_name();
        let mut names = self.records.values().map(|edit| &edit.builder);
        let known = names.find(|name| name.as_str().eq_ignore_ascii_case(file));
        known.map_or_else(|| file.to_owned(), BuilderName::to_string)
    }

    /// Returns what is known of a builder whose record has this digest.
    fn builder(&self, path: &HostPath, digest: Option<&Digest>) -> Builder {
        let Some(digest) = digest else {
            return Builder::Absent {};
        };
        if let Some(edit) = self.records.get(digest) {
            let nodes = edit.nodes.iter().map(|node| Node {
                image: self.images.get(&node.name).copied().cloned(),
                name: node.name.clone(),
                settings: node.settings.clone(),
            });
            let nodes = nodes.collect();
            return Builder::Known { nodes };
        }
        // rekit did not write it: its nodes are those that the first rewrite of it replaced.
        let touches = self.touches.get(path).map(Vec::as_slice);
        let mut touches = touches.unwrap_or_default().iter();
        let replaced = touches.find(|touch| touch.was.as_ref() == Some(digest));
        let edit = replaced.and_then(|touch| self.records.get(touch.made.as_ref()?));
        let names: BTreeSet<_> = edit
            .iter()
            .flat_map(|edit| &edit.nodes)
            .filter_map(|node| node.replaces.clone())
            .collect();
        if names.is_empty() {
            return Builder::Present {};
        }
        let nodes = names.into_iter().map(|name| Node {
            image: self.images.get(&name).copied().cloned(),
            name,
            settings: None,
        });
        let nodes = nodes.collect();
        Builder::Known { nodes }
    }
}

fn digest(kept: &Kept) -> Option<Digest> {
    kept.blob.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        name::BlobId,
        next::{Entry, RunEnd, RunState},
        plan::{Plan, Purpose},
        record::NodeEdit,
        step::{FileState, StepId},
        undo::Outcome,
    };

    fn kept(text: &str) -> Kept {
        let blob = BlobId::of(text.as_bytes());
        Kept { blob, mode: 0o600 }
    }

    fn undo(path: &str, was: Option<&str>, made: &str) -> Undo {
        Undo::RestoreFile {
            path: path.into(),
            store: None,
            was: was.map(kept),
            made: Some(Digest::of(made.as_bytes())),
        }
    }

    fn rewrite(old: &str, new: &str) -> Action {
        let node = NodeEdit {
            name: new.parse().unwrap(),
            replaces: Some(old.parse().unwrap()),
            endpoint: None,
            settings: None,
        };
        Action::RewriteRecord {
            store: "/s".into(),
            record: "/s/instances/team".into(),
            before: FileState::Absent {},
            edit: RecordEdit {
                builder: "Team".parse().unwrap(),
                nodes: vec![node],
            },
        }
    }

    fn write(path: &str) -> Action {
        Action::WriteFile {
            path: path.into(),
            store: None,
            before: FileState::Absent {},
            mode: 0o600,
            content: String::new(),
        }
    }

    fn run(number: u32, generations: (u32, u32), steps: Vec<(Action, Undo)>) -> PastRun {
        let mut entries = Vec::new();
        let mut planned = Vec::new();
        for ((action, undo), id) in steps.into_iter().zip(1..) {
            let step = StepId(id);
            entries.push(Entry::Started { step, undo });
            let outcome = Outcome::Done {};
            entries.push(Entry::Finished { step, outcome });
            let why = String::new();
            planned.push(Step {
                id: step,
                why,
                action,
            });
        }
        entries.push(Entry::Ended { end: RunEnd::Done });
        PastRun {
            state: RunState::replay(planned.len(), &entries),
            began: Timestamp::UNIX_EPOCH,
            plan: Plan {
                from_generation: generations.0,
                to_generation: generations.1,
                steps: planned,
                ..Plan::new(
                    format!("run-{number}").parse().unwrap(),
                    Purpose::Reinstall,
                    Timestamp::UNIX_EPOCH,
                    "/home".into(),
                )
            },
        }
    }

    fn history() -> History {
        let team = "/s/instances/team";
        History::new(vec![
            run(
                1,
                (0, 1),
                vec![
                    (rewrite("team0", "team0-g1"), undo(team, Some("old"), "one")),
                    (write("/s/current"), undo("/s/current", None, "team")),
                ],
            ),
            run(
                2,
                (1, 2),
                vec![
                    (
                        rewrite("team0-g1", "team0-g2"),
                        undo(team, Some("one"), "two"),
                    ),
                    (
                        write("/s/current"),
                        undo("/s/current", Some("team"), "team"),
                    ),
                ],
            ),
        ])
    }

    fn nodes(builder: &Builder) -> Vec<&str> {
        match builder {
            Builder::Known { nodes } => nodes.iter().map(|node| node.name.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn generations_differ_by_what_the_runs_between_them_changed() {
        let found = difference(&history(), 0, 2).unwrap();
        assert_eq!(found.builders.len(), 1);
        assert_eq!(found.builders[0].builder, "Team");
        assert_eq!(nodes(&found.builders[0].from), ["team0"]);
        assert_eq!(nodes(&found.builders[0].to), ["team0-g2"]);
        assert_eq!(found.files.len(), 1);
        assert_eq!(found.files[0].change, Change::Added);
        // What the second run wrote as it was is no difference.
        assert_eq!(difference(&history(), 1, 2).unwrap().files, []);
    }

    #[test]
    fn the_other_way_round_it_is_the_reverse() {
        let found = difference(&history(), 2, 0).unwrap();
        assert_eq!(nodes(&found.builders[0].from), ["team0-g2"]);
        assert_eq!(nodes(&found.builders[0].to), ["team0"]);
        assert_eq!(found.files[0].change, Change::Removed);
        assert_eq!(difference(&history(), 1, 1).unwrap().builders, []);
        assert_eq!(difference(&history(), 0, 3), None);
    }

    #[test]
    fn a_rollback_leads_to_no_difference_from_where_it_went() {
        let mut runs = history().runs().to_vec();
        let team = "/s/instances/team";
        let restore = Action::RestoreFile {
            path: team.into(),
            store: None,
            before: FileState::Absent {},
            blob: Some(kept("old")),
        };
        let back = vec![(restore, undo(team, Some("two"), "old"))];
        runs.push(run(3, (2, 0), back));
        let history = History::new(runs);
        assert_eq!(difference(&history, 0, 0).unwrap().builders, []);
        let found = difference(&history, 0, 2).unwrap();
        assert_eq!(nodes(&found.builders[0].from), ["team0"]);
    }
}
