//! RK101 to RK109: Docker contexts and the endpoints behind them.

use super::{
    case::{Case, quoted},
    check::Check,
    known::Known,
    remedy::Remedy,
};
use crate::{
    finding::Severity,
    inventory::{ContextEntry, Host},
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "RK101",
        title: "a context speaks to a Windows pipe",
        severity: Severity::Error,
        explain: "Docker Desktop on Windows writes contexts whose endpoint is a named pipe (npipe://). Read on Linux or macOS \
            such a context cannot be dialled: buildx shows its builder in error (`protocol not available`), and the docker \
            command may even crash when it is the current one. It is a context, not a builder: `docker buildx rm` cannot \
            remove it. Where Desktop runs on this machine, the context is pointed at Desktop's socket; elsewhere it is \
            exported and removed.",
        find: windows_pipe,
    },
    Check {
        code: "RK102",
        title: "the current context does not exist",
        severity: Severity::Error,
        explain: "config.json or DOCKER_CONTEXT names a context that has no metadata, for example after Docker Desktop, \
            colima or rootless Docker was removed. Nearly every docker and buildx command fails then.",
        find: dangling_current,
    },
    Check {
        code: "RK103",
        title: "a context cannot be read",
        severity: Severity::Error,
        explain: "A meta.json under contexts/meta is empty, cut short or not readable, for example after a power loss. buildx \
            then says that the endpoint of `default` is not found, which leads astray.",
        find: unreadable,
    },
    Check {
        code: "RK104",
        title: "a context cannot be dialled from here",
        severity: Severity::Warning,
        explain: "The context's endpoint uses something that this machine does not have. buildx asks every context when it \
            lists builders, so the listing shows an error or waits.",
        find: unusable,
    },
    Check {
        code: "RK105",
        title: "the engine in force does not answer",
        severity: Severity::Error,
        explain: "The endpoint that docker and buildx use now does not answer: the engine is stopped, its socket is gone, or \
            this account may not open it. Nothing can be built until it answers or another context is chosen.",
        find: dead_selected,
    },
    Check {
        code: "RK106",
        title: "another engine does not answer",
        severity: Severity::Warning,
        explain: "An endpoint that a context or a builder names does not answer. buildx waits up to 20 seconds for each of \
            them when it lists builders. What lies there could not be looked at.",
        find: dead_other,
    },
];

fn is_pipe(context: &ContextEntry) -> bool {
    context
        .state
        .known()
        .is_some_and(|state| state.endpoint.starts_with("npipe:"))
}

fn windows_pipe(known: &Known<'_>) -> Vec<Case> {
    if known.inventory.machine.os == "windows" {
        return Vec::new();
    }
    let contexts = known.inventory.contexts.iter();
    contexts
        .filter(|context| is_pipe(context))
        .map(|context| pipe_case(known, context))
        .collect()
}

fn pipe_case(known: &Known<'_>, context: &ContextEntry) -> Case {
    let endpoint = context
        .state
        .known()
        .map_or("", |state| state.endpoint.as_str());
    let mut case = Case::of("context", &context.name)
        .cause(format!(
            "Context `{}` speaks to the Windows pipe `{endpoint}`, which does not exist on {}; its builder can only be in error.",
            context.name, known.inventory.machine.os
        ));
    if let Some(file) = &context.file {
        case = case.seen(format!("{}: endpoint `{endpoint}`", file.path));
    }
    if context.current {
        case = case.seen("it is the current context, so docker itself may crash");
    }
    let name = quoted(&context.name);
    if context.is_of_windows(&known.inventory.machine) {
        return case
            .seen("the folder is Windows's own, which needs this context")
            .by_hand("give WSL its own DOCKER_CONFIG; the context stays for Windows")
            .run("export DOCKER_CONFIG=\"$HOME/.docker\"");
    }
    let socket = known
        .inventory
        .desktop
        .iter()
        .filter(|desktop| desktop.running)
        .flat_map(|desktop| &desktop.sockets)
        .find(|(_, answer)| answer.known().is_some());
    if let Some((socket, _)) = socket {
        return case
            .seen(format!("Docker Desktop answers at {socket}"))
            .by_itself(
                Remedy::Context(context.name.clone()),
                format!("point the context at Desktop's socket {socket}"),
            )
            .run(format!(
                "docker context update {name} --docker {}",
                quoted(&format!("host=unix://{socket}"))
            ));
    }
    case.seen("no Docker Desktop answers on this machine")
        .by_itself(
            Remedy::Context(context.name.clone()),
            "keep a copy of the context and retire it",
        )
        .run(format!("docker context export {name}"))
        .run(format!("docker context rm -f {name}"))
}

fn dangling_current(known: &Known<'_>) -> Vec<Case> {
    let selection = &known.inventory.selection;
    let exists = selection.context == "default"
        || selection.context_from == "DOCKER_HOST"
        || known
            .inventory
            .contexts
            .iter()
            .any(|context| context.name == selection.context);
    if exists || selection.context.is_empty() {
        return Vec::new();
    }
    let case = Case::of("context", &selection.context)
        .cause(format!(
            "{} names the context `{}`, which does not exist; docker and buildx fail.",
            selection.context_from, selection.context
        ))
        .seen(format!(
            "the context comes from {}; no metadata has this name",
            selection.context_from
        ));
    vec![if selection.context_from == "DOCKER_CONTEXT" {
        case.by_hand("unset DOCKER_CONTEXT where it is set")
            .run("unset DOCKER_CONTEXT")
    } else {
        case.by_itself(Remedy::CurrentContext, "use the default context again")
            .run("docker context use default")
    }]
}

