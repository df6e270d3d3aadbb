//! Plans the way back to a closed generation: the journalled undos of the runs since, latest first, as steps of a new plan.
//!
//! Builders answer as in that generation before anybody waits for a build on a node that is left: those nodes are parked at the end.

mod standalone;

use std::collections::BTreeMap;

use crate::{
    draft::{Draft, Ground, Patience, place},
    history::PastRun,
    name::{ContainerName, HostId, HostPath, NodeName},
    plan::{Plan, Purpose},
    step::{Action, FileState, Identity, Kept, NodePlace, PARKED_POLICY, StepId},
    undo::Undo,
};

/// Why there is no way back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWayBack {
    /// There is nothing before.
    #[error("there is no generation before this one")]
    NothingBefore,
    /// It never was in force.
    #[error("generation {0} never was in force here")]
    Unknown(u32),
    /// A builder record was changed since.
    #[error(
        "`{path}` was changed since by somebody else; going back would cut builders off their nodes"
    )]
    Moved {
        /// The record.
        path: HostPath,
    },
}

/// Returns the files whose state the planner needs.
pub fn paths_of_interest(runs: &[&PastRun]) -> Vec<HostPath> {
    let path = |undo: &Undo| match undo {
        Undo::RestoreFile { path, .. } => Some(path.clone()),
        _ => None,
    };
    runs.iter()
        .flat_map(|run| run.state.undos())
        .filter_map(|(_, undo)| path(&undo))
        .collect()
}

/// Plans the way back over these runs, given latest first.
pub fn plan(
    ground: &Ground<'_>,
    runs: &[&PastRun],
    to: u32,
    patience: Patience,
) -> Result<Plan, NoWayBack> {
    let mut back = WayBack {
        ground,
        patience,
        draft: Draft::new(ground, Purpose::Rollback, to),
        files: BTreeMap::new(),
        remade: BTreeMap::new(),
        left: Vec::new(),
    };
    for run in runs {
        for (_, undo) in run.state.undos() {
            back.take_back(&undo)?;
        }
    }
    back.park();
    Ok(back.draft.finish())
}

struct WayBack<'a> {
    ground: &'a Ground<'a>,
    patience: Patience,
    draft: Draft,
    /// What files will be by the steps so far.
    files: BTreeMap<HostPath, FileState>,
    /// Containers that a step so far makes again.
    remade: BTreeMap<(HostId, ContainerName), StepId>,
    /// Nodes to be parked, and why.
    left: Vec<(NodePlace, &'static str)>,
}

