//! A context that nothing on this machine can dial is repaired where Desktop is really there, else retired.

use super::Reinstall;
use crate::{
    inventory::{ConfigKind, ContextEntry},
    name::HostPath,
    step::{Action, Claim, DaemonPlace, JsonEdit},
};

/// The context that Docker Desktop makes.
const DESKTOP_CONTEXT: &str = "desktop-linux";

impl Reinstall<'_> {
    pub(super) fn mend_contexts(&mut self) {
        self.mend_some_contexts(|_| true);
        if let Some((path, edit, why)) = self.current_context() {
            self.edit_json(path, vec![edit], why);
        }
    }

    /// The same for some contexts.
    pub(super) fn mend_some_contexts(&mut self, is_wanted: impl Fn(&str) -> bool) {
        let contexts = self.ground.inventory.contexts.iter();
        for context in contexts.filter(|context| is_wanted(&context.name)) {
            let Some(file) = &context.file else { continue };
            let unusable = match &context.state {
                crate::fact::Fact::Known(state) => state.unusable.clone(),
                crate::fact::Fact::Unreadable { reason } => {
                    Some(format!("its metadata does not parse: {reason}"))
                }
            };
            let Some(reason) = unusable else { continue };
            if context.is_of_windows(&self.ground.inventory.machine) {
                let why = format!(
                    "{reason}; its folder is Windows's own, which needs it: give WSL its own DOCKER_CONFIG"
                );
                self.draft
                    .leave_out(format!("context {}", context.name), why);
                continue;
            }
            match self.desktop_socket() {
                Some(socket)
                    if context.name == DESKTOP_CONTEXT && context.state.known().is_some() =>
                {
                    self.repair(context, &file.path, &socket, &reason);
                }
                _ => self.retire_context(context, &file.path, &reason),
            }
        }
    }

    /// Returns a socket of Desktop that answers.
    fn desktop_socket(&self) -> Option<HostPath> {
        let desktop = self.ground.inventory.desktop.as_ref()?;
        desktop
            .sockets
            .iter()
            .find(|(_, answer)| answer.known().is_some())
            .map(|(socket, _)| socket.clone())
    }

    fn repair(&mut self, context: &ContextEntry, meta: &HostPath, socket: &HostPath, reason: &str) {
        let keys = ["Endpoints", "docker", "Host"].map(str::to_owned).to_vec();
        let edits = vec![JsonEdit {
            keys,
            value: Some(format!("unix://{socket}")),
        }];
        let why = format!(
            "context `{}` cannot be dialled here ({reason}); Docker Desktop answers on {socket}",
            context.name
        );
        self.edit_json(meta.clone(), edits, why);
        let host = format!("unix://{socket}").parse::<crate::name::HostId>();
        let architecture = self.ground.inventory.machine.architecture.clone();
        let platforms = format!("linux/{architecture}")
            .parse()
            .into_iter()
            .collect();
        let daemons = host
            .into_iter()
            .map(|host| DaemonPlace {
                host,
                container: None,
            })
            .collect();
        self.claims.push(Claim {
            builder: context.name.clone(),
            daemons,
            platforms,
        });
    }

    fn retire_context(&mut self, context: &ContextEntry, meta: &HostPath, reason: &str) {
        let Some(folder) = meta.parent() else { return };
        let why = format!(
            "context `{}` cannot be used here ({reason}), and every listing of builders fails on it",
            context.name
        );
        self.draft.push(
            why,
            Action::RemoveTree {
                path: folder,
                store: None,
            },
        );
        if let Some(tls) = &context.tls {
            let why = format!("the TLS files of context `{}` go with it", context.name);
            self.draft.push(
                why,
                Action::RemoveTree {
                    path: tls.clone(),
                    store: None,
                },
            );
        }
    }

    /// Returns what takes `currentContext` out of config.json where it names a context that is not there or goes, and why.
    pub(super) fn current_context(&self) -> Option<(HostPath, JsonEdit, String)> {
        let inventory = self.ground.inventory;
        if inventory.selection.context_from != "config.json" {
            return None;
        }
        let current = &inventory.selection.context;
        let usable = |context: &ContextEntry| {
            context
                .state
                .known()
                .is_some_and(|state| state.unusable.is_none())
        };
        let repaired = current == DESKTOP_CONTEXT && self.desktop_socket().is_some();
        if current == "default"
            || repaired
            || inventory
                .contexts
                .iter()
                .any(|context| &context.name == current && usable(context))
        {
            return None;
        }
        let mut files = inventory.files.iter();
        let config = files.find(|file| file.kind == ConfigKind::Cli)?;
        let why = format!("it names context `{current}`, which cannot be used");
        let edit = JsonEdit::removal(&["currentContext"]);
        Some((config.file.path.clone(), edit, why))
    }

    /// Edits a JSON file. All edits of one file are one step, as each step relies on the file's bytes.
    pub(super) fn edit_json(&mut self, path: HostPath, edits: Vec<JsonEdit>, why: String) {
        self.draft.push(
            why,
            Action::EditJson {
                before: self.ground.file(&path),
                path,
                edits,
            },
        );
    }
}