fn unreadable(known: &Known<'_>) -> Vec<Case> {
    let contexts = known.inventory.contexts.iter();
    contexts
        .filter_map(|context| {
            let reason = context.state.reason()?;
            let case = Case::of("context", &context.name)
                .cause(format!(
                    "The metadata of context `{}` cannot be read: {reason}. buildx fails for all builders.",
                    context.name
                ))
                .by_itself(
                    Remedy::Context(context.name.clone()),
                    "move the broken metadata aside, keeping a copy",
                );
            Some(match &context.file {
                Some(file) => case
                    .seen(format!("{} ({} bytes): {reason}", file.path, file.size_bytes))
                    .run(match file.path.parent() {
                        Some(folder) => format!("mv {} {}", quoted(&folder), quoted(&aside(&folder))),
                        None => format!("mv {0} {0}.broken", quoted(&file.path)),
                    }),
                None => case.seen(reason.to_owned()),
            })
        })
        .collect()
}

/// Returns a place outside of `contexts/meta` for a folder of it: docker would read a copy beside it.
fn aside(folder: &crate::name::HostPath) -> String {
    let docker = folder
        .parent()
        .and_then(|meta| meta.parent())
        .and_then(|contexts| contexts.parent());
    match docker {
        Some(docker) => docker
            .join(&format!("broken-context-{}", folder.file_name()))
            .to_string(),
        None => format!("{folder}.broken"),
    }
}

fn unusable(known: &Known<'_>) -> Vec<Case> {
    let contexts = known.inventory.contexts.iter();
    contexts
        .filter(|context| known.inventory.machine.os == "windows" || !is_pipe(context))
        .filter_map(|context| {
            let state = context.state.known()?;
            let reason = state.unusable.as_ref()?;
            let case = Case::of("context", &context.name)
                .cause(format!(
                    "Context `{}` cannot be dialled from here: {reason}.",
                    context.name
                ))
                .seen(format!("endpoint `{}`", state.endpoint));
            Some(
                case.by_hand("mend its endpoint, or remove the context if nobody needs it")
                    .run(format!("docker context inspect {}", quoted(&context.name))),
            )
        })
        .collect()
}

/// Returns whether docker uses this host now.
fn is_selected(known: &Known<'_>, host: &Host) -> bool {
    let by_variable = known.inventory.selection.context_from == "DOCKER_HOST"
        && host.named_by.iter().any(|name| name == "DOCKER_HOST");
    by_variable
        || known.inventory.contexts.iter().any(|context| {
            let state = context.state.known();
            context.current && state.and_then(|state| state.host.as_ref()) == Some(&host.id)
        })
}

/// Whether the selected builder needs no engine of this machine.
fn builds_elsewhere(known: &Known<'_>) -> bool {
    let name = known.inventory.selection.builder.as_ref();
    let selected = known
        .nodes()
        .filter(|node| Some(&node.builder.name) == name);
    let mut drivers = selected.map(|node| node.record.driver.as_str()).peekable();
    drivers.peek().is_some() && drivers.all(|driver| matches!(driver, "remote" | "kubernetes"))
}

/// Whether anybody asked for this host: the default socket of a machine without Docker, or with a client alone, is no fault.
fn is_wanted(known: &Known<'_>, host: &Host) -> bool {
    let only_default = host
        .named_by
        .iter()
        .all(|name| name == "default socket" || name == "context default");
    !only_default
        || !builds_elsewhere(known)
            && known
                .inventory
                .tools
                .iter()
                .any(|tool| tool.name == "docker" && tool.in_force)
}

fn dead_selected(known: &Known<'_>) -> Vec<Case> {
    dead(known, true)
}

fn dead_other(known: &Known<'_>) -> Vec<Case> {
    dead(known, false)
}

fn dead(known: &Known<'_>, selected: bool) -> Vec<Case> {
    let hosts = known.inventory.hosts.iter();
    hosts
        .filter(|host| is_selected(known, host) == selected && is_wanted(known, host))
        .filter(|host| selected || host.named_by.iter().any(|name| name != "default socket"))
        .filter_map(|host| {
            let reason = host.engine.reason()?;
            let denied = reason.to_lowercase().contains("permission denied");
            let case = Case::of("host", &host.id)
                .host(&host.id)
                .cause(format!(
                    "The engine at `{}` does not answer: {reason}.",
                    host.id
                ))
                .seen(format!("named by {}", host.named_by.join(", ")));
            Some(if denied {
                case.by_hand("let this account use the socket: join its group and log in anew")
                    .run("sudo usermod -aG docker \"$USER\"")
            } else if selected {
                case.by_hand("start the engine, or choose another context")
                    .run("sudo systemctl start docker")
                    .run("docker context ls")
            } else {
                case.by_hand("make it answer again, or remove what names it")
                    .run("docker context ls")
            })
        })
        .collect()
}