impl WayBack<'_> {
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of undo")]
    fn take_back(&mut self, undo: &Undo) -> Result<(), NoWayBack> {
        match undo {
            Undo::Nothing {}
            | Undo::DropPartialArchive { .. }
            | Undo::RemoveRecreated { .. }
            | Undo::RemoveRestored { .. }
            | Undo::RemoveRecreatedVolume { .. }
            // More cache does no harm, and makes no generation.
            | Undo::ForgetMounts { .. }
            | Undo::EmptyFolder { .. }
            | Undo::RestoreEngine { .. }
            // An engine that a finished run stopped, it started too.
            | Undo::StartEngine { .. }
            | Undo::StopEngine { .. } => {}
            Undo::RestoreFile {
                path,
                store,
                was,
                made,
            } => self.file(path, store.as_ref(), was.as_ref(), made.as_ref())?,
            Undo::StopDaemon { daemon } => self.stop_daemon(daemon),
            Undo::StartDaemon { daemon, script, .. } => self.start_daemon(daemon, script.as_ref()),
            Undo::UnparkState {
                parked,
                root,
                renewed,
            } => self.unpark_state(parked, root, *renewed),
            Undo::ParkState { root, parked } => self.park_state(root, parked),
            Undo::RestoreState { folder, source } => self.restore_state(folder, source),
            Undo::RestoreTree { path, store, blob } => {
                let action = Action::RestoreTree {
                    path: path.clone(),
                    store: store.clone(),
                    blob: blob.clone(),
                };
                self.draft.push("what was removed comes back", action);
            }
            Undo::RemoveTree { path, store, .. } => {
                let action = Action::RemoveTree {
                    path: path.clone(),
                    store: store.clone(),
                };
                self.draft
                    .push("it was not there in that generation", action);
            }
            Undo::RestoreSocket { path, socket } => {
                let action = Action::RestoreSocket {
                    path: path.clone(),
                    socket: socket.clone(),
                };
                self.draft.push("what was removed comes back", action);
            }
            Undo::RemoveSocket { path, socket } => {
                let action = Action::RemoveSocket {
                    path: path.clone(),
                    socket: socket.clone(),
                };
                self.draft
                    .push("it was not there in that generation", action);
            }
            Undo::RemoveNode { host, node, .. } => self.leave(host, node),
            Undo::RestoreContainerState {
                node,
                running: true,
                looping,
                restart_policy,
            } => self.start(node, restart_policy, *looping),
            // A node that was stopped before is as it was, or its stop comes further down.
            Undo::RestoreContainerState {
                node,
                running: false,
                restart_policy,
                ..
            } => self.stop_again(node, restart_policy),
            Undo::RecreateContainer {
                host,
                container,
                description,
            } => {
                let action = Action::RecreateContainer {
                    host: host.clone(),
                    container: container.clone(),
                    description: description.clone(),
                };
                let step = self
                    .draft
                    .push("the container is made again as it was", action);
                self.remade.insert((host.clone(), container.clone()), step);
            }
            Undo::RecreateVolume {
                host,
                volume,
                options,
            } => {
                let action = Action::RecreateVolume {
                    host: host.clone(),
                    volume: volume.clone(),
                    options: options.clone(),
                };
                self.draft
                    .push("its cache was given up: it comes back empty", action);
            }
            Undo::RestoreVolume {
                host,
                volume,
                archive,
                options,
            } => {
                let action = Action::RestoreVolume {
                    host: host.clone(),
                    volume: volume.clone(),
                    archive: archive.clone(),
                    options: options.clone(),
                };
                self.draft
                    .push("its cache comes back from the archive", action);
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &HostPath,
        store: Option<&HostPath>,
        was: Option<&Kept>,
        made: Option<&crate::name::Digest>,
    ) -> Result<(), NoWayBack> {
        let now = self
            .files
            .get(path)
            .cloned()
            .unwrap_or_else(|| self.ground.file(path));
        let ours = made.map_or(FileState::Absent {}, |digest| FileState::Present {
            digest: digest.clone(),
        });
        let goal = match was.map(|kept| kept.blob.as_str().parse()) {
            Some(Ok(digest)) => FileState::Present { digest },
            _ => FileState::Absent {},
        };
        if now == goal {
            return Ok(());
        }
        if now != ours {
            if path
                .parent()
                .is_some_and(|folder| folder.file_name() == "instances")
            {
                return Err(NoWayBack::Moved { path: path.clone() });
            }
            self.draft.leave_out(
                path.to_string(),
                "somebody changed it since, so it stays as it is; what it was is kept",
            );
            return Ok(());
        }
        let action = Action::RestoreFile {
            path: path.clone(),
            store: store.cloned(),
            before: now,
            blob: was.cloned(),
        };
        self.draft.push("as it was in that generation", action);
        self.files.insert(path.clone(), goal);
        Ok(())
    }

    /// A node that a run made is parked, not removed: going forward again is as warm as going back.
    fn leave(&mut self, host: &HostId, node: &NodeName) {
        if let Some(container) = self.ground.container(host, &node.container()) {
            let why = "it stays, stopped and warm, until `rekit finalize`";
            self.left.push((place(host, container, node), why));
        }
    }

    /// A node that a rollback had started is parked again; one that somebody had stopped by himself is only stopped.
    fn stop_again(&mut self, node: &NodePlace, restart_policy: &str) {
        let running = self
            .ground
            .container(&node.host, &node.container)
            .is_some_and(|container| container.status == "running");
        if !running {
            return;
        }
        if restart_policy == PARKED_POLICY {
            let why = "it was parked in that generation";
            self.left.push((node.clone(), why));
        } else {
            self.draft.drain_and_stop(node, self.patience);
        }
    }

    /// Parks the nodes that are left, once no build runs on them.
    fn park(&mut self) {
        for (node, why) in std::mem::take(&mut self.left) {
            self.draft.drain_and_stop(&node, self.patience);
            self.draft.push(why, Action::Park { node });
        }
    }

    fn start(&mut self, node: &NodePlace, restart_policy: &str, looping: bool) {
        let key = (node.host.clone(), node.container.clone());
        let identity = match self.remade.get(&key) {
            Some(step) => Identity::MadeBy {
                run: self.ground.run.clone(),
                step: *step,
            },
            None => node.identity.clone(),
        };
        let node = NodePlace {
            identity,
            ..node.clone()
        };
        let native = self
            .ground
            .engine(&node.host)
            .map(|engine| format!("linux/{}", engine.architecture).parse());
        let platforms = native.into_iter().flatten().collect();
        let (host, container) = key;
        self.draft.push(
            if looping {
                "the old node is started again and again, as it was"
            } else {
                "the old node answers again, warm"
            },
            Action::StartNode {
                node,
                restart_policy: restart_policy.to_owned(),
                looping,
            },
        );
        if looping {
            return;
        }
        self.draft.push(
            "no client is sent to a node that did not build",
            Action::ProbeNode {
                host,
                container,
                platforms,
                judged: None,
            },
        );
    }
}
