//! RK110 to RK119: the client's programs and the variables that steer them.

use super::{
    case::{Case, quoted},
    check::Check,
    known::Known,
};
use crate::{
    finding::{FixBy, Severity},
    inventory::Tool,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "RK110",
        title: "the buildx plugin is missing",
        severity: Severity::Error,
        explain: "docker is here, buildx is not. `docker build` then falls back to the legacy builder without saying much, so a \
            build that works proves nothing; Compose falls back too.",
        find: missing,
    },
    Check {
        code: "RK111",
        title: "a client program cannot run",
        severity: Severity::Error,
        explain: "A file is found where docker looks for its plugin, but it cannot run: another architecture, no permission to \
            execute, or a download that holds an error page. Compose may crash on it.",
        find: broken,
    },
    Check {
        code: "RK112",
        title: "an older copy of a plugin hides a newer one",
        severity: Severity::Warning,
        explain: "docker takes the first plugin that it finds; a copy in ~/.docker/cli-plugins hides the packaged one. Old \
            copies lack flags and speak API versions that engines no longer take.",
        find: shadowed,
    },
    Check {
        code: "RK113",
        title: "BUILDX_BUILDER names no builder",
        severity: Severity::Error,
        explain: "The variable overrides every other choice. With a name that no builder has, all builds fail with `no builder \
            found`, while `docker buildx ls` shows nothing of it.",
        find: builder_variable,
    },
    Check {
        code: "RK114",
        title: "the legacy builder is forced",
        severity: Severity::Warning,
        explain: "DOCKER_BUILDKIT=0 makes `docker build` use the builder from before BuildKit: no secrets, no cache mounts, \
            empty TARGETARCH.",
        find: legacy,
    },
];

fn missing(known: &Known<'_>) -> Vec<Case> {
    let has = |name: &str| known.inventory.tools.iter().any(|tool| tool.name == name);
    if !has("docker") || has("buildx") {
        return Vec::new();
    }
    vec![
        Case::of("tool", "buildx")
            .cause("docker is installed without its buildx plugin; builds fall back to the legacy builder.")
            .seen("no file `docker-buildx` in any plugin folder")
            .fix(FixBy::Consent, "install the plugin")
            .run("sudo apt-get install docker-buildx-plugin"),
    ]
}

fn broken(known: &Known<'_>) -> Vec<Case> {
    let tools = known.inventory.tools.iter();
    tools
        .filter(|tool| {
            tool.in_force && matches!(tool.name.as_str(), "docker" | "buildx" | "compose")
        })
        .filter_map(|tool| {
            let reason = tool.version.reason()?;
            Some(
                Case::of("tool", &tool.name)
                    .cause(format!(
                        "The {} that docker would use cannot run: {reason}.",
                        tool.name
                    ))
                    .seen(format!("{}: {reason}", tool.path))
                    .fix(
                        FixBy::Consent,
                        "move the file aside and install the program again",
                    )
                    .run(format!("mv {0} {0}.broken", quoted(&tool.path))),
            )
        })
        .collect()
}

/// Returns the numbers of a version such as `v0.29.1-desktop.2`, for comparison.
fn numbers(version: &str) -> Vec<u64> {
    version
        .trim_start_matches('v')
        .split(['-', '+', ' '])
        .next()
        .unwrap_or_default()
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

fn shadowed(known: &Known<'_>) -> Vec<Case> {
    let tools = &known.inventory.tools;
    let plugins = tools
        .iter()
        .filter(|tool| tool.in_force && matches!(tool.name.as_str(), "buildx" | "compose"));
    plugins
        .filter_map(|winner| {
            let version = winner.version.known()?;
            let newer = |other: &&Tool| {
                other.name == winner.name
                    && !other.in_force
                    && other
                        .version
                        .known()
                        .is_some_and(|other| numbers(other) > numbers(version))
            };
            let hidden = tools.iter().find(newer)?;
            let hidden_version = hidden.version.known()?;
            Some(
                Case::of("tool", &winner.name)
                    .cause(format!(
                        "{} {version} is used, though {hidden_version} is installed.",
                        winner.name
                    ))
                    .seen(format!("{}: {version}, in force", winner.path))
                    .seen(format!("{}: {hidden_version}, hidden", hidden.path))
                    .fix(FixBy::Consent, "move the older copy aside")
                    .run(format!("mv {0} {0}.old", quoted(&winner.path))),
            )
        })
        .collect()
}

fn builder_variable(known: &Known<'_>) -> Vec<Case> {
    let Some(name) = known.variable("BUILDX_BUILDER") else {
        return Vec::new();
    };
    if known.names_a_builder(name) {
        return Vec::new();
    }
    vec![
        Case::of("environment", "BUILDX_BUILDER")
            .cause(format!("BUILDX_BUILDER is `{name}`, and no builder or context has this name; every build fails."))
            .seen(format!("environment: BUILDX_BUILDER={name}"))
            .fix(FixBy::Hand, "unset the variable where it is set, or create a builder of that name")
            .run("unset BUILDX_BUILDER")
            .run(format!("docker buildx create --name {}", quoted(name))),
    ]
}

fn legacy(known: &Known<'_>) -> Vec<Case> {
    let off = known
        .variable("DOCKER_BUILDKIT")
        .is_some_and(|value| matches!(value, "0" | "false" | "FALSE" | "False" | "f" | "F"));
    if !off {
        return Vec::new();
    }
    vec![
        Case::of("environment", "DOCKER_BUILDKIT")
            .cause("DOCKER_BUILDKIT turns BuildKit off for `docker build`.")
            .seen("environment: DOCKER_BUILDKIT is set to a false value")
            .fix(FixBy::Hand, "unset the variable where it is set")
            .run("unset DOCKER_BUILDKIT"),
    ]
}
